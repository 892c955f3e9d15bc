# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make LiteLLM's configuration from plans, other engines and providers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_config
short_description: Make LiteLLM's configuration
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes the configuration of a LiteLLM gateway - one route for each model of the host's plan, of other engines, and of external
    providers whose credentials are there, and no other.
  - Chat models get the prefix C(ollama_chat/), which keeps their own template and tools; embedding models C(ollama/). Each
    gets one C(num_ctx), because another one would make the engine load the model anew, and those that stay in memory
    C(keep_alive=-1).
  - A fallback to a route that this host does not have is left out, so that one setting serves hosts with different models.
    Whatever is left out is in RV(_value.notes).
  - Returns no configuration, but RV(_value.problems), where settings contradict each other or mean nothing.
positional: _input
options:
  _input:
    description:
      - The models of the host's plan, as RV(local_llm.fleet.model_plan#filter:_value) has them. Empty for a gateway without an
        engine of its own.
    type: list
    elements: dict
    required: true
  has_gpu:
    description:
      - Whether the host's plan is for a GPU. Then models placed on the CPU are kept off it with C(num_gpu=0).
    type: bool
    default: false
  preload:
    description:
      - Whether models that the plan preloads are to stay in memory.
    type: bool
    default: true
  engine:
    description:
      - Address of the host's own engine, as the gateway reaches it.
    type: str
    default: http://ollama:11434
  backends:
    description:
      - Engines of other hosts, each with C(api_base) and the C(models) that it serves, as its plan has them (C(name) suffices),
        and C(has_gpu) where that plan is for a GPU. Models with the same route are one route, balanced among its engines.
    type: list
    elements: dict
    default: []
  engines:
    description:
      - Addresses of the inventory's hosts that were asked for their models, by name. One that is not among O(backends) with a
        model is noted.
    type: dict
    default: {}
  providers:
    description:
      - External providers by a name of your own. Each has C(models) (names, or mappings with C(name), C(route), C(mode),
        C(params)) and may have C(provider) (LiteLLM's name for it; the name itself by default), C(api_key), C(api_base),
        C(params), C(secrets) and C(files).
      - C(api_key=none) is for one that needs no key. LiteLLM's kinds that are programs of one's own, such as C(openai) or
        C(hosted_vllm), need none where their C(api_base) is not that of a service known to ask for one. C(bedrock),
        C(sagemaker) and C(vertex_ai) have credentials of other kinds.
      - C(secrets) are values by the environment variable's name; an empty one stands for what O(keys) has. C(files) are paths on
        the control node, by the variable that is to name the file's path on the gateway.
    type: dict
    default: {}
  keys:
    description:
      - Names of the environment variables that have a value. A provider without its key's variable gets no route.
    type: list
    elements: str
    default: []
  environment:
    description:
      - Names of the environment variables that are set for the gateway in another way. Providers cannot set these.
    type: list
    elements: str
    default: []
  fallbacks:
    description:
      - Routes to ask instead, by the route that fails. C(*) stands for every route that has no list of its own.
    type: dict
    default: {}
  client_keys:
    description:
      - What each client may do, by its name. Only looked at for mistakes.
    type: dict
    default: {}
  known_routes:
    description:
      - Routes that other hosts have. A fallback to one of these is no mistake here. Without it, none is.
    type: list
    elements: str
  num_retries:
    description:
      - How often the gateway asks the only one that has a model again. Where several have it, up to five of them are asked in turn.
    type: int
    default: 2
  timeout:
    description:
      - Seconds after which the gateway gives a request up.
    type: int
    default: 600
  max_parallel_requests:
    description:
      - Requests per route and engine at a time, up to twice that where several have the route. The gateway refuses more with 429
        when nobody is left to ask; 0 leaves it to the engine, which queues.
    type: int
    default: 0
  redis:
    description:
      - Whether the gateway shares a Redis with others, whose address and password stand in its environment.
    type: bool
    default: false
  native:
    description:
      - Whether the gateway runs without containers. It cannot be given files then, nor secrets with quotes or lines' ends.
    type: bool
    default: false
  extra:
    description:
      - Any other part of LiteLLM's configuration, merged over what is made here. Lists are appended.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Write the configuration of a gateway for the engines of two hosts
  ansible.builtin.copy:
    dest: /opt/local_llm/config.yml
    content: "{{ ([] | local_llm.fleet.gateway_config(backends=engines)).config | to_nice_yaml }}"
    mode: "0644"
  vars:
    engines:
      - {api_base: "http://192.0.2.11:11434", models: [{name: tinyllama}]}
      - {api_base: "http://192.0.2.12:11434", models: [{name: tinyllama}, {name: bge-m3, mode: embedding}]}
"""

RETURN = r"""
_value:
  description: The configuration, what is wrong with the settings, and what of them has no effect.
  type: dict
  contains:
    config:
      description: LiteLLM's configuration.
      type: dict
    secrets:
      description: Values for the environment file, by variable. Not to be shown.
      type: dict
    files:
      description: The providers' files, each with C(name) (the variable), C(path) on the control node, and C(sha256).
      type: list
      elements: dict
    variables:
      description: Names in the environment file that the gateway is to be given.
      type: list
      elements: str
    notes:
      description: One line for each setting that has no effect on this host, with what is left out, why, and what to set.
      type: list
      elements: str
    comments:
      description: The notes as comment lines for the head of the configuration.
      type: str
    problems:
      description: One line for each mistake, with the variable to set.
      type: list
      elements: str
      sample: []
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import gateway


def gateway_config(models: list, providers: dict | None = None, **settings: t.Any) -> gateway.Decision:
    """The filter. See this file's DOCUMENTATION for the arguments and the rules."""
    return gateway.decide(models, providers=providers, found=gateway.control_files(providers), **settings)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"gateway_config": gateway_config}
