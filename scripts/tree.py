# SPDX-License-Identifier: Apache-2.0
"""
tree.py: which files belong to the project, for the checks.
"""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(*endings):
    """The project's files with one of the endings (all without any), relative to ROOT, sorted."""
    git = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                         capture_output=True, text=True, check=False)
    if git.returncode == 0:
        found = git.stdout.splitlines()
    else:
        found = [os.path.relpath(os.path.join(folder, name), ROOT) for folder, _, names in os.walk(ROOT)
                 if not os.path.relpath(folder, ROOT).startswith("build") for name in names]
    return sorted(name for name in found
                  if (not endings or name.endswith(endings)) and os.path.isfile(os.path.join(ROOT, name)))


def lines(name):
    """The lines of a file, numbered from 1."""
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as text:
        return list(enumerate(text.read().split("\n"), 1))


def exceptions(name):
    """A check's list of exceptions, `KEY: COUNT` a line."""
    rows = [line.rpartition(":") for _, line in lines(name) if line.strip()]
    return {key: int(count) for key, _, count in rows}


def verdict(complaints):
    """Prints the complaints; the status for sys.exit."""
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0
