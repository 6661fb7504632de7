#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
voice.py: the words of CONTRIBUTING.md's section "Voice", in every text of the tree.

Counts, for each file, the riddle words (people for parts, talk for data flow) and the words that
only this tree used. The whole text counts: comments, prose, messages, and identifiers, whose parts
between underscores are words. A quotation is exempt when it is marked: a line of Markdown that
begins with `>`, a line of a comment that begins with `* >`.

voice.txt lists the files that still have such words, `PATH: COUNT` a line. A count may only shrink:
a file with more words than its line, or with fewer, fails. `voice.py --update` lowers the counts;
it never raises one.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

RIDDLES = (
    "who whom whose whoever nobody somebody everybody anybody tell tells told ask asks asked "
    "hear hears want wants wanted "
    "wish wishes learn learns know knows forget forgets forgot forgotten handed"
)
PRIVATE = (
    "bury buried buries twin twins limbo hopeless foresee foresees foreseen pretend pretends "
    "judge judges judged lifts"
)
WORD = re.compile(
    r"(?<![A-Za-z])(?:" + "|".join((RIDDLES + " " + PRIVATE).split()) + r")(?![A-Za-z])", re.I
)
QUOTATION = re.compile(r"\s*(?:\*\s+)?> ")

TEXT = (
    ".c",
    ".h",
    ".S",
    ".ld",
    ".md",
    ".py",
    ".sh",
    ".cmake",
    ".toml",
    ".pml",
    ".gdb",
    ".yaml",
    ".txt",
    "Kconfig",
    "_defconfig",
)
COMMANDS = ("run", "test", ".ci/run")
# The lists of the checks have the names of other files.
EXEMPT = re.compile(r"tests/checks/(voice\.py|\w+\.txt)$|tests/fuzz/corpus/")


def texts():
    return [
        name
        for name in tree.files()
        if (name.endswith(TEXT) or name in COMMANDS) and not EXEMPT.match(name)
    ]


def places(name):
    """Each such word of a file: (line, word)."""
    return [
        (number, word)
        for number, line in tree.lines(name)
        if not QUOTATION.match(line)
        for word in WORD.findall(line)
    ]


def main():
    if sys.argv[1:] and sys.argv[1] != "--update":
        print(
            "\n".join(
                f"{name}:{number}: {word}" for name in sys.argv[1:] for number, word in places(name)
            )
        )
        return 0
    found = {name: places(name) for name in texts()}
    return tree.shrinking(
        "voice",
        {name: len(words) for name, words in found.items() if words},
        {
            name: ", ".join(f"{word} ({line})" for line, word in words[:12])
            for name, words in found.items()
        },
    )


if __name__ == "__main__":
    sys.exit(main())
