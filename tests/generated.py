# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the documentation that are made from the code.

generated.py          writes them
generated.py --check  changes nothing, and fails where one differs
"""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "collections"))

from ansible_collections.local_llm.fleet.plugins.module_utils import ollama_errors

# From the name in the two marker comments to the file and the function that makes the part.
PARTS: dict[str, tuple[str, t.Callable[[], str]]] = {
    "causes": ("docs/troubleshooting.md", ollama_errors.table),
}


def updated(text: str, name: str, part: str) -> str:
    """Return a text with what stands between the two markers of a name replaced."""
    start, end = "<!-- generated: %s (tests/generated.py) -->\n" % name, "<!-- end of generated: %s -->\n" % name
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError("the markers of %s must stand once each" % name)
    return text.partition(start)[0] + start + "\n" + part + "\n" + end + text.partition(end)[2]


def differing(top: Path = TOP, write: bool = False) -> list[str]:
    """Return the names of the parts that differ from what the code makes, and write them where asked to."""
    found = []
    for name, (path, make) in PARTS.items():
        text = (top / path).read_text(encoding="utf-8")
        after = updated(text, name, make())
        if after != text:
            found.append(name)
            if write:
                (top / path).write_text(after, encoding="utf-8")
    return found


if __name__ == "__main__":
    check = sys.argv[1:] == ["--check"]
    for different in differing(write=not check):
        print("%s: %s" % ("differs" if check else "written", different))
        if check:
            sys.exit("run tests/generated.py")
