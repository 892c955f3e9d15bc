# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what Ollama without a container is to be on a host, and what has to be done for it: version, files, service.

Nothing here reads a host or changes one. :class:`Engine` holds the settings and what was read; :meth:`Engine.decide` compares them.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from dataclasses import dataclass
from functools import cached_property

from ..module_utils.host.native_engine import BREWED, LABEL
from .native_files import Change, Data, File, may_log_in, plist
from .role_settings import tables
from .stack import Node, checksum, engine_environment
from .stack_problems import ADDRESS, EVERYWHERE, LOOPBACK, site_ollama
from .templates import render
from .versions import newer

MACOS_MIN_VERSION = "14"  # that Ollama asks for
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
UNITS, DAEMONS = "/etc/systemd/system/", "/Library/LaunchDaemons/"
NO_PLAN = "plan.json: this host has none of this version yet; run site.yml, or the role model_plan before this one"
JOURNAL = ("journalctl", "--no-pager", "--quiet", "-n", "12", "-o", "cat", "-u", "ollama")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Decision(t.TypedDict):
    """What has to be done for an engine, and what the tasks have to know of it."""

    changes: list[dict[str, t.Any]]  #: ``what``, ``why``, ``restarts``
    problems: list[str]
    result: dict[str, t.Any]  #: what other roles have to know
    user: str
    has_user: bool
    home: str
    makes_parent: bool  #: whether the folder above the models is to be made, which a Mac may lack
    group: str
    archive: str
    checksum: str
    is_installed: bool  #: whether the version lies there, in use or not
    is_current: bool
    installed: str
    prepare: bool  #: whether user, folders, packages or the version are missing
    is_open: bool
    files: list[dict[str, str]]  #: that differ
    unneeded: list[str]
    paths: list[str]  #: of all files that it may have
    saved: list[str]  #: files that are kept for the way back
    jobs: list[str]  #: property lists, in the order in which they are started
    units: list[str]  #: that are started with the host
    digest: str  #: of all settings that a start takes up
    start: bool
    is_active: bool
    was_started: bool  #: whether a start has ever come to its end
    former: str  #: the version to go back to; empty without one
    older: list[str]  #: versions that are not needed any more
    wake: bool  #: whether the Mac is to be kept awake
    binary: str
    log: list[str]  #: the command that shows its last lines


@dataclass(frozen=True)
class Engine:
    """Ollama without a container, as a host is to have it.

    :arg settings: ``site_*`` and ``ollama_native_*`` by name, of the types that their argument_specs give.
    :arg raw: the same as they are written, so that wrong ones can be told.
    :arg node: the host.
    :arg reading: what ``host_info`` returned as ``native_engine`` for :meth:`parameters`.
    :arg plan: the host's model plan; None where it has none.
    """

    settings: Data
    raw: Data
    node: Node
    reading: Data
    plan: Data | None = None

    @property
    def user(self) -> str:
        """The user that it runs as."""
        return str(self.settings["ollama_native_user"] or ("_ollama" if self.node.is_mac else "ollama"))

    @property
    def group(self) -> str:
        """The group of root's files."""
        return "wheel" if self.node.is_mac else "root"

    @property
    def home(self) -> str:
        """The folder that the models are in."""
        return home_of(self.settings, self.node.is_mac)

    @property
    def folder(self) -> str:
        """The folder with its versions."""
        return str(self.settings["ollama_native_dir"])

    @property
    def version(self) -> str:
        """The version that is meant; empty where Homebrew chooses."""
        return str(self.settings["ollama_native_version"]) if self.is_archive else ""

    @property
    def is_archive(self) -> bool:
        """Whether it comes from its release."""
        return bool(self.settings["ollama_native_source"] == "archive")

    @property
    def archive(self) -> str:
        """The name of the archive for this host."""
        machine = MACHINES.get(self.node.architecture, "none")
        return "ollama-darwin.tgz" if self.node.is_mac else "ollama-linux-%s.tar.zst" % machine

    @property
    def checksum(self) -> str:
        """The SHA-256 that the archive must have; empty where none is known."""
        known = self.settings["ollama_native_checksums"] or tables("ollama_native")["_ollama_native_checksums"].get(self.version, {})
        return str(known.get(self.archive) or "")

    @property
    def binary(self) -> str:
        """The program. The archive for macOS is flat, the one for Linux is not."""
        return "%s/current/%s" % (self.folder, "ollama" if self.node.is_mac else "bin/ollama") if self.is_archive else BREWED

    @property
    def is_open(self) -> bool:
        """Whether it listens to more than the host itself, so that its port is closed to all but those who are let in."""
        return not str(self.settings["site_ollama_bind"]).startswith(LOOPBACK)

    @property
    def address(self) -> str:
        """Where it listens."""
        return "%s:%s" % (self.settings["site_ollama_bind"], self.settings["site_ollama_port"])

    @property
    def url(self) -> str:
        """Where the host itself reaches it."""
        bind = self.settings["site_ollama_bind"]
        return "http://%s:%s" % ("127.0.0.1" if bind == EVERYWHERE else bind, self.settings["site_ollama_port"])

    @property
    def has_gpu(self) -> bool:
        """Whether the plan is for a GPU."""
        return bool(((self.plan or {}).get("budget") or {}).get("kind", "cpu") != "cpu")

    @property
    def resident(self) -> bool:
        """Whether the plan keeps models in memory, and the settings let it."""
        planned = (self.plan or {}).get("models") or []
        return bool(self.settings["ollama_native_preload"] and any(one.get("preload") for one in planned))

    # The files.

    @cached_property
    def environment(self) -> dict[str, str]:
        """Its environment. A proxy's address may hold a password, so that nobody but root reads it."""
        settings, proxy = self.settings, self.settings["site_proxy"]
        found = {"HOME": self.home, "OLLAMA_MODELS": self.home + "/models", "OLLAMA_HOST": self.address, **engine_environment(self.plan)}
        if proxy:
            found.update({"HTTPS_PROXY": proxy, "NO_PROXY": ",".join(self.node.no_proxy)})
        if self.node.ca_pem and not self.node.is_mac:
            found["SSL_CERT_FILE"] = self.node.ca_bundle
        found.update(settings["ollama_native_environment"])
        return {name: str(value) for name, value in found.items()}

    @cached_property
    def files(self) -> list[File]:
        """All files of its service; those that are not needed have no content."""
        return self.files_of_mac() if self.node.is_mac else self.files_of_linux()

    def files_of_linux(self) -> list[File]:
        """Return units, environment, script and rules."""
        settings, vendor = self.settings, ((self.plan or {}).get("budget") or {}).get("vendor")
        unit = render(
            "ollama_native", "ollama.service.j2", binary=self.binary, dir=self.folder, user=self.user, home=self.home,
            is_open=self.is_open, has_gpu=self.has_gpu, is_nvidia=self.has_gpu and vendor == "nvidia",
        )  # fmt: skip
        quoted = {name: json.dumps(value) for name, value in self.environment.items()}
        preload = render("ollama_native", "ollama-preload.service.j2", dir=self.folder, user=self.user, arguments=self.preload_arguments)
        rules = render("ollama_native", "firewall.nft.j2", port=settings["site_ollama_port"], allow=settings["site_ollama_allow"])
        wall = render("ollama_native", "ollama-firewall.service.j2", dir=self.folder)
        return [
            self.file(UNITS + "ollama.service", unit),
            self.file(self.folder + "/ollama.env", render("ollama_native", "ollama.env.j2", environment=quoted), "0600"),
            self.file(UNITS + "ollama-preload.service", preload if self.resident else ""),
            self.file(self.folder + "/preload.py", self.node.preload if self.resident else ""),
            self.file(self.folder + "/firewall.nft", rules if self.is_open else ""),
            self.file(UNITS + "ollama-firewall.service", wall if self.is_open else ""),
        ]

    def files_of_mac(self) -> list[File]:
        """Return jobs, environment, script and rules."""
        settings, daemon = self.settings, DAEMONS + LABEL
        proxy = "export HTTPS_PROXY=%s\n" % shlex.quote(settings["site_proxy"]) if settings["site_proxy"] else ""
        rules = render("ollama_native", "firewall.pf.j2", port=settings["site_ollama_port"], allow=settings["site_ollama_allow"])
        return [
            self.file(daemon + ".plist", plist(self.job), "0600"),
            self.file(self.folder + "/environment", proxy, "0440", self.user),
            self.file(daemon + "-preload.plist", plist(self.preload_job) if self.resident else "", "0600"),
            self.file(self.folder + "/preload.py", self.node.preload if self.resident else ""),
            self.file(self.folder + "/firewall.pf", rules if self.is_open else ""),
            self.file(daemon + "-firewall.plist", plist(self.firewall_job) if self.is_open else "", "0600"),
        ]

    def file(self, path: str, content: str, mode: str = "0644", group: str = "") -> File:
        """Return a file of root's."""
        return File(path, content, mode, group or self.group)

    @property
    def preload_arguments(self) -> list[str]:
        """What the script that loads models is told."""
        return [self.url, "%s/plan.json" % self.settings["site_project_dir"]]

    @property
    def job(self) -> dict[str, t.Any]:
        """The engine's job. Everybody can ask launchd for a job's environment, so that a proxy's address is read by the job itself."""
        command = [self.binary, "serve"]
        if self.settings["site_proxy"]:
            command = ["/bin/sh", "-c", ". %s/environment; exec %s serve" % (self.folder, self.binary)]
        return {
            "Label": LABEL,
            "ProgramArguments": command,
            "UserName": self.user,
            "GroupName": self.user,
            "WorkingDirectory": self.home,
            "EnvironmentVariables": {name: value for name, value in self.environment.items() if name != "HTTPS_PROXY"},
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": 3,
            "ProcessType": "Interactive",
            "StandardOutPath": self.home + "/ollama.log",
            "StandardErrorPath": self.home + "/ollama.log",
        }

    @property
    def preload_job(self) -> dict[str, t.Any]:
        """The job that loads models."""
        return {
            "Label": LABEL + "-preload",
            "ProgramArguments": [self.reading["python"], self.folder + "/preload.py", *self.preload_arguments],
            "UserName": self.user,
            "GroupName": self.user,
            "StandardErrorPath": self.home + "/preload.log",
            "RunAtLoad": True,
        }

    @property
    def firewall_job(self) -> dict[str, t.Any]:
        """The job that puts the rules in force. pf.conf(5) has a place for those under com.apple, so that it stays as it is."""
        rules = self.folder + "/firewall.pf"
        return {
            "Label": LABEL + "-firewall",
            "ProgramArguments": ["/sbin/pfctl", "-E", "-a", "com.apple/local-llm", "-f", rules],
            "RunAtLoad": True,
        }

    @property
    def differing(self) -> list[File]:
        """The files that differ from the host's."""
        return [file for file in self.files if file.differs(self.reading["files"].get(file.path))]

    @property
    def unneeded(self) -> list[str]:
        """Files that are there and not needed any more."""
        return [file.path for file in self.files if not file.content and file.path in self.reading["files"]]

    @property
    def digest(self) -> str:
        """A checksum of all that a start takes up."""
        parts = [*(file.content for file in self.files), str(self.settings["ollama_native_version"]), self.settings["ollama_native_source"]]
        return checksum("".join(parts))

    # What there is.

    @property
    def started(self) -> list[str]:
        """Digest and version of the last start that came to its end."""
        return list(self.reading["started"])

    @property
    def is_installed(self) -> bool:
        """Whether the version that is meant lies there."""
        return self.version in self.reading["versions"] if self.is_archive else bool(self.reading["brewed"])

    @property
    def is_current(self) -> bool:
        """Whether the version that is meant is the one in use."""
        return self.is_installed and (not self.is_archive or self.reading["installed"] == self.version)

    @property
    def is_closed(self) -> bool:
        """Whether its port is closed where it has to be."""
        return not self.is_open or bool(self.reading["firewall"])

    @property
    def runs(self) -> bool:
        """Whether it runs with what its files say, as far as the last start came to its end."""
        return bool(self.reading["active"] and self.started[:1] == [self.digest] and not self.differing and self.is_closed)

    @property
    def former(self) -> str:
        """The version to go back to: the last one that has started, whatever the link says after a run that was cut."""
        candidates = [*self.started[1:2], self.reading["installed"]]
        there = [one for one in candidates if one in self.reading["versions"] and one != self.settings["ollama_native_version"]]
        return there[0] if there else ""

    @property
    def older(self) -> list[str]:
        """Versions that are not needed any more. The one before stays, for the way back."""
        kept = (self.settings["ollama_native_version"], self.former)
        return [one for one in self.reading["versions"] if one not in kept] if self.former else []

    @property
    def is_awake(self) -> bool:
        """Whether a Mac that is to be kept awake is."""
        if not self.node.is_mac or not self.settings["ollama_native_never_sleep"]:
            return True
        return all(values in (["0"] if name == "sleep" else ["1"],) for name, values in self.reading["sleep"].items())

    @property
    def lacks_firewall_tool(self) -> bool:
        """Whether what closes its port is missing."""
        return self.is_open and not self.reading["has_firewall_tool"]

    @property
    def fault(self) -> str:
        """What is wrong with how it runs; empty where nothing is."""
        if not self.is_current:
            return "is not the version that is meant"
        if self.runs:
            return ""
        if not self.reading["active"]:
            return "does not run"
        return "runs with other settings than it was given" if self.is_closed else "is open to everybody"

    # What has to be done.

    def changes(self) -> list[Change]:
        """Return what differs, in the order in which it is made good."""
        found: list[tuple[str, str]] = []
        if self.reading["user"] is None:
            found.append(("user %s" % self.user, "is not there"))
        if not self.reading["home"]:
            found.append((self.home, "is not there"))
        if not self.is_current:
            now = self.reading["installed"]
            found.append((("Ollama %s" % self.version).strip(), "is to take the place of %s" % now if now else "is to be installed"))
        if self.lacks_firewall_tool:
            found.append(("nftables", "is not there"))
        found += [(file.path, file.why(self.reading["files"].get(file.path))) for file in self.differing]
        found += [(path, "is not needed any more") for path in self.unneeded]
        if self.reading["active"] and not self.is_closed:
            found.append(("firewall", "its rules are not in force"))
        starts = not self.runs or not self.is_current
        if starts and not found:
            found.append(("ollama", "runs with other settings" if self.reading["active"] else "does not run"))
        if not self.is_awake:
            found.append(("sleep", "the Mac may fall asleep, or stay off after a loss of power"))
        found += [("Ollama %s" % one, "is an older version") for one in self.older]
        restarts = ["ollama"] if starts and self.reading["active"] else []
        return [(what, why, restarts) for what, why in found]

    def result(self, check_mode: bool) -> dict[str, t.Any]:
        """Return what other roles have to know: ``ollama_native_result``. In check mode only what runs can be asked, at its address."""
        is_there = self.is_current and self.reading["active"] and self.reading["address"] == self.address
        return {
            "exists": bool(not check_mode or is_there),
            "version": self.version,
            "models_dir": self.home + "/models",
            "preload": bool(self.settings["ollama_native_preload"]),
            "restarts": not (self.runs and self.is_current),
        }

    def decide(self, check_mode: bool) -> Decision:
        """Compare the host with what it is to have."""
        reading, start = self.reading, not self.runs or not self.is_current
        has_home = reading["home"] and reading["user"] is not None
        jobs = sorted(file.path for file in self.files if file.is_job)
        units = ["ollama.service", *(["ollama-firewall.service"] if self.is_open else [])]
        return {
            "changes": [{"what": what, "why": why, "restarts": restarts} for what, why, restarts in self.changes()],
            "problems": self.problems() + ([] if self.plan else [NO_PLAN]),
            "result": self.result(check_mode),
            "user": self.user,
            "has_user": reading["user"] is not None,
            "home": self.home,
            "makes_parent": self.node.is_mac and not self.settings["ollama_native_home"] and not reading["above"],
            "group": self.group,
            "archive": self.archive,
            "checksum": self.checksum,
            "is_installed": self.is_installed,
            "is_current": self.is_current,
            "installed": reading["installed"],
            "prepare": not self.is_current or not has_home or self.lacks_firewall_tool,
            "is_open": self.is_open,
            "files": [file.as_task() for file in self.differing],
            "unneeded": self.unneeded,
            "paths": [file.path for file in self.files],
            "saved": [file.path for file in self.differing] + self.unneeded + ([self.folder + "/current"] if self.is_archive else []),
            "jobs": jobs,
            "units": units + (["ollama-preload.service"] if self.resident else []),
            "digest": self.digest,
            "start": start,
            "is_active": bool(reading["active"]),
            "was_started": bool(self.started),
            "former": self.former,
            "older": self.older,
            "wake": not self.is_awake,
            "binary": self.binary,
            "log": ["tail", "-n", "12", self.home + "/ollama.log"] if self.node.is_mac else [*JOURNAL],
        }

    # What is wrong.

    def problems(self) -> list[str]:
        """Return what is wrong with the settings, and with the host as it was read."""
        reading, settings, found = self.reading, self.settings, []
        if not self.is_archive and not self.node.is_mac:
            found.append("ollama_native_source: Homebrew is for macOS; set archive")
        found += self.of_machine()
        if self.is_archive:
            found += self.of_archive()
        shell = may_log_in(reading["user"])
        if shell:
            text = "ollama_native_user: %s is a user of this host who may log in (%s); name another, or leave that one without a shell"
            found.append(text % (self.user, shell))
        if reading["foreign"]:
            found.append(
                "this host has an ollama.service of its own; take it off (systemctl disable --now ollama; rm"
                " /etc/systemd/system/ollama.service), and set ollama_native_home to the folder above its models to keep them"
                " (/usr/share/ollama/.ollama after the official installer)"
            )
        if settings["ollama_native_home"] and not reading["above"]:
            above = self.home.rpartition("/")[0]
            found.append("ollama_native_home: there is no folder %s; mount the disk, or set another" % above)
        bind, there = str(settings["site_ollama_bind"]), reading["addresses"]
        if there and ADDRESS.match(bind) and not bind.startswith(LOOPBACK) and bind not in [EVERYWHERE, *there]:
            found.append("site_ollama_bind: the host has no address %s; set one of %s or 0.0.0.0" % (bind, ", ".join(there)))
        return found + site_ollama(self.raw)

    def of_machine(self) -> list[str]:
        """Return what is wrong with the machine."""
        machine, release = self.node.architecture, self.reading["release"] or MACOS_MIN_VERSION
        if machine != "arm64" if self.node.is_mac else machine not in MACHINES:
            return ["the host is %s; Ollama computes on Apple Silicon, x86_64 and aarch64" % machine]
        if self.node.is_mac and not newer(release, MACOS_MIN_VERSION):
            return ["the host runs macOS %s; Ollama asks for %s or newer" % (release, MACOS_MIN_VERSION)]
        return []

    def of_archive(self) -> list[str]:
        """Return what is wrong with the version that is to be installed."""
        archive, version, floor, found = self.archive, self.version, self.settings["site_ollama_floor"], []
        if not self.is_current and not SHA256.match(self.checksum):
            found.append(
                "ollama_native_checksums: there is none for %s of %s; set the one that sha256sum.txt of that release has, as in {%s: …}"
                % (archive, version, archive)
            )
        if not newer(version, floor):
            found.append("ollama_native_version: %s is older than site_ollama_floor (%s); set a newer one" % (version, floor))
        return found


def home_of(settings: Data, is_mac: bool) -> str:
    """Return the folder that a native engine keeps its models in."""
    return str(settings["ollama_native_home"] or ("/usr/local/var/ollama" if is_mac else "/var/lib/ollama")).rstrip("/")


#: What is read where nothing was.
NOTHING: dict[str, t.Any] = {"python": "/usr/bin/python3", "files": {}}


def parameters(settings: Data, raw: Data, node: Node) -> dict[str, t.Any]:
    """Return the option of ``host_info`` whose answer :class:`Engine` judges."""
    blank = Engine(settings, raw, node, NOTHING)
    return {"dir": blank.folder, "home": blank.home, "user": blank.user, "files": [file.path for file in blank.files]}
