#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: litellm_key
short_description: Manage the keys of a LiteLLM gateway's clients
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes virtual keys of given values exist on a LiteLLM gateway with given models, budgets and limits, or not exist, in one call.
  - The gateway needs a database for them. It is asked for a key by the key's SHA-256, so that no key stands in an access log.
options:
  url:
    description:
      - Address of the gateway, with or without C(/v1).
    type: str
    default: http://127.0.0.1:4444
  master_key:
    description:
      - The gateway's master key. Without it it is C(LITELLM_MASTER_KEY) of O(env_file).
    type: str
  env_file:
    description:
      - Environment file on the host with the keys, so that no task has to be handed them.
    type: path
  keys:
    description:
      - The keys.
    type: list
    elements: dict
    required: true
    suboptions:
      alias:
        description:
          - Name of the key, by which the gateway's reports know it. Each can be used once.
        type: str
        required: true
      key:
        description:
          - The key itself. It begins with C(sk-).
        type: str
      variable:
        description:
          - The variable of O(env_file) that has the key.
        type: str
      state:
        description:
          - Whether the key is to exist.
        type: str
        choices: [present, absent]
        default: present
      models:
        description:
          - Routes that the key may use. Empty is all of them.
        type: list
        elements: str
        default: []
      max_budget:
        description:
          - What may be spent with the key, in US dollars. Local models cost nothing unless their routes have prices.
        type: float
      budget_duration:
        description:
          - After which time the budget begins anew, such as V(30d).
        type: str
      rpm_limit:
        description:
          - Requests a minute.
        type: int
      tpm_limit:
        description:
          - Tokens a minute.
        type: int
      max_parallel_requests:
        description:
          - Requests at a time.
        type: int
  timeout:
    description:
      - Seconds that the gateway may take to answer.
    type: int
    default: 30
attributes:
  check_mode:
    description: Says which keys it would make, change or remove, and does none of it.
    support: full
  diff_mode:
    description: Shows models, budgets and limits before and after, and no key.
    support: full
  platform:
    description: Any with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.llm_endpoint_check
"""

EXAMPLES = r"""
- name: Give the editor a key for the local models, and take the old one away
  local_llm.fleet.litellm_key:
    master_key: "{{ vault_master_key }}"
    keys:
      - {alias: continue, key: "{{ vault_continue_key }}", models: [gpt-oss-20b, bge-m3], rpm_limit: 60}
      - {alias: old-editor, key: "{{ vault_old_key }}", state: absent}
  no_log: true

- name: Give the editor the key that the host keeps for it
  local_llm.fleet.litellm_key:
    env_file: /opt/local_llm/.env
    keys: [{alias: continue, variable: CLIENT_KEY_CONTINUE, models: [gpt-oss-20b]}]
"""

RETURN = r"""
keys:
  description: What was done, in the order of O(keys).
  returned: success
  type: list
  elements: dict
  contains:
    alias:
      description: The key's name.
      type: str
      sample: continue
    action:
      description: V(none), V(made), V(changed) or V(removed).
      type: str
      sample: made
"""

import hashlib
import json
import re
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file

MASTER_KEY = "LITELLM_MASTER_KEY"
# What can be told of a key, by the names that the gateway has for it.
FIELDS = ("models", "max_budget", "budget_duration", "rpm_limit", "tpm_limit", "max_parallel_requests")


class GatewayError(Exception):
    """What the gateway said, in one line."""


class Gateway:
    """The part of a LiteLLM gateway's API that manages keys (https://docs.litellm.ai/docs/proxy/virtual_keys).

    :arg url: its address.
    :arg master_key: the key that may manage others.
    :arg timeout: the seconds it may take to answer.
    """

    def __init__(self, url: str, master_key: str, timeout: int) -> None:
        self.url = re.sub(r"(/v1)?/*$", "", url)
        self.master_key, self.timeout = master_key, timeout
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, body: dict | None = None, missing: bool = False) -> dict | None:
        """Return the answer's JSON, or None for 404 where something may be missing.

        :raises GatewayError: with the gateway's own words, and the fix where it has no database.
        """
        headers = {"Authorization": "Bearer " + self.master_key, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), headers)
        try:
            with self.opener.open(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404 and missing:
                return None
            raise GatewayError(self.words(error.code, error.read().decode("utf-8", "replace"))) from None
        except (OSError, ValueError) as error:
            raise GatewayError("%s: %s" % (self.url, getattr(error, "reason", error))) from None

    def words(self, status: int, text: str) -> str:
        """Return one line for a refusal."""
        try:
            said = json.loads(text)
            said = said.get("error", said.get("detail", said))
            text = said.get("message", said.get("error", text)) if isinstance(said, dict) else said
        except (ValueError, AttributeError):
            pass
        line = " ".join(str(text).split())[:300]
        if re.search(r"no connected db|database not connected|no_db_connection", line, re.IGNORECASE):
            line += " - keys need LiteLLM's database, which this gateway does not have: is db in llm_stack_services?"
        return "%s answered %d: %s" % (self.url, status, line)

    def read(self, key: str) -> dict | None:
        """Return what the gateway knows of a key, or None where it knows none such, or one that was deleted."""
        answer = self.ask("/key/info?" + urllib.parse.urlencode({"key": hashlib.sha256(key.encode()).hexdigest()}), missing=True)
        info = (answer or {}).get("info") or {}
        return None if not info or info.get("status") == "deleted" else info


def wanted_of(entry: dict) -> dict[str, t.Any]:
    """Return the settings that a key is to have. What was not given is to be without a limit."""
    return {field: entry[field] for field in FIELDS}


def settings_of(info: dict) -> dict[str, t.Any]:
    """Return the settings that a key has."""
    return {field: sorted(info.get(field) or []) if field == "models" else info.get(field) for field in FIELDS}


def manage(gateway: Gateway, entry: dict, check: bool) -> tuple[str, dict, dict]:
    """Bring one key to its state.

    :returns: what was done, and the key's settings before and after.
    :raises GatewayError: when the gateway refuses.
    """
    info = gateway.read(entry["key"])
    before = dict(settings_of(info), alias=info.get("key_alias")) if info else {}
    if entry["state"] == "absent":
        if info and not check:
            gateway.ask("/key/delete", {"keys": [entry["key"]]}, missing=True)
        return ("removed" if info else "none"), before, {}
    wanted = wanted_of(entry)
    after = dict(wanted, models=sorted(wanted["models"]), alias=entry["alias"])
    if before == after:
        return "none", before, after
    if not check:
        if not info:
            # A key of this name that was lost: nobody could take it away any more, and the name is taken.
            gateway.ask("/key/delete", {"key_aliases": [entry["alias"]]}, missing=True)
        gateway.ask("/key/update" if info else "/key/generate", {"key": entry["key"], "key_alias": entry["alias"], **wanted})
    return ("changed" if info else "made"), before, after


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:4444"},
            "master_key": {"type": "str", "no_log": True},
            "env_file": {"type": "path"},
            "keys": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "no_log": False,
                "options": {
                    "alias": {"type": "str", "required": True},
                    "key": {"type": "str", "no_log": True},
                    "variable": {"type": "str"},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "models": {"type": "list", "elements": "str", "default": []},
                    "max_budget": {"type": "float"},
                    "budget_duration": {"type": "str"},
                    "rpm_limit": {"type": "int"},
                    "tpm_limit": {"type": "int"},
                    "max_parallel_requests": {"type": "int"},
                },
                "required_one_of": [("key", "variable")],
            },
            "timeout": {"type": "int", "default": 30},
        },
        required_one_of=[("master_key", "env_file")],
        supports_check_mode=True,
    )
    known = ((env_file.read(module.params["env_file"]) or {}).get("values") or {}) if module.params["env_file"] else {}
    master_key = module.params["master_key"] or known.get(MASTER_KEY)
    if not master_key:
        module.fail_json(msg="%s has no %s" % (module.params["env_file"], MASTER_KEY))
    entries = [{**entry, "key": entry["key"] or known.get(entry["variable"]) or ""} for entry in module.params["keys"]]
    # What the gateway says may have them in it.
    module.no_log_values.update(value for value in (master_key, *(entry["key"] for entry in entries)) if value)
    for entry in entries:
        if not re.match(r"^sk-[A-Za-z0-9_-]{16,}$", entry["key"]):
            module.fail_json(msg="the key of %s must begin with sk- and have at least 16 letters or digits" % entry["alias"])
    gateway = Gateway(module.params["url"], master_key, module.params["timeout"])
    done, before, after = [], {}, {}
    try:
        for entry in entries:
            action, before[entry["alias"]], after[entry["alias"]] = manage(gateway, entry, module.check_mode)
            done.append({"alias": entry["alias"], "action": action})
    except GatewayError as error:
        module.fail_json(msg=str(error), changed=any(one["action"] != "none" for one in done), keys=done)
    changed = any(one["action"] != "none" for one in done)
    module.exit_json(changed=changed, keys=done, diff={"before": before, "after": after} if changed else {})


if __name__ == "__main__":
    main()
