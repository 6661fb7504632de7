#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
docs.py: the names in the documentation exist: targets of links, paths of files in backticks, and
the line counts of docs/reading-order.md, to the thousand. `docs.py --lines` prints the counts.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
TOPS = "mm|hv|arch|boot|lib|include|guest|tests|scripts|docs|cmake|configs"
PATH = re.compile(rf"`((?:{TOPS})/[a-z0-9_./-]+\.(?:c|h|S|py|md|toml|sh|pml|txt|cmake|gdb|ld))`")
COUNTS = re.compile(r"About ([\d,]+) lines of code, ([\d,]+) with comments")
ORDER = "docs/reading-order.md"
EXAMPLES = {"guest/linux/mine.sh"}


def lines():
    """Lines of the hypervisor's sources: (of code, of all)."""
    code = total = 0
    for name in tree.files(".c", ".h", ".S"):
        if name.startswith(("tests/", "guest/", "labs/")):
            continue
        text = tree.text(name)
        total += text.count("\n")
        bare = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
        code += sum(1 for line in bare.split("\n") if line.strip())
    return code, total


def check(name, known):
    text = tree.text(name)
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    complaints = []
    for target in LINK.findall(text):
        path = os.path.normpath(os.path.join(os.path.dirname(name), target))
        if not os.path.exists(os.path.join(tree.ROOT, path)):
            complaints.append(f"{name}: the link to {target} leads nowhere")
    for path in PATH.findall(text):
        if path not in known | EXAMPLES:
            complaints.append(f"{name}: there is no {path}")
    return complaints


def main():
    code, total = lines()
    if "--lines" in sys.argv:
        print(f"About {round(code, -3):,} lines of code, {round(total, -3):,} with comments")
        return 0
    known = set(tree.files())
    complaints = [line for name in tree.files(".md") for line in check(name, known)]
    counts = COUNTS.search(tree.text(ORDER).replace("\n", " "))
    near = counts and all(
        abs(int(said.replace(",", "")) - true) <= 1000
        for said, true in zip(counts.groups(), (code, total))
    )
    if not near:
        complaints.append(f"{ORDER}: the line counts are not those of tests/checks/docs.py --lines")
    return tree.verdict(complaints)


if __name__ == "__main__":
    sys.exit(main())
