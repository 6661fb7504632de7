#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
mutants.py: every row of tests/mutants.toml and tests/mutants/*.toml fits the tree: the text to
replace stands once in its file, the tests exist, and every switch of Kconfig's menu "Break it" has
a row. ./test --mutants runs them.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "scripts"), os.path.join(ROOT, "tests")]
import tree
from runner import host, machines, mutants


def case_exists(program, case):
    """Whether a case's name stands in the program's source; `(...)` behind it is a variant's."""
    path = f"tests/{program}.c"
    words = re.sub(r" \(.*", "", case)
    return not os.path.exists(os.path.join(ROOT, path)) or words in tree.text(path)


def check(name, row, known):
    complaints = []
    if "file" in row:
        try:
            mutants.patched(row, tree.text(row["file"]))
        except (OSError, ValueError) as error:
            complaints.append(f"{name}: {error}")
    if "tests" in row and not row["tests"]:
        complaints.append(f"{name}: names no test")
    for test in row.get("tests", []):
        program, _, case = test.partition(": ")
        if program not in known:
            complaints.append(f"{name}: there is no test {program}")
        elif case and not case_exists(program, case):
            complaints.append(f"{name}: {program} has no case {case}")
    return complaints


def main():
    rows = mutants.rows()
    known = {test.name for test in [*host.programs(), *host.checks(), *machines.tests()]}
    complaints = [complaint for name, row in rows.items() for complaint in check(name, row, known)]
    print(
        f"{len(rows)} mutants, of them equivalent: "
        f"{sum('equivalent' in row for row in rows.values())}"
    )
    return tree.verdict(complaints)


if __name__ == "__main__":
    sys.exit(main())
