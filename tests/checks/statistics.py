#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
statistics.py: docs/statistics.md is what scripts/statistics.py makes of the table of figures, and
every row of the table is on it.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def main():
    rows = len(re.findall(r"STAT_[A-Z]+,\s*AT\(", text("hv", "stat", "rows.c")))
    shown = len(re.findall(r"^\| `", text("docs", "statistics.md"), re.M))
    if rows != shown:
        print(f"hv/stat/rows.c has {rows} rows, docs/statistics.md shows {shown}")
        return 1
    script = os.path.join(ROOT, "scripts", "statistics.py")
    return subprocess.run([sys.executable, script, "--check"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
