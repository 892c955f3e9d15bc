# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host, and has plugin_utils compare it with the gateway that it is to have without a container."""

from __future__ import annotations

from ansible_collections.local_llm.fleet.plugins.action.ollama_native_state import ActionModule as OfEngine


class ActionModule(OfEngine):
    """See the documentation of the module of this name."""

    SERVICE, ROLE = "gateway", "litellm_native"
