# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide about Docker: where it comes from, and what its daemon.json is to hold."""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import shlex
import typing as t

from .system import system_of
from .versions import newer

PATH = "/etc/docker/daemon.json"
# From here on Compose knows start_interval, which the stack's health checks use.
COMPOSE_MIN_VERSION = "2.20.2"
# What came with Docker 23: `dockerd --validate`, and proxies in daemon.json.
VALIDATE_MIN_VERSION = "23"
ROTATING_DRIVERS = ("json-file", "local")
# The daemon merges these from both places (moby: skipDuplicates); any other key in both keeps it from starting.
MERGED_KEYS = ("runtimes",)
# Which variable sets a key, for messages.
VARIABLES = {"registry-mirrors": "site_registry_mirrors", "insecure-registries": "site_insecure_registries", "proxies": "site_proxy"}
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

Json = t.Any  # a value of JSON
# What Docker demands of the keys that are looked into here.
KINDS: tuple[tuple[str, type, str], ...] = (
    ("registry-mirrors", list, "a list of texts"),
    ("insecure-registries", list, "a list of texts"),
    ("exec-opts", list, "a list of texts"),
    ("proxies", dict, "an object"),
    ("runtimes", dict, "an object"),
    ("features", dict, "an object"),
    ("log-opts", dict, "an object"),
)


class DaemonJsonError(ValueError):
    """daemon.json cannot be merged. The message is one line for the user."""


def decode(data: bytes) -> str:
    """Return the text of a daemon.json as Docker decodes it: by its byte order mark, which is left out, or as UTF-8.

    :raises DaemonJsonError: when it is not such a text.
    """
    mark, encoding = next(((mark, encoding) for mark, encoding in MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise DaemonJsonError("%s is not text and was left as it is; fix it: %s" % (PATH, error)) from error


def parse(text: str) -> dict[str, Json]:
    """Return the settings in the text of a daemon.json; an empty one has none.

    :raises DaemonJsonError: when it is not a JSON object.
    """

    def refuse(constant: str) -> t.NoReturn:
        raise ValueError("%s is not a value of JSON" % constant)

    try:
        there = json.loads(text, parse_constant=refuse) if text.strip() else {}
    except ValueError as error:
        raise DaemonJsonError("%s is not JSON and was left as it is; fix it: %s" % (PATH, error)) from error
    if not isinstance(there, dict):
        raise DaemonJsonError("%s is not a JSON object and was left as it is; fix it" % PATH)
    for key, kind, word in KINDS:
        value: Json = there.get(key)
        is_kind = isinstance(value, kind)
        if value is not None and not (is_kind and (kind is dict or all(isinstance(one, str) for one in value))):
            raise DaemonJsonError("%s was left as it is: %s is not %s, so that Docker would not start with it; fix it" % (PATH, key, word))
    return there


def merge(there: Json, wanted: Json) -> Json:
    """Merge two JSON values: mappings key by key, lists without doubles, and of anything else ``wanted`` wins."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        return {**there, **{key: merge(there[key], value) if key in there else value for key, value in wanted.items()}}
    if isinstance(there, list) and isinstance(wanted, list):
        return there + [value for value in wanted if value not in there]
    return wanted


def fill(there: Json, defaults: Json) -> Json:
    """Add to a JSON value what it lacks. Of two values that are not mappings the one that is there stays."""
    if isinstance(there, dict) and isinstance(defaults, dict):
        return {**defaults, **{key: fill(value, defaults[key]) if key in defaults else value for key, value in there.items()}}
    return there


def rotate(settings: dict[str, Json], log_rotation: dict[str, str], flags: t.Mapping[str, list[str]], running: str) -> dict[str, Json]:
    """Add the rotation of logs, where the log driver is one that rotates and nobody has chosen its options.

    :arg flags: values of the daemon's flags, by their key in daemon.json.
    :arg running: the log driver of the running daemon; empty where none runs.
    """
    chosen = settings.get("log-driver") or (flags.get("log-driver") or [""])[-1]
    driver = chosen or running or ROTATING_DRIVERS[0]
    if not log_rotation or driver not in ROTATING_DRIVERS or "log-opts" in flags:
        return settings
    options = settings.get("log-opts")
    added = {} if "log-driver" in flags else {"log-driver": driver}
    return {**settings, **added, "log-opts": {**log_rotation, **(options if isinstance(options, dict) else {})}}


def merged(
    there: dict[str, Json],
    wanted: dict[str, Json] | None = None,
    log_rotation: dict[str, str] | None = None,
    defaults: dict[str, Json] | None = None,
    flags: t.Mapping[str, list[str]] | None = None,
    running_log_driver: str = "",
) -> dict[str, Json]:
    """Return the settings of a daemon.json with others merged in. No key that was there is lost."""
    return rotate(fill(merge(there, wanted or {}), defaults or {}), log_rotation or {}, flags or {}, running_log_driver)


def is_stale(there: dict[str, Json], daemon: t.Mapping[str, t.Any]) -> bool:
    """Whether the running daemon lacks what its file asks for, because a run was cut between writing and restarting."""
    mirrors = [one.rstrip("/") + "/" for one in there.get("registry-mirrors") or []]
    insecure = [one for one in there.get("insecure-registries") or [] if "/" not in one]
    features = there.get("features") or {}
    return bool(
        set(mirrors) - set(daemon["mirrors"])
        or set(insecure) - set(daemon["insecure"])
        or ((there.get("proxies") or {}).get("https-proxy") and not daemon["has_proxy"])
        or set(there.get("runtimes") or {}) - set(daemon["runtimes"])
        or (newer(daemon["version"], "25") and features.get("cdi") and not daemon["cdi"])
    )


class Decision(t.TypedDict):
    """What has to be done about a host's Docker."""

    good: bool  #: a daemon that answers, with a Compose that is new enough
    problems: list[str]  #: one line each, with the variable or file, and what to set
    notes: list[str]  #: what the run says, and goes on
    version: str
    compose_version: str
    compose_min_version: str
    data_root: str
    installed: bool  #: a dockerd is there, good or not
    source: str  #: ``distribution`` or ``docker``
    packages: list[str]  #: what is to be installed from there
    package_tool: str  #: ``apt`` or ``dnf``
    repository: str  #: Docker's repository for this system, below its address: ``linux/debian``-like
    suite: str  #: the suite of an APT repository
    architecture: str  #: as APT writes it
    before: dict[str, Json]  #: what daemon.json holds
    after: dict[str, Json]  #: what it is to hold
    flag_keys: list[str]  #: keys of daemon.json that the daemon's command line has
    stale: bool  #: the running daemon lacks what the file holds
    applied: bool  #: the running daemon was started with the file as it is
    unfinished: bool  #: a run that was cut has left its snapshot
    finished: bool  #: the same, and the daemon runs with what that run has written
    validate: str  #: the command that checks a new file, with %s for its path; empty where the daemon has none


class Settings(t.TypedDict, total=False):
    """The settings that decide; each may be left out."""

    source: str  #: docker_engine_source
    packages: dict[str, list[str]]  #: packages of each system's own Docker, by its name; empty ones have no Compose v2
    docker_packages: list[str]  #: packages of Docker's own repository
    daemon_config: dict[str, Json]
    defaults: dict[str, Json]  #: what another role adds where the file says nothing else
    log_rotation: dict[str, str]
    registry_mirrors: list[str]
    insecure_registries: list[str]
    proxy: str
    no_proxy: list[str]


def settings_problems(settings: Settings, variable: str) -> list[str]:
    """Return one line for each setting that is not of its kind; YAML makes a text of a list that has lost its brackets."""
    kinds: tuple[tuple[str, str, type, str], ...] = (
        ("registry_mirrors", "site_registry_mirrors", list, "a list"),
        ("insecure_registries", "site_insecure_registries", list, "a list"),
        ("no_proxy", "site_no_proxy", list, "a list"),
        ("daemon_config", variable, dict, "a mapping"),
        ("log_rotation", "docker_engine_log_rotation", dict, "a mapping"),
    )
    return [
        "%s: it is not %s; it is %r" % (setting, word, settings.get(key))
        for key, setting, kind, word in kinds
        if not isinstance(settings.get(key) or kind(), kind)
    ]


def wanted_keys(settings: Settings) -> dict[str, Json]:
    """Return the keys of daemon.json that the settings ask for."""
    wanted: dict[str, Json] = {}
    if settings.get("registry_mirrors"):
        wanted["registry-mirrors"] = settings["registry_mirrors"]
    if settings.get("insecure_registries"):
        wanted["insecure-registries"] = settings["insecure_registries"]
    if settings.get("proxy"):
        proxy = settings["proxy"]
        wanted["proxies"] = {"http-proxy": proxy, "https-proxy": proxy, "no-proxy": ",".join(settings.get("no_proxy") or [])}
    return t.cast("dict[str, Json]", merge(wanted, settings.get("daemon_config") or {}))


def without_flags(
    wanted: dict[str, Json], there: dict[str, Json], flags: t.Sequence[t.Mapping[str, t.Any]], variable: str
) -> tuple[dict[str, Json], list[str], list[str]]:
    """Take out of what is wanted the keys that the daemon's command line has: in both places they keep it from starting.

    :arg variable: what sets a key that is not in :data:`VARIABLES`, for messages.
    :returns: what is left, problems for values that the command line lacks, and notes for those that it has already.
    """
    left, problems, notes = dict(wanted), [], []
    for flag in flags:
        key = "proxies" if flag["key"] in ("http-proxy", "https-proxy", "no-proxy") else flag["key"]
        if key not in left or key in MERGED_KEYS or key in there:
            continue
        value = left.pop(key)
        where = flag["file"] or "Docker's unit"
        if isinstance(value, list):
            missing: list[Json] | bool = [one for one in value if one not in flag["values"]]
        else:
            given = [one.lower() or "true" for one in flag["values"]]  # a flag without a value switches something on
            missing = isinstance(value, dict) or str(value).lower() not in given[-1:]
        setting, what = VARIABLES.get(key, variable), ", ".join(map(str, missing)) if isinstance(missing, list) else "the value"
        if not missing:
            notes.append("%s stands on Docker's command line (%s), and is left out of %s" % (key, where, PATH))
        else:
            problems.append(
                "%s: %s sets %s on Docker's command line, and Docker does not start when %s has it, too; move it from there into %s"
                " (or add %s there and take it out of %s)" % (setting, where, key, PATH, PATH, what, setting)
            )
    return left, problems, notes


def validate_command(version: str, flags: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """Return the command by which the daemon checks a file together with its own flags; empty for a daemon without one."""
    if not newer(version, VALIDATE_MIN_VERSION):
        return ""
    words = ["--" + flag["flag"] + ("=" + value if value else "") for flag in flags for value in flag["values"]]
    return " ".join(["dockerd", "--validate", *(shlex.quote(word).replace("%", "%%") for word in words), "--config-file", "%s"])


def decide(reading: t.Mapping[str, t.Any], content: str, settings: Settings, variable: str = "docker_engine_daemon_config") -> Decision:
    """Decide what has to be done about a host's Docker.

    :arg reading: ``system`` and ``daemon`` as ``host_info`` returns them.
    :arg content: daemon.json in Base64; empty where there is none.
    :arg variable: the setting that ``settings.daemon_config`` and ``settings.defaults`` come from, for messages.
    """
    system, daemon = reading["system"], reading["daemon"]
    base = system_of(system)
    own = (settings.get("packages") or {}).get(base.name)
    asked = settings.get("source") or "auto"
    source = asked if asked != "auto" else "distribution" if own else "docker"
    good = bool(daemon["version"]) and newer(daemon["compose_version"], COMPOSE_MIN_VERSION)
    problems, notes = [], []
    before: dict[str, Json] = {}
    flags: dict[str, list[str]] = {one["key"]: one["values"] for one in daemon["flags"]}
    try:
        before = parse(decode(base64.b64decode(content or "", validate=True)))
    except (DaemonJsonError, binascii.Error) as error:
        problems.append(str(error))
    problems += settings_problems(settings, variable)
    if problems:
        settings = {}
    for path in flags.get("config-file", []):
        if path not in ("", PATH):
            problems.append(
                "%s: Docker's command line reads its settings from there, and not from %s; move the file to %s, and take --config-file"
                " out of the command line" % (path, PATH, PATH)
            )
    wanted, refused, said = without_flags(wanted_keys(settings), before, daemon["flags"], variable)
    defaults, _refused, _said = without_flags(settings.get("defaults") or {}, before, daemon["flags"], variable)
    problems += refused
    notes += said
    if "proxies" in wanted and daemon["version"] and not newer(daemon["version"], VALIDATE_MIN_VERSION):
        wanted.pop("proxies")
        problems.append(
            "site_proxy: Docker %s takes no proxies from %s; upgrade Docker to 23 or newer (docker_engine_source: docker does), or set"
            " HTTPS_PROXY in a drop-in of its unit and take the images from site_registry_mirrors" % (daemon["version"], PATH)
        )
    after = merged(before, wanted, settings.get("log_rotation"), defaults, flags, daemon["log_driver"])
    if daemon["snap"] or daemon["data_root"].startswith("/var/snap/"):
        problems.append(
            "Docker on this host is the snap package: move what its containers hold, then `snap remove docker` and run this again"
        )
    elif not good:
        problems += install_problems(base.name, own, asked, source, settings, daemon, system)
        notes += [base.note] if base.note else []
    return {
        "good": good,
        "problems": problems,
        "notes": notes,
        "version": daemon["version"],
        "compose_version": daemon["compose_version"],
        "compose_min_version": COMPOSE_MIN_VERSION,
        "data_root": daemon["data_root"] or "/var/lib/docker",
        "installed": daemon["installed"],
        "source": source,
        "packages": list(own or []) if source == "distribution" else list(settings.get("docker_packages") or []),
        "package_tool": system["package_tool"],
        # RHEL itself has a folder of its own there; its rebuilds use the one of CentOS.
        "repository": base.family.lower() if base.family != "RedHat" else "rhel" if system["id"] == "rhel" else "centos",
        "suite": base.codename,
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(system["machine"], system["machine"]),
        "before": before,
        "after": after,
        "flag_keys": sorted(flags),
        "stale": good and (is_stale(before, daemon) or (daemon["unfinished"] and not daemon["applied"])),
        "applied": daemon["applied"],
        "unfinished": daemon["unfinished"],
        "finished": good and daemon["unfinished"] and daemon["applied"],
        "validate": validate_command(daemon["version"], daemon["flags"]),
    }


def install_problems(
    name: str,
    own: list[str] | None,
    asked: str,
    source: str,
    settings: Settings,
    daemon: t.Mapping[str, t.Any],
    system: t.Mapping[str, str],
) -> list[str]:
    """Return why Docker cannot be installed, or must not be replaced, one line each."""
    known = ", ".join(settings.get("packages") or {})
    compose = daemon["compose_version"] or "missing"
    if daemon["installed"] and daemon["version"] and asked != "docker":
        return [
            "Docker %s is here with Compose %s, and Compose %s or newer is needed: add the Compose plugin to it, or set"
            " docker_engine_source to docker to have it replaced by Docker's own packages (its data stays)"
            % (daemon["version"], compose, COMPOSE_MIN_VERSION)
        ]
    if daemon["installed"] and asked != "docker":
        return []  # it is started first, and asked again
    if own is None and asked != "docker":
        return [
            "%s is not one of %s: install Docker with Compose v2 yourself, or set docker_engine_source to docker if Docker's repository"
            " serves this system" % (system.get("name") or name, known)
        ]
    if source == "distribution" and not own:
        return ["docker_engine_source: %s has no Compose v2 of its own; set docker or auto" % name]
    if system["package_tool"] not in ("apt", "dnf"):
        return ["%s has neither apt-get nor dnf: install Docker with Compose v2 yourself" % (system.get("name") or name)]
    return []
