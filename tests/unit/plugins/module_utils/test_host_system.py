# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""os-release is read as a shell would read it, and the package tool is the one that is there."""

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, system
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\n', "Debian 13"),
        ('NAME="Ubuntu"\nVERSION_ID="24.04"\n', "Ubuntu 24.04"),
        ("NAME=Fedora\nVERSION_ID=43\n", "Fedora 43"),
        ("# NAME=no\nNAME='Pop!_OS'\nVERSION_ID=\"24.04\" # a comment\n", "Pop!_OS 24.04"),
        ('NAME="a \\"quoted\\" name"\n', 'a "quoted" name'),
        ('NAME="not closed\nVERSION_ID=1\n', "1"),
        ("", ""),
    ],
)
def test_names(text, name, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(text)
    assert system.read(Host(5, root=str(tmp_path)))["name"] == name


def test_the_vendor_file_counts_where_there_is_no_other(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text("ID=fedora\nPLATFORM_ID=platform:f43\n")
    assert system.read(Host(5, root=str(tmp_path)))["platform"] == "platform:f43"


@pytest.mark.parametrize(
    ("tools", "expected"), [(["apt-get", "dnf"], "apt"), (["dnf", "yum"], "dnf"), (["zypper"], "zypper"), (["pacman"], "pacman"), ([], "")]
)
def test_the_package_tool_is_what_is_there(tools, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    (tmp_path / "usr/bin").mkdir(parents=True)
    for tool in tools:
        (tmp_path / "usr/bin" / tool).write_text("")
        (tmp_path / "usr/bin" / tool).chmod(0o755)
    assert system.package_tool(Host(5, root=str(tmp_path))) == expected


def test_apt_manages_nothing_in_the_rhel_family(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    (tmp_path / "usr/bin").mkdir(parents=True)
    for tool in ("apt-get", "dnf"):
        (tmp_path / "usr/bin" / tool).write_text("")
        (tmp_path / "usr/bin" / tool).chmod(0o755)
    host = Host(5, root=str(tmp_path))
    assert [system.package_tool(host, {"ID": name}) for name in ("rocky", "fedora", "debian")] == ["apt", "dnf", "apt"]
    assert system.package_tool(host, {"ID": "rocky", "ID_LIKE": "rhel centos fedora"}) == "dnf"


@given(st.text())
def test_any_text_is_survived(text):
    assert all(isinstance(value, str) for value in system.parse_os_release(text).values())
