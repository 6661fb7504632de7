# SPDX-License-Identifier: Apache-2.0
"""
working.py: the student's working copy of a lab: a git worktree on the branch lab-N, in
build/labs/N or a folder that the student names, with the functions of the lab cut out.

labs/working.json in a copy has its lab, and the tree that it came from: ./lab in a copy acts there
on this copy. In an exported repository (export.py) it lists the labs that are cut, and the tree is
its own copy.
"""
import json
import os
import subprocess

from course import cut, table

PLACES = os.path.join(table.ROOT, "build", "labs")
MARK = os.path.join("labs", "working.json")
AUTHOR = ["-c", "user.name=lab", "-c", "user.email=lab@localhost"]


def mark(folder):
    """The contents of a copy's mark; empty where the folder is no copy."""
    try:
        with open(os.path.join(folder, MARK), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def write(folder, path, text):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def git(folder, *words):
    done = subprocess.run(["git", *AUTHOR, *words], cwd=folder, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise table.LabError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def record(number):
    return os.path.join(PLACES, f"{number}.folder")


def started(number):
    """The folder of a lab's working copy, or an empty string."""
    try:
        with open(record(number), encoding="utf-8") as file:
            folder = file.read().strip()
    except FileNotFoundError:
        return ""
    return folder if os.path.isdir(folder) else ""


def place(number):
    """The folder of a lab's working copy; LabError without one."""
    if number in mark(table.ROOT).get("labs", []):
        return table.ROOT
    folder = started(number)
    if not folder:
        raise table.LabError(f"lab {number} is not started: ./lab start {number}")
    return folder


def fill(lab, folder):
    """Writes the skeleton of a lab into a copy."""
    for path, text in cut.skeleton(lab).items():
        write(folder, path, text)
    if lab.cut:
        write(folder, cut.HEADER, cut.header())


def save(folder, message):
    """Commits what is in a copy, if anything changed."""
    git(folder, "add", "-A")
    if git(folder, "status", "--porcelain"):
        git(folder, "commit", "--no-verify", "-q", "-m", message)


def start(lab, folder=None):
    """Makes the working copy; returns its folder."""
    if mark(table.ROOT).get("labs"):
        raise table.LabError("this repository is a working copy itself: edit its files")
    there = started(lab.number)
    folder = os.path.abspath(folder or there or os.path.join(PLACES, str(lab.number)))
    if there and folder != there:
        raise table.LabError(f"lab {lab.number} is started in {there}; `git worktree remove` of it "
                             "makes room for another copy")
    if os.path.exists(folder):
        raise table.LabError(f"{folder} exists already; ./lab reset {lab.number} starts anew in it")
    branch = f"lab-{lab.number}"
    os.makedirs(PLACES, exist_ok=True)
    git(table.ROOT, "worktree", "prune")
    exists = git(table.ROOT, "branch", "--list", branch).strip()
    git(table.ROOT, "worktree", "add", "-q", *(["-B", branch] if exists else ["-b", branch]),
        folder, "HEAD")
    fill(lab, folder)
    write(folder, MARK, json.dumps({"lab": lab.number, "origin": table.ROOT}) + "\n")
    save(folder, f"lab {lab.number}: start")
    with open(record(lab.number), "w", encoding="utf-8") as file:
        file.write(folder + "\n")
    return folder


def reset(lab):
    """Puts the skeleton back; what was there is a commit of the copy's branch. Its folder."""
    folder = place(lab.number)
    if folder == table.ROOT:
        raise table.LabError("this repository has no tree to reset from: git checkout FILE")
    save(folder, f"lab {lab.number}: before a reset")
    fill(lab, folder)
    save(folder, f"lab {lab.number}: reset")
    return folder


def student_files(lab, folder):
    """The files that the grader takes from a copy: path -> text; a missing one is absent."""
    found = {}
    for path in lab.files:
        try:
            with open(os.path.join(folder, path), encoding="utf-8", errors="replace") as file:
                found[path] = file.read()
        except FileNotFoundError:
            pass
    return found
