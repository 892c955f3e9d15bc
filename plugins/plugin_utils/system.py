# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which system of the tables a host is: its own, or the one that a derivative is made of."""

from __future__ import annotations

import typing as t

# Releases by their codenames, which derivatives keep in UBUNTU_CODENAME or DEBIAN_CODENAME.
UBUNTU_RELEASES = {"focal": "20.04", "jammy": "22.04", "noble": "24.04", "resolute": "26.04"}
DEBIAN_RELEASES = {"bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14"}


class System(t.NamedTuple):
    """A host's operating system, as the tables of the roles name it."""

    family: str  #: ``Debian``, ``Ubuntu``, ``RedHat``; the ID of os-release where it is none of these
    version: str  #: ``13``, ``24.04``, ``9``
    codename: str  #: ``trixie``, ``noble``; empty in the RHEL family
    note: str  #: what the run says where the host is a derivative; empty where it is the system itself

    @property
    def name(self) -> str:
        """The name in the tables: ``Debian 13``, ``Ubuntu 24.04``, ``RedHat 9``."""
        return ("%s %s" % (self.family or "this system", self.version)).strip()


def system_of(system: t.Mapping[str, str]) -> System:
    """Return the system of the tables that a host is, or is made of.

    :arg system: what ``module_utils.host.system.read`` returns: strings by ``id``, ``like``, ``version``, ``codename``,
        ``base_codename``, ``platform``, ``name``. Only ``id`` has to be there.

    A derivative of Ubuntu or Debian is taken for the release whose codename it names (os-release(5): ID_LIKE,
    VERSION_CODENAME; Ubuntu's and Mint's own UBUNTU_CODENAME, DEBIAN_CODENAME). One that names none is itself, and in no table.
    """
    own, like = system.get("id", ""), system.get("like", "").split()
    version, codename, base = system.get("version", ""), system.get("codename", ""), system.get("base_codename", "")
    if own in ("debian", "ubuntu"):
        releases = DEBIAN_RELEASES if own == "debian" else UBUNTU_RELEASES
        # Where an image has no VERSION_CODENAME, the number tells.
        codename = codename or next((name for name, number in releases.items() if number == version), "")
        return System(own.capitalize(), version, codename, "")
    platform = system.get("platform", "")
    # What is made of Fedora or Amazon Linux may name RHEL among what it is like; the platform tells.
    if own in ("rhel", "ol") or platform.startswith("platform:el") or ("rhel" in like and own != "amzn" and not platform):
        return System("RedHat", version.split(".")[0], "", "")
    # A codename that both know is not there, so that the release decides; the chain of ID_LIKE is what allows it.
    for family, releases, named in (("Ubuntu", UBUNTU_RELEASES, base), ("Debian", DEBIAN_RELEASES, base or codename)):
        if family.lower() in like and named in releases:
            text = "%s is treated as %s %s (%s), which it is made of" % (
                system.get("name") or own, family, releases[named], named)  # fmt: skip
            return System(family, releases[named], named, text)
    return System(own, version, codename, "")
