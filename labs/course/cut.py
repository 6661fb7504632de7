# SPDX-License-Identifier: Apache-2.0
"""
cut.py: takes functions out of C files, by name. universal-ctags gives the lines of a function, so
the files need no markers.

A stub keeps the declaration and replaces the body: it reports "lab 2: walk_slots is yours" once
and returns what lab.toml says. A removed function goes with its comment and its prototype.
"""
import functools
import os
import re
import subprocess
import tempfile

from course import table

HEADER = "include/lib/lab.h"
MISSING = os.path.join(table.FOLDER, "harness", "missing.h")


@functools.lru_cache(maxsize=64)
def functions_of(text):
    """Functions and prototypes of a C text: (name, kind) -> (first, last), lines from 1."""
    with tempfile.NamedTemporaryFile("w", suffix=".c", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        command = ["ctags", "-o", "-", "--c-kinds=fp", "--fields=+ne", "--excmd=number", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        row = re.match(r"(\S+)\t.*\t([fp])\tline:(\d+).*\bend:(\d+)", line)
        if row:
            found[row[1], row[2]] = (int(row[3]), int(row[4]))
    return found


def find(text, name, where):
    """The lines of a function's definition."""
    span = functions_of(text).get((name, "f"))
    if not span:
        raise table.LabError(f"{where}: there is no function {name}")
    return span


def block_start(lines, line):
    """The first line of the paragraph that `line` is in, which is its comment's."""
    while line > 1 and lines[line - 2].strip():
        line -= 1
    return line


def stub(lines, span, number, cut):
    """The lines with the body replaced."""
    first, last = span
    brace = next(i for i in range(first, last + 1) if lines[i - 1] == "{")
    body = [f'\tLAB_IS_YOURS({number}, "{cut.function}");']
    body += [f"\t{line}" for line in cut.stub.splitlines()]
    lines[brace : last - 1] = body


def remove(lines, text, cut):
    """The lines without the function, its comment and its prototype."""
    found = functions_of(text)
    spans = [found[cut.function, "f"]]
    if (cut.function, "p") in found:
        spans.append(found[cut.function, "p"])
    for first, last in sorted(spans, reverse=True):
        first = block_start(lines, first)
        if last < len(lines) and not lines[last].strip():
            last += 1
        del lines[first - 1 : last]


def keep(lines, span):
    """The lines with a function that may be unused."""
    line = span[0]
    while line > 1 and re.match(r"(static|[A-Za-z_].*[^;{}*/]$)", lines[line - 2]):
        line -= 1
    lines[line - 1] = "__attribute__((__unused__)) " + lines[line - 1]


def includes(text):
    """The text with the header of the stubs."""
    at = text.index("#include")
    return f"{text[:at]}#include <lib/lab.h>\n{text[at:]}"


def cut_text(text, number, cuts, where):
    """A file's text without the functions of a lab. Cuts from the end keep the lines before."""
    for one in cuts:
        find(text, one.function, where)
    for one in sorted(cuts, key=lambda one: -find(text, one.function, where)[0]):
        lines = text.split("\n")
        span = find(text, one.function, where)
        if one.remove:
            remove(lines, text, one)
        elif one.keep:
            keep(lines, span)
        else:
            stub(lines, span, number, one)
        text = "\n".join(lines)
    return includes(text) if cuts else text


def whole(path):
    """The text of a file of this tree."""
    with open(os.path.join(table.ROOT, path), encoding="utf-8") as file:
        return file.read()


def first_version(path):
    """A file as the first commit has it."""
    git = ["git", "-C", table.ROOT]
    root = subprocess.run([*git, "rev-list", "--max-parents=0", "HEAD"], capture_output=True,
                          text=True, check=True).stdout.split()[-1]
    return subprocess.run([*git, "show", f"{root}:{path}"], capture_output=True, text=True,
                          check=True).stdout


def skeleton(lab):
    """The files of a lab as a student gets them: path -> text."""
    found = {}
    for path in lab.files:
        if os.path.exists(os.path.join(table.ROOT, HEADER)):  # an exported repository
            found[path] = first_version(path)
            continue
        text = whole(path)
        found[path] = cut_text(text, lab.number, [c for c in lab.cut if c.file == path], path)
    return found


def header():
    """The text of the header of the stubs."""
    with open(MISSING, encoding="utf-8") as file:
        return file.read()


def missing(lab, text):
    """The functions of a lab that are still stubs in a text."""
    return re.findall(rf'LAB_IS_YOURS\({lab.number}, "(\w+)"\)', text)
