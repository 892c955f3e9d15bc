# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the templates of roles, as Ansible does, for decisions that are made without it."""

from __future__ import annotations

import typing as t
from functools import cache
from pathlib import Path

import jinja2

ROLES = Path(__file__).resolve().parents[2] / "roles"


@cache
def environment(role: str) -> jinja2.Environment:
    """Return what reads and fills a role's templates. They become files of hosts, never pages, so that nothing is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLES / role / "templates"),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701
    )


def load_all(role: str) -> None:
    """Compile a role's templates, so that whoever is forked later has them."""
    for name in environment(role).list_templates():
        environment(role).get_template(name)


def render(role: str, name: str, **values: t.Any) -> str:
    """Return the text of a template.

    :arg role: the role of this collection that it belongs to.
    :arg name: its name in the role's folder ``templates``.
    :arg values: what its names stand for. A name without a value is an error.
    """
    return environment(role).get_template(name).render(ansible_managed="Ansible managed", **values)
