# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say why a service did not start with new files, and what was put back."""

from __future__ import annotations

import re
import typing as t

# Lines of a log that tell why, and those that only repeat that it failed, or warn of something else.
TELLING = re.compile(r"error|fail|fatal|refus|unable|cannot|invalid|denied|unknown|already in use|no such", re.IGNORECASE)
REPEATING = re.compile(
    r"Main process exited|Failed with result|^Failed to start |Start request repeated|Scheduled restart job|Deactivated successfully"
    r"|\blevel=(warning|info|debug)\b"
)
LONGEST = 400  # characters of a reason


def reason(log: str) -> str:
    """Return the line of a service's last log lines that tells why it ended: the last telling one, or the last at all."""
    lines = [" ".join(line.split()) for line in log.splitlines() if line.strip()]
    lines = [line for line in lines if not REPEATING.search(line)] or lines
    telling = [line for line in lines if TELLING.search(line)]
    line = (telling or lines or ["its log says nothing"])[-1]
    return line if len(line) <= LONGEST else "..." + line[-LONGEST:]


def text_of(result: str | t.Mapping[str, t.Any]) -> str:
    """Return what a failed task says, for :func:`reason`: its message and output, of a loop those of the item that failed.

    :arg result: the task's result, as ``ansible_failed_result`` has it; a text is returned as it is.
    """
    if isinstance(result, str):
        return result
    failed = [one for one in result.get("results") or [] if one.get("failed")]
    one = failed[0] if failed else result
    item = one.get("item")
    name = item.get("name", "") if isinstance(item, t.Mapping) else item if isinstance(item, str) else ""
    parts = [one.get("msg"), one.get("stdout") or one.get("module_stdout"), one.get("stderr") or one.get("module_stderr")]
    texts = [str(part).strip() for part in parts if part]
    return "\n".join((name + ": " if name else "") + text for text in texts)


def fix_of(text: str, fixes: t.Sequence[t.Mapping[str, str]]) -> str:
    """Return the fixes whose pattern (``says``) a text matches, joined; empty where none does."""
    return "; ".join(dict.fromkeys(one["fix"] for one in fixes if re.search(one["says"], text, re.IGNORECASE)))


def failure(
    log: str | t.Mapping[str, t.Any],
    service: str,
    back: t.Mapping[str, t.Any],
    runs: bool,
    fixes: t.Sequence[t.Mapping[str, str]] = (),
    otherwise: str = "",
    details: str = "",
    former: str = "",
) -> str:
    """Return what the user reads when a service did not start with new files.

    :arg log: the service's last log lines, or the result of the task that failed.
    :arg back: what ``file_snapshot`` returned: ``files`` that were put back, and what was put aside (``refused``).
    :arg runs: whether the service runs with the earlier files.
    :arg fixes: what the log may say (``says``, a regular expression), and how to fix that (``fix``).
    :arg otherwise: the fix where none of them matches.
    :arg former: the version that runs again, where the service itself was another one.
    :arg details: further lines to show, such as those of the containers that do not run.
    """
    log = text_of(log)
    inside = former or (service[:1].lower() + service[1:] if service.startswith("The ") else service)
    why = reason(log).rstrip(". ")
    files, refused = ", ".join(back.get("files") or []), ", ".join(back.get("refused") or [])
    if back.get("failed"):
        text = "%s did not start: %s. The earlier files could not be put back: %s." % (service, why, reason(text_of(back)).rstrip(". "))
    elif files:
        text = "%s did not start with the new %s: %s. The earlier %s put back, and %s %s." % (
            service,
            files,
            why,
            "files were" if "," in files else "file was",
            inside,
            "runs again" if runs else "does not start with that either",
        )
        text += " What was refused is %s." % refused if refused else ""
    elif former:
        # After a run that was cut: the files had been written by that one, and the version alone is another.
        text = "%s does not start: %s. %s %s." % (service, why, former, "runs again" if runs else "does not start either")
    else:
        before = ", and %s runs as before" % inside if runs else ""
        text = "%s does not start: %s. No file was changed that could be put back%s." % (service, why, before)
    fix = fix_of(log + "\n" + details, fixes) or otherwise
    return text + ("\n%s\n" % details.strip() if details.strip() else " " if fix else "") + ("-> " + fix if fix else "")
