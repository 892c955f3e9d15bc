"""What a bare host must be after site.yml: asked of the host itself, and of its neighbours."""

import datetime
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "collections"))
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file

CONTAINERS = ("ollama", "litellm_db", "litellm")
PROJECT = "/opt/local_llm"
ASK = """
import json, sys, urllib.error, urllib.request
path, key, body = sys.argv[1], sys.argv[2], sys.argv[3]
headers = {"Content-Type": "application/json"}
if key == "right":
    key = [line.split("=", 1)[1].strip() for line in open("/opt/local_llm/.env") if line.startswith("LITELLM_MASTER_KEY=")][0]
if key:
    headers["Authorization"] = "Bearer " + key
try:
    answer = urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:4444" + path, body.encode() or None, headers), timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.load(answer)]))
"""
CHAT = {"model": "tinyllama", "messages": [{"role": "user", "content": "Do you work?"}]}


def ask(host, path, key, body=""):
    with host.sudo():
        answer = host.run("python3 -c %s %s %s %s", ASK, path, key, json.dumps(body) if body else "")
    assert answer.rc == 0, answer.stderr
    return json.loads(answer.stdout)


def inspect(host, container):
    with host.sudo():
        return json.loads(host.check_output("docker inspect %s", container))[0]


def test_the_planned_model_answers(host):
    status, answer = ask(host, "/v1/chat/completions", "right", CHAT)
    assert status == 200, answer
    assert answer["choices"][0]["message"]["content"].split()[:2] == ["tinyllama", "answers:"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/key/info", "/model/info"])
def test_nobody_without_a_key(host, path):
    status, answer = ask(host, path, "", CHAT if path.endswith("completions") else "")
    assert status == 401, answer


@pytest.mark.parametrize("key", ["sk-this-is-nobodys-key", "nobody"])
def test_nobody_with_a_wrong_key(host, key):
    status, answer = ask(host, "/v1/chat/completions", key, CHAT)
    # The lab's LiteLLM runs without Prisma's engine and cannot look keys up; the official image answers 401.
    assert status == 401 or (status == 400 and answer["error"]["type"] == "no_db_connection"), answer


def test_routes_are_the_plan_and_no_more(host):
    plan = json.loads(host.file(PROJECT + "/plan.json").content_string)
    assert (plan["schema"], plan["status"], plan["tier"]) == (1, "final", "cpu")
    _status, models = ask(host, "/v1/models", "right")
    assert [model["id"] for model in models["data"]] == [model["route"] for model in plan["models"]] == ["tinyllama"]


def test_the_mirrors_name_is_gone(host):
    with host.sudo():
        assert [line.split()[0] for line in host.check_output("docker exec ollama ollama list").splitlines()[1:]] == ["tinyllama:latest"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_container(host, container):
    state = inspect(host, container)
    assert state["State"]["Health"]["Status"] == "healthy"
    # The run that made it was followed by one that must not touch it.
    assert state["RestartCount"] == 0
    assert 0 <= (when(state["State"]["StartedAt"]) - when(state["Created"])).total_seconds() < 60
    assert state["HostConfig"]["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in state["HostConfig"]["SecurityOpt"]
    assert state["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert state["HostConfig"]["LogConfig"]["Config"]["max-size"] == "10m"
    assert 0 < state["HostConfig"]["Memory"] < 64 * 2**30


def test_the_resident_model_stays_in_memory(host):
    ask(host, "/v1/chat/completions", "right", CHAT)
    script = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:11434/api/ps').read().decode())"
    (model,) = json.loads(host.check_output("python3 -c %s", script))["models"]
    assert (model["name"], model["expires_at"] > "2100") == ("tinyllama:latest", True)
    assert host.service("local-llm-preload").is_enabled


def when(stamp):
    return datetime.datetime.fromisoformat(stamp[:19])


def test_database_has_litellms_schema(host):
    query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    with host.sudo():
        assert int(host.check_output("docker exec litellm_db psql -U llmproxy -d litellm -Atc %s", query)) > 90


def test_secrets_are_roots_alone(host):
    with host.sudo():
        env = host.file(PROJECT + "/.env")
        lines = dict(line.split("=", 1) for line in env.content_string.splitlines())
        assert (env.user, env.group, env.mode) == ("root", "root", 0o600)
        values = [value.removeprefix("sk-") for value in lines.values()]
        assert sorted(lines) == ["LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "POSTGRES_PASSWORD"]
        assert all(len(value) == 40 and value.isalnum() for value in values)
        assert len(set(values)) == 3
        # By file, because sudo writes down what it is given on the command line.
        found = host.run("sed 's/^[^=]*=//' %s/.env | grep -rlF -f - --exclude=.env /etc /home /opt /root /tmp /var/log /var/tmp", PROJECT)
        assert found.stdout == "", "a secret lies in " + found.stdout


def test_daemon_json(host):
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["registry-mirrors"] == ["http://site.lab:5000"]
    assert settings["insecure-registries"] == ["site.lab:5000"]
    assert settings["log-opts"] == {"max-file": "3", "max-size": "10m"}


def test_doors(host):
    with host.sudo():
        listening = {line.split()[3] for line in host.check_output("ss -Hltn").splitlines()}
    outside = {address for address in listening if not address.startswith(("127.", "[::1]"))}
    assert {address.rsplit(":", 1)[1] for address in outside} == {"22", "4444"}, listening


PROBE = """
import socket, sys
for target in sys.argv[1:]:
    address, port = target.split(":")
    try:
        socket.create_connection((address, int(port)), 2).close()
        print(target)
    except OSError:
        pass
"""


@pytest.fixture
def neighbour(host):
    """A function that lists which of some addresses a machine on a network with the host can reach, when it routes
    through the host. The lab's own network would not let such a packet pass, so this is another one, for this test."""
    name, network = host.backend.get_hostname(), "lab-neighbour"

    def docker(*arguments):
        result = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    # A subnet of its own, because the one that Docker would choose may be the one of the host's own bridge.
    docker("network", "create", "--subnet", "172.30.91.0/24", "-o", "com.docker.network.bridge.enable_ip_masquerade=false", network)
    try:
        docker("network", "connect", network, name)
        gateway = docker("inspect", "-f", '{{(index .NetworkSettings.Networks "%s").IPAddress}}' % network, name)
        image = docker("inspect", "-f", "{{.Config.Image}}", name)

        def reach(subnet, *targets):
            script = 'ip route add "$1" via "$2" && shift 2 && exec python3 -c "$PROBE" "$@"'
            arguments = [subnet, gateway, *(target.replace("HOST", gateway) for target in targets)]
            run = ("run", "--rm", "--network", network, "--cap-add", "NET_ADMIN", "-e", "PROBE=" + PROBE, image)
            found = docker(*run, "sh", "-c", script, "sh", *arguments).split()
            return sorted(target.replace(gateway, "HOST") for target in found)

        yield reach
    finally:
        subprocess.run(["docker", "network", "disconnect", "-f", network, name], check=False, capture_output=True)
        docker("network", "rm", network)


def test_a_neighbour_reaches_the_gateway_and_nothing_else(host, neighbour):
    networks = {container: inspect(host, container)["NetworkSettings"]["Networks"]["litellm-network"] for container in CONTAINERS}
    inside = ["%s:%d" % (networks[name]["IPAddress"], port) for name, port in (("ollama", 11434), ("litellm_db", 5432), ("litellm", 4000))]
    outside = ["HOST:%d" % port for port in (4444, 4000, 11434, 5431, 5432, 2375)]
    with host.sudo():
        subnet = host.check_output("docker network inspect -f %s litellm-network", "{{(index .IPAM.Config 0).Subnet}}")
    assert neighbour(subnet, *inside, *outside) == ["HOST:4444"]
    # The same with the door open: a probe that finds nothing then would prove nothing.
    with host.sudo():
        host.check_output("systemctl stop local-llm-firewall.service")
        try:
            assert set(inside) & set(neighbour(subnet, *inside))
        finally:
            host.check_output("systemctl start local-llm-firewall.service")
    assert neighbour(subnet, *inside) == []


@pytest.fixture
def listener():
    """A port that listens on every address of this machine."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


def test_the_site_is_closed(host, listener):
    addresses = subprocess.run(["hostname", "-I"], check=True, capture_output=True, text=True).stdout.split()
    targets = ["%s:%d" % (address, listener) for address in addresses if ":" not in address]
    assert host.run("python3 -c %s site.lab:5000 site.lab:3142", PROBE).stdout.split() == ["site.lab:5000", "site.lab:3142"]
    probe = host.run("python3 -c %s " + " ".join(targets), PROBE)
    assert (probe.rc, probe.stdout) == (0, "")
    # The same without the lab's own rule, to show that the probe would find the listener.
    rule = ["INPUT", "-i", "llm-lab0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"]
    subprocess.run(["iptables", "-D", *rule], check=True)
    try:
        assert host.run("python3 -c %s " + " ".join(targets), PROBE).stdout != ""
    finally:
        subprocess.run(["iptables", "-I", *rule], check=True)


COMPOSE = """
import json, os, subprocess, sys, tempfile
cases = json.loads(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    answers = []
    for text, names in cases:
        with open(folder + "/env", "wb") as stream:
            stream.write(text.encode())
        with open(folder + "/compose.yml", "w") as stream:
            json.dump({"name": "env", "services": {"a": {"image": "a", "environment": names}}}, stream)
        command = ["docker", "compose", "--env-file", folder + "/env", "-f", folder + "/compose.yml", "config", "--format", "json"]
        # Compose would take variables of its own environment first.
        done = subprocess.run(command, env={"PATH": os.environ["PATH"], "HOME": folder}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        answers.append(json.loads(done.stdout.decode())["services"]["a"]["environment"] if done.returncode == 0 else None)
print(json.dumps(answers))
"""


def test_environment_files_are_read_as_compose_does(host):
    texts = [case["text"] for case in yaml.safe_load((TOP / "tests/unit/data/env_cases.yml").read_text(encoding="utf-8"))]
    read = [env_file.parse(text) for text in texts]
    # A name alone in a service's environment has the value that Compose has read; some more names, to find one too few.
    cases = [[text, sorted({"A", "B", "C", *one["values"]})] for text, one in zip(texts, read)]
    answers = json.loads(host.check_output("python3 -c %s %s", COMPOSE, json.dumps(cases)))
    for text, one, answer in zip(texts, read, answers):
        found = None if answer is None else {name: value.replace("$$", "$") for name, value in answer.items() if value is not None}
        assert found == (None if one["unread_lines"] else one["values"]), repr(text)


DRIFT = f"""
set -e
sed -i 's/mem_limit: 1g/mem_limit: 2g/' {PROJECT}/compose.yml
docker stop litellm >/dev/null
docker exec ollama ollama rm tinyllama >/dev/null
iptables -t mangle -F
systemctl disable --quiet local-llm-preload.service
chmod 0644 {PROJECT}/.env
echo '{{}}' >/etc/docker/daemon.json
"""
# What the table says of it: role, what, why, and which services are interrupted.
DRIFTED = [
    ["docker_engine", "/etc/docker/daemon.json", "differs", "db, ollama"],
    ["llm_stack", ".env", "others than root may read it"],
    ["llm_stack", "compose.yml", "differs"],
    ["llm_stack", "local-llm-preload.service", "has to be enabled"],
    ["llm_stack", "firewall", "its rules are not in force"],
    ["llm_stack", "litellm", "is exited"],
    ["ollama_models", "tinyllama", "is not on the engine"],
]


def playbook(name, *options):
    command = ["ansible-playbook", "-i", TOP / "molecule/low_spec/inventory", TOP / name, *options]
    environment = {name: value for name, value in os.environ.items() if name not in ("ANSIBLE_FORCE_COLOR", "PY_COLORS", "FORCE_COLOR")}
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done


def table(done):
    """The table of what differs, without the names of the hosts."""
    lines = done.stdout.splitlines()
    head = next(number for number, line in enumerate(lines) if line.split()[:2] == ["HOST", "ROLE"])
    return [re.split("  +", line)[1:] for line in lines[head:] if line.startswith("molecule-low  ") and " ok=" not in line]


def test_what_has_drifted_is_named_and_put_right_by_one_run(host):
    with host.sudo():
        assert host.run("bash -c %s", DRIFT).rc == 0
    seen = playbook("playbooks/plan.yml", "-e", "plan_exit_code=true")
    assert table(seen) == DRIFTED and seen.returncode == 2, seen.stdout
    with host.sudo():
        assert not host.file("/etc/docker/daemon.json").contains("log-driver"), "plan.yml has changed something"
    done = playbook("site.yml")
    assert table(done) == DRIFTED and done.returncode == 0
    again = playbook("site.yml")
    assert table(again) == [["-", "nothing"]] and " changed=0 " in again.stdout
    assert playbook("playbooks/plan.yml", "-e", "plan_exit_code=true").returncode == 0
