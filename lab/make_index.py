#!/usr/bin/env python3
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make_index.py WHEELS: lay the wheels of a folder out in it as an index (PEP 503) of plain files, which any web server serves.

What is laid out already stays where it is; a page is written anew whenever it is made.
"""

import hashlib
import pathlib
import re
import sys


def make(top: pathlib.Path) -> int:
    """Move the wheels into one folder for each project, and write its page. Return how many projects there are."""
    for wheel in top.glob("*.whl"):
        folder = top / re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        folder.mkdir(exist_ok=True)
        wheel.replace(folder / wheel.name)
    projects = sorted(path for path in top.iterdir() if path.is_dir())
    for folder in projects:
        links = []
        for wheel in sorted(folder.glob("*.whl")):
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            links.append(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a><br>')
        (folder / "index.html").write_text("<!DOCTYPE html>\n" + "\n".join(links) + "\n")
    return len(projects)


if __name__ == "__main__":
    print(make(pathlib.Path(sys.argv[1])), "projects")
