#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
commits.py: the subject of every commit since FIRST has at most 72 columns and the form `ROOM: text`
without a full stop at its end.
"""
import os
import re
import subprocess
import sys

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
)
import tree

# Subjects before it may be wider.
FIRST = "366a54f"
# And these. The length of an abbreviation that git chooses depends on the number of objects in the
# clone: full names are read and cut to the length of the names here.
WIDER = {"ed3410b", "ff0b13b", "d198eef", "1bd191e", "9a9ff30", "fe592ff", "768f939", "5577298"}
WIDEST = 72
FORM = re.compile(r"^(Merge |Revert |[A-Za-z0-9_.+/-]+(?:[ ,]+[A-Za-z0-9_.+/-]+)*: \S.*[^.]$)")


def main():
    log = subprocess.run(
        ["git", "log", "--no-merges", "--format=%H %s", f"{FIRST}..HEAD"],
        cwd=tree.ROOT, capture_output=True, text=True, check=False,
    )
    if log.returncode:
        print(f"no git history that goes back to {FIRST}")
        return 77
    complaints = []
    for line in log.stdout.splitlines():
        commit, _, subject = line.partition(" ")
        commit = commit[: len(FIRST)]
        if len(subject) > WIDEST and commit not in WIDER:
            complaints.append(f"{commit}: {len(subject)} columns, more than {WIDEST}: {subject}")
        if not FORM.match(subject):
            complaints.append(f"{commit}: not of the form `ROOM: text`: {subject}")
    return tree.verdict(complaints)


if __name__ == "__main__":
    sys.exit(main())
