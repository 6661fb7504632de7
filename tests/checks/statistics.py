#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
statistics.py: docs/statistics.md is what scripts/figures_page.py makes of the table of figures, and
every row of the table is on it. docs/control.md has every command of the control channel.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def commands():
    """The commands that docs/control.md lacks."""
    names = re.findall(r'^\t\{"(\w+)", ', text("hv", "control", "table.c"), re.M)
    section = text("docs", "control.md").split("## Commands")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", section, re.M)
    assert len(names) > 5
    return [name for name in names if not any(re.search(rf"`{name}\b", row) for row in rows)]


def main():
    if missing := commands():
        print(f"docs/control.md has no row of {', '.join(missing)}")
        return 1
    rows = len(re.findall(r"STAT_[A-Z]+,\s*AT\(", text("hv", "stat", "rows.c")))
    shown = len(re.findall(r"^\| `", text("docs", "statistics.md"), re.M))
    if rows != shown:
        print(f"hv/stat/rows.c has {rows} rows, docs/statistics.md shows {shown}")
        return 1
    script = os.path.join(ROOT, "scripts", "figures_page.py")
    return subprocess.run([sys.executable, script, "--check"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
