#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
text.py: the house style of every text file: a licence line, no unfinished spots, no #if on an
option inside a .c file, files of at most 600 lines, lines of at most 100 columns (a tab goes to
the next multiple of 8), no white space at the end of a line.

Exempt from the width are tables of Markdown, fenced blocks, lines with a URL, and the rows of
.toml files, which are data. text.txt lists the files with wider lines, `PLACE: COUNT` a line; a
count may not grow, and `text.py --update` lowers it.
"""
import os
import re
import sys

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
)
import tree

CODE = (".c", ".h", ".S", ".ld", ".py", ".sh", ".cmake", ".toml", ".pml", ".gdb", ".yaml")
CODE += ("CMakeLists.txt", "Kconfig", "_defconfig")
COMMANDS = ("run", "test", ".ci/run")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
OPTION = re.compile(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b.*CONFIG_")
LONGEST = 600
WIDEST = 100


def check(name):
    rows = tree.lines(name)
    complaints = []
    if not any("SPDX-License-Identifier: Apache-2.0" in line for _, line in rows[:3]):
        complaints.append(f"{name}:1: no SPDX-License-Identifier in the first three lines")
    if len(rows) > LONGEST + 1:
        complaints.append(f"{name}: {len(rows) - 1} lines, more than {LONGEST}")
    for number, line in rows:
        if UNFINISHED.search(line):
            complaints.append(f"{name}:{number}: unfinished: {line.strip()}")
        if name.endswith(".c") and OPTION.match(line):
            complaints.append(
                f"{name}:{number}: an #if on an option: "
                "use IS_ENABLED() or choose the file in CMake"
            )
        if line != line.rstrip():
            complaints.append(f"{name}:{number}: white space at the end of the line")
    return complaints


def wide(name):
    """The numbers of the lines that are too wide."""
    found, fenced = [], False
    for number, line in tree.lines(name):
        if name.endswith(".md") and line.lstrip().startswith("```"):
            fenced = not fenced
        exempt = fenced or "://" in line
        exempt = exempt or name.endswith(".md") and line.lstrip().startswith("|")
        exempt = exempt or name.endswith(".toml") and not line.startswith("#")
        if len(line.expandtabs(8)) > WIDEST and not exempt:
            found.append(str(number))
    return found


def main():
    names = tree.files(*CODE)
    names += [name for name in COMMANDS if os.path.exists(os.path.join(tree.ROOT, name))]
    complaints = [complaint for name in names for complaint in check(name)]
    found = {name: wide(name) for name in names + tree.files(".md")}
    counts = {f"{name} has wide lines": len(found[name]) for name in found if found[name]}
    places = {f"{name} has wide lines": ", ".join(found[name]) for name in found}
    return tree.verdict(complaints) | tree.shrinking("text", counts, places, strict=False)


if __name__ == "__main__":
    sys.exit(main())
