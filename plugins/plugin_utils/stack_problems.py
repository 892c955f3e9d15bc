# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what is wrong with the settings of the Compose stack, and with the host as it was read, before anything is changed.

Every problem is one line: the variable or the place, what is wrong with it, and what to set or do. The functions take the host's
variables by their names, as the roles ``site`` and ``llm_stack`` document and derive them.
"""

from __future__ import annotations

import re
import typing as t

from .services import SERVICES
from .versions import newer

Variables = t.Mapping[str, t.Any]

OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
ADDRESS = re.compile(r"%s([.]%s){3}\Z" % (OCTET, OCTET))
NETWORK = re.compile(r"%s([.]%s){3}(/(3[0-2]|[12]?[0-9]))?\Z" % (OCTET, OCTET))
ANY_ADDRESS = re.compile(r"([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*)\Z")
LOOPBACK = "127."
EVERYWHERE = "0.0.0.0"  # noqa: S104 (compared with, never bound to)
VALIDATES_SINCE = "1.104"  # the first LiteLLM that knows --validate_config
MEMORY = re.compile(r"[1-9][0-9]*[kmgKMG]\Z")
#: What a secret may look like, by the variable that gives it.
SECRETS = {
    "llm_stack_master_key": (r"sk-[A-Za-z0-9_-]{16,}\Z", "set sk- and at least 16 letters or digits (- and _ are fine, too)"),
    "llm_stack_salt_key": (r"[A-Za-z0-9_-]{16,}\Z", "set at least 16 letters or digits (- and _ are fine, too)"),
    "llm_stack_db_password": (r"[A-Za-z0-9._-]+\Z", "set letters, digits, dots, - and _ only, because it stands in an address"),
}


def number(value: t.Any) -> int:
    """Return a setting's number; 0 for what is none."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def is_port(value: t.Any) -> bool:
    """Whether a setting is the number of a TCP port."""
    return 0 < number(value) < 65536


def truth(value: t.Any) -> bool:
    """Whether a setting says yes, as a boolean or as a word."""
    return value if isinstance(value, bool) else str(value).lower() in ("true", "yes", "on", "1")


def words(value: t.Any) -> list[str]:
    """Return a setting's list, or the names of a mapping; an empty one for a text, which is refused elsewhere."""
    return [str(one) for one in value] if isinstance(value, (list, tuple, dict)) else []


def is_mac(variables: Variables) -> bool:
    """Whether the host runs macOS."""
    return bool((variables.get("ansible_facts") or {}).get("system") == "Darwin")


def told(variables: Variables, name: str, default: t.Any) -> t.Any:
    """Return a variable of another host; None where its template cannot be replaced here, because only that host's roles know all of it."""
    try:
        return variables.get(name, default)
    except Exception:  # pylint: disable=broad-except  # whatever Ansible raises for what is undefined
        return None


def first(*problems: str) -> list[str]:
    """Return the first of several problems of which each makes the next one idle; nothing where all are empty."""
    return [problem for problem in problems if problem][:1]


def site_ollama(variables: Variables) -> list[str]:
    """Return what is wrong with who may ask an engine. Ollama has no authentication, so that a port that is opened is opened for somebody.

    :arg variables: ``site_ollama_bind``, ``site_ollama_allow``, ``_site_engine_native``, and ``llm_stack_services`` where they are known.
    """
    services = words(variables.get("llm_stack_services", ["ollama"]))
    if "ollama" not in services:
        return []
    allow, bind = variables["site_ollama_allow"], str(variables["site_ollama_bind"])
    bad = [one for one in words(allow) if not NETWORK.match(one)]
    opened = not bind.startswith(LOOPBACK) and not allow
    # A native engine is opened for the gateway's container on the same host.
    for_container = truth(variables["_site_engine_native"]) and "litellm" in words(variables.get("llm_stack_services", []))
    found = first(
        "site_ollama_allow: it is no list; set addresses or networks of IPv4, as in [192.0.2.30]" if isinstance(allow, str) else "",
        "site_ollama_allow: each is an address or network of IPv4 (%s)" % ", ".join(bad) if bad else "",
        "site_ollama_allow: site_ollama_bind is %s, and nobody is let in; set the addresses of the gateways, or take site_ollama_bind out"
        % bind
        if opened and not for_container
        else "",
    )
    if not ADDRESS.match(bind):
        found.append("site_ollama_bind: it is no address of IPv4 (%s); set one of the host, or 0.0.0.0" % bind)
    return found


def secrets(variables: Variables) -> list[str]:
    """Return what is wrong with the secrets that were given.

    :arg variables: those of :data:`SECRETS`.
    """
    return [
        "%s: %s" % (name, words) for name, (form, words) in SECRETS.items() if variables[name] and not re.match(form, str(variables[name]))
    ]


class Stack:
    """The problems of one host's Compose stack.

    :arg variables: the settings ``site_*`` and ``llm_stack_*`` as they are written, ``groups``, ``hostvars``, and what
        ``inputs.Inputs.problems`` derives: ``reading`` (what ``host_info`` returned), ``has``, ``uses``, ``gpu``, ``gateway``,
        ``env_names``, ``env_path``, ``given_otherwise``, ``demanded``, ``shared``, ``secret_names``, ``engines``, ``asked``, ``silent``,
        ``models_dir``, ``models_mib``, ``is_blind``, ``primary_read``.
    """

    def __init__(self, variables: Variables) -> None:
        self.variables = variables
        self.given = variables["llm_stack_services"]
        #: All services of the host, and those that run in containers.
        self.services = words(self.given)
        self.has: t.Mapping[str, bool] = variables["has"]
        self.reading: Variables = variables["reading"]
        self.is_mac = is_mac(variables)

    def all(self) -> list[str]:
        """Return all problems, in the order in which they are told."""
        variables, found = self.variables, []
        found += self.of_services() + self.of_engines() + self.of_macos() + self.of_sharing() + self.of_addresses() + self.of_ports()
        found += list(variables["gpu"]["problems"])
        found += self.of_models_dir() + self.of_memory() + self.of_clients() + self.of_versions()
        found += self.of_given_secrets() + self.of_environment() + self.of_host() + secrets(variables) + site_ollama(variables)
        return found + (list(variables["gateway"]["problems"]) if self.has["litellm"] else [])

    def has_routes(self) -> bool:
        """Whether anything but other hosts' engines gives the gateway a route."""
        variables = self.variables
        return "ollama" in self.services or bool(variables["llm_stack_backends"] or variables["llm_stack_providers"])

    def of_services(self) -> list[str]:
        """Judge ``llm_stack_services``."""
        unknown = [one for one in self.services if one not in SERVICES]
        known = ", ".join(SERVICES)
        found = first(
            "llm_stack_services: it is no list; set some of %s, as in [ollama]" % known if isinstance(self.given, str) else "",
            "llm_stack_services: it is empty, so that there is nothing to run; set some of %s" % known if not self.given else "",
            "llm_stack_services: there is no %s; set some of %s" % (", ".join(unknown), known) if unknown else "",
        )
        if (self.has["db"] or self.has["redis"]) and not self.has["litellm"]:
            found.append("llm_stack_services: db or redis without litellm is something that nobody uses; add litellm")
        if self.has["litellm"] and not self.has_routes() and not self.variables["llm_stack_engines"]:
            found.append(
                "llm_stack_services: litellm has no route, because there is neither ollama nor anything in llm_stack_engines,"
                " llm_stack_backends or llm_stack_providers"
            )
        return found

    @property
    def is_second(self) -> bool:
        """Whether the gateway uses the database and the Redis of another one."""
        return self.variables["llm_stack_primary"] not in ("", self.variables["inventory_hostname"])

    def of_engines(self) -> list[str]:
        """Judge ``llm_stack_engines``, and a native engine that the gateway's container has to reach."""
        variables, engines = self.variables, self.variables["llm_stack_engines"]
        others = [one for one in words(engines) if one != variables["inventory_hostname"]]
        unknown = [one for one in words(engines) if one not in variables["groups"]["all"]]
        bind, found = variables["site_ollama_bind"], []
        if self.has["litellm"] and (others or self.is_second) and truth(variables["is_blind"]):
            found.append(
                "llm_stack_engines, llm_stack_primary: this run works on the host that it runs on alone, as ansible-pull does, and would"
                " take its files for those of others; run a gateway from a control node"
            )
        if isinstance(engines, str) and engines:
            found.append("llm_stack_engines: it is no list of hosts of the inventory; set their names, as in [box7, box9]")
        elif unknown:
            found.append("llm_stack_engines: the inventory has no %s; name its hosts" % ", ".join(unknown))
        elif self.is_without_models():
            silent = ", ".join(variables["silent"])
            why = " (%s did not answer: run site.yml for them first, and set site_ollama_bind and site_ollama_allow there)" % silent
            found.append(
                "llm_stack_engines: none of %s holds a model that its plan names" % ", ".join(words(engines))
                + (why if silent else ": run site.yml for them first")
            )
        native = truth(variables["_site_engine_native"]) and "ollama" in self.services and not self.is_mac
        if native and self.has["litellm"] and bind != EVERYWHERE:
            found.append(
                "site_ollama_bind: the gateway in its container cannot reach an engine on %s; set 0.0.0.0 (the firewall lets in the"
                " gateway and site_ollama_allow alone)" % bind
            )
        return found

    def is_without_models(self) -> bool:
        """Whether the gateway has engines of other hosts alone, and none of them holds a model. Known once they were asked."""
        if not self.has["litellm"] or self.has_routes() or not self.variables["asked"]:
            return False
        return not any(engine["models"] for engine in self.variables["engines"].values())

    def of_macos(self) -> list[str]:
        """Judge what Docker on macOS cannot do."""
        if self.is_mac and any(self.has.values()) and not str(self.variables["site_project_dir"]).startswith("/Users/"):
            return ["site_project_dir: Docker on macOS hands containers files below /Users alone; set /Users/Shared/local_llm"]
        return []

    def of_sharing(self) -> list[str]:
        """Judge a database and a Redis that several gateways use."""
        variables = self.variables
        bind, allow = variables["llm_stack_share_bind"], variables["llm_stack_share_allow"]
        bad = [one for one in words(allow) if not NETWORK.match(one)]
        found = first(
            "llm_stack_share_allow: it is no list; set addresses or networks of IPv4, as in [192.0.2.29]" if isinstance(allow, str) else "",
            "llm_stack_share_allow: llm_stack_share_bind is %s, and nobody is let in; set the addresses of the other gateways" % bind
            if bind and not allow
            else "",
            "llm_stack_share_allow: each is an IPv4 address or network (%s)" % ", ".join(bad) if bad else "",
        )
        return found + self.of_primary()

    def of_primary(self) -> list[str]:
        """Judge the gateway that this one is the second of, by what the inventory says of it."""
        variables, primary = self.variables, str(self.variables["llm_stack_primary"])
        if primary and primary not in variables["groups"]["all"]:
            return ["llm_stack_primary: the inventory has no %s; name the gateway whose database and Redis this one uses" % primary]
        if not self.is_second:
            return []
        there = variables["hostvars"][primary]
        services, allow = told(there, "llm_stack_services", ["db", "litellm"]), told(there, "llm_stack_share_allow", [])
        lacks = [one for one in ("db", "redis", "litellm") if services is not None and one not in words(services)]
        address, lets_in = str(variables["site_address"]), words(allow)
        is_known = allow is not None and ADDRESS.match(address)
        kept_out = is_known and address not in lets_in and not any("/" in one for one in lets_in)
        read = not truth(variables["ansible_check_mode"]) and truth(variables["primary_read"])
        missing = set(variables["secret_names"]) - set(variables["shared"]) - {"LITELLM_SALT_KEY"} if read else ()
        return first(
            "llm_stack_services: this gateway uses the database and the Redis of %s; set [litellm], or take llm_stack_primary out" % primary
            if self.has["db"] or self.has["redis"]
            else "",
            "llm_stack_primary: %s runs no %s; set its llm_stack_services to [db, redis, litellm], or name another"
            % (primary, ", ".join(lacks))
            if lacks
            else "",
            "llm_stack_share_bind: %s keeps its database and its Redis to itself; set its address there, and who may use them in"
            " llm_stack_share_allow" % primary
            if told(there, "llm_stack_share_bind", "") == ""
            else "",
            "llm_stack_share_allow: %s does not let %s in; add it there, or set site_address of this host to the address that it asks from"
            % (primary, address)
            if kept_out
            else "",
            "llm_stack_primary: %s has no secrets for database and Redis yet; run site.yml for it first, with llm_stack_services:"
            " [db, redis, litellm]" % primary
            if missing
            else "",
        )

    def of_addresses(self) -> list[str]:
        """Judge the addresses and ports that are listened on, as settings."""
        variables = self.variables
        found = [] if site_ollama(variables) else addresses(variables)
        if number(variables["site_gateway_port"]) == number(variables["site_ollama_port"]) and self.has["litellm"] and self.has["ollama"]:
            found.append("site_gateway_port and site_ollama_port are both %s; give one of them another" % variables["site_ollama_port"])
        return found

    def of_ports(self) -> list[str]:
        """Judge the ports as the host has them."""
        variables, found = self.variables, []
        names = {number(variables[name]): name for name in ("site_ollama_port", "llm_stack_db_port", "llm_stack_redis_port")}
        binds = {"site_gateway_port": "site_gateway_bind", "site_ollama_port": "site_ollama_bind"}
        for port in self.reading["ports"]:
            name = names.get(number(port["port"]), "site_gateway_port")
            if port["state"] == "taken":
                found.append("%s: %s belongs to %s; stop that, or set another port" % (name, port["port"], port["owner"]))
            elif port["state"] == "no_address":
                bind = binds.get(name, "llm_stack_share_bind")
                found.append("%s: the host has no address %s; set one that it has, or 0.0.0.0 for all" % (bind, port["address"]))
        return found

    def of_models_dir(self) -> list[str]:
        """Judge the folder that the models are to be kept in."""
        variables = self.variables
        folder, need = str(variables["llm_stack_models_dir"] or ""), number(variables["models_mib"])
        if not folder:
            return []
        if not folder.startswith("/"):
            return ["llm_stack_models_dir: %s is no absolute path; set one" % folder]
        if not folder.strip("/"):
            return ["llm_stack_models_dir: / is the host's own; set a folder for the models"]
        path = variables["models_dir"]
        above, own = self.reading["paths"][:2]
        if not above["exists"]:
            return ["llm_stack_models_dir: there is no folder %s; mount the disk, or set another" % (path.rpartition("/")[0] or "/")]
        if not own["exists"] and own["free_mib"] < need:
            words = "llm_stack_models_dir: the models need %d MiB, and %s has %d; free some, or set another"
            return [words % (need, path, own["free_mib"])]
        return []

    def of_memory(self) -> list[str]:
        """Judge the limits of memory."""
        names = ["llm_stack_%s_memory" % service for service in SERVICES]
        bad = [name for name in names if self.variables[name] and not MEMORY.match(str(self.variables[name]))]
        return ["%s: set a number with m or g, such as 2g" % name for name in bad]

    def of_clients(self) -> list[str]:
        """Judge the names of the clients, whose keys are kept in variables of the environment file."""
        clients = words(self.variables["llm_stack_client_keys"])
        bad = [one for one in clients if not re.match(r"[a-z][a-z0-9_-]*\Z", one)]
        bad += [one.replace("_", "-") for one in clients if "_" in one and one.replace("_", "-") in clients]
        return first(
            "llm_stack_client_keys: a client is named with small letters, digits, - and _ (%s)" % ", ".join(bad) if bad else "",
            "llm_stack_client_keys: keys for clients need the database; add db to llm_stack_services"
            if clients and not truth(self.variables["uses"]["db"])
            else "",
        )

    def of_versions(self) -> list[str]:
        """Judge the images, as far as their tags are versions; verification asks what really runs."""
        variables, found = self.variables, []
        match = re.search(r":([0-9]+[.][0-9]+[.][0-9]+)", variables["gpu"]["image"])
        if self.has["ollama"] and match and not newer(match.group(1), variables["site_ollama_floor"]):
            words = "llm_stack_ollama_image: %s is older than site_ollama_floor (%s); set a newer one"
            found.append(words % (match.group(1), variables["site_ollama_floor"]))
        match = re.match(r"[0-9]+[.][0-9]+[.][0-9]+", re.sub("^.*:(main-)?v?", "", variables["llm_stack_litellm_image"]))
        if self.has["litellm"] and match and not newer(match.group(), variables["site_litellm_floor"]):
            words = "llm_stack_litellm_image: %s is older than site_litellm_floor (%s); set a newer one"
            found.append(words % (match.group(), variables["site_litellm_floor"]))
        elif self.has["litellm"] and match and not newer(match.group(), VALIDATES_SINCE):
            words = "llm_stack_litellm_image: %s cannot check its configuration; set %s or newer"
            found.append(words % (match.group(), VALIDATES_SINCE))
        return found

    def of_given_secrets(self) -> list[str]:
        """Judge secrets that were given, and are others than those of the host."""
        variables, env = self.variables, self.variables["env_names"]
        otherwise = variables["given_otherwise"]
        changed = [name for name in otherwise if name != "LITELLM_SALT_KEY"]
        found = first(
            "%s: the host has another than was given; playbooks/rotate.yml puts the given in place, or take it out of llm_stack_master_key,"
            " llm_stack_db_password to keep what the host has" % " and ".join(changed)
            if changed
            else ""
        )
        has_database = variables["llm_stack_db_volume"] in ((self.reading["docker"] or {}).get("volumes") or [])
        unsalted = has_database and "LITELLM_SALT_KEY" not in env and "LITELLM_MASTER_KEY" in env
        if variables["demanded"]:
            found.append(
                "%s: the volume %s holds a database, and the file lacks %s; write the values it was made with there, one NAME=value a line"
                " (no LITELLM_SALT_KEY if there was none), or give them as llm_stack_master_key, llm_stack_db_password"
                % (variables["env_path"], variables["llm_stack_db_volume"], ", ".join(variables["demanded"]))
            )
        return found + first(
            "llm_stack_salt_key: the host has another, which can never be changed; take it out" if "LITELLM_SALT_KEY" in otherwise else "",
            "llm_stack_salt_key: the database was filled without one, and would be unreadable with it; take it out"
            if variables["llm_stack_salt_key"] and unsalted
            else "",
        )

    def of_environment(self) -> list[str]:
        """Judge the environment file, and what the containers have of it."""
        path, environment = self.variables["env_path"], self.reading["environment"] or {}
        own = [one for one in self.reading["containers"] if one["project"] == "local-llm"]
        differs = {name for one in own for name in one["environment_differs"]}
        found = []
        if environment.get("unread_lines"):
            found.append(
                "%s: Compose cannot read line %s; fix it, or take it out" % (path, ", ".join(map(str, environment["unread_lines"])))
            )
        if environment.get("expanded"):
            names = ", ".join(environment["expanded"])
            found.append("%s: Compose would replace the $ in %s; put the value into single quotes" % (path, names))
        if "LITELLM_SALT_KEY" in differs:
            found.append(
                "%s: LITELLM_SALT_KEY is not the one that the database was filled with, and can never be changed; put the old one back"
                " (docker inspect litellm shows it)" % path
            )
        if "POSTGRES_PASSWORD" in differs:
            found.append(
                "%s: POSTGRES_PASSWORD is not the one that the database has; put the old one back, or run playbooks/rotate.yml, which gives"
                " the database the new one" % path
            )
        if ".env.new" in self.reading["files"]:
            found.append("%s.new: a change of secrets was cut off; run playbooks/rotate.yml, which ends it" % path)
        return found

    def of_host(self) -> list[str]:
        """Judge the host: other stacks, and whether the bridge can be closed."""
        reading, variables = self.reading, self.variables
        docker = reading["docker"] or {}
        foreign = ["the network %s" % one["name"] for one in docker.get("networks") or [] if one["project"] != "local-llm"]
        foreign += ["the container %s" % one["name"] for one in reading["containers"] if one["project"] != "local-llm"]
        found = []
        if foreign:
            found.append(
                "This host has another stack: %s. Stop it with `docker compose down` in its own folder (without -v: volumes named %s and %s"
                " are taken over), remove a network that stays, and run this again"
                % (", ".join(foreign), variables["llm_stack_ollama_volume"], variables["llm_stack_db_volume"])
            )
        if reading["docker"] is not None and not self.is_mac and not reading["iptables"]:
            found.append("the host has Docker, but no iptables, which closes the bridge of the stack to neighbours; install it")
        if docker.get("firewall_backend") == "nftables":
            found.append(
                "The firewall backend of Docker is nftables, where this role cannot close the bridge of the stack to neighbours; set"
                " firewall-backend: iptables in daemon.json"
            )
        return found


def addresses(variables: Variables) -> list[str]:
    """Return what is wrong with the addresses and ports that are listened on, as settings.

    :arg variables: ``site_gateway_bind``, ``site_ollama_bind``, ``llm_stack_share_bind``, ``llm_stack_services`` and the four ports.
    """
    share, ports = variables["llm_stack_share_bind"], ("llm_stack_db_port", "llm_stack_redis_port", "site_gateway_port", "site_ollama_port")
    if (
        ANY_ADDRESS.match(str(variables["site_gateway_bind"]))
        and ("ollama" not in variables["llm_stack_services"] or ADDRESS.match(str(variables["site_ollama_bind"])))
        and (not share or ADDRESS.match(str(share)))
        and all(is_port(variables[name]) for name in ports)
    ):
        return []
    shown = tuple(variables[name] for name in ("site_gateway_bind", "site_ollama_bind", "site_gateway_port", "site_ollama_port"))
    return [
        "site_gateway_bind, site_ollama_bind, site_gateway_port, site_ollama_port: set 127.0.0.1, 0.0.0.0 or an address of the host, and"
        " numbers from 1 to 65535 (they are %s, %s, %s, %s)" % shown
    ]


#: What can be asked for, by name.
SUBJECTS: dict[str, t.Callable[[Variables], list[str]]] = {
    "site_ollama": site_ollama,
    "secrets": secrets,
}
