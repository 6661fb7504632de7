# SPDX-License-Identifier: Apache-2.0
"""
tree.py: which files belong to the project, for the checks.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(*endings):
    """The project's files with one of the endings (all without any), relative to ROOT, sorted."""
    git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if git.returncode == 0:
        found = git.stdout.splitlines()
    else:
        found = [
            os.path.relpath(os.path.join(folder, name), ROOT)
            for folder, _, names in os.walk(ROOT)
            if not os.path.relpath(folder, ROOT).startswith("build")
            for name in names
        ]
    return sorted(
        name
        for name in found
        if (not endings or name.endswith(endings)) and os.path.isfile(os.path.join(ROOT, name))
    )


def text(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def lines(name):
    """The lines of a file, numbered from 1."""
    return list(enumerate(text(name).split("\n"), 1))


def exceptions(name):
    """A check's list of exceptions, `PLACE: COUNT` a line."""
    rows = [line.rpartition(":") for _, line in lines(name) if line.strip()]
    return {place: int(count) for place, _, count in rows}


def shrinking(check, found, details=None, strict=True):
    """
    Holds the counts that a check found against tests/checks/CHECK.txt, which may only shrink: a
    place with more than its line is a complaint, and with fewer, too, if `strict`. With --update it
    lowers the counts first; it never raises one. Returns the exit status.
    """
    name, details = os.path.join("tests", "checks", f"{check}.txt"), details or {}
    allowed = exceptions(name)
    if sys.argv[1:] == ["--update"]:
        allowed = {place: min(limit, found.get(place, 0)) for place, limit in allowed.items()}
        rows = [f"{place}: {count}\n" for place, count in sorted(allowed.items()) if count]
        with open(os.path.join(ROOT, name), "w", encoding="utf-8") as out:
            out.writelines(rows)
    complaints = []
    for place in sorted(found.keys() | allowed.keys()):
        count, limit = found.get(place, 0), allowed.get(place, 0)
        if count > limit:
            why = f": {details[place]}" if place in details else ""
            complaints.append(f"{place}: {count}, {limit} allowed by {name}{why}")
        elif count < limit and strict:
            complaints.append(
                f"{place}: {count}, and {name} says {limit}: tests/checks/{check}.py --update"
            )
    return verdict(complaints)


def verdict(complaints):
    """Prints the complaints; the status for sys.exit."""
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0
