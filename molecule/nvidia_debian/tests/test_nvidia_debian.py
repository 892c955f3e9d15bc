# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's real packages of NVIDIA's driver 550, through the role."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
from runs import Run, run, sh

Run.inventory = TOP / "molecule/nvidia_debian/inventory"
HOST = "molecule-debian"
WISHES = {"nvidia_driver_source": "distribution", "nvidia_driver_reboot_ok": None}
OPTIONS = ["--tags", "nvidia_driver"]


# The machine's own kernel is not Debian's, in whose place the role installs no other. This one is: one whose headers the archive no
# longer has. Only who asks for release and machine is told so.
UNAME = """#!/bin/sh
case "$*" in "-r -m") echo 6.12.38+deb13-amd64 x86_64 ;; *) exec /usr/bin/uname "$@" ;; esac
"""


@pytest.fixture(scope="module", autouse=True)
def kernel():
    sh(HOST, "cat >/usr/local/bin/uname && chmod 755 /usr/local/bin/uname", text=UNAME)


def installed():
    return sh(
        HOST,
        "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' '*nvidia*' libcuda1 2>/dev/null | grep ' installed$'",
        check=False,
    )


def test_the_driver_is_installed_and_built():
    done = run(HOST, WISHES, options=OPTIONS)
    # The modules are there for Debian's kernel, and another one runs: the role asks for the restart, and may not do it.
    assert done.failed
    assert re.search(r"the driver 550\.\S+ is there for the kernel 6\.12\.\S+, and \S+ runs: the host has to be restarted", done.message), (
        done.message
    )
    assert re.search(r"^nvidia-kernel-dkms 550\.", installed(), re.M)
    assert re.search(r"^nvidia-smi 550\.", installed(), re.M)
    assert re.search(r"^libcuda1 550\.", installed(), re.M)
    assert re.search(r"^nvidia-current/550\.\S+, 6\.12\.\S+, x86_64: installed", sh(HOST, "dkms status"), re.M)
    assert "Components: contrib non-free non-free-firmware" in sh(HOST, "cat /etc/apt/sources.list.d/local-llm-nvidia.sources")


def test_a_second_run_says_the_same_and_changes_nothing():
    done = run(HOST, WISHES, options=OPTIONS)
    assert done.failed and done.changed == []
    assert "the host has to be restarted" in done.message


def test_it_is_taken_away_again():
    wishes = {**WISHES, "nvidia_driver_state": "absent"}
    assert not run(HOST, wishes, options=OPTIONS).failed
    assert installed() == ""
    assert sh(HOST, "dkms status 2>/dev/null | grep -c nvidia", check=False).strip() in ("", "0")
    assert sh(HOST, "ls /etc/apt/sources.list.d").strip() == ""
    assert run(HOST, wishes, options=OPTIONS).changed == []
