# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the settings of roles as typed values, by the names and types that their argument_specs give them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import jinja2
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROLES = Path(__file__).resolve().parents[2] / "roles"
# The parser in C reads the roles' files in a tenth of the time, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NOT_VALIDATED = ("description", "version_added")  # keys of an option that people read


def load_yaml(text: str) -> t.Any:
    """Return what a text of YAML holds."""
    return yaml.load(text, Loader=LOADER)  # noqa: S506 (both are safe)


def plain(value: t.Any) -> t.Any:
    """Return a value as functions take it: what is no number, text, list or mapping, such as a text from a vault, as a text."""
    return value if value is None or isinstance(value, (str, int, float, list, tuple, Mapping)) else str(value)


def deep_plain(value: t.Any) -> t.Any:
    """Return a value that is made of Python's own types alone. Ansible marks texts, lists and mappings by types of its own, which no
    library can write as YAML."""
    if isinstance(value, Mapping):
        return {deep_plain(key): deep_plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [deep_plain(one) for one in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str.__str__(value) if isinstance(value, str) else str(value)


class Templated(Mapping[str, t.Any]):
    """A host's variables, whose templates are replaced when they are asked for, each once. What is in ``known`` is taken first.

    :arg variables: the variables as Ansible hands them to plugins.
    :arg template: what replaces the templates in a value.
    """

    def __init__(self, variables: Mapping[str, t.Any], template: t.Callable[[t.Any], t.Any]) -> None:
        self.variables, self.template = variables, template
        self.known: dict[str, t.Any] = {}

    def __getitem__(self, name: str) -> t.Any:
        if name not in self.known:
            value = self.variables[name]
            # hostvars is a mapping and no dict; all other hosts' variables would be templated with it.
            is_hostvars = isinstance(value, Mapping) and not isinstance(value, dict)
            self.known[name] = value if is_hostvars else plain(self.template(value))
        return self.known[name]

    def __contains__(self, name: object) -> bool:
        return name in self.known or name in self.variables

    def __iter__(self) -> Iterator[str]:
        return iter({**self.variables, **self.known})

    def __len__(self) -> int:
        return len({**self.variables, **self.known})


class SettingsError(Exception):
    """Settings that are of the wrong type, with a line for each."""


@cache
def tables(role: str) -> dict[str, t.Any]:
    """Return the variables of a role's vars as they are written: its tables, such as packages by system."""
    return dict(load_yaml((ROLES / role / "vars/main.yml").read_text(encoding="utf-8")))


@cache
def templated_defaults(role: str) -> dict[str, str]:
    """Return the defaults of a role's options that are templates."""
    specs = load_yaml((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    known = specs["argument_specs"]["main"]["options"]
    return {name: option["default"] for name, option in known.items() if "{{" in str(option.get("default"))}


def filled(template: str, values: t.Mapping[str, t.Any]) -> str | None:
    """Return a default whose template other settings fill; None where it names something else."""
    try:
        return str(jinja2.Template(template, undefined=jinja2.StrictUndefined).render(values))
    except jinja2.UndefinedError:
        return None


def is_validated(key: str, value: t.Any, option: t.Mapping[str, t.Any]) -> bool:
    """Whether a key of an option is one that values are validated by."""
    if key == "default":
        return "{{" not in str(value)
    return key not in NOT_VALIDATED and not (key == "choices" and option.get("type") == "list")


@cache
def options(role: str) -> dict[str, dict[str, t.Any]]:
    """Return the options of a role's argument_specs, by name. A default that is a template has to be known by whoever asks, and what
    may stand in a list is judged by whoever takes it, with all else that is wrong."""
    specs = load_yaml((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return {
        name: {key: value for key, value in option.items() if is_validated(key, value, option)}
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
    values = {name: plain(template(variables[name])) for name in specs if name in variables}
    validated = ArgumentSpecValidator(specs).validate(values)
    if validated.error_messages:
        raise SettingsError("\n".join(validated.error_messages))
    found = {name: deep_plain(value) for name, value in validated.validated_parameters.items()}
    for role in dict.fromkeys([*roles, *(further or {})]):
        for name, default in templated_defaults(role).items():
            if name in found and found[name] is None:
                found[name] = filled(default, found)
    return found
