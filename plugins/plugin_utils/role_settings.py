# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the settings of roles as typed values, by the names and types that their argument_specs give them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROLES = Path(__file__).resolve().parents[2] / "roles"
NOT_VALIDATED = ("description", "version_added")  # keys of an option that people read


class SettingsError(Exception):
    """Settings that are of the wrong type, with a line for each."""


def options(role: str) -> dict[str, dict[str, t.Any]]:
    """Return the options of a role's argument_specs, by name."""
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return {
        name: {key: value for key, value in option.items() if key not in NOT_VALIDATED}
        for name, option in specs["argument_specs"]["main"]["options"].items()
    }


def settings(
    roles: t.Iterable[str],
    variables: t.Mapping[str, t.Any],
    template: t.Callable[[t.Any], t.Any],
    further: t.Mapping[str, t.Iterable[str]] | None = None,
) -> dict[str, t.Any]:
    """Return the values of the roles' options, converted to their types.

    :arg roles: roles of this collection, all of whose options are taken.
    :arg variables: the host's variables. An option that is not among them has its default.
    :arg template: what replaces the templates in a variable's value.
    :arg further: options of other roles, by role.
    :raises SettingsError: for values that cannot be converted; it names the variables.
    """
    specs: dict[str, dict[str, t.Any]] = {}
    for role in roles:
        specs.update(options(role))
    for role, names in (further or {}).items():
        known = options(role)
        specs.update({name: known[name] for name in names})
    values = {name: template(variables[name]) for name in specs if name in variables}
    validated = ArgumentSpecValidator(specs).validate(values)
    if validated.error_messages:
        raise SettingsError("\n".join(validated.error_messages))
    return dict(validated.validated_parameters)
