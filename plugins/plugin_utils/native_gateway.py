# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what LiteLLM without a container is to be on a host, and what has to be done for it: version, secrets, files, service.

Nothing here reads a host or changes one. :class:`Gateway` holds the settings and what was read; :meth:`Gateway.decide` compares them.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from ..module_utils.host.native_gateway import LABEL, UNIT
from . import gateway
from .native_engine import NO_PLAN
from .native_files import Change, Data, File, may_log_in, plist
from .stack import MANAGED, PROBES, Node, as_yaml, checksum, host_of
from .stack_problems import MEMORY, VALIDATES_SINCE, first, secrets
from .templates import render
from .versions import newer

KEY = "LITELLM_MASTER_KEY"
COMMENT = "Gateway of the local LLM stack"  # of the user, by which it is known again
PYTHON_MIN_VERSION = "3.10"  # that LiteLLM asks for
USER_PORTS = range(1024, 65536)  # that others than root may listen on
# Without this package a call without a key, or with a wrong one, ends in 500 instead of a refusal.
PRISMA = "prisma==0.15.0"
BACK_TIMEOUT = 180  # seconds: what has run before deserves patience, however little the new one was given
OPENED = "others than root may read it"
HEADER = (
    MANAGED
    + "# One route for each model of this host's plan, and of providers whose credentials are there. Further settings go into the\n"
    + "# variable llm_stack_litellm_config.\n"
)


class Decision(t.TypedDict):
    """What has to be done for a gateway, and what the tasks have to know of it."""

    changes: list[dict[str, t.Any]]  #: ``what``, ``why``, ``restarts``
    problems: list[str]
    secret_problems: list[str]  #: those of the key that was given
    notes: list[str]  #: settings without an effect on this host
    result: dict[str, t.Any]  #: what other roles have to know
    user: str
    has_user: bool
    own_user: bool  #: whether the role has made it
    comment: str  #: of the user that the role makes
    group: str  #: of root's files
    service_path: str
    apt: str  #: the package of Debian that makes virtual environments; empty where nothing is missing
    folders: list[dict[str, str]]  #: that are not as they should be: ``path``, ``owner``, ``group``, ``mode``
    authorities: bool  #: whether the file with authorities differs
    env_file: str
    env_names: list[str]  #: the variables that have a value
    environment: dict[str, t.Any]  #: what has to be done to the environment file, for the module ``stack_secrets``; empty for nothing
    requirements: str
    install: dict[str, str]  #: the environment of the installation
    name: str  #: of the virtual environment
    venv: str
    python_version: str
    is_installed: bool
    files: list[dict[str, str]]  #: that differ
    config: str  #: the configuration, to be checked before it is written; empty where there is nothing to check
    switch: bool  #: whether another virtual environment is to be used
    is_first: bool
    current: str
    former: str
    links: dict[str, str]  #: where the links are to point after a switch
    has_former: bool  #: whether there is something to go back to
    runs: bool
    start: bool
    older: list[str]
    become: list[str]  #: the command that runs another one as the gateway's user
    wait: dict[str, t.Any]  #: options of the module ``litellm_native_wait``
    log: str  #: where a person finds its log


@dataclass(frozen=True)
class Gateway:
    """LiteLLM without a container, as a host is to have it.

    :arg settings: ``site_*``, ``llm_stack_*`` and ``litellm_native_*`` by name, of the types that their argument_specs give.
    :arg raw: the same as they are written, so that wrong ones can be told.
    :arg node: the host.
    :arg reading: what ``host_info`` returned as ``native_gateway`` for :meth:`parameters`.
    :arg stack: what it returned of the project's folder: ``environment``, ``files``.
    :arg plan: the host's model plan; None where it has none.
    :arg requirements: the text of ``litellm_native_requirements`` on the control node; None where there is no such file.
    :arg known_routes: routes that some host may have.
    """

    settings: Data
    raw: Data
    node: Node
    reading: Data
    stack: Data = field(default_factory=dict)
    plan: Data | None = None
    requirements: str | None = None
    known_routes: t.Sequence[str] = ()

    @property
    def user(self) -> str:
        """The user that it runs as."""
        return str(self.settings["litellm_native_user"] or ("_litellm" if self.node.is_mac else "litellm"))

    @property
    def group(self) -> str:
        """The group of root's files."""
        return "wheel" if self.node.is_mac else "root"

    @property
    def folder(self) -> str:
        """The folder with its versions."""
        return str(self.settings["litellm_native_dir"])

    @property
    def project(self) -> str:
        """The folder with its configuration and its secrets."""
        return str(self.settings["site_project_dir"])

    @property
    def env_file(self) -> str:
        """The file with its secrets."""
        return self.project + "/.env"

    @property
    def brew_python(self) -> str:
        """Homebrew's Python, which is at home in another folder on Macs with a processor by Intel."""
        return "%s/bin/python3.12" % ("/usr/local" if self.node.architecture == "x86_64" else "/opt/homebrew")

    @property
    def python(self) -> str:
        """The Python that it runs with."""
        return str(self.settings["litellm_native_python"] or (self.brew_python if self.node.is_mac else "/usr/bin/python3"))

    @property
    def python_version(self) -> list[int]:
        """The version of that; empty where there is none."""
        return list((self.reading["python"] or {}).get("version") or [])

    @property
    def version(self) -> str:
        """The version of LiteLLM."""
        return str(self.settings["litellm_native_version"])

    @property
    def service_path(self) -> str:
        """The file of its service."""
        return "/Library/LaunchDaemons/%s.plist" % LABEL if self.node.is_mac else "/etc/systemd/system/" + UNIT

    @property
    def log(self) -> str:
        """Where a person finds its log."""
        return self.folder + "/log/gateway.log" if self.node.is_mac else "`journalctl -u local-llm-gateway`"

    # The environment file, of which names alone are known here.

    @property
    def env_names(self) -> list[str]:
        """The variables that have a value."""
        return list((self.stack.get("environment") or {}).get("names") or [])

    @property
    def told(self) -> dict[str, str]:
        """What the settings say of the environment file, whatever the host has. Not to be shown."""
        settings = self.settings
        found = {**self.gateway["secrets"], **({"SITE_PROXY": str(settings["site_proxy"])} if settings["site_proxy"] else {})}
        return {**found, **({KEY: str(settings["llm_stack_master_key"])} if settings["llm_stack_master_key"] else {})}

    @property
    def same(self) -> list[str]:
        """The variables that have the value that the settings say."""
        return list((self.stack.get("environment") or {}).get("same") or [])

    @property
    def is_given_otherwise(self) -> bool:
        """Whether another key was given than the host has."""
        return bool(self.settings["llm_stack_master_key"]) and KEY in self.env_names and KEY not in self.same

    @property
    def environment_changes(self) -> list[tuple[str, str]]:
        """What differs of the environment file, and of what is made from it. The key is the only secret that a gateway without a database
        cannot do without."""
        found, file = [], (self.stack.get("files") or {}).get(".env")
        if KEY not in self.env_names:
            found.append((".env", "made: %s" % KEY))
        other = sorted(name for name in self.told if name not in self.same and name != KEY)
        if other:
            found.append((".env", "taken from the settings: %s" % ", ".join(other)))
        if file is not None and (file["mode"], file["owner"]) != ("0600", "root"):
            found.append((".env", OPENED))
        path, wanted = self.folder + "/environment", self.variables
        there = self.reading["files"].get(path)
        if self.node.is_mac and not found:
            as_written = there is not None and (there["mode"], there["owner"]) == ("0440", "root")
            if not as_written or self.reading["exported"] != {"names": sorted(wanted), "other": []}:
                found.append((path, "is not there" if there is None else "differs"))
        return found

    @property
    def variables(self) -> list[str]:
        """What a job of launchd is given of the environment file: what the configuration names or its providers are given, no more."""
        named = re.findall(r"os[.]environ/([A-Za-z_][A-Za-z0-9_]*)", self.config)
        wanted = dict.fromkeys([KEY, "LITELLM_SALT_KEY", "SITE_PROXY", *self.gateway["variables"], *named])
        return [name for name in wanted if name in self.env_names]

    # What is to be installed.

    @property
    def wanted_packages(self) -> str:
        """The text that pip is given."""
        if self.settings["litellm_native_requirements"]:
            return self.requirements or ""
        return "\n".join(["litellm[proxy]==%s" % self.version, PRISMA, *self.settings["litellm_native_packages"]])

    @property
    def name(self) -> str:
        """The name of the virtual environment. Other packages, or another Python, are another one, so that the old one stays whole until
        the new one answers."""
        parts = [self.wanted_packages, self.python, ".".join(str(one) for one in self.python_version[:2])]
        return "%s-%s" % (self.version, checksum("\n".join(parts))[:8])

    @property
    def venv(self) -> str:
        """The folder of the virtual environment."""
        return "%s/versions/%s" % (self.folder, self.name)

    @property
    def is_installed(self) -> bool:
        """Whether it is there."""
        return self.name in self.reading["complete"]

    @property
    def proxy(self) -> dict[str, str]:
        """The environment of whatever fetches something."""
        address = self.settings["site_proxy"]
        return {"https_proxy": address, "http_proxy": address, "no_proxy": ",".join(self.node.no_proxy)} if address else {}

    @property
    def install_environment(self) -> dict[str, str]:
        """The environment of the installation."""
        index = str(self.settings["litellm_native_index_url"] or "")
        hashes = "--require-hashes" if self.settings["litellm_native_requirements"] else ""
        found = {"VENV": self.venv, "INTERPRETER": self.python, "HASHES": hashes}
        if index:
            found["PIP_INDEX_URL"] = index
        # pip takes nothing from an address without TLS unless its host is named; whoever sets such an address has named it.
        if index.startswith("http:"):
            found["PIP_TRUSTED_HOST"] = urlsplit(index).netloc.rpartition("@")[2]
        if self.node.ca_pem:
            found["PIP_CERT"] = self.folder + "/authorities.pem"
        return {**found, **self.proxy}

    # The configuration.

    @property
    def has_engine(self) -> bool:
        """Whether the host has an engine of its own."""
        return "ollama" in self.settings["llm_stack_services"]

    @cached_property
    def gateway(self) -> gateway.Decision:
        """The gateway's configuration, and what is wrong with the settings that it is made from. The engine is the host's own."""
        settings, plan = self.settings, self.plan or {}
        mounted = (self.stack.get("environment") or {}).get("mounted") or []
        return gateway.decide(
            list(plan.get("models") or []) if self.has_engine else [],
            has_gpu=(plan.get("budget") or {}).get("kind", "cpu") != "cpu",
            preload=settings["llm_stack_preload"],
            engine="http://127.0.0.1:%s" % settings["site_ollama_port"],
            backends=settings["llm_stack_backends"],
            providers=settings["llm_stack_providers"],
            # Files that a gateway in a container was given are no credentials for this one.
            keys=[name for name in self.env_names if name not in mounted],
            environment=list(settings["llm_stack_litellm_environment"]),
            found=gateway.control_files(settings["llm_stack_providers"]),
            fallbacks=settings["llm_stack_fallbacks"],
            known_routes=self.known_routes,
            num_retries=settings["llm_stack_num_retries"],
            timeout=settings["llm_stack_request_timeout"],
            max_parallel_requests=settings["llm_stack_max_parallel_requests"],
            native=True,
            extra=settings["llm_stack_litellm_config"],
        )

    @cached_property
    def config(self) -> str:
        """LiteLLM's configuration."""
        return HEADER + self.gateway["comments"] + as_yaml(self.gateway["config"])

    @property
    def environment(self) -> dict[str, str]:
        """Its environment without secrets. An address that LiteLLM asks without the proxy has no name of a container here."""
        settings, authorities = self.settings, self.folder + "/authorities.pem"
        found = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONUNBUFFERED": "1", **PROBES}
        if settings["site_proxy"]:
            hosts = [host_of(one.get("api_base")) for one in settings["llm_stack_backends"] if isinstance(one, t.Mapping)]
            found["NO_PROXY"] = ",".join([*self.node.no_proxy, *dict.fromkeys(filter(None, hosts))])
        if self.node.ca_pem:
            found.update({"SSL_CERT_FILE": authorities, "REQUESTS_CA_BUNDLE": authorities})
        return {name: str(value) for name, value in {**found, **settings["llm_stack_litellm_environment"]}.items()}

    # The files.

    @property
    def folders(self) -> list[dict[str, str]]:
        """The folders that it needs, with owner and mode."""
        found = [{"path": path, "mode": "0755", "owner": "root", "group": self.group} for path in self.root_folders]
        if self.node.is_mac:
            own = (("state", "0700"), ("log", "0750"))
            found += [{"path": "%s/%s" % (self.folder, name), "mode": mode, "owner": self.user, "group": self.user} for name, mode in own]
        return found

    @property
    def root_folders(self) -> list[str]:
        """Those of root's."""
        return [self.project, self.folder, self.folder + "/versions"]

    @cached_property
    def files(self) -> list[File]:
        """The files of its service."""
        settings, quoted = self.settings, {name: shlex.quote(value) for name, value in self.environment.items()}
        start = render(
            "litellm_native", "start.j2", env_file=self.env_file, is_mac=self.node.is_mac, environment=quoted, dir=self.folder,
            has_proxy=bool(settings["site_proxy"]), config=self.project + "/config.yml", address=settings["site_gateway_bind"],
            port=settings["site_gateway_port"],
        )  # fmt: skip
        memory = str(settings["litellm_native_memory"]).upper()
        unit = render(
            "litellm_native", UNIT + ".j2", user=self.user, env_file=self.env_file, dir=self.folder, memory=memory
        )  # fmt: skip
        return [
            File(self.project + "/config.yml", self.config, "0644", self.group),
            File(self.folder + "/start", start, "0755", self.group),
            File(self.service_path, plist(self.job) if self.node.is_mac else unit, "0644", self.group),
        ]

    @property
    def job(self) -> dict[str, t.Any]:
        """The job of launchd. launchctl shows a job's environment to every user, so that it holds no secret, whoever may read the file."""
        state, log = self.folder + "/state", self.folder + "/log/gateway.log"
        return {
            "Label": LABEL,
            "ProgramArguments": [self.folder + "/start"],
            "UserName": self.user,
            "GroupName": self.user,
            "EnvironmentVariables": {"HOME": state},
            "WorkingDirectory": state,
            "StandardOutPath": log,
            "StandardErrorPath": log,
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": 10,
            "Umask": 0o077,
            "SoftResourceLimits": {"NumberOfFiles": 8192},
        }

    @property
    def folders_differing(self) -> list[dict[str, str]]:
        """The folders that are not there, or not as they should be."""
        there = self.reading["files"]
        return [
            one
            for one in self.folders
            if ((there.get(one["path"]) or {}).get("mode"), (there.get(one["path"]) or {}).get("owner")) != (one["mode"], one["owner"])
        ]

    @property
    def differing(self) -> list[File]:
        """The files that differ from the host's."""
        return [file for file in self.files if file.differs(self.reading["files"].get(file.path))]

    # What there is.

    @property
    def runs(self) -> bool:
        """Whether what runs is what was last written."""
        return bool(self.reading["answers"] and self.reading["service"]["enabled"] and not self.reading["stale"])

    @property
    def switch(self) -> bool:
        """Whether another virtual environment is to be used."""
        return bool(self.reading["current"] != self.name)

    @property
    def has_former(self) -> bool:
        """Whether there is something to go back to: only where it differs from what has just failed, or a run was cut before."""
        config = self.reading["files"].get(self.project + "/config.yml")
        differs = self.switch or self.differing or self.reading["unfinished"]
        return bool(self.reading["current"] and differs and config and config["sha256"] != checksum(""))

    @property
    def older(self) -> list[str]:
        """Versions that are not needed any more. The one that ran before stays, for the next version that does not start."""
        former = self.reading["current"] if self.switch else self.reading["former"]
        return [one for one in self.reading["versions"] if one not in (self.name, former)]

    @property
    def fault(self) -> str:
        """What is wrong with how it runs; empty where nothing is."""
        if not self.reading["python"]:
            return "cannot be read: the host has no %s" % self.python
        if not self.runs:
            return "does not run, or with other files than lie there"
        return "runs with other settings than it was given" if self.switch or self.differing else ""

    # What has to be done.

    def changes(self) -> list[Change]:
        """Return what differs, in the order in which it is made good."""
        reading, found = self.reading, []
        if reading["user"] is None:
            found.append(("user %s" % self.user, "is not there"))
        found += [(one["path"], "is not a folder of %s's with mode %s" % (one["owner"], one["mode"])) for one in self.folders_differing]
        if not reading["authorities"]:
            found.append((self.folder + "/authorities.pem", "differs"))
        found += self.environment_changes
        if not self.is_installed:
            found.append(("LiteLLM %s" % self.version, "is to be installed"))
        found += [(file.path, file.why(reading["files"].get(file.path))) for file in self.differing]
        if self.switch and reading["current"] and self.is_installed:
            found.append(("LiteLLM %s" % self.version, "is to take the place of %s" % reading["current"].rpartition("-")[0]))
        if self.start and not found:
            found.append(("litellm", "runs with other files than lie there" if reading["service"]["active"] else "does not run"))
        restarts = ["litellm"] if self.start and reading["service"]["active"] else []
        found += [("LiteLLM %s" % one.rpartition("-")[0], "is an older version") for one in self.older]
        return [(what, why, restarts) for what, why in found]

    @property
    def start(self) -> bool:
        """Whether it is started, or started again."""
        told_otherwise = [why for _what, why in self.environment_changes if why != OPENED]
        return bool(self.differing or self.switch or not self.runs or not self.reading["authorities"] or told_otherwise)

    def result(self, check_mode: bool) -> dict[str, t.Any]:
        """Return what other roles have to know: ``litellm_native_result``."""
        return {"exists": bool(not check_mode or self.reading["current"]), "version": self.version}

    def decide(self, check_mode: bool) -> Decision:
        """Compare the host with what it is to have."""
        reading, settings, python = self.reading, self.settings, self.reading["python"] or {"venv": True}
        short = ".".join(str(one) for one in self.python_version[:2])
        differing = [file.as_task() for file in self.differing]
        checked = self.switch or any(file["path"].endswith("/config.yml") for file in differing)
        return {
            "changes": [{"what": what, "why": why, "restarts": restarts} for what, why, restarts in self.changes()],
            "problems": self.problems() + ([NO_PLAN] if self.has_engine and not self.plan else []),
            "secret_problems": secrets(self.raw),
            "notes": list(self.gateway["notes"]),
            "result": self.result(check_mode),
            "user": self.user,
            "has_user": reading["user"] is not None,
            "own_user": (reading["user"] or {}).get("comment") == COMMENT,
            "comment": COMMENT,
            "group": self.group,
            "service_path": self.service_path,
            "apt": "" if python["venv"] else "python%s-venv" % short,
            "folders": self.folders_differing,
            "authorities": not reading["authorities"],
            "env_file": self.env_file,
            "env_names": self.env_names,
            "environment": self.environment_options if self.environment_changes else {},
            "requirements": self.wanted_packages,
            "install": self.install_environment,
            "name": self.name,
            "venv": self.venv,
            "python_version": ".".join(str(one) for one in self.python_version),
            "is_installed": self.is_installed,
            "files": differing,
            "config": self.config if checked else "",
            "switch": self.switch,
            "is_first": not reading["current"],
            "current": reading["current"],
            "former": reading["former"],
            "links": {name: link for name, link in (("former", reading["current"]), ("current", self.name)) if link and self.switch},
            "has_former": self.has_former,
            "runs": self.runs,
            "start": self.start,
            "older": self.older,
            "become": [*(["sudo", "-n", "-u"] if self.node.is_mac else ["runuser", "-u"]), self.user],
            "wait": {
                "dir": self.folder,
                "user": self.user,
                "address": settings["site_gateway_bind"],
                "port": settings["site_gateway_port"],
                "env_file": self.env_file,
            },
            "log": self.log,
        }

    @property
    def environment_options(self) -> dict[str, t.Any]:
        """The options of ``stack_secrets``. A key that is made in this run is handed to a job of launchd, too."""
        missing = KEY not in self.env_names
        values = sorted(name for name in self.told if name not in self.same and (missing or name != KEY))
        found: dict[str, t.Any] = {"set": values, "generate": {KEY: "sk-"} if missing and KEY not in values else {}}
        if self.node.is_mac:
            names = list(dict.fromkeys([KEY, *self.variables, *self.told]))
            found["exports"] = {"path": self.folder + "/environment", "names": names, "group": self.user}
        return found

    # What is wrong.

    def problems(self) -> list[str]:
        """Return what is wrong with the settings, and with the host as it was read."""
        found = self.of_python() + self.of_version() + self.of_packages() + self.of_place() + self.of_port() + self.without_database()
        if self.is_given_otherwise:
            found.append(
                "LITELLM_MASTER_KEY: the host has another than was given; playbooks/rotate.yml puts the given in place, or take it out of"
                " llm_stack_master_key to keep what the host has"
            )
        return found + secrets(self.raw) + list(self.gateway["problems"])

    def of_python(self) -> list[str]:
        """Return what is wrong with the Python that LiteLLM is to run on."""
        mac, version = self.node.is_mac, ".".join(str(one) for one in self.python_version)
        install = "`brew install python@3.12` installs it" if mac else "install it, or set the path of a Python of 3.10 or newer"
        other = "`brew install python@3.12`, and set %s" % self.brew_python if mac else "install one, and set its path"
        if not version:
            return ["litellm_native_python: the host has no %s; %s" % (self.python, install)]
        text = "litellm_native_python: %s is Python %s, and LiteLLM needs 3.10 or newer; %s"
        return [] if newer(version, PYTHON_MIN_VERSION) else [text % (self.python, version, other)]

    def of_version(self) -> list[str]:
        """Return what is wrong with the version that is to be installed."""
        version, floor = self.version, self.settings["site_litellm_floor"]
        return first(
            "litellm_native_version: set a version with three parts, such as 1.104.2 (it is %s)" % version
            if not re.match(r"[0-9]+[.][0-9]+[.][0-9]+([.a-z0-9]*)\Z", version)
            else "",
            "litellm_native_version: %s is older than site_litellm_floor (%s); set a newer one" % (version, floor)
            if not newer(version, floor)
            else "",
            "litellm_native_version: %s cannot check its configuration; set %s or newer" % (version, VALIDATES_SINCE)
            if not newer(version, VALIDATES_SINCE)
            else "",
        )

    def of_packages(self) -> list[str]:
        """Return what is wrong with the packages that are to be installed, and with where they come from."""
        file, version, text = self.settings["litellm_native_requirements"], self.version, self.wanted_packages
        named = re.search(r"(?m)^litellm(\[[a-z,_-]+\])?==%s( |$)" % re.escape(version), text) and re.search("(?m)^prisma==", text)
        found = first(
            "litellm_native_requirements: the control node has no file %s" % file if file and self.requirements is None else "",
            "litellm_native_requirements: it does not name litellm[proxy]==%s or prisma; make it again with both" % version
            if file and not named
            else "",
            "litellm_native_packages: name them in litellm_native_requirements, which says all that is installed"
            if file and self.settings["litellm_native_packages"]
            else "",
        )
        index = str(self.settings["litellm_native_index_url"] or "")
        if index and not re.match(r"https?://[^ ]+\Z", index):
            found.append("litellm_native_index_url: set http://host/path or https://host/path")
        return found

    def of_place(self) -> list[str]:
        """Return what is wrong with the gateway's folder, its memory and its user."""
        folder, project, user = self.folder, self.project, self.user
        hidden = [path for path in (folder, project) if re.match("/(home|root|run/user)(/|$)", path)]
        found = first(
            "litellm_native_dir: %s is no folder for it; set an absolute path of letters, digits, dots, - and _, outside of"
            " site_project_dir" % folder
            if not re.match(r"(/[A-Za-z0-9._-]+)+\Z", folder) or folder == project
            else "",
            "litellm_native_dir, site_project_dir: the gateway sees nothing of /home and /root; set folders outside of them"
            if hidden
            else "",
        )
        if not MEMORY.match(str(self.settings["litellm_native_memory"])):
            found.append("litellm_native_memory: set a number with m or g, such as 2g")
        shell = may_log_in(self.reading["user"])
        return found + first(
            "litellm_native_user: the host has a user %s who can log in (%s); set another name" % (user, shell) if shell else "",
            "litellm_native_user: %s is a name of small letters, digits, - and _, and not root" % user
            if not re.match(r"[a-z_][a-z0-9_-]{0,30}\Z", user) or user == "root"
            else "",
        )

    def of_port(self) -> list[str]:
        """Return what is wrong with the address that the gateway is to listen on."""
        port, taken = self.settings["site_gateway_port"], self.reading["port"]
        return first(
            "site_gateway_port: %s is for root alone; set 1024 to 65535" % port if port not in USER_PORTS else "",
            "site_gateway_port and site_ollama_port are both %s; give one of them another" % port
            if port == self.settings["site_ollama_port"]
            else "",
            "site_gateway_port: %s belongs to %s; stop that, or set another port" % (port, taken["owner"])
            if taken["state"] == "taken"
            else "",
            "site_gateway_bind: the host has no address %s; set one that it has, or 0.0.0.0 for all" % self.settings["site_gateway_bind"]
            if taken["state"] == "no_address"
            else "",
        )

    def without_database(self) -> list[str]:
        """Return which settings ask for what a gateway without a database does not have."""
        settings, found = self.settings, []
        if settings["llm_stack_client_keys"]:
            found.append("llm_stack_client_keys: keys for clients need a database, which a native gateway does not have; leave it empty")
        if settings["llm_stack_engines"]:
            found.append("llm_stack_engines: a native gateway knows engines of other hosts by llm_stack_backends alone; name them there")
        if settings["llm_stack_primary"]:
            found.append("llm_stack_primary: a native gateway has no database, and so uses none; take it out")
        if not self.has_engine and not settings["llm_stack_backends"] and not settings["llm_stack_providers"]:
            found.append(
                "llm_stack_services: there is no route, because there is neither ollama nor anything in llm_stack_backends or"
                " llm_stack_providers"
            )
        return found


#: What is read where nothing was.
NOTHING: dict[str, t.Any] = {"python": None, "files": {}}


def parameters(settings: Data, raw: Data, node: Node) -> dict[str, t.Any]:
    """Return the option of ``host_info`` whose answer :class:`Gateway` judges."""
    blank = Gateway(settings, raw, node, NOTHING)
    paths = [*(one["path"] for one in blank.folders), blank.project + "/config.yml", blank.folder + "/start", blank.service_path]
    return {
        "dir": blank.folder,
        "python": blank.python,
        "user": blank.user,
        "address": settings["site_gateway_bind"],
        "port": settings["site_gateway_port"],
        "env_file": blank.env_file,
        "files": [*paths, *([blank.folder + "/environment"] if node.is_mac else [])],
        "ca_pem": node.ca_pem or None,
    }


# In this order: an index that cannot be reached seems to have nothing.
INSTALL_FIXES = (
    ("CERTIFICATE_VERIFY_FAILED", "set site_ca_certificate to the authority of the index"),
    (
        "NewConnectionError|Name or service|ConnectTimeout|Tunnel connection|Max retries",
        "the index does not answer; set litellm_native_index_url or site_proxy",
    ),
    ("No space left", "free some disk under litellm_native_dir: an environment takes 750 MB"),
    ("hashes are required|HASHES", "make litellm_native_requirements anew with all packages and their hashes"),
    (
        "(No matching distribution found for|satisfies the requirement) litellm[^-]",
        "the index has no LiteLLM %(version)s for Python %(python)s; set litellm_native_version to one that it has",
    ),
    (
        "No matching distribution|ResolutionImpossible",
        "the index lacks a package that LiteLLM %(version)s needs; add it there, or set another litellm_native_version",
    ),
)
START_FIXES = (
    ("address already in use", "another program has the port: stop it, or set site_gateway_port"),
    ("cannot assign requested address", "set site_gateway_bind to an address that the host has"),
    (
        "No module named|ImportError",
        "a package is missing or does not fit: name it in litellm_native_packages, or set another litellm_native_version",
    ),
    ("oom|MemoryError|Killed", "raise litellm_native_memory"),
)
LONGEST = 300  # characters of a reason


def fix(text: str, fixes: t.Iterable[tuple[str, str]], otherwise: str, flags: int = 0) -> str:
    """Return the first fix whose pattern a text matches.

    :arg otherwise: the one where none does.
    """
    return next((known for says, known in fixes if re.search(says, text, flags)), otherwise)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text that say something."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def installation_failure(text: str, decision: Data) -> str:
    """Return what a person reads where LiteLLM could not be installed.

    :arg text: what pip has said.
    :arg decision: what :meth:`Gateway.decide` returned.
    """
    lines = lines_of(text)
    errors = [line for line in lines if line.startswith("ERROR")]
    why = re.sub("//[^/@ ]*@", "//", (errors or lines or ["no word"])[-1])[:LONGEST]
    known = fix(text, INSTALL_FIXES, "look at litellm_native_index_url and litellm_native_version; nothing else was changed")
    names = {"version": decision["result"]["version"], "python": decision["python_version"]}
    return "LiteLLM %s was not installed: %s -> %s" % (names["version"], why, known % names)


def refusal(text: str, decision: Data) -> str:
    """Return what a person reads where LiteLLM refuses its configuration.

    :arg text: what it has said.
    :arg decision: what :meth:`Gateway.decide` returned.
    """
    return (
        "LiteLLM %s refuses the configuration, and the old one serves on: %s -> look at llm_stack_litellm_config, llm_stack_backends and"
        " llm_stack_providers" % (decision["result"]["version"], (lines_of(text) or ["no word"])[-1][:LONGEST])
    )


def start_failure(failed: Data, decision: Data, refused: t.Sequence[str], again: Data) -> str:
    """Return what a person reads where the gateway did not answer with what was written.

    :arg failed: the result of the task that failed, such as that of ``litellm_native_wait``.
    :arg decision: what :meth:`Gateway.decide` returned.
    :arg refused: files that were put aside.
    :arg again: what ``litellm_native_wait`` returned after the way back.
    """
    lines, current = list(failed.get("lines") or []), decision["current"]
    why = failed.get("why") or failed.get("msg") or "no word"
    text = ["The gateway with LiteLLM %s does not come up: %s" % (decision["result"]["version"], str(why)[:LONGEST]), *lines]
    if not decision["has_former"]:
        text.append("It was stopped; there is nothing to go back to.")
    elif again.get("ok"):
        text.append("%s with its configuration was put back, and answers." % current)
        text += ["What was refused is %s." % ", ".join(refused)] if refused else []
    else:
        text.append("%s was put back, and does not answer either: %s" % (current, again.get("why") or again.get("msg") or ""))
    otherwise = "look at litellm_native_version, llm_stack_litellm_config and llm_stack_litellm_environment; %s says more" % decision["log"]
    return "\n".join([*text, "-> " + fix(" ".join(lines), START_FIXES, otherwise, re.IGNORECASE)])
