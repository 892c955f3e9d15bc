#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: env_file
short_description: Make, keep and change the secrets of an environment file on the host
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Sets variables of an environment file as Compose reads it, and leaves everything else in it as it is, in its place.
  - Secrets are generated on the host, or taken from the containers that run with them, and never returned.
  - The file is written whole or not at all, for its owner alone (mode 0600).
options:
  path:
    description:
      - The environment file.
    type: path
    required: true
  source:
    description:
      - A file that O(path) begins as where it does not exist yet.
    type: path
  values:
    description:
      - Values by variable.
    type: dict
    default: {}
  generate:
    description:
      - Variables that get a new secret of 40 letters and digits, each with what the secret begins with.
      - A variable that has a value in O(path) keeps it, so that two runs at the same time agree; one of O(source) does not.
    type: dict
    default: {}
  recover:
    description:
      - Variables whose value is taken from a container of O(project).
    type: list
    elements: str
    default: []
  copy:
    description:
      - Variables that get the value of another one that has one, by the variable. One that has a value already keeps it.
    type: dict
    default: {}
  absent:
    description:
      - Variables that are taken out.
    type: list
    elements: str
    default: []
  backup:
    description:
      - A file, for its owner alone, that keeps the environment file as it was before a change. Its folder is made. One that is there
        stays - it is of a run that was cut, and has what worked.
    type: path
  restore:
    description:
      - Give all variables the value that they had in O(backup), and take out those that had none. Nothing is done where there is no
        such file, because nothing was changed then.
    type: bool
    default: false
  keep:
    description:
      - Variables that O(restore) leaves alone, by their names, with C(*) for any letters.
    type: list
    elements: str
    default: []
  exports:
    description:
      - A second file that sets some of the variables in a shell, for a service whose supervisor reads no environment file, such as a job
        of launchd. Variables without a value are left out.
    type: dict
    suboptions:
      path:
        description: Its path.
        type: path
        required: true
      names:
        description: The variables.
        type: list
        elements: str
        required: true
      group:
        description: Group that may read it.
        type: str
        required: true
  project:
    description:
      - Name of the Compose project.
    type: str
    default: local-llm
attributes:
  check_mode:
    description: Says which variables it would change, and changes none.
    support: full
  diff_mode:
    description: Shows no difference, because it would tell secrets.
    support: none
  platform:
    description: Linux and macOS with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.host_info
"""

EXAMPLES = r"""
- name: Keep the secrets of the gateway
  local_llm.fleet.env_file:
    path: /opt/local_llm/.env
    generate: {LITELLM_MASTER_KEY: sk-, POSTGRES_PASSWORD: ""}
    values: {GEMINI_API_KEY: "{{ vault_gemini_key }}"}
"""

RETURN = r"""
variables:
  description: The variables that were given another value, or taken out.
  returned: success
  type: list
  elements: str
  sample: [LITELLM_MASTER_KEY, POSTGRES_PASSWORD]
"""

import contextlib
import fnmatch
import grp
import os
import secrets
import shlex
import string
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host
from ansible_collections.local_llm.fleet.plugins.module_utils.host.containers import Engine

# These values stand in addresses and files where other characters would have to be quoted.
LETTERS = string.ascii_letters + string.digits
LENGTH = 40


class Missing(Exception):
    """A value that should be somewhere, and is not."""


def text_of(path: str) -> str | None:
    """Return a file's text with its own line ends; None where there is no file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def generated(prefix: str) -> str:
    """Return a new secret."""
    return prefix + "".join(secrets.choice(LETTERS) for _number in range(LENGTH))


def containers(project: str) -> dict[str, str]:
    """Return the secrets that the containers of a project run with."""
    engine = Engine(Host(30), project, "/", [], [])
    engine.read()
    return engine.secrets()


def wanted(text: str, params: dict[str, t.Any], exists: bool) -> dict[str, str | None]:
    """Return the values that the variables are to have, None for those that are to go.

    :arg text: the file's, or that of the one that it begins as.
    :arg exists: whether it is the file's.
    :raises Missing: for a variable that no container has, or that there is nothing to copy of.
    """
    there = {name: value for name, value in env_file.parse(text)["values"].items() if value}
    kept = there if exists else {}
    values: dict[str, str | None] = {name: generated(prefix) for name, prefix in params["generate"].items() if name not in kept}
    values.update({name: str(value) for name, value in params["values"].items()})
    if params["recover"]:
        found = containers(params["project"])
        missing = [name for name in params["recover"] if name not in found]
        if missing:
            raise Missing("no container of %s has %s" % (params["project"], ", ".join(missing)))
        values.update({name: found[name] for name in params["recover"]})
    for name, source in params["copy"].items():
        if name not in there:
            if source not in there:
                raise Missing("%s has no %s" % (params["path"], source))
            values[name] = there[source]
    now = env_file.parse(text)["values"]
    if params["restore"]:
        before = env_file.parse(text_of(params["backup"]) or "")["values"]
        names = [name for name in {**now, **before} if not any(fnmatch.fnmatchcase(name, form) for form in params["keep"])]
        values.update({name: before.get(name) for name in names})
    values.update(dict.fromkeys(params["absent"]))
    return {name: value for name, value in values.items() if now.get(name) != value}


def write(path: str, text: str, new: bool = False) -> bool:
    """Write a file whole, for its owner alone.

    :arg new: only where there is none.
    :returns: whether it was written; not where another run has made it meanwhile.
    """
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", dir=folder)
    try:
        with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if new:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
        else:
            os.replace(temporary, path)
        return True
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def is_closed(path: str) -> bool:
    """Whether a file is for the one who runs this alone."""
    status = os.stat(path)
    return status.st_mode & 0o7777 == 0o600 and status.st_uid == os.geteuid()


def bring(params: dict[str, t.Any], check: bool) -> tuple[bool, list[str]]:
    """Bring the file to what the parameters say; return whether it changes, and the variables that do."""
    path = params["path"]
    there = text_of(path)
    if params["restore"] and (there is None or text_of(params["backup"]) is None):
        return False, []
    before = there if there is not None else text_of(params["source"] or path) or ""
    values = wanted(before, params, there is not None)
    changed = bool(values) or there is None
    if changed and not check:
        if there is not None and params["backup"] and not params["restore"]:
            os.makedirs(os.path.dirname(params["backup"]), mode=0o700, exist_ok=True)
            write(params["backup"], there, new=True)
        if not write(path, env_file.update(before, values), new=there is None):
            # Another run has made the file; what it has generated counts.
            return bring(params, check)
    elif there is not None and not is_closed(path):
        changed = True
        if not check:
            os.chown(path, os.geteuid(), os.getegid())
            os.chmod(path, 0o600)
    return changed, sorted(values)


def exports(path: str, names: list[str]) -> str:
    """Return lines that set variables of an environment file in a shell; those that have a value."""
    values = env_file.parse(text_of(path) or "")["values"]
    return "".join("export %s=%s\n" % (name, shlex.quote(values[name])) for name in names if values.get(name))


def export(path: str, params: dict[str, t.Any], check: bool) -> bool:
    """Write the lines of :func:`exports` to a file of root's that one group may read; return whether it changes.

    :arg path: the environment file.
    """
    target, text = params["path"], exports(path, params["names"])
    try:
        group = grp.getgrnam(params["group"]).gr_gid
    except KeyError:
        if not check:
            raise
        return True  # where the group is only going to be made
    status = os.stat(target) if os.path.exists(target) else None
    if status and text_of(target) == text and (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o440, os.geteuid(), group):
        return False
    if not check:
        write(target, text)
        os.chown(target, os.geteuid(), group)
        os.chmod(target, 0o440)
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "source": {"type": "path"},
            "values": {"type": "dict", "default": {}, "no_log": True},
            "generate": {"type": "dict", "default": {}},
            "recover": {"type": "list", "elements": "str", "default": []},
            "copy": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "str", "default": []},
            "backup": {"type": "path"},
            "restore": {"type": "bool", "default": False},
            "keep": {"type": "list", "elements": "str", "default": []},
            "project": {"type": "str", "default": "local-llm"},
            "exports": {
                "type": "dict",
                "options": {
                    "path": {"type": "path", "required": True},
                    "names": {"type": "list", "elements": "str", "required": True},
                    "group": {"type": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    if module.params["restore"] and not module.params["backup"]:
        module.fail_json(msg="restore needs backup, the file that has the earlier values")
    try:
        changed, variables = bring(module.params, module.check_mode)
        if module.params["exports"] and not (module.check_mode and changed):
            changed = export(module.params["path"], module.params["exports"], module.check_mode) or changed
    except (OSError, ValueError, KeyError, Missing) as error:
        module.fail_json(msg="%s: %s" % (module.params["path"], error))
    module.exit_json(changed=changed, variables=variables)


if __name__ == "__main__":
    main()
