#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
format.py: every C file is as clang-format 14 leaves it.
"""
import collections
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree


def main():
    names = tree.files(".c", ".h")
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *names],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    places = {line.split(": error:")[0] for line in done.stderr.splitlines() if ": error:" in line}
    count = collections.Counter(place.split(":")[0] for place in places)
    complaints = [
        f"{name}: {number} place(s); clang-format -i {name}"
        for name, number in sorted(count.items())
    ]
    if done.returncode and not complaints:
        complaints = [done.stderr]
    sys.exit(tree.verdict(complaints))


if __name__ == "__main__":
    main()
