#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
deadcode.py: functions of the hypervisor that neither the default nor the debug image contains.

The linker drops sections that are not reached (--gc-sections), and each function has a section of
its own, so the link maps name the functions that no path from the entry point calls. A function
that only its own file calls, and that the compiler inlined there, counts as well: it is to be
static. deadcode.txt lists the exceptions, `PLACE: COUNT` a line, and may not grow.
"""
import os
import re
import sys

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
)
import tree

MAPS = ("build/samepage.elf.map", "build-debug/samepage.elf.map")
DISCARDED = re.compile(r"^ \.text\.(\S+)\s+0x0+\s+0x([0-9a-f]+)\s+(\S+)$", re.M)
# Of an object's path: CMake puts ROOM/CMakeFiles/NAME.dir/FILE.o beside the folders of the build.
OBJECT = re.compile(r"CMakeFiles/\w+\.dir/|\.o$")
# What RB_GENERATE of <bsd/sys/tree.h> defines beside what a tree uses.
MACRO = re.compile(r"_RB_[A-Z_]+$")
CLONE = re.compile(r"\.(isra|part|constprop|cold)\.\d+.*$|^unlikely\.|^startup\.")


def discarded(path):
    """The functions that a link left out: (source file, name)."""
    with open(os.path.join(tree.ROOT, path), encoding="utf-8") as file:
        text = file.read()
    start = text.index("Discarded input sections")
    rows = DISCARDED.findall(text[start : text.index("Memory Configuration", start)])
    return {
        (OBJECT.sub("", place), CLONE.sub("", name))
        for name, size, place in rows
        if int(size, 16) and not MACRO.search(name)
    }


def main():
    missing = [path for path in MAPS if not os.path.exists(os.path.join(tree.ROOT, path))]
    if missing:
        print(f"needs {', '.join(missing)}: ./test check/deadcode builds them")
        return 77
    dead = set.intersection(*map(discarded, MAPS))
    found = {}
    for place, name in sorted(dead):
        if place.startswith(("mm/", "hv/", "arch/", "lib/", "boot/")):
            found.setdefault(place, []).append(name)
    counts = {place: len(names) for place, names in found.items()}
    return tree.shrinking("deadcode", counts, {p: ", ".join(n) for p, n in found.items()}, False)


if __name__ == "__main__":
    sys.exit(main())
