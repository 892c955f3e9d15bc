# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At the end, one table of all bad luck and how it went."""

from __future__ import annotations


def pytest_terminal_summary(terminalreporter):
    rows = []
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if report.when == "call" or outcome in ("error", "skipped"):
                name = report.nodeid.split("::test_", 1)[1].replace("_", " ").replace("[", ": ").rstrip("]")
                rows.append((name, outcome, report.duration))
    terminalreporter.section("bad luck")
    for name, outcome, seconds in rows:
        terminalreporter.write_line("%-88s %-7s %4.0f s" % (name[:88], outcome, seconds))
