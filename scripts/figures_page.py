#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
figures_page.py: docs/statistics.md, made of the table of figures hv/stat/rows.c.

Usage: scripts/figures_page.py [--check]      --check: status 1 if the page is not what it would be
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "hv", "stat", "rows.c")
PAGE = os.path.join(ROOT, "docs", "statistics.md")

ROW = re.compile(
    r'\{\s*"([^"]+)",\s*"([^"]+)",\s*STAT_(\w+),\s*AT\([^)]*\),\s*(NULL|&\w+),'
    r'\s*"((?:[^"]|"\s*")+)"\s*\}'
)
SCOPE = re.compile(r"/\* scope ([^:*]*?)(?::[^*]*)? \*/")
PREFIX = {
    "machine": "",
    "CPU": "cpu.N.",
    "merge domain": "domain.N.",
    "VM": "vm.NAME.",
    "VM's memory": "vm.NAME.memory.",
    "vCPU": "vm.NAME.vcpu.N.",
    "subscriber and event": "vm.NAME.sub.KIND.",
    "slot": "vm.NAME.slot.N.",
}
# The same rows once more, as sums over all VMs.
OF_ALL = {"subscriber and event": "sub.KIND."}
FAMILY = {
    "&by_reason": "REASON",
    "&by_outcome": "OUTCOME",
    "&by_event": "EVENT",
    "&by_merge_reason": "REASON",
    "&by_phase": "PHASE",
}
KIND = {"COUNTER": "counter", "GAUGE": "gauge", "SIGNED": "gauge, signed", "PEAK": "peak",
        "HISTOGRAM": "histogram"}

HEAD = """\
# Statistics

Made by `scripts/figures_page.py` of the table in `hv/stat/rows.c`; not to be edited by hand.

The figures that `stats` of the control channel ([control.md](control.md)) answers with, that the
events `sample` and `end` carry, and that `report.html` shows. A counter only grows; a gauge is the
state of the moment; a peak is the most that a gauge was. A histogram is a list of counts: entry n
counts the values from 2^n to 2^(n+1) - 1, and the last entry larger ones, too.

Figures are read where they are counted, at the moment of the answer; those of one VM belong to one
moment. Those of a family, with a name in capitals, are left out where they are 0. REASON is a name
of `hv/core/exit.c` for exits and of `mm/merge/stats.c` for merging, EVENT of
[mm/notifier.md](mm/notifier.md), OUTCOME of `mm/stage2/fault.c`; KIND is `stage2` or `guest_cache`.
"""


def scopes():
    """Of the table: (scope, [(name, unit, kind, sentence)])."""
    with open(TABLE, encoding="utf-8") as file:
        text = file.read()
    marks = list(SCOPE.finditer(text))
    for mark, after in zip(marks, [*marks[1:], None]):
        part = text[mark.end():after.start() if after else len(text)]
        rows = []
        for name, unit, kind, family, sentence in ROW.findall(part):
            if family != "NULL":
                name = name.replace("*", FAMILY[family])
            rows.append((name, unit, KIND[kind], re.sub(r'"\s*"', "", sentence)))
        yield mark[1], rows


def page():
    lines = [HEAD]
    for scope, rows in scopes():
        lines += [f"## {scope[0].upper()}{scope[1:]}", "", "| figure | unit | kind | |",
                  "|---|---|---|---|"]
        for name, unit, kind, sentence in rows:
            names = f"`{PREFIX[scope]}{name}`"
            if scope in OF_ALL:
                names += f", of all VMs `{OF_ALL[scope]}{name}`"
            lines.append(f"| {names} | {unit} | {kind} | {sentence} |")
        lines.append("")
    return "\n".join(lines)


def main():
    text = page()
    if "--check" not in sys.argv:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
        return 0
    with open(PAGE, encoding="utf-8") as file:
        if file.read() == text:
            return 0
    print(f"{os.path.relpath(PAGE, ROOT)} is not what scripts/figures_page.py makes of "
          f"{os.path.relpath(TABLE, ROOT)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
