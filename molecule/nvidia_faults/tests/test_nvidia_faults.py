# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad luck with drivers and the container toolkit. The tests stand in the order in which a host lives, and each leaves it well."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
from runs import Run, ask, refused, run, sh, until

Run.inventory = TOP / "molecule/nvidia_faults/inventory"
FIRST, SECOND = "gpu1", "gpu2"
UUID = "GPU-0c1d2e3f-0000-4000-8000-000000000003"
NOWHERE = "http://172.30.90.2:9/nvidia"
DRIVER = ["--tags", "nvidia_driver"]
TOOLKIT = ["--tags", "nvidia_driver,nvidia_container_toolkit"]
DAEMON = "/etc/docker/daemon.json"


def starts(host):
    """How often the host was started."""
    return sh(host, "cat /proc/sys/kernel/random/boot_id; cut -d ' ' -f 22 /proc/1/stat")


def docker_starts(host):
    return sh(host, "systemctl show -p ExecMainStartTimestampMonotonic --value docker").strip()


def in_container(host):
    return sh(host, "docker exec ollama nvidia-smi -L", check=False)


def packages(host):
    return sh(
        host,
        "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' '*nvidia*' 2>/dev/null | grep ' installed$' | sort",
        check=False,
    )


@contextlib.contextmanager
def replaced(host, path, text, mode="0755"):
    """Another file in the place of one, for a while."""
    sh(host, f"cp -a {path} /root/kept && cat >{path} && chmod {mode} {path}", text=text)
    try:
        yield
    finally:
        sh(host, f"cp -a /root/kept {path}")


# A bare host with a card


def test_driver_repository_unreachable():
    done = run(FIRST, {"nvidia_driver_repository": NOWHERE}, options=DRIVER)
    assert done.failed and done.changed == []
    assert "set nvidia_driver_repository" in done.message and "172.30.90.2:9" in done.message
    assert packages(FIRST) == ""


def test_a_branch_that_the_repository_does_not_have():
    """Nothing is installed, and above all nothing without what pins it."""
    done = run(FIRST, {"nvidia_driver_branch": "999"}, options=DRIVER)
    assert done.failed and "Install the driver with apt" not in done.changed
    assert "nvidia-driver-pinning-999: no source of the host has that" in done.message and "nvidia_driver_branch" in done.message
    assert packages(FIRST) == ""


def test_restart_without_a_word_about_it():
    """Nobody has said whether the host may be restarted: it is told, once the driver waits for that."""
    before = starts(FIRST)
    done = run(FIRST, {"nvidia_driver_reboot_ok": None}, options=DRIVER)
    assert done.failed
    assert "the host has to be restarted" in done.message and "Set nvidia_driver_reboot_ok to true" in done.message
    assert starts(FIRST) == before
    assert "nvidia-driver-cuda" in packages(FIRST)


@pytest.mark.parametrize("word", [False, "false", "no"])
def test_restart_refused(word):
    """The other hosts go on; this one is left, and nothing fails. On a command line the word is a text."""
    before = starts(FIRST)
    done = run(FIRST, {"nvidia_driver_reboot_ok": word})
    assert (done.failed, done.changed, starts(FIRST)) == (False, [], before)
    assert "nvidia_driver_reboot_ok is false" in done.text
    assert "docker_engine : Install" not in done.text


def test_cut_between_installation_and_restart():
    """What the earlier runs have left is gone on with by the next one that may, although it installs nothing."""
    done = run(FIRST, options=DRIVER)
    assert not done.failed
    assert done.changed[:1] == ["Restart it"] and "Install the driver with apt" not in done.changed
    assert UUID in sh(FIRST, "nvidia-smi -L")
    assert run(FIRST, options=DRIVER).changed == []


def test_cut_in_the_middle():
    """The same where the run itself is ended, the moment the packages are there."""
    cut = Run(SECOND, options=DRIVER)
    cut.wait_for("Demand that there are modules now")
    cut.cut()
    done = run(SECOND, options=DRIVER)
    assert not done.failed and "Restart it" in done.changed
    assert UUID in sh(SECOND, "nvidia-smi -L")


def test_upgraded_and_not_restarted():
    sh(FIRST, "echo 595.45.04 >/sys/module/nvidia/version")
    message = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 595.71"
    with replaced(FIRST, "/usr/bin/nvidia-smi", f"#!/bin/sh\necho '{message}'\nexit 18\n"):
        told = refused(FIRST, {"nvidia_driver_reboot_ok": None}, options=DRIVER)
        assert "the driver 595.45.04 is loaded, and 595.71.05 is on disk" in told
    before = starts(FIRST)
    sh(FIRST, "mv /usr/bin/nvidia-smi /root/; printf '#!/bin/sh\nexit 18\n' >/usr/bin/nvidia-smi; chmod 0755 /usr/bin/nvidia-smi")
    # Mended by the restart, as a real one would be.
    sh(
        FIRST,
        "printf '[Service]\nExecStartPre=/bin/mv /root/nvidia-smi /usr/bin/nvidia-smi\n' | systemctl edit --stdin nvidia-load-driver.service",
    )
    done = run(FIRST, options=DRIVER)
    sh(FIRST, "systemctl revert nvidia-load-driver.service")
    assert not done.failed and done.changed[0] == "Restart it"
    assert starts(FIRST) != before


def test_fallen_off_the_bus():
    lost = "Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU"
    with replaced(FIRST, "/usr/bin/nvidia-smi", f"#!/bin/sh\necho '{lost}'\nexit 15\n"):
        told = refused(FIRST)
    assert "a GPU does not answer" in told and "turn the machine off and on again" in told


def test_older_than_the_floor():
    told = refused(FIRST, {"nvidia_container_toolkit_version": "1.17.8"}, options=["--tags", "nvidia_driver,nvidia_container_toolkit"])
    assert "is older than nvidia_container_toolkit_floor" in told


# With Docker


def test_toolkit_repository_unreachable():
    assert not run(FIRST, options=["--tags", "nvidia_driver,docker_engine"]).failed
    done = run(FIRST, {"nvidia_container_toolkit_repository": NOWHERE}, options=TOOLKIT)
    assert done.failed and done.changed == []
    assert "set nvidia_container_toolkit_repository" in done.message


def test_toolkit_older_than_the_floor_and_held():
    """An old toolkit, from a repository named as older instructions have it, held back by somebody."""
    url = "http://site.lab/nvidia/libnvidia-container"
    sh(FIRST, f'python3 -c \'import urllib.request as u; open("/etc/apt/keyrings/old.asc", "wb").write(u.urlopen("{url}/gpgkey").read())\'')
    sh(FIRST, f"echo 'deb [signed-by=/etc/apt/keyrings/old.asc] {url}/stable/deb/amd64 /' >/etc/apt/sources.list.d/nvidia-docker.list")
    names = ("libnvidia-container1", "libnvidia-container-tools", "nvidia-container-toolkit-base", "nvidia-container-toolkit")
    sh(FIRST, "apt-get update -q && apt-get install -qy --no-install-recommends " + " ".join(name + "=1.17.8-1" for name in names))
    sh(FIRST, "apt-mark hold nvidia-container-toolkit")
    told = refused(FIRST, options=TOOLKIT)
    assert "apt-mark unhold nvidia-container-toolkit" in told and "1.17.8" in told
    sh(FIRST, "apt-mark unhold nvidia-container-toolkit")


def test_the_toolkit_comes_in_spite_of_what_is_there():
    """Old packages, an old repository file, a static CDI file, and a daemon.json with its owner's own words in it."""
    own = {
        "features": {"containerd-snapshotter": False, "buildkit": True},
        "runtimes": {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}},
        "debug": False,
        "labels": ["rack=7"],
        **json.loads(sh(FIRST, f"cat {DAEMON}")),
    }
    sh(FIRST, f"cat >{DAEMON} && systemctl reset-failed docker; systemctl restart docker", text=json.dumps(own))
    static = "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: old\n  containerEdits:\n    mounts: [{hostPath: /gone, containerPath: /gone}]\n"
    other = "cdiVersion: 0.5.0\nkind: example.com/device\ndevices:\n- name: mine\n  containerEdits:\n    env: [MINE=1]\n"
    sh(FIRST, "mkdir -p /etc/cdi && cat >/etc/cdi/nvidia.yaml", text=static)
    sh(FIRST, "cat >/etc/cdi/mine.yaml", text=other)
    before = docker_starts(FIRST)
    done = run(FIRST, options=TOOLKIT)
    assert not done.failed
    assert done.text.count("docker_engine : Restart Docker]") == 1 and docker_starts(FIRST) != before
    after = json.loads(sh(FIRST, f"cat {DAEMON}"))
    assert after["features"] == {**own["features"], "cdi": True}
    assert after["runtimes"] == {**own["runtimes"], "nvidia": {"path": "nvidia-container-runtime"}}
    assert {name: value for name, value in after.items() if name not in ("features", "runtimes")} == {
        name: value for name, value in own.items() if name not in ("features", "runtimes")
    }
    assert sh(FIRST, f"ls {DAEMON}.*~").strip(), "no copy of what was there"
    assert sh(FIRST, "ls /etc/cdi").split() == ["mine.yaml", "nvidia.yaml.disabled"]
    assert sh(FIRST, "ls /etc/apt/sources.list.d").split() == [
        "local-llm-nvidia-container-toolkit.sources",
        "local-llm-nvidia.sources",
        "nvidia-docker.list.disabled",
    ]
    assert "nvidia-container-toolkit 1.20.0-1 installed" in packages(FIRST)
    assert run(FIRST, options=TOOLKIT).changed == []


def test_daemon_json_that_is_none():
    """An invalid file is left as it is, and said to be invalid."""
    kept = sh(FIRST, f"cat {DAEMON}")
    sh(FIRST, f"cat >{DAEMON}", text='{"runtimes": {,}')
    try:
        done = run(
            FIRST, {"nvidia_container_toolkit_state": "present"}, options=["--tags", "nvidia_driver,docker_engine,nvidia_container_toolkit"]
        )
        assert done.failed and "/etc/docker/daemon.json is not JSON and was left as it is" in done.text
        assert sh(FIRST, f"cat {DAEMON}") == '{"runtimes": {,}'
    finally:
        sh(FIRST, f"cat >{DAEMON}", text=kept)


def test_cut_before_docker_is_restarted():
    """The file says it all, and the Engine runs without: it is restarted, although the file does not change."""
    kept = sh(FIRST, f"cat {DAEMON}")
    sh(FIRST, f"echo '{{}}' >{DAEMON}; systemctl reset-failed docker; systemctl restart docker; cat >{DAEMON}", text=kept)
    done = run(FIRST, options=TOOLKIT)
    assert not done.failed and "Write daemon.json" not in done.changed and "docker_engine : Restart Docker]" in done.text
    assert run(FIRST, options=TOOLKIT).changed == []


def test_daemon_json_empty():
    sh(FIRST, f": >{DAEMON}; systemctl reset-failed docker; systemctl restart docker")
    done = run(FIRST, options=["--tags", "nvidia_driver,docker_engine,nvidia_container_toolkit"])
    assert not done.failed
    assert {"features", "runtimes", "registry-mirrors"} <= set(json.loads(sh(FIRST, f"cat {DAEMON}")))


# With the whole stack


def test_the_stack_comes_up():
    assert not run(FIRST).failed
    assert UUID in in_container(FIRST)
    assert ask(FIRST, "gpt-oss-20b").strip().startswith("gpt-oss:20b answers:")


@pytest.mark.parametrize("injection", ["legacy", "auto"])
def test_the_older_way(injection):
    """Where Docker is too old for CDI, NVIDIA's hook hands the GPU out; and back."""
    done = run(FIRST, {"llm_stack_gpu_injection": injection})
    assert not done.failed and done.changed == [
        "Write the project's files",
        "Bring the services up",
        "Bring the plan's models onto the engine",
    ]
    (request,) = json.loads(sh(FIRST, "docker inspect -f '{{json .HostConfig.DeviceRequests}}' ollama"))
    assert request["Driver"] == {"legacy": "nvidia", "auto": "cdi"}[injection]
    assert "nvidia-smi" in sh(FIRST, "docker exec ollama ls /usr/bin")
    assert ask(FIRST, "gpt-oss-20b").strip().startswith("gpt-oss:20b answers:")


def test_somebody_has_switched_cdi_off():
    """Their word in daemon.json stays, and the GPU is handed out in the older way."""
    settings = json.loads(sh(FIRST, f"cat {DAEMON}"))
    sh(
        FIRST,
        f"cat >{DAEMON} && systemctl reset-failed docker; systemctl restart docker",
        text=json.dumps({**settings, "features": {"cdi": False}}),
    )
    done = run(FIRST)
    assert not done.failed
    assert json.loads(sh(FIRST, f"cat {DAEMON}"))["features"] == {"cdi": False}
    (request,) = json.loads(sh(FIRST, "docker inspect -f '{{json .HostConfig.DeviceRequests}}' ollama"))
    assert request["Driver"] == "nvidia"
    assert run(FIRST).changed == []
    sh(FIRST, f"cat >{DAEMON} && systemctl reset-failed docker; systemctl restart docker", text=json.dumps(settings))
    assert not run(FIRST).failed
    until(lambda: UUID in in_container(FIRST), 60, "the GPU did not come back")


def test_the_specification_is_gone():
    sh(FIRST, "rm /var/run/cdi/nvidia.yaml")
    done = run(FIRST)
    assert not done.failed and done.changed == ["Write the specification of the GPUs"]


# Away with it


def test_removal():
    extra = {"nvidia_driver_state": "absent", "nvidia_container_toolkit_state": "absent"}
    options = ["--tags", "nvidia_driver,nvidia_container_toolkit"]
    assert not run(SECOND, options=["--tags", "nvidia_driver,docker_engine,nvidia_container_toolkit"]).failed
    sh(SECOND, f'sed -i \'1 a\\  "default-runtime": "nvidia",\' {DAEMON}; systemctl reset-failed docker; systemctl restart docker')
    before = packages(SECOND)
    assert not run(SECOND, extra, options=[*options, "--check"]).failed
    assert packages(SECOND) == before
    assert not run(SECOND, extra, options=options).failed
    assert packages(SECOND) == ""
    assert "nvidia" not in sh(
        SECOND, f"ls /etc/apt/sources.list.d /etc/apt/keyrings /etc/apt/apt.conf.d /etc/modprobe.d /var/run/cdi; cat {DAEMON}"
    )
    assert sh(SECOND, "ls /sys/module").strip() == "", "the module is still loaded"
    sh(SECOND, "systemctl reset-failed docker; systemctl restart docker")
    assert run(SECOND, extra, options=options).changed == []
