#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_model
short_description: Manage the models of an Ollama engine
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes a set of models present on, up to date on, or absent from one Ollama engine, loads and unloads them, in one call.
  - Names are compared as Ollama compares them, so that V(qwen3), V(qwen3:latest) and
    V(registry.ollama.ai/library/qwen3:latest) are one model, in upper or lower case.
  - A pull is read line by line. An error line inside a successful HTTP answer is an error, and so is a stream that
    ends without success. A pull that moves is never ended; one that does not is given up after O(idle_timeout), and tried
    again. The engine goes on where it was, as long as it has not been restarted.
  - While it pulls, it shows model, percent, rate and time left (see O(progress)). It runs in the background of the target
    then, so that a lost connection does not end a pull.
options:
  url:
    description:
      - Address of the engine, as the target reaches it.
    type: str
    default: http://127.0.0.1:11434
  models:
    description:
      - The models.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the model, C([host/][namespace/]model[:tag]).
        type: str
        required: true
      state:
        description:
          - State of this model, where it is not that of the others. See O(state).
        type: str
        choices: [present, latest, absent]
      digest:
        description:
          - SHA-256 that the model's manifest must have, in 64 hexadecimal digits, with or without C(sha256:) in front.
          - A model of another digest is replaced. Nothing is pulled where the registry has another one, too.
        type: str
      loaded:
        description:
          - V(true) loads the model into memory, V(false) takes it out of there. Without it, it is left as it is.
        type: bool
      keep_alive:
        description:
          - How long a model that O(models[].loaded=true) loads stays, as Ollama writes it. V(-1) is for ever.
        type: str
        default: 5m
      options:
        description:
          - The engine's options to load it with, such as C(num_ctx). They must be those of later requests, or the engine loads
            the model again.
        type: dict
        default: {}
  state:
    description:
      - V(present) pulls what is missing and leaves alone what is there, however old.
      - V(latest) also compares what is there with the registry, by digest, and pulls what differs. A model that was made
        on the engine, and is in no registry, is an error.
      - V(absent) unloads and removes what is there.
    type: str
    choices: [present, latest, absent]
    default: present
  exclusive:
    description:
      - Remove all models that O(models) does not name.
    type: bool
    default: false
  mirror:
    description:
      - A registry of your own to pull from, as C(host[:port]). The model is pulled under the mirror's name, given its
        own short name, and the mirror's name is dropped.
      - It must answer for a blob with a C(Location) header, or Ollama refuses it.
    type: str
  mirror_insecure:
    description:
      - Speak plain HTTP to O(mirror).
    type: bool
    default: false
  idle_timeout:
    description:
      - Seconds without a further downloaded byte after which a pull is given up. There is no limit on a pull that
        moves.
    type: int
    default: 300
  retries:
    description:
      - How often a pull is tried again that ended in an error which may pass. The waits between are 1, 2, 4 ... seconds, 30 at
        most; after a registry's rate limit (HTTP 429) 60, 120, 240 ... seconds, 300 at most, or what its C(Retry-After) says.
        Errors that last (an unknown model, a full disk) end it at once.
    type: int
    default: 3
  parallel:
    description:
      - How many models are pulled at a time.
    type: int
    default: 1
  models_dir:
    description:
      - Folder in which the engine keeps its models, as the target sees it, with C(blobs) in it. With it the disk is checked
        before anything is pulled, and what is there already of a model counts.
      - It need not exist yet. Then the nearest folder above it is taken for the file system.
    type: path
  disk_reserve:
    description:
      - MiB that must stay free on the file system of O(models_dir).
    type: int
    default: 0
  progress:
    description:
      - Show the progress of pulls while they run. V(false) is for logs that nobody watches, as in CI.
    type: bool
    default: true
  progress_file:
    description:
      - File that the module writes its progress to, for the part of it that runs on the control node. Not to be set.
    type: path
attributes:
  check_mode:
    description: Says what it would pull, replace, remove, load or unload, and does none of it. Asks registries for manifests only.
    support: full
  diff_mode:
    description: Shows names and digests on the engine before and after.
    support: full
  platform:
    description: Any with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: posix
notes:
  - Before Ollama 0.19 the digest of a model whose manifest has uncommon fields differs from the registry's. With
    O(state=latest) such a model is checked again every time (its layers are not fetched again), and check mode says that it
    would change.
  - What an unfinished pull has left stays on the disk until the pull is finished or the engine is restarted.
seealso:
  - module: local_llm.fleet.ollama_model_info
"""

EXAMPLES = r"""
- name: Two models on this host's engine
  local_llm.fleet.ollama_model:
    models:
      - name: tinyllama
      - name: bge-m3

- name: A model from the site's own mirror, and a look at the disk before
  local_llm.fleet.ollama_model:
    models:
      - name: gpt-oss:20b
    mirror: mirror.example.com:5000
    mirror_insecure: true
    models_dir: /var/lib/docker/volumes/litellm_ollama_data/_data/models
    disk_reserve: 2048

- name: What the registry has now, one model as it was reviewed, and no others
  local_llm.fleet.ollama_model:
    models:
      - name: tinyllama
      - name: qwen3:8b
        state: present
        digest: 500a1f067a9f782620b40bee6f7b0c89e17ae61f686b92c24933e4ca4b2b8b41
    state: latest
    exclusive: true

- name: A model that answers at once, with the context that the gateway asks for
  local_llm.fleet.ollama_model:
    models:
      - name: tinyllama
        loaded: true
        keep_alive: "-1"
        options: {num_ctx: 2048}

- name: One model less
  local_llm.fleet.ollama_model:
    models:
      - name: tinyllama
    state: absent
"""

RETURN = r"""
models:
  description: What was done with each model, in the order asked for; after them what O(exclusive=true) removed.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The model's name as Ollama shows it.
      type: str
      sample: tinyllama:latest
    action:
      description:
        - V(none), V(pulled), V(updated), V(removed), or V(failed). In check mode what would be done.
      type: str
      sample: pulled
    memory:
      description: V(none), V(loaded) or V(unloaded). In check mode what would be done.
      type: str
      sample: none
    digest:
      description: SHA-256 of the model's manifest. Empty when the model is not there.
      type: str
      sample: 2644915ede352ea7bdfaff0bfac0be74c719d5d5202acb63a6fb095b52f394a4
    size:
      description: Bytes on disk. 0 when the model is not there.
      type: int
      sample: 637700138
    bytes:
      description: What came over the wire, as far as the engine tells. In check mode what would come at most.
      type: int
      sample: 637700138
    seconds:
      description: What the pull took.
      type: float
      sample: 61.3
    tries:
      description: How often it was tried. 0 when there was nothing to pull.
      type: int
      sample: 1
    error:
      description: Why it failed, in one line.
      returned: when RV(models[].action=failed)
      type: str
      sample: "pull model manifest: file does not exist: the registry has no such model: mind its name and tag, or put it there"
  sample:
    - name: tinyllama:latest
      action: pulled
      memory: none
      digest: 2644915ede352ea7bdfaff0bfac0be74c719d5d5202acb63a6fb095b52f394a4
      size: 637700138
      bytes: 637700138
      seconds: 61.3
      tries: 1
extra:
  description: Names of the models that are on the engine and were not asked for.
  returned: when the engine answered
  type: list
  elements: str
  sample: ["llama2:latest"]
"""

import contextlib
import json
import os
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import (
    Manifest,
    ModelName,
    OllamaClient,
    OllamaError,
    cloud_model,
    fetch_manifest,
)

MIB = 2**20
LONGEST_WAIT = 30
LONGEST_RATE_WAIT = 300  # seconds, after an error whose cause names a wait
LONGEST_RETRY_AFTER = 900  # seconds that a server may ask for
BEAT = 30  # seconds between two signs of life
FINAL = ("no-model", "cloud-model")  # what the engine would be told, too


class Disk:
    """The file system that the engine keeps its models on."""

    def __init__(self, models_dir: str) -> None:
        self.models_dir = models_dir

    def has(self, digest: str) -> int:
        """The bytes of a blob that are there, whole or in part."""
        path = os.path.join(self.models_dir, "blobs", digest.replace(":", "-"))
        for candidate, part in ((path, False), (path + "-partial", True)):
            try:
                found = os.stat(candidate)
            except OSError:
                continue
            # A part is as large as the whole from the start, with holes in it.
            return min(found.st_size, found.st_blocks * 512) if part else found.st_size
        return 0

    def free(self) -> int:
        """The bytes that are free."""
        path = self.models_dir
        while not os.path.isdir(path) and path != os.path.dirname(path):
            path = os.path.dirname(path)
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize


class Progress:
    """Tells the control node how far the pulls are, through a file that is replaced as a whole. It is also written when
    nothing moves, so that a module that waits can be told from one that is gone."""

    def __init__(self, path: str | None, clock: t.Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.clock = clock
        self.pulls: dict[str, dict[str, t.Any]] = {}
        self.written = 0.0
        self.beats = 0
        self.lock = threading.Lock()
        if path:
            threading.Thread(target=self.beat, daemon=True).start()

    def beat(self) -> None:
        while True:
            with self.lock:
                self.beats += 1
                self.write()
            time.sleep(BEAT)

    def write(self) -> None:
        # A pull does not fail because its progress cannot be told, as on a disk that it has just filled.
        with contextlib.suppress(OSError):
            with open("%s.new" % self.path, "w", encoding="utf-8") as stream:
                json.dump({"beats": self.beats, "pulls": self.pulls}, stream)
            os.replace("%s.new" % self.path, str(self.path))

    def waiting(self, name: str, tries: int, seconds: int, cause: str) -> None:
        """Note that a pull waits before it is tried again."""
        if not self.path:
            return
        with self.lock:
            state = self.pulls.setdefault(name, {"completed": 0, "total": 0})
            state["waits"] = {"tries": tries, "seconds": seconds, "cause": cause}
            self.write()

    def report(self, name: str, completed: int, total: int) -> None:
        """Note how far a pull is; written once a second at most."""
        if not self.path:
            return
        with self.lock:
            self.pulls[name] = {"completed": completed, "total": total}
            if self.clock() - self.written >= 1:
                self.written = self.clock()
                self.write()


class ModelSet:
    """The models asked for, and what the engine has of them."""

    def __init__(
        self,
        client: OllamaClient,
        params: dict[str, t.Any],
        check_mode: bool,
        manifest: t.Callable[[ModelName, bool], Manifest] = fetch_manifest,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self.params = params
        self.check_mode = check_mode
        self.manifest = manifest
        self.sleep = sleep
        self.disk = Disk(params["models_dir"]) if params["models_dir"] else None
        self.progress = Progress(params["progress_file"])
        self.wanted = [(ModelName.parse(model["name"]), model) for model in params["models"]]
        self.keys = [name.key for name, _model in self.wanted]
        for name, _model in self.wanted:
            if self.keys.count(name.key) > 1:
                raise ValueError("models: %s is asked for twice" % name.short)
        self.results: list[dict[str, t.Any]] = []
        self.before: dict[tuple[str, ...], dict] = {}
        self.retry_after: dict[tuple[str, ...], int] = {}  # seconds, as registries have said

    def on_engine(self) -> dict[tuple[str, ...], dict]:
        return {ModelName.key_of(model["name"]): model for model in self.client.models()}

    def source(self, name: ModelName) -> tuple[ModelName, bool]:
        """The name to pull a model under, and whether its registry speaks plain HTTP."""
        if self.params["mirror"]:
            return name.at(self.params["mirror"]), self.params["mirror_insecure"]
        return name, False

    def run(self) -> dict[str, t.Any]:
        """Do it, and return the module's result, with ``failed`` and ``msg`` where a model failed."""
        self.before = self.on_engine()
        steps = [self.decide(name, model) for name, model in self.wanted]
        self.results = [result for result, _manifest in steps]
        extra = self.extra()
        pulls = [(name, model, *step) for (name, model), step in zip(self.wanted, steps) if step[0]["action"] in ("pulled", "updated")]
        fault = self.check_disk([manifest for _name, _model, _result, manifest in pulls])
        if fault:  # then nothing at all is done
            for result in self.results:
                if result["action"] in ("pulled", "updated"):
                    fail(result, fault)
                elif result["action"] != "failed":
                    result.update(action="none", memory="none")
        if not self.check_mode:
            self.act(pulls)
        if self.params["exclusive"] and not any(result["action"] == "failed" for result in self.results):
            for name in extra:
                self.results.append(new_result(name, "removed"))
                if not self.check_mode:
                    self.attempt(self.results[-1], lambda name=name: self.remove(name))
            extra = []
        return self.outcome(extra)

    def extra(self) -> list[str]:
        return sorted(model["name"] for key, model in self.before.items() if key not in self.keys)

    def decide(self, name: ModelName, model: dict) -> tuple[dict[str, t.Any], Manifest | None]:
        """Decide what is to be done with a model; ask its registry only where that depends on it."""
        result = new_result(name.short)
        there = self.before.get(name.key)
        state = model.get("state") or self.params["state"]
        expected = (model.get("digest") or "").lower().replace("sha256:", "")
        manifest = None
        if state == "absent":
            result["action"] = "removed" if there else "none"
            return result, None
        if there and there.get("remote_model"):
            return fail(result, OllamaError(cloud_model(name.short))), None
        if not there or state == "latest" or (expected and there.get("digest") != expected):
            if expected and there and there.get("digest") == expected:
                return self.decide_memory(result, name, model), None
            try:
                manifest = self.manifest(*self.source(name))
            except OllamaError as error:
                # Where the target cannot ask, the engine perhaps can: it may have a proxy, a CA or a key of its own.
                if (error.cause and error.cause.id in FINAL) or self.check_mode or expected or state == "latest":
                    return fail(result, error), None
                self.retry_after[name.key] = error.retry_after
            if manifest and expected and manifest.digest != expected:
                return fail(result, "the registry has the digest %s, not %s" % (manifest.digest, expected)), None
            if not there:
                result["action"] = "pulled"
            elif manifest and manifest.digest != there.get("digest"):
                result["action"] = "updated"
            if self.check_mode and manifest and result["action"] != "none":
                result["bytes"] = self.missing(manifest)
        return self.decide_memory(result, name, model), manifest

    def decide_memory(self, result: dict[str, t.Any], name: ModelName, model: dict) -> dict[str, t.Any]:
        if model.get("loaded") is not None:
            loaded = name.key in self.loaded(model)
            if model["loaded"] and (not loaded or result["action"] != "none"):
                result["memory"] = "loaded"
            elif not model["loaded"] and loaded:
                result["memory"] = "unloaded"
        return result

    def loaded(self, model: dict) -> set[tuple[str, ...]]:
        """The models in memory, without those that a request with these options would load again."""
        context = (model.get("options") or {}).get("num_ctx")
        return {
            ModelName.key_of(entry["name"])
            for entry in self.client.loaded()
            if not model["loaded"] or not context or entry.get("context_length", context) == context
        }

    def missing(self, manifest: Manifest) -> int:
        """The bytes of a model that are not on the disk, or all where the disk cannot be seen."""
        return sum(size - (min(size, self.disk.has(digest)) if self.disk else 0) for digest, size in manifest.layers.items())

    def check_disk(self, manifests: list[Manifest | None]) -> str | None:
        """Say what is wrong where the disk is too small for all that is to be pulled."""
        if not self.disk:
            return None
        layers = Manifest("", {digest: size for manifest in manifests if manifest for digest, size in manifest.layers.items()})
        needed, free = self.missing(layers), self.disk.free()
        if needed == 0 or needed + self.params["disk_reserve"] * MIB <= free:
            return None
        return "disk_reserve: the models need %d MiB more and %d MiB must stay free, but %s has %d MiB: free some" % (
            -(-needed // MIB),
            self.params["disk_reserve"],
            self.disk.models_dir,
            free // MIB,
        )

    def act(self, pulls: list[tuple]) -> None:
        with ThreadPoolExecutor(max_workers=self.params["parallel"]) as pool:
            jobs = [
                pool.submit(self.attempt, result, lambda name=name, result=result, m=manifest: self.pull(name, result, m))
                for name, _model, result, manifest in pulls
            ]
            for job in jobs:
                job.result()
        for (name, model), result in zip(self.wanted, self.results):
            if result["action"] == "removed":
                self.attempt(result, lambda name=name: self.remove(self.before[name.key]["name"]))
            elif result["memory"] == "loaded":
                self.attempt(result, lambda name=name, m=model: self.client.load(name.short, str(m["keep_alive"]), m["options"]))
            elif result["memory"] == "unloaded":
                self.attempt(result, lambda name=name: self.client.load(name.short, "0"))

    @staticmethod
    def attempt(result: dict[str, t.Any], action: t.Callable[[], None]) -> None:
        """Do something for a model, and note in its result how it failed."""
        if result["action"] == "failed":
            return
        try:
            action()
        except OllamaError as error:
            fail(result, error)

    def remove(self, name: str) -> None:
        if any(ModelName.key_of(entry["name"]) == ModelName.key_of(name) for entry in self.client.loaded()):
            self.client.load(name, "0")
        try:
            self.client.delete(name)
        except OllamaError:
            if ModelName.key_of(name) in self.on_engine():  # nobody else has removed it
                raise

    def pull(self, name: ModelName, result: dict[str, t.Any], manifest: Manifest | None) -> None:
        """Pull a model, and try again after errors that may pass."""
        source, insecure = self.source(name)
        started = time.monotonic()
        size = manifest.size if manifest else 0
        while True:
            result["tries"] += 1
            there = {digest: self.disk.has(digest) for digest in manifest.layers} if self.disk and manifest else None
            try:
                result["bytes"] += self.client.pull(
                    source.short,
                    insecure,
                    self.params["idle_timeout"],
                    lambda completed, total: self.progress.report(name.short, completed, max(size, total)),
                    there,
                )
                break
            except OllamaError as error:
                if error.lasting or result["tries"] > self.params["retries"]:
                    raise
                cause, doubled = error.cause, 2 ** (result["tries"] - 1)
                wait = min(doubled, LONGEST_WAIT)
                if cause and cause.wait:
                    asked = min(self.retry_after.pop(name.key, 0), LONGEST_RETRY_AFTER)
                    wait = asked or min(cause.wait * doubled, LONGEST_RATE_WAIT)
                    self.progress.waiting(name.short, result["tries"], wait, cause.cause)
            finally:
                result["seconds"] = round(time.monotonic() - started, 1)
            self.sleep(wait)
        if source.key != name.key:
            self.rename(source, name)

    def rename(self, source: ModelName, name: ModelName) -> None:
        """Give a model that came from a mirror its own name, and drop the mirror's."""
        there = self.before.get(name.key)
        try:
            if there:
                # The engine drops the data of a version when its last name goes, and not when its name is given away.
                old = name._replace(tag=name.tag + "-replaced").short
                self.client.copy(there["name"], old)
            self.client.copy(source.short, name.short)
            if there:
                self.client.delete(old)
            if source.key not in self.before and source.key not in self.keys:
                self.client.delete(source.short)
        except OllamaError:
            # Another run that pulled the same model may have done so in between.
            now = self.on_engine().get(name.key)
            if not now or (there and now.get("digest") == there.get("digest")):
                raise

    def outcome(self, extra: list[str]) -> dict[str, t.Any]:
        """The module's result, with what is on the engine now."""
        after = dict(self.before)
        for result in self.results:
            key = ModelName.key_of(result["name"])
            if self.check_mode and result["action"] == "removed":
                after.pop(key, None)
            elif self.check_mode and result["action"] in ("pulled", "updated"):
                after[key] = {"name": result["name"]}
        if not self.check_mode:
            after = self.on_engine()
        for result in self.results:
            key = ModelName.key_of(result["name"])
            model = after.get(key, {})
            result.update(digest=model.get("digest", ""), size=model.get("size", 0))
            # An engine before 0.19 may show another digest than the registry for what is the same.
            if result["action"] == "updated" and not self.check_mode and result["digest"] == self.before[key].get("digest"):
                result["action"] = "none"
        changed = any(result["action"] in ("pulled", "updated", "removed") or result["memory"] != "none" for result in self.results)
        changed = changed or (not self.check_mode and listing(self.before) != listing(after))
        outcome = {"changed": changed, "models": self.results, "extra": extra}
        outcome["diff"] = {"before": listing(self.before), "after": listing(after)}
        failed = ["%s: %s" % (result["name"], result["error"]) for result in self.results if result["action"] == "failed"]
        return dict(outcome, failed=True, msg="; ".join(failed)) if failed else outcome


def new_result(name: str, action: str = "none") -> dict[str, t.Any]:
    return {"name": name, "action": action, "memory": "none", "digest": "", "size": 0, "bytes": 0, "seconds": 0.0, "tries": 0}


def fail(result: dict[str, t.Any], error: OllamaError | str) -> dict[str, t.Any]:
    """Note in a model's result why it failed, and what to do about it."""
    fix = error.fix if isinstance(error, OllamaError) else ""
    result.update(action="failed", memory="none", error="%s: %s" % (error, fix) if fix else str(error))
    return result


def listing(models: dict[tuple[str, ...], dict]) -> str:
    """The models' names and digests, one a line, for the diff."""
    return "".join("%s %s\n" % (model["name"], model.get("digest", "")[:12]) for model in sorted(models.values(), key=lambda m: m["name"]))


def main() -> None:
    states = ["present", "latest", "absent"]
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:11434"},
            "models": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": states},
                    "digest": {"type": "str"},
                    "loaded": {"type": "bool"},
                    "keep_alive": {"type": "str", "default": "5m"},
                    "options": {"type": "dict", "default": {}},
                },
            },
            "state": {"type": "str", "choices": states, "default": "present"},
            "exclusive": {"type": "bool", "default": False},
            "mirror": {"type": "str"},
            "mirror_insecure": {"type": "bool", "default": False},
            "idle_timeout": {"type": "int", "default": 300},
            "retries": {"type": "int", "default": 3},
            "parallel": {"type": "int", "default": 1},
            "models_dir": {"type": "path"},
            "disk_reserve": {"type": "int", "default": 0},
            "progress": {"type": "bool", "default": True},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    for name, least in (("idle_timeout", 1), ("retries", 0), ("parallel", 1), ("disk_reserve", 0)):
        if module.params[name] < least:
            module.fail_json(msg="%s: set %d or more" % (name, least))
    try:
        models = ModelSet(OllamaClient(module.params["url"]), module.params, module.check_mode)
    except ValueError as error:
        module.fail_json(msg=str(error))
    try:
        result = models.run()
    except OllamaError as error:
        module.fail_json(msg=str(error), models=models.results)
    module.fail_json(**result) if result.get("failed") else module.exit_json(**result)


if __name__ == "__main__":
    main()
