# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml and bad luck, on real hosts. The tests stand in the order in which a host lives, and each leaves it well."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
from runs import PROJECT, Run, ask, docker, engine, key, reboot, refused, run, sh, until, well

Run.inventory = TOP / "molecule/faults/inventory"
LAB = yaml.safe_load((TOP / "inventories/lab/group_vars/all/generated.yml").read_text())
FIRST, SECOND, THIRD = "faults1", "faults2", "faults3"
ADDRESS = {FIRST: "172.30.90.41", SECOND: "172.30.90.42", THIRD: "172.30.90.43"}
IMAGES = dict(line.split("=", 1) for line in (Path(LAB["lab_ssh_key"]).parent / "images").read_text().splitlines())


def is_whole(host):
    """No file of the project is torn: what is there can be read as what it is."""
    assert sh(host, f"find {PROJECT} -name '.env.*' -o -name '*.tmp' 2>/dev/null", check=False) == ""
    plan = sh(host, f"cat {PROJECT}/plan.json 2>/dev/null", check=False)
    assert not plan or json.loads(plan)["status"] == "final"
    lines = sh(host, f"cat {PROJECT}/.env 2>/dev/null", check=False).splitlines()
    assert not lines or {"LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "POSTGRES_PASSWORD"} <= {line.split("=")[0] for line in lines}
    assert all(len(line.split("=")[1]) >= 20 for line in lines)


# A bare host


def test_checked_while_virgin():
    before = sh(FIRST, "dpkg-query -l | sort | sha256sum; find /etc /opt /usr/local -type f | sort | sha256sum")
    done = run(FIRST, options=["--check", "--diff"])
    assert not done.failed
    assert done.changed == [
        "Say what would be installed",
        "Keep a folder for it",
        "Create the folders",
        "Make and keep the secrets",
        "Say what would follow",
    ]
    assert sh(FIRST, "dpkg-query -l | sort | sha256sum; find /etc /opt /usr/local -type f | sort | sha256sum") == before


SETTINGS = {
    "an unknown tier": ({"model_plan_tier": "huge"}, "model_plan_tier: there is no tier 'huge'; set one of cpu, low"),
    "an unknown model": ({"model_plan_add": ["nobody:7b"]}, "model_plan_add: nobody:7b is not in model_plan_catalog"),
    "a value that is none": ({"model_plan_keep_alive": "soon"}, "model_plan_keep_alive: 'soon' is no time"),
    "a port that is none": ({"site_gateway_port": 99999}, "site_gateway_port, site_ollama_port: set 127.0.0.1"),
    "one port for two": ({"site_gateway_port": 11434}, "site_gateway_port and site_ollama_port are both 11434"),
    "an address of another host": ({"site_gateway_bind": "192.0.2.99"}, "site_gateway_bind: the host has no address 192.0.2.99"),
    "a port of another program": ({"site_gateway_port": 22}, "site_gateway_port: 22 belongs to sshd (process"),
    "no service": ({"llm_stack_services": []}, "llm_stack_services: it is empty"),
    "a service that is none": ({"llm_stack_services": ["rabbit"]}, "llm_stack_services: there is no rabbit; set some of ollama, db, redis"),
    "an image below the floor": (
        {"llm_stack_litellm_image": "ghcr.io/berriai/litellm:main-v1.73.0-stable"},
        "1.73.0 is older than site_litellm_floor",
    ),
    "memory that is none": ({"llm_stack_db_memory": "much"}, "llm_stack_db_memory: set a number with m or g"),
    "a weak key": ({"llm_stack_master_key": "sk-1234"}, "llm_stack_master_key: set sk- and at least 16"),
    "a password for no address": ({"llm_stack_db_password": "p@ss/word"}, "llm_stack_db_password: set letters, digits"),
    "a section that LiteLLM ignores": ({"llm_stack_litellm_config": {"general": {}}}, "LiteLLM has no section 'general'"),
    "a fallback to nowhere": ({"llm_stack_fallbacks": {"tinyllama": ["typo"]}}, "llm_stack_fallbacks: there is no route 'typo'"),
    "a disk that is not mounted": ({"llm_stack_models_dir": "/mnt/none/ollama"}, "llm_stack_models_dir: there is no folder /mnt/none"),
    "a mirror with a scheme": ({"site_model_mirror": "http://site.lab:5000"}, "site_model_mirror: it is host:port"),
    "an authority that is no file": ({"site_ca_certificate": "/nowhere.pem"}, "site_ca_certificate: /nowhere.pem is no file"),
    "too little memory": ({"preflight_memory_floor_mib": 10**6}, "MiB of memory, and preflight_memory_floor_mib asks for 1000000"),
    "too little disk": ({"preflight_disk_floor_mib": 10**7}, "MiB free, and preflight_disk_floor_mib asks for 10000000"),
    "a registry that does not answer": (
        {"site_registry_mirrors": ["http://site.lab:1"]},
        "http://site.lab:1/v2/ ([Errno 111] Connection refused)",
    ),
    "a name that nobody knows": (
        {"site_model_mirror": "nobody.lab:5000"},
        "no name server knows it; fix the host's DNS, or set site_model_mirror",
    ),
    "the data of Ollama's models, behind a firewall": (
        {"site_model_mirror": "", "site_model_mirror_insecure": False},
        "r2.cloudflarestorage.com/ (",
    ),
    "a provider's mode that is none": (
        {"llm_stack_providers": {"openai": {"api_key": "k", "models": [{"name": "x", "mode": "smell"}]}}},
        "x has the mode 'smell'; there are chat, completion",
    ),
    "a proxy that does not answer": ({"site_proxy": "http://site.lab:2"}, "it cannot be reached; open the way to it, set site_proxy"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_refused_before_anything_is_touched(case):
    settings, says = SETTINGS[case]
    assert says in refused(FIRST, {"preflight_timeout": 5, **settings})
    assert sh(FIRST, "command -v docker; ls /opt", check=False) == ""


def test_all_at_once():
    settings = {
        name: value
        for case in ("an unknown tier", "a port of another program", "memory that is none")
        for name, value in SETTINGS[case][0].items()
    }
    message = refused(FIRST, settings)
    assert "Nothing was changed. 3 to fix first: - model_plan_tier:" in message
    assert "- site_gateway_port: 22 belongs" in message and "- llm_stack_db_memory:" in message


def test_a_clock_a_year_off():
    sh(FIRST, "apt-get update -qq && apt-get install -qqy faketime >/dev/null 2>&1")
    sh(
        FIRST,
        "cat >/usr/local/bin/python-last-year; chmod +x /usr/local/bin/python-last-year",
        text='#!/bin/sh\nexec faketime -f -365d python3 "$@"\n',
    )
    message = refused(FIRST, {"ansible_python_interpreter": "/usr/local/bin/python-last-year"})
    assert "the clock is 8760.0 hours behind that of the control node" in message and "timedatectl set-ntp true" in message
    sh(FIRST, "rm /usr/local/bin/python-last-year; apt-get purge -qqy faketime libfaketime >/dev/null 2>&1")


def test_two_runs_at_the_same_time():
    both = [Run(FIRST), Run(FIRST)]
    ended = [one.end() for one in both]
    assert [one.failed for one in ended].count(False) >= 1
    is_whole(FIRST)
    well(FIRST)
    assert [one.failed for one in ended] == [False, False]


CUTS = [
    "Install Docker and Compose with apt",
    "Write the project's files",
    "Bring the services up",
    "Bring the plan's models onto the engine",
    "Ask the model, and judge the host",
]


def test_cut_at_five_places_and_run_again():
    for place in CUTS:
        cut = Run(SECOND)
        cut.wait_for(f": {place}]")
        time.sleep(1)
        cut.cut()
        time.sleep(3)  # what the host was doing ends, or does not
        is_whole(SECOND)
    done = run(SECOND)
    assert not done.failed
    well(SECOND)


# A host that runs


def test_check_mode_predicts():
    for extra in ({}, {"llm_stack_num_retries": 3}, {"model_plan_num_parallel": 2}, {"model_plan_add": ["bge-m3"]}):
        predicted = run(SECOND, extra, options=["--check", "--diff"])
        done = run(SECOND, extra)
        assert (predicted.failed, done.failed) == (False, False)
        print("changes with %s: %s" % (extra, done.changed))
        assert predicted.changed == done.changed, (predicted.changed, done.changed)
        assert bool(done.changed) == bool(extra)
    assert not run(SECOND).failed


def test_only_what_depends_on_a_change_is_restarted():
    names = ("ollama", "litellm_db", "litellm")

    def started():
        return {name: json.loads(docker("exec", SECOND, "docker", "inspect", name))[0]["State"]["StartedAt"] for name in names}

    run(SECOND)
    before = started()
    run(SECOND, {"llm_stack_num_retries": 4})
    between = started()
    assert [name for name in names if before[name] != between[name]] == ["litellm"]
    run(SECOND, {"llm_stack_num_retries": 4, "llm_stack_db_memory": "900m"})
    assert between["ollama"] == started()["ollama"] and between["litellm_db"] != started()["litellm_db"]
    run(SECOND)


def test_a_port_taken_by_another_program():
    docker("exec", "-d", SECOND, "python3", "-m", "http.server", "--bind", "127.0.0.1", "4555")
    try:
        until(lambda: "4555" in sh(SECOND, "ss -Hltn"), 10, "it does not listen")
        assert "site_gateway_port: 4555 belongs to python3 (process" in refused(SECOND, {"site_gateway_port": 4555})
    finally:
        sh(SECOND, "pkill -f '[h]ttp.server --bind 127.0.0.1 4555'")
    assert "tinyllama answers:" in ask(SECOND)


def test_an_invalid_daemon_json_is_left_as_it_was():
    good = sh(SECOND, "cat /etc/docker/daemon.json")
    broken = good.replace("{", "{,", 1)
    sh(SECOND, "cat >/etc/docker/daemon.json", text=broken)
    try:
        assert "/etc/docker/daemon.json is not JSON and was left as it is" in refused(SECOND)
        assert sh(SECOND, "cat /etc/docker/daemon.json") == broken
    finally:
        sh(SECOND, "cat >/etc/docker/daemon.json", text=good)
    assert "tinyllama answers:" in ask(SECOND)


@pytest.fixture
def env():
    """The environment file, put back afterwards."""
    before = sh(SECOND, f"cat {PROJECT}/.env")
    yield before
    sh(SECOND, f"cat >{PROJECT}/.env", text=before)
    well(SECOND)


def write_env(text):
    sh(SECOND, f"cat >{PROJECT}/.env", text=text)


def test_a_wrong_database_password(env):
    write_env(re.sub("(?m)^POSTGRES_PASSWORD=.*", "POSTGRES_PASSWORD=somethingelse", env))
    message = refused(SECOND)
    assert "POSTGRES_PASSWORD is not the one that the database has; put the old one back, or run playbooks/rotate.yml" in message
    assert "tinyllama answers:" in ask(SECOND)


def test_a_changed_salt_key(env):
    write_env(re.sub("(?m)^LITELLM_SALT_KEY=.*", "LITELLM_SALT_KEY=sk-another", env))
    assert "LITELLM_SALT_KEY is not the one that the database was filled with, and can never be changed" in refused(SECOND)


def test_a_missing_line_comes_back(env):
    write_env(re.sub("(?m)^POSTGRES_PASSWORD=.*\n", "", env))
    done = run(SECOND)
    assert (done.failed, done.changed) == (False, ["Make and keep the secrets"])
    assert sorted(sh(SECOND, f"cat {PROJECT}/.env").splitlines()) == sorted(env.splitlines())


def test_an_empty_file_comes_back(env):
    write_env("")
    assert not run(SECOND).failed
    assert sorted(sh(SECOND, f"cat {PROJECT}/.env").splitlines()) == sorted(env.splitlines())


@pytest.mark.parametrize(
    ("end", "says"), [(-5, "POSTGRES_PASSWORD is not the one"), (-50, "Compose cannot read line 3; fix it, or take it out")]
)
def test_a_truncated_file(env, end, says):
    write_env(env.rstrip("\n")[:end])
    assert says in refused(SECOND)


def test_a_value_that_compose_would_expand(env):
    write_env(env + "GEMINI_API_KEY=a$b\n")
    assert "Compose would replace the $ in GEMINI_API_KEY; put the value into single quotes" in refused(SECOND)


def test_a_file_open_to_others_is_closed(env):
    sh(SECOND, f"chmod 644 {PROJECT}/.env")
    done = run(SECOND, playbook="playbooks/verify.yml")
    assert done.failed and "open to others: .env(root,0644)" in done.text
    assert run(SECOND).changed == ["Make and keep the secrets"]


def test_an_invalid_configuration_and_the_old_one_serves():
    before = sh(SECOND, f"cat {PROJECT}/config.yml {PROJECT}/compose.yml")
    done = run(SECOND, {"llm_stack_litellm_config": {"model_list": [{"model_name": "broken"}]}})
    assert done.failed and "failed to validate" in done.text
    assert sh(SECOND, f"cat {PROJECT}/config.yml {PROJECT}/compose.yml") == before
    assert "tinyllama answers:" in ask(SECOND)
    well(SECOND)


FILES = f"cd {PROJECT} && sha256sum compose.yml config.yml firewall preload.py .env"

# Configurations that a real service refuses when it starts: the engine, the gateway, iptables. What is written for each is put back.
REFUSED = {
    "engine": (
        {"llm_stack_ollama_environment": {"OLLAMA_HOST": "256.1.1.1:11434"}, "llm_stack_wait_timeout": 25},
        r"ollama is \w+.*lookup 256\.1\.1\.1.*-> look at llm_stack_ollama_environment",
        ["compose.yml"],
    ),
    "gateway": (
        {"llm_stack_litellm_memory": "60m", "llm_stack_wait_timeout": 60},
        r"container litellm is unhealthy.* litellm is ",
        ["compose.yml"],
    ),
    "gateway and a provider": (
        {
            "llm_stack_litellm_memory": "60m",
            "llm_stack_wait_timeout": 60,
            "llm_stack_providers": {"openai": {"api_key": "sk-of-somebody-0001", "models": ["gpt-4o"]}},
        },
        r"The earlier files were put back",
        ["config.yml", "compose.yml"],
    ),
    "firewall": (
        {"site_gateway_port": 4445},
        r"local-llm-firewall.*-> `systemctl status local-llm-firewall` on the host says what iptables refuses",
        ["compose.yml", "firewall"],
    ),
}


# A kernel that does not take one of the rules.
IPTABLES = """#!/bin/sh
case "$*" in *-A*4445*) echo 'iptables: No chain/target/match by that name.' >&2; exit 1 ;; esac
exec /usr/sbin/iptables "$@"
"""


@pytest.mark.parametrize("service", REFUSED)
def test_what_a_service_does_not_start_with_is_put_back(service):
    settings, says, files = REFUSED[service]
    before = sh(SECOND, FILES)
    if service == "firewall":
        sh(SECOND, "cat >/usr/local/sbin/iptables && chmod 0755 /usr/local/sbin/iptables", text=IPTABLES)
    done = run(SECOND, settings)
    sh(SECOND, "rm -f /usr/local/sbin/iptables")
    assert done.failed
    assert re.search(says, done.message), done.message
    assert "The stack did not start with the new %s: " % ", ".join(f"{PROJECT}/{name}" for name in files) in done.message, done.message
    assert (
        "put back, and the stack runs again. What was refused is %s." % ", ".join(f"{PROJECT}/{name}.refused" for name in files)
        in done.message
    )
    assert "sk-of-somebody" not in done.text
    assert sh(SECOND, FILES) == before
    assert sh(SECOND, f"sh {PROJECT}/firewall check && echo closed") == "closed\n"
    assert "tinyllama answers:" in ask(SECOND)
    well(SECOND)


def test_a_disk_that_is_nearly_full():
    sh(SECOND, "mkdir -p /mnt/small && mount -t tmpfs -o size=200m tmpfs /mnt/small")
    try:
        message = refused(SECOND, {"llm_stack_models_dir": "/mnt/small/ollama"})
        assert re.search(r"llm_stack_models_dir: the models need 609 MiB, and /mnt/small/ollama has \d+; free some", message), message
        assert "tinyllama answers:" in ask(SECOND)
    finally:
        sh(SECOND, "umount /mnt/small")
    warned = run(SECOND, {"stack_verify_disk_floor_mib": 10**8})
    assert not warned.failed and "warning: disk: " in warned.text


def test_models_on_another_disk_and_back():
    sh(SECOND, "mkdir -p /mnt/large && mount -t tmpfs -o size=4g tmpfs /mnt/large")
    other = {"llm_stack_models_dir": "/mnt/large/ollama/"}
    try:
        assert not run(SECOND, other).failed
        well(SECOND, other)
        assert sh(SECOND, "ls /mnt/large/ollama/models/blobs") != ""
    finally:
        assert not run(SECOND).failed
        sh(SECOND, "umount /mnt/large")
    well(SECOND)


def test_dockerd_restarted_in_the_middle():
    extra = {"model_plan_num_parallel": 2}
    running = Run(SECOND, extra)
    running.wait_for(": Bring the services up]")
    time.sleep(0.5)
    sh(SECOND, "systemctl restart docker")
    running.end()
    print("the run that Docker was restarted under: %s" % ("failed" if running.failed else "went on"))
    assert not run(SECOND, extra).failed
    well(SECOND, extra)
    run(SECOND)


def test_secrets_are_rotated_and_only_they():
    before, old = sh(SECOND, f"cat {PROJECT}/.env"), key(SECOND)
    assert not run(SECOND, playbook="playbooks/rotate.yml").failed
    after = sh(SECOND, f"cat {PROJECT}/.env")
    kept = [line.split("=")[0] for line in after.splitlines() if line in before.splitlines()]
    assert kept == ["LITELLM_SALT_KEY"]
    assert "tinyllama answers:" in ask(SECOND)
    assert "answers:" not in ask(SECOND, with_key=old)
    well(SECOND)


def test_a_rotation_that_was_cut_off():
    cut = Run(SECOND, playbook="playbooks/rotate.yml")
    cut.wait_for(": Give the database its new password]")
    time.sleep(0.3)
    cut.cut()
    time.sleep(2)
    if ".env.new" in sh(SECOND, f"ls -A {PROJECT}"):
        assert ".env.new: a change of secrets was cut off; run playbooks/rotate.yml, which ends it" in refused(SECOND)
    assert not run(SECOND, playbook="playbooks/rotate.yml").failed
    well(SECOND)


@pytest.fixture
def entrypoint():
    """Gives the gateway another start, until the test is over: a condition in sh under which it starts at all."""

    def write(condition):
        start = "exec /usr/local/bin/entrypoint.py --config /app/config.yml --port 4000"
        command = f"if {condition}; then {start}; fi; echo this is another key; exit 1"
        override = {"services": {"litellm": {"entrypoint": ["sh", "-c", command], "command": []}}}
        sh(SECOND, f"cat >{PROJECT}/compose.override.yml", text=yaml.safe_dump(override))

    yield write
    sh(SECOND, f"rm -f {PROJECT}/compose.override.yml")


def test_a_rotation_that_the_gateway_does_not_start_with(entrypoint):
    """The database and the services have the earlier secrets again, and nothing is left over."""
    before, old = sh(SECOND, f"cat {PROJECT}/.env"), key(SECOND)
    # By its checksum, because Docker tells the command of a container that does not start.
    checksum = hashlib.sha256(old.encode()).hexdigest()
    entrypoint(f'[ "$$(printf %s "$$LITELLM_MASTER_KEY" | sha256sum | cut -c1-64)" = {checksum} ]')
    done = run(SECOND, {"llm_stack_wait_timeout": 60}, playbook="playbooks/rotate.yml")
    assert done.failed and re.search("The stack did not start with new secrets: .*litellm", done.message), done.message
    assert "The earlier ones were put back into the database and the services" in done.message, done.message
    assert sh(SECOND, f"cat {PROJECT}/.env") == before and ".env.new" not in sh(SECOND, f"ls -A {PROJECT}")
    assert old not in done.text and "tinyllama answers:" in ask(SECOND)


def test_a_rotation_that_cannot_go_back_either(entrypoint):
    """The new secrets stay where they are, because the database may have them, and the next rotation ends the change."""
    before = sh(SECOND, f"cat {PROJECT}/.env")
    entrypoint("false")
    done = run(SECOND, {"llm_stack_wait_timeout": 30}, playbook="playbooks/rotate.yml")
    assert done.failed and "It does not start with the earlier ones either; the new ones are in" in done.message, done.message
    assert sh(SECOND, f"cat {PROJECT}/.env") == before and ".env.new" in sh(SECOND, f"ls -A {PROJECT}")
    sh(SECOND, f"rm {PROJECT}/compose.override.yml")
    assert not run(SECOND, playbook="playbooks/rotate.yml").failed
    assert sh(SECOND, f"cat {PROJECT}/.env") != before and ".env.new" not in sh(SECOND, f"ls -A {PROJECT}")
    well(SECOND)


def test_given_secrets():
    given = {"llm_stack_master_key": "sk-given-by-a-vault-0001", "llm_stack_db_password": "given.by-a_vault"}
    message = refused(SECOND, given)
    assert (
        "LITELLM_MASTER_KEY and POSTGRES_PASSWORD: the host has another than was given; playbooks/rotate.yml puts the given in place"
        in message
    )
    assert "sk-given" not in message
    assert not run(SECOND, given, playbook="playbooks/rotate.yml").failed
    assert key(SECOND) == given["llm_stack_master_key"]
    well(SECOND, given)
    assert not run(SECOND, playbook="playbooks/rotate.yml").failed


def test_a_provider_and_a_fallback():
    # The other host's gateway stands for a provider outside, and an address where nobody is for an engine that has died.
    extra = {
        "llm_stack_providers": {
            "outside": {
                "provider": "openai",
                "api_base": f"http://{ADDRESS[FIRST]}:4444/v1",
                "api_key": key(FIRST),
                "models": [{"name": "tinyllama", "route": "far"}],
            },
            "gemini": {"models": ["gemini-2.5-flash"]},
        },
        "llm_stack_backends": [{"api_base": f"http://{ADDRESS[FIRST]}:9", "models": [{"name": "qwen3:8b", "route": "qwen3-8b"}]}],
        "llm_stack_fallbacks": {"qwen3-8b": ["gemini-2.5-flash", "far"]},
    }
    assert not run(SECOND, extra).failed
    assert key(FIRST) not in sh(SECOND, f"cat {PROJECT}/config.yml {PROJECT}/compose.yml")
    assert "tinyllama answers:" in ask(SECOND, "far")
    assert "tinyllama answers:" in ask(SECOND, "qwen3-8b")
    # Its key is nowhere: no route, and a word about it in the run's output and in verify.
    config = sh(SECOND, f"cat {PROJECT}/config.yml")
    assert "model: gemini/" not in config and "# Left out: llm_stack_providers.gemini" in config
    assert not run(SECOND).failed


def test_a_gateway_without_an_engine_of_its_own():
    place = ["--network", "local-llm-lab", "--ip", "172.30.90.45"]
    docker("run", "-d", "--name", "faults-engine", "--label", "local-llm-lab=faults", *place, IMAGES["ollama_image"])
    try:
        until(lambda: docker("exec", "faults-engine", "ollama", "list", check=False), 30, "the engine does not start")
        mirrored = "site.lab:5000/library/tinyllama"
        docker("exec", "faults-engine", "sh", "-c", f"ollama pull --insecure {mirrored} && ollama cp {mirrored} tinyllama")
        extra = {
            "llm_stack_services": ["litellm"],
            "llm_stack_backends": [{"api_base": "http://172.30.90.45:11434", "models": [{"name": "tinyllama"}]}],
        }
        assert not run(SECOND, extra).failed
        assert sh(SECOND, "docker ps --format '{{.Names}}'").split() == ["litellm"]
        well(SECOND, extra)
    finally:
        docker("rm", "-f", "faults-engine")
    assert not run(SECOND).failed
    well(SECOND)


# Behind a proxy, with an authority of its own

EDGE = """
daemon off;
error_log /dev/stderr warn;
events {}
http {
  access_log off;
  server {
    listen 5443 ssl;
    ssl_certificate /edge/edge.pem;
    ssl_certificate_key /edge/edge.key;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    location / { proxy_pass http://172.30.90.2:5000; }
    location ~ ^/v2/.*/blobs/sha256: {
      proxy_pass http://172.30.90.2:5000;
      proxy_hide_header Location;
      add_header Location https://$http_host$request_uri always;
    }
  }
}
"""
PROXY = """
User tinyproxy
Group tinyproxy
Port 8888
Timeout 600
LogFile "/var/log/tinyproxy/tinyproxy.log"
LogLevel Connect
Allow 172.30.90.0/24
BasicAuth site seven-secret-words
"""


@pytest.fixture
def edge(tmp_path):
    """The site's registry behind TLS, with a certificate of an authority that nobody knows; and a proxy on the first host."""
    (tmp_path / "nginx.conf").write_text(EDGE)
    script = """
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Authority of the lab' -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj '/CN=edge.lab' -keyout edge.key -out edge.csr
        printf 'subjectAltName=DNS:edge.lab\\n' >san
        openssl x509 -req -in edge.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out edge.pem"""
    subprocess.run(["sh", "-euc", script], cwd=tmp_path, check=True, capture_output=True)
    place = ["--network", "local-llm-lab", "--ip", "172.30.90.46", "--network-alias", "edge.lab", "-v", f"{tmp_path}:/edge:ro"]
    docker(
        "run",
        "-d",
        "--name",
        "faults-edge",
        "--label",
        "local-llm-lab=faults",
        *place,
        IMAGES["site_image"],
        "nginx",
        "-c",
        "/edge/nginx.conf",
    )
    sh(FIRST, "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy tinyproxy >/dev/null 2>&1")
    sh(FIRST, "cat >/etc/tinyproxy/tinyproxy.conf && systemctl restart tinyproxy", text=PROXY)
    yield {
        "site_proxy": f"http://site:seven-secret-words@{ADDRESS[FIRST]}:8888",
        "site_ca_certificate": str(tmp_path / "ca.pem"),
        "site_registry_mirrors": ["https://edge.lab:5443"],
        "site_insecure_registries": [],
        "site_model_mirror": "edge.lab:5443",
        "site_model_mirror_insecure": False,
        "llm_stack_litellm_image": LAB["llm_stack_litellm_image"].replace("site.lab:5000", "edge.lab:5443"),
    }
    docker("rm", "-f", "faults-edge")


def test_a_proxy_and_an_authority_of_its_own(edge):
    assert "its certificate is not trusted; set site_ca_certificate" in refused(THIRD, {**edge, "site_ca_certificate": ""})
    wrong = {**edge, "site_proxy": edge["site_proxy"].replace("seven", "eight")}
    message = refused(THIRD, wrong)
    assert "the proxy does not let it through; fix site_proxy" in message and "eight-secret" not in message
    done = run(THIRD, edge, options=["-v", "--diff"])
    assert not done.failed
    assert "seven-secret-words" not in done.text
    # Docker's own configuration has to hold it, and other users of the host may not read that.
    found = sh(THIRD, "grep -rlF -f - /etc /home /opt /root /tmp", check=False, text="seven-secret-words\n").split()
    assert sorted(found) == ["/etc/docker/daemon.json", f"{PROJECT}/.env"]
    assert sh(THIRD, "stat -c %a /etc/docker/daemon.json").strip() == "600"
    asked = sh(FIRST, "cat /var/log/tinyproxy/tinyproxy.log")
    for what in ("CONNECT edge.lab:5443", "GET http://site.lab:3142/"):
        assert what in asked, asked[-2000:]
    # Ollama's own way out is the proxy, too.
    before = asked.count("CONNECT edge.lab:5443")
    docker("exec", THIRD, "docker", "exec", "ollama", "ollama", "pull", "edge.lab:5443/library/bge-m3")
    assert sh(FIRST, "cat /var/log/tinyproxy/tinyproxy.log").count("CONNECT edge.lab:5443") > before
    docker("exec", THIRD, "docker", "exec", "ollama", "ollama", "rm", "edge.lab:5443/library/bge-m3")
    well(THIRD, edge)


# After it all


def test_rebooted_half_way():
    run(SECOND)
    extra = {"model_plan_num_parallel": 3}
    running = Run(SECOND, extra)
    running.wait_for(": Bring the services up]")
    time.sleep(1)
    reboot(SECOND)
    assert running.end().failed
    is_whole(SECOND)
    assert not run(SECOND, extra).failed
    assert not run(SECOND).failed
    well(SECOND)


def test_rebooted_after_the_end_it_answers_by_itself():
    reboot(SECOND)
    began = time.monotonic()
    # In memory before anybody has asked.
    loaded = until(lambda: engine(SECOND, "/api/ps").get("models"), 120, "nothing is loaded")
    print("loaded %.0f s after the restart" % (time.monotonic() - began))
    assert [model["name"] for model in loaded] == ["tinyllama:latest"]
    until(lambda: "tinyllama answers:" in ask(SECOND), 120, "no answer")
    print("answered %.0f s after the restart" % (time.monotonic() - began))
    # And the answer has not given it back its few minutes.
    assert engine(SECOND, "/api/ps")["models"][0]["expires_at"] > "2100"
    well(SECOND)


SCAN = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def is_open(port):
    with socket.socket() as door:
        door.settimeout(2)
        return door.connect_ex((sys.argv[1], port)) == 0
with ThreadPoolExecutor(64) as pool:
    print(*[port for port, found in enumerate(pool.map(is_open, range(1, 65536)), 1) if found])
"""


def test_what_is_open_to_the_outside():
    image = docker("inspect", "-f", "{{.Config.Image}}", SECOND).strip()
    scan = ["run", "--rm", "--network", "local-llm-lab", image, "python3", "-c", SCAN]
    assert docker(*scan, ADDRESS[SECOND]).split() == ["22", "4444"]


def test_no_secret_where_it_should_not_be():
    provider = {"llm_stack_providers": {"gemini": {"api_key": "AIzaThisIsNotToBeSeen0123456789", "models": ["gemini-2.5-flash"]}}}
    texts = [run(SECOND, {"llm_stack_num_retries": 5, **provider}, options=["-vvv", "--diff"]).text]
    texts += [run(SECOND, provider, options=["-vvv", "--diff", "--check"]).text]
    for playbook in ("playbooks/verify.yml", "playbooks/ask.yml", "playbooks/models.yml", "playbooks/rotate.yml"):
        texts.append(run(SECOND, provider, playbook=playbook, options=["-vvv", "--diff"]).text)
    secrets = [line.split("=", 1)[1] for line in sh(SECOND, f"cat {PROJECT}/.env").splitlines()]
    assert len(secrets) >= 4 and all(len(secret) > 20 for secret in secrets)
    shown = "\n".join(texts)
    assert [secret[:12] for secret in secrets if secret in shown] == []
    # By standard input, so that the search does not find itself. Docker's own folder holds what the containers were told.
    where = "/etc /home /opt /root /run /tmp /usr /var --exclude-dir=docker --exclude-dir=containerd --exclude-dir=proc"
    found = sh(SECOND, f"grep -rlF -f - {where} 2>/dev/null", check=False, text="\n".join(secrets) + "\n").split()
    assert found == [f"{PROJECT}/.env"]
    # Nor in any command line, nor in what the services have logged.
    commands = sh(SECOND, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "litellm" in commands and [secret[:12] for secret in secrets if secret in commands] == []
    logs = sh(SECOND, "for name in ollama litellm litellm_db; do docker logs $name 2>&1; done; journalctl --no-pager -q")
    assert [secret[:12] for secret in secrets if secret in logs] == []
    run(SECOND)
