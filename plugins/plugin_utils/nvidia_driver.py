# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what has to be done about a machine's NVIDIA driver, from what was read of it and from tables. Nothing is read here."""

from __future__ import annotations

import hashlib
import re
import typing as t

from .system import system_of
from .versions import newer

Data = dict[str, t.Any]  # a reading, a table, a decision: what Ansible hands over

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
VGPU_GUEST = "NVIDIA's vGPU guest driver, which comes from NVIDIA's licensing portal with the vGPU release of the hypervisor"
# Kernels by the way their releases are written. Ubuntu's own, for which alone its archive has prebuilt modules, are 6.8.0-60-generic:
# three numbers of which the last is 0, an ABI of at most four digits, and a flavour. Those of its mainline builds have an ABI such as
# 061400, Pop!_OS's such as 76061603; Proxmox's and Debian's, and what is built as theirs, end as none of Ubuntu's does.
UBUNTUS_KERNEL = re.compile(r"^[0-9]+\.[0-9]+\.0-[1-9][0-9]{0,3}-(?!pve$|.*\b(amd64|arm64)$)[a-z][a-z0-9.-]*$")
# Debian's: 6.1.0-38-amd64, 6.12.41+deb13-cloud-amd64, 6.10.11+bpo-amd64.
DEBIANS_KERNEL = re.compile(r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9]+(\.[a-z0-9]+)*|\+(deb|bpo)[a-z0-9.]*)?(-rt|-cloud)?-(amd64|arm64|arm64-16k)$")
PROXMOXS_KERNEL = re.compile(r"-pve$")
# The package tool of each family; packages are installed with no other.
TOOLS = ("apt", "dnf")


def nvidia_driver_plan(reading: Data, systems: Data, packages: Data, wishes: Data | None = None, tried: str = "") -> Data:
    """Return what has to be done about a machine's driver, in the shape that the filter of this name documents.

    The same arguments give the same decision. It never raises for a machine that it has no driver for; the decision's ``action`` is
    ``refuse`` then, with a ``reason`` and a fix, each in one line.

    :arg reading: what the module nvidia_driver_info returns.
    :arg systems: by a system's name in :func:`.system.system_of` its sources, ``distribution`` and ``nvidia``. Each has ``branches``
        (numbers as strings, the one to take first), and may have ``flavours``, ``prebuilt``, ``folder``, ``key`` and ``machines``.
    :arg packages: by source and family the names of packages, in lists: ``first``, ``open``, ``proprietary``, ``switches``.
    :arg wishes: settings without their prefix: ``source``, ``branch``, ``replace``, ``secure_boot_ok``.
    :arg tried: what the kernel answered when the module was to be loaded; empty when nobody has tried since the start.
    :raises KeyError: when the reading or a table lacks what is said here.
    """
    return Decision(reading, systems, packages, wishes or {}, tried).make()


class Decision:
    """What has to be done about one machine."""

    def __init__(self, reading: Data, systems: Data, packages: Data, wishes: Data, tried: str) -> None:
        self.reading, self.systems, self.packages, self.wishes, self.tried = reading, systems, packages, wishes, tried
        self.system = system_of(reading["system"])
        self.cards = [card for card in reading["cards"] if card["generation"] in NEEDS]
        self.generations = sorted({card["generation"] for card in self.cards})
        self.floor = max((NEEDS[name][0] for name in self.generations), default="0")
        self.ceiling = min((NEEDS[name][1] or "" for name in self.generations if NEEDS[name][1]), default="")
        self.open_serves = all(NEEDS[name][2] for name in self.generations)
        self.proprietary_serves = all(NEEDS[name][3] for name in self.generations)
        # The kinds that serve all cards, the better one first.
        self.flavours = ["open"] * self.open_serves + ["proprietary"] * self.proprietary_serves
        self.result: Data = {
            "action": "none",
            "reason": "",
            "fix": "",
            "platform": reading["platform"],
            "family": self.system.family,
            "codename": self.system.codename,
            "gpus": reading["smi"]["gpus"],
            "version": None,
            "generations": self.generations,
            "source": None,
            "branch": None,
            "flavour": None,
            "packages": [],
            "headers": [],
            "headers_fix": "",
            "repository": None,
            "key": None,
            "reboot": False,
            "warnings": [],
        }

    def say(self, action: str, reason: str, **more: t.Any) -> Data:
        return {**self.result, "action": action, "reason": reason, **more}

    def refuse(self, reason: str, fix: str) -> Data:
        return self.say("refuse", reason, fix=fix)

    def serves(self, is_open: bool | None) -> bool:
        """Whether a driver of this kind serves all cards; unknown kinds are given the benefit of the doubt."""
        return is_open is None or (self.open_serves if is_open else self.proprietary_serves)

    def make(self) -> Data:
        reading, wished = self.reading, str(self.wishes.get("branch") or "auto")
        if not re.match("^(auto|[0-9]+)$", wished):
            return self.refuse("nvidia_driver_branch is %s" % wished, "set it to a number such as 580, or to auto")
        if reading["platform"] in FOREIGN:
            return self.say("none", FOREIGN[reading["platform"]])
        if not self.cards:
            old = [card["address"] for card in reading["cards"]]
            why = "lent to virtual machines" if reading["lent"] else "too old for Ollama" if old else "no NVIDIA GPU"
            return self.say("none", why)
        if reading["platform"] == "vgpu":
            return self.virtual_gpu()
        if not self.open_serves and not self.proprietary_serves:
            return self.refuse(
                "no driver serves GPUs of the generations %s at the same time" % " and ".join(self.generations),
                "take one of them out, or set nvidia_driver_state to unmanaged and model_plan_gpus to those that the driver serves",
            )
        on_disk = reading["modules"].get(reading["kernel"]["release"])
        answer = self.working() or self.lost()
        return answer or (self.loaded(on_disk) if reading["loaded"]["version"] else self.not_loaded(on_disk))

    def newest(self) -> str:
        """The generations that need the newest driver, as they stand in a message."""
        return " and ".join(name for name in self.generations if NEEDS[name][0] == self.floor)

    def works(self) -> bool:
        """Whether nvidia-smi shows GPUs, and at most something besides that says nothing about them."""
        smi = self.reading["smi"]
        return bool(smi["gpus"]) and (smi["status"] == 0 or (smi["status"] is not None and bool(smi.get("warnings")) and not smi["text"]))

    def version(self) -> str | None:
        """The version of the driver that nvidia-smi shows, or that is loaded."""
        found: str | None = self.reading["smi"]["version"] or self.reading["loaded"]["version"]
        return found

    def remarks(self) -> list[str]:
        """What nvidia-smi says beside the GPUs that it shows."""
        smi = self.reading["smi"]
        return ["nvidia-smi says: %s" % line for line in [*smi.get("warnings", []), smi["text"]] if line]

    def virtual_gpu(self) -> Data:
        """What to do where the GPUs are vGPUs: nothing, or nothing that packages could do. NVIDIA's vGPU guest driver is neither its
        data centre driver nor a distribution's."""
        reading, version = self.reading, self.version()
        why = " (%s)" % reading["vgpu"] if reading.get("vgpu") else ""
        if self.works():
            warnings = self.remarks()
            if not newer(version, self.floor):
                warnings.append(
                    "the vGPU guest driver %s is older than %s, which Ollama needs for %s GPUs: models run on the CPU until the hypervisor "
                    "has a newer vGPU release" % (version, self.floor, self.newest())
                )
            return self.say(
                "none",
                "the GPU is a vGPU%s: its guest driver %s works, and is left alone" % (why, version),
                version=version,
                warnings=warnings,
            )
        state = "has no driver that works"
        if version:
            state = "has the driver %s, with which nvidia-smi %s" % (
                version,
                "says: " + reading["smi"]["text"] if reading["smi"]["text"] else "is not there",
            )
        lost = self.lost()
        return lost or self.refuse(
            "the GPU is a vGPU%s and %s" % (why, state),
            "install %s; or pass the whole GPU through to this virtual machine; or %s" % (VGPU_GUEST, WITHOUT),
        )

    def working(self) -> Data | None:
        """What to do where nvidia-smi shows GPUs."""
        reading, version = self.reading, self.version()
        if not self.works():
            return None
        unfit = self.unfit(version or "", None)
        if unfit:
            return self.replace(unfit)
        warnings = self.remarks()
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
            warnings.append(
                "nvidia_driver_branch is %s, which is for drivers that are yet to be installed: the one that works stays" % wished
            )
        return self.say("none", "the driver %s works" % version, version=version, warnings=warnings)

    def lost(self) -> Data | None:
        if not LOST.search(self.reading["smi"]["text"]):
            return None
        return self.refuse(
            "a GPU does not answer: %s" % self.reading["smi"]["text"],
            "turn the machine off and on again; if it comes back, look at power, seating and heat (dmesg | grep -i xid says more)",
        )

    def unfit(self, version: str, is_open: bool | None) -> str:
        """Say why a driver does not do for the cards; empty when it does."""
        if not self.serves(is_open):
            unserved = [name for name in self.generations if not NEEDS[name][2 if is_open else 3]]
            return "the %s driver does not serve %s GPUs" % ("open" if is_open else "proprietary", " and ".join(unserved))
        if not newer(version, self.floor):
            return "the driver %s is older than %s, which %s GPUs need" % (version, self.floor, self.newest())
        return ""

    def loaded(self, on_disk: Data | None) -> Data:
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
            "`dmesg | grep -i nvrm` says why; a restart of the machine fixes what a crash has left",
        )

    def not_loaded(self, on_disk: Data | None) -> Data:
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

    def install_or_replace(self) -> Data:
        """What to do where there is no module of NVIDIA's. Packages of the driver that is to come are installed once more; those of
        another one are somebody's choice."""
        plan = self.install("the driver is not installed")
        there = [name for name in self.reading["packages"] if PACKAGES_OF_A_DRIVER.search(name)]
        coming = [package for group in plan["packages"] for package in group]
        if plan["action"] == "install" and there and not set(there) & set(coming):
            return self.replace("%s is installed, and has no module for the kernel %s" % (there[0], self.reading["kernel"]["release"]))
        return plan

    def to_be_loaded(self, version: str, on_disk: Data) -> Data:
        """What to do where the running kernel's modules are on disk."""
        reading = self.reading
        unfit = self.unfit(version, on_disk["open"])
        if unfit:
            return self.replace(unfit)
        if reading["secure_boot"]["enabled"] and not reading["secure_boot"]["enrolled"] and "Canonical" not in on_disk["signer"]:
            return self.unsigned("the modules are %s" % ("signed by %s" % on_disk["signer"] if on_disk["signer"] else "not signed"))
        if reading["nouveau"]["loaded"]:
            return self.restart("nouveau has the GPU, and the driver %s is on disk" % version, version)
        # What the kernel says of a vGPU, too, which this driver does not serve. On a machine that is not virtual there are none.
        guest = "No such device" in self.tried and reading.get("virtual") is not False
        if self.tried and not on_disk["fresh"]:
            return self.refuse(
                "the driver %s is on disk since before the machine was started, and the kernel does not load it: %s"
                % (version, self.tried),
                "`dmesg | tail` says why" + ("; if the GPU of this virtual machine is a vGPU, it needs %s" % VGPU_GUEST if guest else ""),
            )
        if self.tried:
            reason = "the driver %s is on disk, and the kernel did not load it: %s" % (version, self.tried)
            if guest:
                reason += " (if the GPU of this virtual machine is a vGPU, no restart helps: it needs %s)" % VGPU_GUEST
            return self.restart(reason, version)
        return self.say("load", "the driver %s is on disk, and not loaded" % version, version=version)

    def restart(self, reason: str, version: str) -> Data:
        return self.say("reboot", reason, reboot=True, version=version)

    def replace(self, reason: str, otherwise: str = "") -> Data:
        """Install over a driver that is there, at the user's word."""
        if self.wishes.get("replace"):
            return self.install(reason)
        return self.refuse(reason, otherwise + "set nvidia_driver_replace to true to have it replaced")

    def unsigned(self, what: str) -> Data:
        return self.refuse(
            "Secure Boot is on, and %s" % what,
            "enrol the key that DKMS signs with (mokutil --import; asked for at the console at the next start), or turn Secure Boot off "
            "in the firmware"
            + (
                "" if self.wishes.get("secure_boot_ok") else ", or set nvidia_driver_secure_boot_ok to true to install first and enrol then"
            ),
        )

    def source(self) -> tuple[str, Data, Data]:
        """Return the source that a driver is to come from, its entry in the table, and all that the system has."""
        here = self.systems.get(self.system.name, {})
        name = self.wishes.get("source") or "auto"
        if name == "auto":
            prebuilt = here.get("distribution", {}).get("prebuilt")
            name = "distribution" if prebuilt or "nvidia" not in here else "nvidia"
            own = self.branch_of(here.get("distribution", {}))
            wished = str(self.wishes.get("branch") or "auto")
            if name == "nvidia" and own and (not self.branch_of(here["nvidia"]) or own == wished):
                name = "distribution"  # the one that still has a driver for old cards, or the branch that is asked for
        return name, here.get(name, {}), here

    def branch_of(self, entry: Data) -> str:
        """Return the branch of a source that serves the cards; empty where it has none."""
        wished = str(self.wishes.get("branch") or "auto")
        branches = [str(one) for one in entry.get("branches", [])]
        if wished != "auto":
            # A distribution without branches has the one driver.
            branches = [wished] if wished in branches or "folder" in entry or entry.get("prebuilt") else []
        good = [one for one in branches if newer(one, self.floor) and (not self.ceiling or newer(self.ceiling, one))]
        return good[0] if good and self.flavour_of(entry) else ""

    def flavour_of(self, entry: Data) -> str:
        """Return the kind of modules that a source has for the cards; empty where it has none."""
        return next((name for name in self.flavours if name in entry.get("flavours", self.flavours)), "")

    def install(self, reason: str) -> Data:
        reading, system = self.reading, self.system.name
        name, entry, here = self.source()
        if not here:
            return self.refuse(
                "%s, and %s is not one of %s" % (reason, system, ", ".join(self.systems)),
                "install NVIDIA's driver %s or newer yourself, or %s" % (self.floor, WITHOUT),
            )
        branch = self.branch_of(entry)
        machine = entry.get("machines", {}).get(reading["system"]["machine"], reading["system"]["machine"] if "folder" not in entry else "")
        if not branch or not machine:
            return self.refuse_source(name, entry, here, system)
        tool = reading["system"].get("package_tool", TOOLS[0])
        if tool not in TOOLS:
            return self.refuse(
                "%s, and packages of this host are managed with %s" % (reason, tool or "no tool that is known"),
                "install NVIDIA's driver %s or newer yourself, or %s" % (self.floor, WITHOUT),
            )
        prebuilt = entry.get("prebuilt", False)
        if prebuilt and not UBUNTUS_KERNEL.match(reading["kernel"]["release"]):
            return self.refuse_kernel(reason)
        if reading["runfile"]:
            return self.refuse("%s, and NVIDIA's own installer was used before" % reason, "run nvidia-uninstall, and this again")
        held = [package for package, known in sorted(reading["packages"].items()) if known["held"]]
        if held:
            return self.refuse("%s, and packages are held back: %s" % (reason, ", ".join(held)), "apt-mark unhold %s" % " ".join(held))
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
            headers_fix="" if prebuilt else self.headers_fix(),
            warnings=self.warnings_of_installing(prebuilt),
            repository="%s/%s" % (entry["folder"], machine) if "folder" in entry else None,
            key=entry.get("key"),
            reboot=bool(reading["nouveau"]["loaded"] or reading["loaded"]["version"]),
        )

    def refuse_kernel(self, reason: str) -> Data:
        """Say why there are no prebuilt modules for the running kernel, and for which of the installed ones there are."""
        kernel = self.reading["kernel"]
        own = [release for release in kernel["installed"] if UBUNTUS_KERNEL.match(release)]
        if not kernel["installed"]:
            fix = "install the driver on the machine whose kernel it is, and its libraries and nvidia-smi here, or %s" % WITHOUT
        elif own:
            fix = "start the host with the kernel %s, which is Ubuntu's own, and run this again" % own[-1]
        else:
            fix = "install one of Ubuntu's own kernels (linux-image-generic), start the host with it, and run this again"
        return self.refuse(
            "%s, and the running kernel %s is not one of Ubuntu's own, for which alone it has prebuilt modules"
            % (reason, kernel["release"]),
            fix,
        )

    def warnings_of_installing(self, prebuilt: bool) -> list[str]:
        """What the run says before it installs something."""
        newest = (self.reading["kernel"]["installed"] or [""])[-1]
        warnings = [self.system.note] if self.system.note else []
        if prebuilt and newest and not UBUNTUS_KERNEL.match(newest):
            warnings.append("the newest kernel, %s, is not one of Ubuntu's own: started with it, the host has no GPU" % newest)
        return warnings

    def refuse_source(self, name: str, entry: Data, here: Data, system: str) -> Data:
        """Say why a source has no driver, and which other one does."""
        wants = "%s%s" % (self.floor, " to " + self.ceiling if self.ceiling else " or newer")
        has = ", ".join(str(one) for one in entry.get("branches", [])) or "none"
        wished = str(self.wishes.get("branch") or "auto")
        if wished != "auto":
            return self.refuse(
                "%s GPUs need a driver of branch %s, and nvidia_driver_branch is %s (%s has %s from %s)"
                % (" and ".join(self.generations), wants, wished, system, has, name),
                "set nvidia_driver_branch to auto",
            )
        others = [other for other in here if other != name and self.branch_of(here[other])]
        fix = "set nvidia_driver_source to %s" % others[0] if others else WITHOUT + ", or use a system that has one"
        kind = "%s/%s" % (name, self.reading["system"]["machine"])
        wanted = "%s GPUs need a driver with %s modules of branch %s" % (" and ".join(self.generations), " or ".join(self.flavours), wants)
        return self.refuse("%s, and %s has %s from %s" % (wanted, system, has, kind), fix)

    def package_groups(self, name: str, branch: str, flavour: str) -> list[list[str]]:
        """Return the packages in the groups in which they are installed: what pins a branch must be there before what it pins."""
        reading = self.reading
        table = self.packages[name][self.system.family]
        groups = [table.get("first", []), table[flavour] + (table.get("switches", []) if reading["switches"] else [])]
        kind = self.kernel_kind()
        # Virtual machines' kernels are the ordinary ones without further modules.
        values = {"branch": branch, "kernel": reading["kernel"]["release"], "modules": re.sub("^virtual", "generic", kind)}
        packages = [[package.format(**values) for package in group] for group in groups if group]
        if re.search(r"uek(\.|$)", reading["kernel"]["release"]):  # Oracle's own kernel has headers of its own
            packages = [[re.sub("^kernel-devel-", "kernel-uek-devel-", package) for package in group] for group in packages]
        if any("{modules}" in package for package in table[flavour]) and "linux-image-" + kind in reading["kernel"]["metapackages"]:
            # Modules may come with a newer kernel, which must then come as a whole.
            packages[-1].insert(0, "linux-image-" + kind)
        return packages

    def headers(self, prebuilt: bool) -> list[list[str]]:
        """Return what brings the headers that modules are built with: those of the running kernel, or else a newer kernel with its own.

        The second choice is for Debian's kernels alone. A kernel that comes from elsewhere was chosen, so that no other one is
        installed in its place.
        """
        if prebuilt or self.system.family == "RedHat":
            return []
        release = self.reading["kernel"]["release"]
        if PROXMOXS_KERNEL.search(release):
            return [["proxmox-headers-" + release]]
        own = ["linux-headers-" + release]
        if not DEBIANS_KERNEL.match(release):
            return [own]
        kind = self.kernel_kind()
        known = kind != release
        if not known:
            kind = {"x86_64": "amd64", "aarch64": "arm64"}.get(self.reading["system"]["machine"], kind)
        # Those of the kernels to come, too, where the system gets its kernels that way.
        return [own + ["linux-headers-" + kind] * known, ["linux-image-" + kind, "linux-headers-" + kind]]

    def headers_fix(self) -> str:
        """What to do where no source of the host has the headers of the running kernel, nor another choice."""
        release = self.reading["kernel"]["release"]
        if not self.reading["kernel"]["installed"]:
            return "the kernel %s is not this system's: install the driver on the machine whose kernel it is" % release
        if PROXMOXS_KERNEL.search(release):
            return (
                "add Proxmox's own repository (pve-enterprise or pve-no-subscription) to the host's sources; if it no longer has the "
                "headers of %s, upgrade the host, restart it, and run this again" % release
            )
        if DEBIANS_KERNEL.match(release):
            return "upgrade the kernel, restart the host, and run this again"
        return (
            "the kernel %s is not the distribution's, and no other one is installed in its place: install its headers from where it comes "
            "from, or start the host with one of the distribution's kernels, and run this again" % release
        )

    def kernel_kind(self) -> str:
        """Return what follows ``linux-image-`` in the metapackage that brought the running kernel: ``generic-hwe-24.04``, ``amd64``.
        Without one it is the kernel's release."""
        metapackages = self.reading["kernel"]["metapackages"]
        own = [name for name, kernel in sorted(metapackages.items()) if kernel == "linux-image-" + self.reading["kernel"]["release"]]
        ending = self.reading["kernel"]["release"].rsplit("-", 1)[-1]
        alike = [name for name in sorted(metapackages) if metapackages[name].endswith("-" + ending)]
        chosen = own or (alike if len(alike) == 1 else [])
        return str(chosen[0][len("linux-image-") :] if chosen else self.reading["kernel"]["release"])


HOLD_PATH = "/etc/apt/apt.conf.d/52local-llm-nvidia"
HELD = "*nvidia*"  # in the list of dnf-automatic
UNITS = ("nvidia-persistenced", "nvidia-fabricmanager")


class Upkeep(t.TypedDict):
    """What a driver that works is kept with."""

    hold_content: str  #: of the file that keeps it out of unattended upgrades
    hold_differs: bool  #: whether the host is as it is to be in this
    excludes: list[str]  #: what dnf-automatic is to leave out
    services_down: list[str]  #: units that do not run, or are not started with the host


def hold_content(family: str) -> str:
    """Return what keeps the driver out of Debian's and Ubuntu's unattended upgrades."""
    names = ["nvidia-", "libnvidia-", "libcuda1", "cuda-drivers", "xserver-xorg-video-nvidia"]
    lines = ["// Ansible managed"]
    lines += ["// A driver that is upgraded under a running machine does not work until the machine is restarted."]
    lines += ["Unattended-Upgrade::Package-Blacklist {", *('  "%s";' % name for name in names)]
    if family == "Ubuntu":
        lines += ["  // The prebuilt modules belong to one kernel, so that both stay together.", '  "linux-";']
    return "\n".join([*lines, "};", ""])


def upkeep(reading: Data, family: str, hold: bool) -> Upkeep:
    """Return what a driver that works is kept with.

    :arg reading: what the module nvidia_driver_info returns, with the checksum of :data:`HOLD_PATH` among its ``files``.
    :arg family: the system's, as the plan has it.
    :arg hold: whether the driver is to be kept out of unattended upgrades.
    """
    tool, excludes = reading["system"].get("package_tool", ""), reading.get("dnf_excludes")
    content, there = hold_content(family), list(excludes or [])
    wanted = [one for one in there if one != HELD or hold]
    if hold and HELD not in wanted:
        wanted.append(HELD)
    file = reading["files"][HOLD_PATH]
    by_apt = tool == "apt" and file != (hashlib.sha256(content.encode()).hexdigest() if hold else "")
    by_dnf = tool == "dnf" and excludes is not None and wanted != there
    known = [name for name in UNITS if reading.get("units", {}).get(name, {}).get("exists")]
    if not reading.get("switches"):
        known = [name for name in known if name != "nvidia-fabricmanager"]
    down = [name for name in known if not (reading["units"][name]["active"] and reading["units"][name]["enabled"])]
    return {"hold_content": content, "hold_differs": by_apt or by_dnf, "excludes": wanted, "services_down": down}
