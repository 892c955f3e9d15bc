# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that an earlier version broke, for real: each had a Docker or a driver that worked, and still has it afterwards."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
from runs import Run, ask, docker, refused, run, sh, until, well

Run.inventory = TOP / "molecule/docker/inventory"
FLAGS, OLD, OTHER = "docker1", "docker2", "docker3"
DAEMON = "/etc/docker/daemon.json"
PLUGIN = "/usr/libexec/docker/cli-plugins/docker-compose"


def plain(text):
    """What a person reads, on one line: Ansible's YAML doubles quotes and folds lines."""
    return " ".join(text.replace("''", "'").split())


def driver():
    return sh(FLAGS, "docker info --format '{{.LoggingDriver}}'").strip()


def settings(host):
    return json.loads(sh(host, f"cat {DAEMON}"))


def started(host):
    return sh(host, "systemctl show docker.service --property=ExecMainStartTimestampMonotonic").strip()


# B1: a unit with flags of its own (rockstor-core#2032, docker/for-linux#327)


def test_a_docker_whose_unit_has_a_log_driver():
    """Everything is down after a merge that adds the same key: the run leaves it out, and comes to an answer."""
    sh(
        FLAGS,
        "apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy docker.io docker-cli docker-compose >/dev/null 2>&1",
    )
    sh(
        FLAGS,
        "echo 'DOCKER_OPTS=\"--log-driver=journald --insecure-registry site.lab:5000\"' >>/etc/default/docker; systemctl restart docker",
    )
    assert driver() == "journald"
    done = run(FLAGS)
    assert not done.failed and "tinyllama answers:" in ask(FLAGS)
    assert "insecure-registries stands on Docker's command line (/etc/default/docker), and is left out of" in plain(done.text)
    assert driver() == "journald" and settings(FLAGS) == {"registry-mirrors": ["http://site.lab:5000"]}
    well(FLAGS)


def test_a_key_that_stands_on_the_command_line_with_another_value():
    message = plain(refused(FLAGS, {"docker_engine_daemon_config": {"log-driver": "json-file"}}))
    assert "docker_engine_daemon_config: /etc/default/docker sets log-driver on Docker's command line" in message
    assert "tinyllama answers:" in ask(FLAGS)


def test_what_validate_sees_is_refused_with_the_file_as_it_was():
    before, since = sh(FLAGS, f"cat {DAEMON}"), started(FLAGS)
    done = run(FLAGS, {"docker_engine_daemon_config": {"no-such-key": True}})
    assert done.failed and "no-such-key" in done.text
    assert (sh(FLAGS, f"cat {DAEMON}"), started(FLAGS)) == (before, since)


def test_a_configuration_that_docker_does_not_start_with():
    """What --validate cannot see: the earlier file is put back, Docker starts with it, and both files are named."""
    before = sh(FLAGS, f"cat {DAEMON}")
    sh(FLAGS, "touch /var/lib/a-file")
    done = run(FLAGS, {"docker_engine_daemon_config": {"data-root": "/var/lib/a-file/docker"}})
    assert done.failed
    assert f"Docker did not start with the new {DAEMON}: " in done.message and "not a directory" in done.message
    assert f"The earlier file was put back, and Docker runs again. What was refused is {DAEMON}.refused." in done.message
    assert sh(FLAGS, f"cat {DAEMON}") == before and "/var/lib/a-file/docker" in sh(FLAGS, f"cat {DAEMON}.refused")
    until(lambda: "tinyllama answers:" in ask(FLAGS), 120, "the stack does not come back")
    well(FLAGS)


def test_a_run_that_was_cut_before_the_restart_goes_back_too():
    """The next run finds its own file already there: what worked before that is what is put back."""
    before = sh(FLAGS, f"cat {DAEMON}")
    bad = {"docker_engine_daemon_config": {"data-root": "/var/lib/a-file/docker", "registry-mirrors": ["http://site.lab:1"]}}
    cut = Run(FLAGS, bad)
    cut.wait_for("Restart Docker, or put back what it ran with]")
    cut.cut()
    until(lambda: sh(FLAGS, "systemctl is-active docker", check=False).strip() != "activating", 60, "Docker does not settle")
    done = run(FLAGS, bad, options=["--tags", "docker_engine"])
    assert done.failed and "The earlier file was put back, and Docker runs again" in done.message, done.message
    assert sh(FLAGS, f"cat {DAEMON}") == before
    until(lambda: "tinyllama answers:" in ask(FLAGS), 120, "the stack does not come back")


# B2: a file of another editor (moby#44777)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(encoding):
    before = sh(FLAGS, f"cat {DAEMON}")
    code = f"import sys; open('{DAEMON}', 'wb').write(sys.stdin.read().encode('{encoding}'))"
    docker("exec", "-i", FLAGS, "python3", "-c", code, text=json.dumps({**json.loads(before), "debug": False}))
    sh(FLAGS, "systemctl restart docker")  # Docker reads it
    until(lambda: "tinyllama answers:" in ask(FLAGS), 120, "the stack does not come back")
    assert run(FLAGS).changed == []
    done = run(FLAGS, {"docker_engine_daemon_config": {"max-concurrent-downloads": 4}})
    assert not done.failed and settings(FLAGS) == {**json.loads(before), "debug": False, "max-concurrent-downloads": 4}
    sh(FLAGS, f"cat >{DAEMON}", text=before)
    sh(FLAGS, "systemctl restart docker")
    until(lambda: "tinyllama answers:" in ask(FLAGS), 120, "the stack does not come back")


# B3: Debian 12's Docker 20.10, which has no --validate (moby#42393)


def test_docker_20_10_comes_to_an_answer():
    sh(OLD, "apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy docker.io iptables >/dev/null 2>&1")
    # Debian 12 has no Compose v2 of its own; Debian 13's is the same program.
    sh(OLD, f"mkdir -p {Path(PLUGIN).parent}")
    plugin = docker("exec", FLAGS, "sh", "-c", f"base64 {PLUGIN}")
    sh(OLD, f"base64 -d >{PLUGIN} && chmod 755 {PLUGIN}", text=plugin)
    assert sh(OLD, "docker version --format '{{.Server.Version}}'").startswith("20.10.")
    done = run(OLD)
    assert not done.failed, done.message
    assert settings(OLD)["log-opts"] == {"max-file": "3", "max-size": "10m"}
    assert "tinyllama answers:" in ask(OLD)
    well(OLD)


def test_docker_20_10_refuses_a_key_and_runs_on():
    """Nothing checks the file there before the restart: a key that this version does not know ends it."""
    before = sh(OLD, f"cat {DAEMON}")
    done = run(OLD, {"docker_engine_daemon_config": {"no-such-key": True}})
    assert done.failed and "no-such-key" in done.message
    assert f"The earlier file was put back, and Docker runs again. What was refused is {DAEMON}.refused." in done.message
    assert "-> this version of Docker does not know the key" in done.message
    assert sh(OLD, f"cat {DAEMON}") == before
    until(lambda: "tinyllama answers:" in ask(OLD), 120, "the stack does not come back")
    well(OLD)


def test_docker_20_10_takes_no_proxy_from_its_file():
    message = refused(OLD, {"site_proxy": "http://172.30.90.2:3128"}, options=["--tags", "docker_engine"])
    assert "site_proxy: Docker 20.10" in message and "takes no proxies from /etc/docker/daemon.json" in message


# E2, E03: a driver that works, on a host without APT and on a vGPU guest

SYSTEMS = {
    "Oracle Linux": 'NAME="Oracle Linux Server"\nID=ol\nID_LIKE=fedora\nVERSION_ID="9.5"\nPLATFORM_ID="platform:el9"\n',
    "Fedora": 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=43\nPLATFORM_ID="platform:f43"\n',
    "openSUSE": 'NAME="openSUSE Leap"\nID=opensuse-leap\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n',
}
# Prints what a real one printed; the card and the driver behind it do not exist.
SMI = """#!/bin/sh
case "$*" in
  *--query-gpu=index*) echo "0, GPU-0c1d2e3f-0000-4000-8000-000000000035, 00000000:01:00.0, {name}, 46068, 45000, {version}, 0x223510DE, 8.6, [N/A]" ;;
  -q) printf '    GPU Virtualization Mode\\n        Virtualization Mode               : {mode}\\n' ;;
esac
"""
HIDDEN = "apt apt-get apt-cache dpkg dpkg-query"


@pytest.fixture
def driver_that_works():
    """A driver that works, until the test is over: the module is loaded, and nvidia-smi shows the card."""

    def install(name, version, mode):
        sh(
            OTHER,
            "cat >/usr/local/bin/nvidia-smi && chmod 755 /usr/local/bin/nvidia-smi",
            text=SMI.format(name=name, version=version, mode=mode),
        )
        sh(OTHER, f"mkdir -p /sys/module/nvidia && echo {version} >/sys/module/nvidia/version && echo live >/sys/module/nvidia/initstate")
        sh(OTHER, "mkdir -p /tmp/drivers/nvidia && ln -sfn /tmp/drivers/nvidia /sys/bus/pci/devices/0000:01:00.0/driver")

    yield install
    sh(OTHER, "rm -rf /usr/local/bin/nvidia-smi /sys/module/nvidia /sys/bus/pci/devices/0000:01:00.0/driver /etc/nvidia")


@pytest.fixture
def other_system():
    """Another operating system, until the test is over: its os-release, and neither APT nor its folders."""

    def become(text):
        sh(OTHER, "mkdir -p /root/etc /root/bin && cp -P /etc/os-release /root/etc/ && mv /etc/apt /root/etc/")
        sh(OTHER, f"for tool in {HIDDEN}; do mv /usr/bin/$tool /root/bin/; done")
        sh(OTHER, "rm /etc/os-release && cat >/etc/os-release", text=text)

    yield become
    sh(OTHER, "rm -rf /etc/os-release /etc/apt && mv /root/etc/* /etc/ && mv /root/bin/* /usr/bin/")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_driver_that_works_on_a_host_without_apt(system, driver_that_works, other_system):
    driver_that_works("NVIDIA A40", "580.95.05", "None")
    other_system(SYSTEMS[system])
    done = run(OTHER, options=["--tags", "nvidia_driver"])
    assert (done.failed, done.changed) == (False, []), done.message
    assert "the driver 580.95.05 works" in done.text
    assert not re.search("apt", sh(OTHER, "ls /etc"))


def test_a_vgpu_guest_whose_driver_works_is_left_alone(driver_that_works):
    driver_that_works("NVIDIA A40-12Q", "535.261.03", "VGPU")
    sh(OTHER, "mkdir -p /etc/nvidia && echo FeatureType=1 >/etc/nvidia/gridd.conf")
    before = sh(OTHER, "dpkg-query -l | sha256sum")
    done = run(OTHER, options=["--tags", "nvidia_driver"])
    assert not done.failed, done.message
    assert "is a vGPU (there is /etc/nvidia/gridd.conf): its guest driver 535.261.03 works, and is left alone" in plain(done.text)
    assert sh(OTHER, "dpkg-query -l | sha256sum") == before


def test_a_vgpu_guest_without_a_driver_is_told_which_it_needs():
    card = "/sys/bus/pci/devices/0000:01:00.0"
    sh(OTHER, f"echo 0x10de >{card}/subsystem_vendor; echo 0x14d5 >{card}/subsystem_device")
    try:
        before = sh(OTHER, "dpkg-query -l | sha256sum")
        message = plain(refused(OTHER, options=["--tags", "nvidia_driver"]))
        assert "the GPU is a vGPU" in message and "vGPU guest driver, which comes from NVIDIA's licensing portal" in message
        assert sh(OTHER, "dpkg-query -l | sha256sum") == before
    finally:
        sh(OTHER, f"rm {card}/subsystem_vendor {card}/subsystem_device")
