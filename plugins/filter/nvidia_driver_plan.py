# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what has to be done about a machine's NVIDIA driver."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nvidia_driver_plan
short_description: Decide what has to be done about a machine's NVIDIA driver
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes what the module M(local_llm.fleet.nvidia_driver_info) has read, and says whether the driver is good, has to be installed, has to
    be loaded, or waits for a restart of the machine; and if it has to be installed, which branch and kind of it, from where.
  - The same machine in the same state gets the same decision, whatever has been done before. So a run that was cut off is gone on with by
    the next one.
positional: _input, systems, packages
options:
  _input:
    description:
      - What the module returned.
    type: dict
    required: true
  systems:
    description:
      - What each operating system has drivers from, by its name and version.
    type: dict
    required: true
  packages:
    description:
      - The packages of each source, with C({branch}), C({kernel}) and C({modules}) to be filled in.
    type: dict
    required: true
  wishes:
    description:
      - The variables C(nvidia_driver_*) of the role, without that prefix.
    type: dict
    default: {}
  tried:
    description:
      - What the kernel answered when the module was to be loaded; empty when that has not been tried since the machine was started.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.debug:
    msg: "{{ __nvidia_driver | local_llm.fleet.nvidia_driver_plan(_nvidia_driver_systems, _nvidia_driver_packages) }}"
"""

RETURN = r"""
_value:
  description:
    - C(action) is V(none), V(install), V(load), V(reboot) or V(refuse); C(reason) says why in one line, C(mend) what to do when it is
      V(refuse).
    - C(source) (V(distribution) or V(nvidia)), C(branch), C(flavour) (V(open) or V(proprietary)) and C(packages) (in groups that are
      installed one after the other) say what is, or would be, installed. C(headers) are the packages that modules are built with, the
      first choice and the second.
    - C(gpus) is how many GPUs C(nvidia-smi) shows, C(platform) what the module says of it, C(version) that of the driver that works.
    - C(reboot) says whether the machine has to be restarted then. C(warnings) are lines about what will not stay well.
  type: dict
"""

import re
import typing as t

# What each generation needs. First the oldest driver that Ollama uses it with (its GPU documentation: 550, and 570 for compute
# capabilities 5.0 to 6.2) or that knows it; then the newest branch that has drivers for it; then whether the open kernel modules
# serve it, and whether the proprietary ones do (NVIDIA's driver installation guide).
NEEDS: dict[str, tuple[str, str | None, bool, bool]] = {
    "maxwell": ("570", "580", False, True),
    "pascal": ("570", "580", False, True),
    "volta": ("550", "580", False, True),
    "turing": ("550", None, True, True),
    "ampere": ("550", None, True, True),
    "ada": ("550", None, True, True),
    "hopper": ("550", None, True, True),
    "blackwell": ("570", None, True, False),
}
LOST = re.compile(r"GPU is lost|fallen off the bus|unable to determine the device handle|requires reset", re.IGNORECASE)
FOREIGN = {
    "wsl": "the driver of a Windows subsystem is that of Windows; install NVIDIA's driver there",
    "tegra": "the driver of a Jetson comes with JetPack",
    "dgx": "the driver of a DGX comes with DGX OS",
}
# What a driver is made of, among NVIDIA's packages.
PACKAGES_OF_A_DRIVER = re.compile(
    r"^(nvidia-(driver|headless|open|kernel|dkms|utils|smi|tesla)|cuda-drivers|kmod-nvidia|linux-modules-nvidia)"
)
WITHOUT = "set model_plan_tier to cpu and nvidia_driver_state to unmanaged"


def newer(one: str | None, other: str | None) -> bool:
    """Whether a version is that of the other, or newer. Text between the numbers does not count."""
    return [int(part) for part in re.findall("[0-9]+", one or "0")] >= [int(part) for part in re.findall("[0-9]+", other or "0")]


def system_name(system: dict[str, str]) -> str:
    """Return the name that a system has in the table: ``Debian 13``, ``Ubuntu 24.04``, ``RedHat 9``."""
    if system["id"] in ("debian", "ubuntu"):
        return "%s %s" % (system["id"].capitalize(), system["version"])
    if system["id"] == "rhel" or "rhel" in system["like"].split():
        return "RedHat %s" % system["version"].split(".")[0]
    return "%s %s" % (system["id"] or "this system", system["version"])


class Decision:
    """What has to be done about one machine."""

    def __init__(self, reading: dict, systems: dict, packages: dict, wishes: dict, tried: str) -> None:
        self.reading, self.systems, self.packages, self.wishes, self.tried = reading, systems, packages, wishes, tried
        self.cards = [card for card in reading["cards"] if card["generation"] in NEEDS]
        self.generations = sorted({card["generation"] for card in self.cards})
        self.floor = max((NEEDS[name][0] for name in self.generations), default="0")
        self.ceiling = min((NEEDS[name][1] or "" for name in self.generations if NEEDS[name][1]), default="")
        self.open_serves = all(NEEDS[name][2] for name in self.generations)
        self.proprietary_serves = all(NEEDS[name][3] for name in self.generations)
        # The kinds that serve all cards, the better one first.
        self.flavours = ["open"] * self.open_serves + ["proprietary"] * self.proprietary_serves
        self.result: dict[str, t.Any] = {
            "action": "none",
            "reason": "",
            "mend": "",
            "platform": reading["platform"],
            "gpus": reading["smi"]["gpus"],
            "version": None,
            "generations": self.generations,
            "source": None,
            "branch": None,
            "flavour": None,
            "packages": [],
            "headers": [],
            "repository": None,
            "key": None,
            "reboot": False,
            "warnings": [],
        }

    def say(self, action: str, reason: str, **more: t.Any) -> dict[str, t.Any]:
        return {**self.result, "action": action, "reason": reason, **more}

    def refuse(self, reason: str, mend: str) -> dict[str, t.Any]:
        return self.say("refuse", reason, mend=mend)

    def serves(self, is_open: bool | None) -> bool:
        """Whether a driver of this kind serves all cards; unknown kinds are given the benefit of the doubt."""
        return is_open is None or (self.open_serves if is_open else self.proprietary_serves)

    def make(self) -> dict[str, t.Any]:
        reading, wished = self.reading, str(self.wishes.get("branch") or "auto")
        if not re.match("^(auto|[0-9]+)$", wished):
            return self.refuse("nvidia_driver_branch is %s" % wished, "set it to a number such as 580, or to auto")
        if reading["platform"] in FOREIGN:
            return self.say("none", FOREIGN[reading["platform"]])
        if not self.cards:
            old = [card["address"] for card in reading["cards"]]
            why = "lent to virtual machines" if reading["lent"] else "too old for Ollama" if old else "no NVIDIA GPU"
            return self.say("none", why)
        if not self.open_serves and not self.proprietary_serves:
            return self.refuse(
                "no driver serves GPUs of the generations %s at the same time" % " and ".join(self.generations),
                "take one of them out, or set nvidia_driver_state to unmanaged and model_plan_gpus to those that the driver serves",
            )
        on_disk = reading["modules"].get(reading["kernel"]["release"])
        answer = self.working() or self.lost()
        return answer or (self.loaded(on_disk) if reading["loaded"]["version"] else self.not_loaded(on_disk))

    def working(self) -> dict[str, t.Any] | None:
        """What to do where nvidia-smi shows GPUs."""
        reading, version = self.reading, self.reading["smi"]["version"] or self.reading["loaded"]["version"]
        if reading["smi"]["status"] != 0 or not reading["smi"]["gpus"]:
            return None
        unfit = self.unfit(version, None)
        if unfit:
            return self.replace(unfit)
        warnings = []
        newest = (reading["kernel"]["installed"] or [""])[-1]
        if reading["modules"] and newest and newest not in reading["modules"]:
            warnings.append("the newest kernel, %s, has no NVIDIA module: the GPU will be gone after the next restart" % newest)
        if reading["smi"]["gpus"] < len(self.cards):
            warnings.append("nvidia-smi shows %d of %d GPUs" % (reading["smi"]["gpus"], len(self.cards)))
        if reading["switches"] and not reading["units"]["nvidia-fabricmanager"]["exists"]:
            warnings.append(
                "the machine has NVSwitches and no Fabric Manager, without which nothing computes: install nvidia-fabricmanager"
            )
        wished = str(self.wishes.get("branch") or "auto")
        if wished not in ("auto", str(version).split(".", maxsplit=1)[0]):
            warnings.append("nvidia_driver_branch is %s, which is for drivers that are installed anew: the one that works stays" % wished)
        return self.say("none", "the driver %s works" % version, version=version, warnings=warnings)

    def lost(self) -> dict[str, t.Any] | None:
        if not LOST.search(self.reading["smi"]["text"]):
            return None
        return self.refuse(
            "a GPU does not answer: %s" % self.reading["smi"]["text"],
            "turn the machine off and on again; if it comes back, look at power, seating and heat (dmesg | grep -i xid says more)",
        )

    def unfit(self, version: str, is_open: bool | None) -> str:
        """Say why a driver does not do for the cards; empty when it does."""
        if not self.serves(is_open):
            return "the %s driver does not serve %s GPUs" % ("open" if is_open else "proprietary", self.generations[0])
        if not newer(version, self.floor):
            return "the driver %s is older than %s, which %s GPUs need" % (version, self.floor, self.generations[0])
        return ""

    def loaded(self, on_disk: dict | None) -> dict[str, t.Any]:
        """What to do where a driver is loaded, and does not work."""
        reading, version = self.reading, self.reading["loaded"]["version"]
        newest = reading["modules"].get((reading["kernel"]["installed"] or [""])[-1])
        for module in (on_disk, newest):
            if module and module["version"] != version:
                return self.restart("the driver %s is loaded, and %s is on disk" % (version, module["version"]), module["version"])
        if on_disk and reading["loaded"]["open"] not in (None, on_disk["open"]) and self.serves(on_disk["open"]):
            return self.restart("the driver %s is loaded, and its other kind is on disk, which serves the GPUs" % version, version)
        if reading["library"] != version and not reading["kernel"]["installed"]:
            return self.refuse(
                "the driver %s is loaded by a kernel that is not this system's, and its library is %s"
                % (version, reading["library"] or "missing"),
                "install the libraries and nvidia-smi of exactly this version in the container, or %s" % WITHOUT,
            )
        if reading["library"] and reading["library"] != version:
            return self.refuse(
                "the driver %s is loaded and on disk, and its library is %s" % (version, reading["library"]),
                "an upgrade was not finished: `dpkg --configure -a && apt-get -f install` (or `dnf distro-sync`) ends it",
            )
        unfit = self.unfit(version, reading["loaded"]["open"])
        if unfit:
            return self.replace(unfit)
        if reading["smi"]["status"] is None and not reading["smi"]["text"]:
            return self.replace(
                "the driver %s is loaded, and nvidia-smi is not installed" % version, "install nvidia-smi of this version, or "
            )
        if reading["smi"]["status"] is None:
            return self.refuse(
                "the driver %s is loaded, and nvidia-smi gives no answer in time" % version,
                "raise nvidia_driver_probe_timeout where the first answer takes long; else `dmesg | grep -i nvrm` says why it hangs",
            )
        return self.refuse(
            "the driver %s is loaded, and nvidia-smi fails: %s" % (version, reading["smi"]["text"]),
            "`dmesg | grep -i nvrm` says why; a restart of the machine mends what a crash has left",
        )

    def not_loaded(self, on_disk: dict | None) -> dict[str, t.Any]:
        """What to do where no driver of NVIDIA's is loaded."""
        reading = self.reading
        if on_disk:
            return self.to_be_loaded(on_disk["version"], on_disk)
        newest = (reading["kernel"]["installed"] or [""])[-1]
        waiting = reading["modules"].get(newest)
        if waiting and newer(waiting["version"], self.floor):
            found = (waiting["version"], newest, reading["kernel"]["release"])
            return self.restart("the driver %s is there for the kernel %s, and %s runs" % found, waiting["version"])
        return self.install_or_replace()

    def install_or_replace(self) -> dict[str, t.Any]:
        """What to do where there is no module of NVIDIA's. Packages of the driver that is to come are installed once more; those of
        another one are somebody's choice."""
        plan = self.install("the driver is not installed")
        there = [name for name in self.reading["packages"] if PACKAGES_OF_A_DRIVER.search(name)]
        coming = [package for group in plan["packages"] for package in group]
        if plan["action"] == "install" and there and not set(there) & set(coming):
            return self.replace("%s is installed, and has no module for the kernel %s" % (there[0], self.reading["kernel"]["release"]))
        return plan

    def to_be_loaded(self, version: str, on_disk: dict) -> dict[str, t.Any]:
        """What to do where the running kernel's modules are on disk."""
        reading = self.reading
        unfit = self.unfit(version, on_disk["open"])
        if unfit:
            return self.replace(unfit)
        if reading["secure_boot"]["enabled"] and not reading["secure_boot"]["enrolled"] and "Canonical" not in on_disk["signer"]:
            return self.unsigned("the modules are %s" % ("signed by %s" % on_disk["signer"] if on_disk["signer"] else "not signed"))
        if reading["nouveau"]["loaded"]:
            return self.restart("nouveau has the GPU, and the driver %s is on disk" % version, version)
        if self.tried and not on_disk["fresh"]:
            return self.refuse(
                "the driver %s is on disk since before the machine was started, and the kernel does not load it: %s"
                % (version, self.tried),
                "`dmesg | tail` says why",
            )
        if self.tried:
            return self.restart("the driver %s is on disk, and the kernel did not load it: %s" % (version, self.tried), version)
        return self.say("load", "the driver %s is on disk, and not loaded" % version, version=version)

    def restart(self, reason: str, version: str) -> dict[str, t.Any]:
        return self.say("reboot", reason, reboot=True, version=version)

    def replace(self, reason: str, otherwise: str = "") -> dict[str, t.Any]:
        """Install over a driver that is there, at the user's word."""
        if self.wishes.get("replace"):
            return self.install(reason)
        return self.refuse(reason, otherwise + "set nvidia_driver_replace to true to have it replaced")

    def unsigned(self, what: str) -> dict[str, t.Any]:
        return self.refuse(
            "Secure Boot is on, and %s" % what,
            "enrol the key that DKMS signs with (mokutil --import; asked for at the console at the next start), or turn Secure Boot off "
            "in the firmware"
            + (
                "" if self.wishes.get("secure_boot_ok") else ", or set nvidia_driver_secure_boot_ok to true to install first and enrol then"
            ),
        )

    def source(self) -> tuple[str, dict[str, t.Any], dict[str, t.Any]]:
        """Return the source that a driver is to come from, its entry in the table, and all that the system has."""
        here = self.systems.get(system_name(self.reading["system"]), {})
        name = self.wishes.get("source") or "auto"
        if name == "auto":
            prebuilt = here.get("distribution", {}).get("prebuilt")
            name = "distribution" if prebuilt or "nvidia" not in here else "nvidia"
            own = self.branch_of(here.get("distribution", {}))
            wished = str(self.wishes.get("branch") or "auto")
            if name == "nvidia" and own and (not self.branch_of(here["nvidia"]) or own == wished):
                name = "distribution"  # the one that still has a driver for old cards, or the branch that is asked for
        return name, here.get(name, {}), here

    def branch_of(self, entry: dict) -> str:
        """Return the branch of a source that serves the cards; empty where it has none."""
        wished = str(self.wishes.get("branch") or "auto")
        branches = [str(one) for one in entry.get("branches", [])]
        if wished != "auto":
            # A distribution without branches has the one driver.
            branches = [wished] if wished in branches or "folder" in entry or entry.get("prebuilt") else []
        good = [one for one in branches if newer(one, self.floor) and (not self.ceiling or newer(self.ceiling, one))]
        return good[0] if good and self.flavour_of(entry) else ""

    def flavour_of(self, entry: dict) -> str:
        """Return the kind of modules that a source has for the cards; empty where it has none."""
        return next((name for name in self.flavours if name in entry.get("flavours", self.flavours)), "")

    def install(self, reason: str) -> dict[str, t.Any]:
        reading, system = self.reading, system_name(self.reading["system"])
        name, entry, here = self.source()
        if not here:
            return self.refuse(
                "%s, and %s is none of %s" % (reason, system, ", ".join(self.systems)),
                "install NVIDIA's driver %s or newer yourself, or %s" % (self.floor, WITHOUT),
            )
        branch = self.branch_of(entry)
        machine = entry.get("machines", {}).get(reading["system"]["machine"], reading["system"]["machine"] if "folder" not in entry else "")
        if not branch or not machine:
            return self.refuse_source(name, entry, here, system)
        if reading["runfile"]:
            return self.refuse("%s, and NVIDIA's own installer was used before" % reason, "run nvidia-uninstall, and this again")
        held = [package for package, known in sorted(reading["packages"].items()) if known["held"]]
        if held:
            return self.refuse("%s, and packages are held back: %s" % (reason, ", ".join(held)), "apt-mark unhold %s" % " ".join(held))
        prebuilt = entry.get("prebuilt", False)
        secure = reading["secure_boot"]
        if secure["enabled"] and not secure["enrolled"] and not prebuilt and not self.wishes.get("secure_boot_ok"):
            return self.unsigned("modules that are built on the machine are not signed with a key that it knows")
        return self.say(
            "install",
            reason,
            source=name,
            branch=branch,
            flavour=self.flavour_of(entry),
            packages=self.package_groups(name, branch, self.flavour_of(entry)),
            headers=self.headers(prebuilt),
            repository="%s/%s" % (entry["folder"], machine) if "folder" in entry else None,
            key=entry.get("key"),
            reboot=bool(reading["nouveau"]["loaded"] or reading["loaded"]["version"]),
        )

    def refuse_source(self, name: str, entry: dict, here: dict, system: str) -> dict[str, t.Any]:
        """Say why a source has no driver, and which other one does."""
        wants = "%s%s" % (self.floor, " to " + self.ceiling if self.ceiling else " or newer")
        has = ", ".join(str(one) for one in entry.get("branches", [])) or "none"
        wished = str(self.wishes.get("branch") or "auto")
        if wished != "auto":
            return self.refuse(
                "%s GPUs need a driver of branch %s, and nvidia_driver_branch is %s (%s has %s from %s)"
                % (self.generations[0], wants, wished, system, has, name),
                "set nvidia_driver_branch to auto",
            )
        others = [other for other in here if other != name and self.branch_of(here[other])]
        mend = "set nvidia_driver_source to %s" % others[0] if others else WITHOUT + ", or use a system that has one"
        kind = "%s/%s" % (name, self.reading["system"]["machine"])
        wanted = "%s GPUs need a driver with %s modules of branch %s" % (self.generations[0], " or ".join(self.flavours), wants)
        return self.refuse("%s, and %s has %s from %s" % (wanted, system, has, kind), mend)

    def package_groups(self, name: str, branch: str, flavour: str) -> list[list[str]]:
        """Return the packages in the groups in which they are installed: what pins a branch must be there before what it pins."""
        reading = self.reading
        table = self.packages[name][system_name(reading["system"]).split()[0]]
        groups = [table.get("first", []), table[flavour] + (table.get("switches", []) if reading["switches"] else [])]
        kind = self.kernel_kind()
        # Virtual machines' kernels are the ordinary ones without further modules.
        values = {"branch": branch, "kernel": reading["kernel"]["release"], "modules": re.sub("^virtual", "generic", kind)}
        packages = [[package.format(**values) for package in group] for group in groups if group]
        if any("{modules}" in package for package in table[flavour]) and "linux-image-" + kind in reading["kernel"]["metapackages"]:
            # Modules may come with a newer kernel, which must then come as a whole.
            packages[-1].insert(0, "linux-image-" + kind)
        return packages

    def headers(self, prebuilt: bool) -> list[list[str]]:
        """Return what brings the headers that modules are built with: those of the running kernel, or else a newer kernel with its own."""
        system = system_name(self.reading["system"])
        if prebuilt or system.startswith("RedHat"):
            return []
        kind = self.kernel_kind()
        known = kind != self.reading["kernel"]["release"]
        if not known:
            kind = {"x86_64": "amd64", "aarch64": "arm64"}.get(self.reading["system"]["machine"], kind)
        own = ["linux-headers-" + self.reading["kernel"]["release"]]
        # Those of the kernels to come, too, where the system gets its kernels that way.
        return [own + ["linux-headers-" + kind] * known, ["linux-image-" + kind, "linux-headers-" + kind]]

    def kernel_kind(self) -> str:
        """Return what follows ``linux-image-`` in the metapackage that brought the running kernel: ``generic-hwe-24.04``, ``amd64``.
        Without one it is the kernel's release."""
        metapackages = self.reading["kernel"]["metapackages"]
        own = [name for name, kernel in sorted(metapackages.items()) if kernel == "linux-image-" + self.reading["kernel"]["release"]]
        ending = self.reading["kernel"]["release"].rsplit("-", 1)[-1]
        alike = [name for name in sorted(metapackages) if metapackages[name].endswith("-" + ending)]
        chosen = own or (alike if len(alike) == 1 else [])
        return chosen[0][len("linux-image-") :] if chosen else self.reading["kernel"]["release"]


def nvidia_driver_plan(reading: dict, systems: dict, packages: dict, wishes: dict | None = None, tried: str = "") -> dict[str, t.Any]:
    """Return what has to be done about a machine's driver, in the shape that this filter documents."""
    return Decision(reading, systems, packages, wishes or {}, tried).make()


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        return {"nvidia_driver_plan": nvidia_driver_plan}
