# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that modules read: its files and its tools."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import typing as t

# Where tools are that root's PATH may lack.
TOOLS = ("/usr/local/bin", "/usr/bin", "/usr/sbin", "/sbin", "/opt/homebrew/bin")
KILLED_WITHIN = 2  # seconds; a process that the kernel holds in a driver does not even die of SIGKILL


class Host:
    """The machine that is read: its files and its tools. Nothing is ever written.

    :arg timeout: the seconds a tool may take.
    :arg root: the folder that stands for ``/``.
    """

    def __init__(self, timeout: float, root: str = "/") -> None:
        self.timeout = timeout
        self.root = root
        self.asked: dict[tuple[str, ...], tuple[int | None, str, str]] = {}
        self.asking = threading.Lock()

    def path(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def text(self, path: str) -> str | None:
        """Return a file's text without the white space and NUL bytes around it, or None where it cannot be read."""
        try:
            with open(self.path(path), encoding="utf-8", errors="replace") as stream:
                return stream.read().strip("\0 \t\r\n")
        except OSError:
            return None

    def data(self, path: str) -> bytes:
        """Return a file's bytes as they are; nothing where it cannot be read."""
        try:
            with open(self.path(path), "rb") as stream:
                return stream.read()
        except OSError:
            return b""

    def exists(self, path: str) -> bool:
        """Tell whether there is a file, folder or device of that name; one that may not be read counts, too."""
        return os.path.exists(self.path(path))

    def number(self, path: str) -> int | None:
        """Return a file's whole number, or None where there is none."""
        return whole(self.text(path))

    def names(self, path: str) -> list[str]:
        """Return what a folder holds, sorted; nothing where it cannot be read."""
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError:
            return []

    def link(self, path: str) -> str | None:
        """Return the last part of where a symbolic link points to, or None where there is no link."""
        try:
            return os.path.basename(os.readlink(self.path(path)))
        except OSError:
            return None

    def find(self, tool: str, *folders: str) -> str | None:
        """Return a tool's path: from ``PATH``, from where administrators' tools are, or from one of ``folders``."""
        for folder in [*os.environ.get("PATH", "").split(":"), *TOOLS, *folders]:
            path = self.path(os.path.join(folder, tool))
            if folder and os.access(path, os.X_OK) and not os.path.isdir(path):
                return path
        return None

    def run_once(self, *command: str) -> tuple[int | None, str, str]:
        """Return what :meth:`run` does, for a tool that several readers ask the same: it is run once."""
        with self.asking:
            if command not in self.asked:
                self.asked[command] = self.run(*command)
            return self.asked[command]

    def run(self, *command: str, text: str | None = None) -> tuple[int | None, str, str]:
        """Run a tool for at most :attr:`timeout` seconds.

        Ansible's own ``run_command`` knows no bound, and macOS has no ``timeout``. A tool that is stuck in its driver
        cannot be killed; it is left behind then, so that it does not take the module with it.

        :arg text: what the tool reads from its standard input.
        :returns: its exit status (None when it was stopped), standard output and standard error. What it printed until
            it was stopped is kept.
        """
        environment = dict(os.environ, LC_ALL="C")
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return 127, "", str(error)
        status: int | None = None
        try:
            out, err = process.communicate(None if text is None else text.encode(), timeout=self.timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            try:
                out, err = process.communicate(timeout=KILLED_WITHIN)
            except subprocess.TimeoutExpired as stuck:
                out, err = stuck.stdout or b"", stuck.stderr or b""
        return status, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def whole(value: t.Any) -> int | None:
    """Return a number or its text as an int when it is nothing but digits, else None: ``[N/A]`` is no reading."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 10**18 else None
    return int(value) if isinstance(value, str) and re.match(r"^[0-9]{1,18}$", value) else None
