# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One reading of all that the roles of the stack judge a host by."""

from __future__ import annotations

import os
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from .. import env_file
from ..gpu.system import parse_meminfo
from . import Host
from .cdi import cdi
from .containers import Engine
from .files import disk, files, mode_of, owner_name, units
from .packages import packages
from .sockets import ports
from .sources import Sources, package_sources

MOUNTED = "/run/secrets/"  # where Compose mounts the files of providers
SNAPSHOT = ".before"  # of the role llm_stack, in the project's folder


def firewall(host: Host, project_dir: str) -> bool | None:
    """Return whether the project's firewall rules are in place, as its own script says; None without one that can be trusted."""
    script = os.path.join(project_dir, "firewall")
    if not os.access(script, os.X_OK):
        return None
    # Not a script that somebody else may have put there.
    own = all(mode_of(path) in ({"mode": "0755", "owner": owner_name(os.geteuid())},) for path in (script, project_dir))
    return host.run(script, "check")[0] == 0 if own else None


def sources(host: Host, params: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Try all addresses that the parameters name at the same time, and those of the packages where they are wanted."""
    urls = params["sources"] + (package_sources(host) if params["package_sources"] else [])
    if not urls:
        return []
    way = Sources(params["timeout"], params["proxy"], params["no_proxy"], params["ca_pem"])
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(way.ask, urls))


def read(host: Host, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what ``host_info`` returns of the Compose project and of what it needs, for the module's parameters."""
    clock = time.time()
    project_dir = params["project_dir"]
    docker = Engine(host, params["project"], project_dir, params["containers"], params["networks"], params["config_hashes"])
    environment = env_file.read(host.path(os.path.join(project_dir, ".env")))
    with ThreadPoolExecutor(3) as pool:
        engine, tried = pool.submit(docker.read), pool.submit(sources, host, params)
        closed = pool.submit(firewall, host, project_dir)
    values = environment.pop("values") if environment else {}
    salt, digests = params["environment_salt"], params["environment"]
    told = {
        "names": sorted(name for name, value in values.items() if value),
        "same": sorted(name for name, value in digests.items() if name in values and env_file.digest(values[name], salt) == value),
        "mounted": sorted(name for name, value in values.items() if value == MOUNTED + name),
    }
    return {
        "user": owner_name(os.geteuid()),
        "systemd": os.path.isdir("/run/systemd/system"),
        "memory_mib": parse_meminfo(host.text("/proc/meminfo") or "")[0],
        "clock_offset": round(clock - params["reference_time"], 1) if params["reference_time"] is not None else None,
        "iptables": host.find("iptables") is not None,
        "docker": engine.result(),
        "containers": docker.containers(values),
        "ports": ports(host, params["ports"], docker.published()),
        "paths": [disk(path) for path in params["paths"]],
        "sources": tried.result(),
        "files": files(host, project_dir),
        "secret_files": files(host, os.path.join(project_dir, "secrets")),
        "contents": {name: host.text(os.path.join(project_dir, name)) for name in params["contents"]},
        "unfinished": os.path.isdir(os.path.join(project_dir, SNAPSHOT)),
        "project_dir": mode_of(project_dir) if os.path.isdir(project_dir) else None,
        "environment": environment and {**told, **environment},
        "environment_in_containers": sorted(docker.secrets()),
        "firewall": closed.result(),
        "packages": packages(host, params["packages"]),
        "cdi": cdi(host),
        "units": units(host, params["units"]),
    }
