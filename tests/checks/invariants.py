#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
invariants.py: each numbered invariant (COW-1, FAULT-2 ...) is defined once in the code and named by
a test.

A definition is a line of a comment that begins with the number and a sentence (COW-1 A frame ...; a
citation has a mark after it: COW-1: ...). A model (.pml) that states a sentence beside a number
defines that number, too: one that checks something else than the code's sentence has a number of
its own. `A-1 to A-4` names four numbers.

invariants.txt lists the holes, `PLACE: COUNT` a line, and may only shrink: `invariants.py
--update`.
"""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

NUMBER = r"(?<![\w-])([A-Z][A-Z0-9]+)-(\d+)(?![\w-])"
RANGE = re.compile(NUMBER + r" to (?:\1-)?(\d+)\b")
DEFINITION = re.compile(r"^[\s/*]*" + NUMBER + r"\s+(?!to\b)[\w`]")
IN_MODEL = re.compile(NUMBER + r" +[a-z]")
# Names of parts and standards that look like a number of ours.
OTHERS = {"ADI", "AVX", "CVE", "DR0", "ISO", "MCS", "UTF", "SHA", "EM64T", "RFC", "IA", "PCI"}
CODE = ("mm/", "hv/", "arch/", "boot/", "lib/", "include/", "guest/", "tests/sim/")
TESTS = (
    "tests/unit/",
    "tests/fuzz/",
    "tests/sim/",
    "tests/selftest/",
    "tests/model/",
    "tests/runs",
    "guest/",
    "tests/checks/",
)


def numbers(line):
    """The numbers that a line names."""
    found = {f"{name}-{number}" for name, number in re.findall(NUMBER, line) if name not in OTHERS}
    for name, first, last in RANGE.findall(line):
        found |= {f"{name}-{number}" for number in range(int(first), int(last) + 1)}
    return found


def collect():
    """Where each number is defined, and the tests and other places that name it."""
    defined, tested, named = (collections.defaultdict(list) for _ in range(3))
    for name in tree.files(".c", ".h", ".S", ".pml", ".md", ".toml", ".py"):
        if name == "tests/checks/invariants.py":
            continue
        for number, line in tree.lines(name):
            place = f"{name}:{number}"
            match = (
                DEFINITION.match(line) if name.startswith(CODE) or name.endswith(".pml") else None
            )
            match = match or (IN_MODEL.search(line) if name.endswith(".pml") else None)
            if match and match[1] not in OTHERS:
                defined[f"{match[1]}-{match[2]}"].append(place)
            for invariant in numbers(line):
                named[invariant].append(place)
                if name.startswith(TESTS):
                    tested[invariant].append(place)
    return defined, tested, named


def main():
    defined, tested, named = collect()
    found, details = {}, {}
    for invariant in sorted(named):
        places = defined[invariant]
        if len(places) != 1:
            place = f"{invariant} is defined {len(places)} times"
            found[place], details[place] = 1, ", ".join(places or named[invariant])
        if not tested[invariant]:
            place = f"{invariant} is named by no test"
            found[place], details[place] = 1, ", ".join(places)
    return tree.shrinking("invariants", found, details)


if __name__ == "__main__":
    sys.exit(main())
