# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which system of the tables a host is."""

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.system import system_of

MINT = {
    "id": "linuxmint",
    "like": "ubuntu debian",
    "version": "22.2",
    "base_codename": "noble",
    "codename": "zara",
    "name": "Linux Mint 22.2",
}


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ({"id": "debian", "version": "13"}, "Debian 13"),
        ({"id": "ubuntu", "version": "24.04", "like": "debian"}, "Ubuntu 24.04"),
        ({"id": "ubuntu", "version": "26.04", "like": "debian"}, "Ubuntu 26.04"),
        (MINT, "Ubuntu 24.04"),
        ({"id": "pop", "like": "ubuntu debian", "version": "24.04", "codename": "noble", "base_codename": "noble"}, "Ubuntu 24.04"),
        ({"id": "zorin", "like": "ubuntu debian", "version": "17", "base_codename": "jammy"}, "Ubuntu 22.04"),
        ({"id": "neon", "like": "ubuntu debian", "version": "24.04", "base_codename": "noble"}, "Ubuntu 24.04"),
        # LMDE and what else is made of Debian itself: its codename, or that of Debian
        ({"id": "linuxmint", "like": "debian", "version": "6", "codename": "faye", "base_codename": "bookworm"}, "Debian 12"),
        ({"id": "mx", "like": "debian", "version": "25", "codename": "trixie"}, "Debian 13"),
        ({"id": "raspbian", "like": "debian", "version": "12", "codename": "bookworm"}, "Debian 12"),
        # derivatives that do not say of what
        ({"id": "pop", "like": "ubuntu debian", "version": "24.04"}, "pop 24.04"),
        ({"id": "kali", "like": "debian", "version": "2026.3", "codename": "kali-rolling"}, "kali 2026.3"),
        ({"id": "rhel", "version": "9.5"}, "RedHat 9"),
        ({"id": "rocky", "like": "rhel centos fedora", "version": "10.1"}, "RedHat 10"),
        ({"id": "ol", "like": "fedora", "version": "9.5", "platform": "platform:el9"}, "RedHat 9"),
        ({"id": "ol", "like": "fedora", "version": "9.5"}, "RedHat 9"),
        ({"id": "virtuozzo", "like": "fedora", "version": "9", "platform": "platform:el9"}, "RedHat 9"),
        ({"id": "fedora", "version": "43", "platform": "platform:f43"}, "fedora 43"),
        ({"id": "amzn", "like": "fedora", "version": "2023", "platform": "platform:al2023"}, "amzn 2023"),
        ({"id": "amzn", "like": "centos rhel fedora", "version": "2"}, "amzn 2"),
        # They name RHEL among what they are like, and are none of its rebuilds.
        ({"id": "nobara", "like": "rhel centos fedora", "version": "42", "platform": "platform:f42"}, "nobara 42"),
        ({"id": "alinux", "like": "rhel fedora centos anolis", "version": "3", "platform": "platform:al8"}, "alinux 3"),
        ({"id": "opensuse-leap", "like": "suse opensuse", "version": "15.6"}, "opensuse-leap 15.6"),
        ({"id": "arch"}, "arch"),
        ({"id": ""}, "this system"),
    ],
)
def test_names(system, name):
    assert system_of(system).name == name


def test_what_a_derivative_is_taken_for_is_said():
    assert system_of(MINT).note == "Linux Mint 22.2 is treated as Ubuntu 24.04 (noble), which it is made of"
    assert system_of({"id": "debian", "version": "13"}).note == ""


def test_codenames():
    assert system_of(MINT).codename == "noble"
    assert system_of({"id": "debian", "version": "12"}).codename == "bookworm"
