#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
faults.py: the table of faults in docs/testing.md, from tests/faults/*.toml.

    [a1_deadline]
    point = "A1"                the point of the report
    kind = "..."                the fault, as the outsider saw it
    tests = ["unit/..."]        tests that hold it, by the names of ./test --list
    mutants = ["..."]           rows of tests/mutants/ or switches; the tests fail with them
    note = "..."                in place of tests or mutants: why there is none

Every test and mutant exists. faults.txt lists the holes, which may only shrink: 2 for a row without
a test, 1 for one without a mutant. `faults.py --update` writes the table, too.
"""
import glob
import os
import re
import sys
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "scripts"), os.path.join(ROOT, "tests")]
import tree
from runner import core, host, machines, mutants, terminal

PAGE = "docs/testing.md"
MARKS = ("<!-- faults -->\n", "<!-- end of faults -->")
KEYS = {"point", "kind", "tests", "mutants", "note"}


def load():
    rows = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "faults", "*.toml"))):
        with open(path, "rb") as file:
            rows.update(tomllib.load(file))
    return rows


def code(names):
    return ", ".join(f"`{name}`" for name in names)


def table(rows):
    text = "| point | fault | tests | mutants |\n|---|---|---|---|\n"
    for row in rows.values():
        tests = code(row["tests"]) or row.get("note", "open")
        broken = code(row["mutants"]) or (row.get("note", "") if row["tests"] else "")
        text += f"| {row['point']} | {row['kind']} | {tests} | {broken} |\n"
    return text


def main():
    rows = load()
    known = [
        test.name
        for test in [*host.programs(), *host.scripts(), *host.checks(), *host.models()]
        + [*terminal.tests(), *machines.tests(), *mutants.tests()]
    ]
    known = [core.Test(name, None) for name in known]
    named = mutants.rows()
    complaints, found = [], {}
    for name, row in rows.items():
        if not set(row) <= KEYS or not {"point", "kind", "tests", "mutants"} <= set(row):
            complaints.append(f"tests/faults: {name}: wrong keys")
            continue
        for test in row["tests"]:
            if not core.select(known, [re.sub(r": .*", "", test)]):
                complaints.append(f"tests/faults: {name}: there is no test {test}")
        for mutant in row["mutants"]:
            if mutant not in named:
                complaints.append(f"tests/faults: {name}: there is no mutant {mutant}")
        if not row["tests"] and "note" not in row:
            found[name] = 2
        elif not row["mutants"] and "note" not in row:
            found[name] = 1
    page = tree.text(PAGE)
    start, end = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1])
    if sys.argv[1:] == ["--update"]:
        page = page[:start] + table(rows) + page[end:]
        with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as out:
            out.write(page)
    elif page[start:end] != table(rows):
        complaints.append(f"{PAGE}: the table of faults is old: tests/checks/faults.py --update")
    return tree.verdict(complaints) | tree.shrinking("faults", found, strict=False)


if __name__ == "__main__":
    sys.exit(main())
