#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
text.py: what the house style says of every text file: a licence line, no unfinished spots, no #if on an option inside
a .c file, files of at most 600 lines.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

CODE = (".c", ".h", ".S", ".ld", ".py", ".sh", ".cmake", ".toml", ".pml", "CMakeLists.txt", "Kconfig", "_defconfig")
COMMANDS = ("run", "test", ".ci/run")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
OPTION = re.compile(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b.*CONFIG_")
LONGEST = 600


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
            complaints.append(f"{name}:{number}: an #if on an option: use IS_ENABLED() or choose the file in CMake")
        if line != line.rstrip():
            complaints.append(f"{name}:{number}: white space at the end of the line")
    return complaints


if __name__ == "__main__":
    names = tree.files(*CODE) + [name for name in COMMANDS if os.path.exists(os.path.join(tree.ROOT, name))]
    sys.exit(tree.verdict([complaint for name in names for complaint in check(name)]))
