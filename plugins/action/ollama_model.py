# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of ollama_model that runs on the control node: it shows how far a pull is, and survives a lost connection."""

from __future__ import annotations

import json
import shlex
import time
import typing as t
import uuid

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

MODULE = "local_llm.fleet.ollama_model"
LIMIT = 7 * 24 * 3600  # seconds; the module ends a pull that does not move, and nothing ends one that does
POLLS = (1, 2, 5)  # seconds between looks, the last one for all the rest
SHOWN_EVERY = 15  # seconds between two lines about a model at most, unless it has come
SHOWN_STEP = 10  # percent further; so that twenty hosts remain readable
LOST_AFTER = 600  # seconds without a connection
SILENT_AFTER = 300  # seconds without a sign of life from the module, as after a restart of the host

display = Display()


def megabytes(count: float) -> str:
    """Write a number of bytes as people do: ``638 MB``, ``13.8 GB``."""
    return "%.1f GB" % (count / 1e9) if count >= 1e9 else "%.0f MB" % (count / 1e6)


def duration(seconds: float) -> str:
    """Write a number of seconds as people do: ``42 s``, ``7 min 5 s``, ``2 h 10 min``."""
    whole = int(seconds)
    if whole < 60:
        return "%d s" % whole
    if whole < 3600:
        return "%d min %d s" % divmod(whole, 60)
    return "%d h %d min" % (whole // 3600, whole % 3600 // 60)


class Pull:
    """What is known of one model's pull, and when it was last shown."""

    def __init__(self, now: float, completed: int) -> None:
        self.first = self.shown = now
        self.first_bytes = self.shown_bytes = completed
        self.shown_percent = -SHOWN_STEP
        self.waits: dict[str, t.Any] = {}

    def line(self, name: str, completed: int, total: int, now: float) -> str | None:
        """Return a line about this pull where it is time for one: model, percent, sizes, rate, time left."""
        percent = 100 * completed // total if total else 0
        new = self.shown_percent < 0
        if not new and percent < self.shown_percent + SHOWN_STEP and (now - self.shown < SHOWN_EVERY or completed == self.shown_bytes):
            return None
        rate = max(0, completed - self.shown_bytes) / (now - self.shown) if now > self.shown else 0
        average = max(0, completed - self.first_bytes) / (now - self.first) if now > self.first else 0
        words = ["%s %3d %%" % (name, percent), "%s of %s" % (megabytes(completed), megabytes(total))]
        if rate and average and completed < total:
            words += ["%.1f MB/s" % (rate / 1e6), "%s left" % duration((total - completed) / average)]
        self.shown, self.shown_bytes, self.shown_percent = now, completed, percent
        return ", ".join(words)

    def waiting(self, name: str, waits: dict[str, t.Any]) -> str | None:
        """Return a line where this pull has begun to wait before another try, which may last minutes."""
        new, self.waits = waits != self.waits, waits
        return "%s waits %s before another try: %s" % (name, duration(waits["seconds"]), waits["cause"]) if new else None


class ActionModule(ActionBase):
    """Runs the module: at once where there is nothing to pull, else in the background of the target."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        args = dict(self._task.args)
        if self._task.async_val:
            return self.module(args, wrap_async=self._task.async_val)
        if self._task.check_mode:
            return self.tell(self.module(args))
        look = self.look(args)
        if not look.get("failed") and not look.get("changed"):
            result = look
        elif not look.get("failed") and not any(model.get("action") in ("pulled", "updated") for model in look.get("models") or []):
            result = self.module(args)
        else:
            result = self.in_background(args)
        return self.tell(result)

    def tell(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Name what is on the engine, or goes, without having been asked for: always, because it may be missed."""
        asked = len(self._task.args.get("models") or [])
        gone = [model["name"] for model in (result.get("models") or [])[asked:] if model.get("action") == "removed"]
        for names, what in ((result.get("extra"), "on the engine and not asked for"), (gone, "removed, because not asked for")):
            if names and not self._task.no_log:
                self.show("%s: %s" % (what, ", ".join(names)))
        return result

    def module(self, args: dict, wrap_async: t.Any = False) -> dict[str, t.Any]:
        return self._execute_module(module_name=MODULE, module_args=args, task_vars=self.task_vars, wrap_async=wrap_async)

    def look(self, args: dict) -> dict[str, t.Any]:
        """What the module would do: all there is to do where nothing is missing, which is nearly always."""
        self._task.check_mode = True
        try:
            return self.module(args)
        finally:
            self._task.check_mode = False

    def in_background(self, args: dict) -> dict[str, t.Any]:
        folder = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        path = self._connection._shell.join_path(folder, "ollama_model-%s.json" % uuid.uuid4().hex)
        self._task.async_val = LIMIT
        try:
            job = self.module(dict(args, progress_file=path), wrap_async=True)
        finally:
            self._task.async_val = 0
        if job.get("failed") or not job.get("ansible_job_id"):
            return job
        fault = self.watch(job, path, self.shows(args))
        if fault:
            return {"failed": True, "msg": fault}
        result = self.status(job["ansible_job_id"], folder, "status")
        self.status(job["ansible_job_id"], folder, "cleanup")
        self.command("rm -f %s" % shlex.quote(path))
        for key in ("ansible_job_id", "started", "finished", "results_file", "stdout", "stderr", "stdout_lines", "stderr_lines"):
            result.pop(key, None)
        if self.shows(args):
            for model in result.get("models") or []:
                if model.get("tries"):
                    self.show("%s %s: %s in %s" % (model["name"], model["action"], megabytes(model["bytes"]), duration(model["seconds"])))
        return result

    def status(self, job: str, folder: str, mode: str) -> dict[str, t.Any]:
        args = {"jid": job, "mode": mode, "_async_dir": folder}
        return self._execute_module(module_name="ansible.legacy.async_status", module_args=args, task_vars=self.task_vars)

    def command(self, text: str) -> str:
        return self._low_level_execute_command(text, executable="/bin/sh").get("stdout", "")

    def watch(self, job: dict, path: str, shows: bool) -> str | None:
        """Look at the job until it has ended, and show how far it is. Return what is wrong where its end will not be seen."""
        results, mark = job["results_file"], "--- %s" % uuid.uuid4().hex
        look = "cat %s 2>/dev/null; echo %s; cat %s" % (shlex.quote(path), mark, shlex.quote(results))
        pulls: dict[str, Pull] = {}
        polls = iter(POLLS)
        wait = 0
        last_seen = last_sign = time.monotonic()
        text = None
        while True:
            wait = next(polls, wait)
            time.sleep(wait)
            try:
                said = self.command(look)
            except AnsibleConnectionFailure as error:
                if time.monotonic() - last_seen > LOST_AFTER:
                    return "the connection was lost for %s (%s); the pull goes on: run again" % (duration(LOST_AFTER), error)
                continue
            now = time.monotonic()
            last_seen = now
            if said != text:
                text, last_sign = said, now
            elif now - last_sign > SILENT_AFTER:
                return "there has been no sign of the pull for %s: was the host restarted? Run again" % duration(now - last_sign)
            progress, found, state = said.partition(mark)
            if not found:
                continue
            if not self.running(state):
                return None
            if shows:
                self.show_progress(progress, pulls, now)

    @staticmethod
    def running(state: str) -> bool:
        """Tell from the file of a background job whether it is at work: its result replaces what was there at its start."""
        try:
            data = json.loads(state)
        except ValueError:
            return True  # caught in the middle of a write
        return bool(data.get("started")) and not data.get("finished")

    def shows(self, args: dict) -> bool:
        return str(args.get("progress", True)).lower() not in ("false", "no", "0", "off") and not self._task.no_log

    def show(self, text: str) -> None:
        display.display("  [%s] %s" % (self.task_vars.get("inventory_hostname"), text))

    def show_progress(self, text: str, pulls: dict[str, Pull], now: float) -> None:
        try:
            progress = json.loads(text)["pulls"]
        except ValueError:
            return
        for name, state in progress.items():
            pull = pulls.setdefault(name, Pull(now, state["completed"]))
            waits = state.get("waits")
            line = pull.waiting(name, waits) if waits else pull.line(name, state["completed"], state["total"], now)
            if line:
                self.show(line)
