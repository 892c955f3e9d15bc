#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_password
short_description: Give a user of PostgreSQL in a container the password of an environment file
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Asks over the socket inside the container, where the official image asks for no password. The new one goes in by standard input,
    which no list of processes shows, and is not returned.
options:
  env_file:
    description:
      - Environment file on the host that has the password as C(POSTGRES_PASSWORD).
    type: path
    required: true
  container:
    description:
      - Name of the container.
    type: str
    default: litellm_db
  user:
    description:
      - Name of the user.
    type: str
    default: llmproxy
  database:
    description:
      - Name of a database to connect to.
    type: str
    default: litellm
  timeout:
    description:
      - Seconds that it may take.
    type: int
    default: 60
attributes:
  check_mode:
    description: Changes nothing then.
    support: full
  diff_mode:
    description: Shows no difference, because it would tell the password.
    support: none
  platform:
    description: Linux and macOS with Python 3.9 or newer, and Docker.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.env_file
"""

EXAMPLES = r"""
- name: Give the database its new password
  local_llm.fleet.database_password:
    env_file: /opt/local_llm/.env.new
"""

RETURN = r"""
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host

PASSWORD = "POSTGRES_PASSWORD"  # noqa: S105 (the name of a variable)


def statement(user: str, password: str) -> str:
    """Return the SQL that gives a user a password."""
    return "ALTER ROLE \"%s\" PASSWORD '%s';\n" % (user.replace('"', '""'), password.replace("'", "''"))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "env_file": {"type": "path", "required": True},
            "container": {"type": "str", "default": "litellm_db"},
            "user": {"type": "str", "default": "llmproxy"},
            "database": {"type": "str", "default": "litellm"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    password = ((env_file.read(params["env_file"]) or {}).get("values") or {}).get(PASSWORD)
    if not password:
        module.fail_json(msg="%s has no %s" % (params["env_file"], PASSWORD))
    if module.check_mode:
        module.exit_json(changed=True)
    options = ("-q", "-v", "ON_ERROR_STOP=1", "-U", params["user"], "-d", params["database"])
    status, out, err = Host(params["timeout"]).run(
        "docker", "exec", "-i", params["container"], "psql", *options, text=statement(params["user"], password)
    )
    if status != 0:
        # PostgreSQL repeats the statement of a mistake.
        said = (err or out).strip().replace(password, "********")
        module.fail_json(msg="%s: %s" % (params["container"], said or "psql did not end in %d s" % params["timeout"]))
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
