#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
exit_paths.py: the table of docs/exits.md that says where the instructions of an exit go is the one
that ./run bench paths measures. `exit_paths.py --update` writes it.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree
from benches.paths import markdown, measure

PAGE = "docs/exits.md"
MARKS = ("<!-- paths -->\n", "<!-- end of paths -->")


def main():
    file = os.path.join(tree.ROOT, PAGE)
    with open(file, encoding="utf-8") as page:
        text = page.read()
    head, rest = text.split(MARKS[0])
    table, tail = rest.split(MARKS[1])
    measured = markdown(measure())
    if "--update" in sys.argv:
        with open(file, "w", encoding="utf-8") as page:
            page.write(head + MARKS[0] + measured + MARKS[1] + tail)
        return 0
    if table == measured:
        return 0
    return tree.verdict([f"{PAGE}: not as measured; exit_paths.py --update writes it:", measured])


if __name__ == "__main__":
    sys.exit(main())
