#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
docs.py: the names in the documentation exist: targets of links, paths of files in backticks, tests,
experiments and benches that a command in backticks runs, the figures of an experiment that a row of
docs/artifact.md names, and the line counts of docs/reading-order.md, to the thousand. `docs.py
--lines` prints the counts.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
TOPS = "mm|hv|arch|boot|lib|include|guest|tests|scripts|docs|cmake|configs"
PATH = re.compile(rf"`((?:{TOPS})/[a-z0-9_./-]+\.(?:c|h|S|py|md|toml|sh|pml|txt|cmake|gdb|ld))`")
COUNTS = re.compile(r"About ([\d,]+) lines of code, ([\d,]+) with comments")
COMMAND = re.compile(r"`\./(?:(test) |run (experiment|bench) )([^`]+)`")
# What stands for a name.
OPEN = re.compile(r"(?:.*/)?(?:NAME|N)$")
CLAIM = re.compile(r"^\|[^|]*\| `\./run experiment ([a-z-]+)`[^|]*\|[^|]*\|([^|]*)\|$", re.M)
ARTIFACT = "docs/artifact.md"
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


def tests(*options):
    """The names of all tests with these options, one a line; with those that run by name alone."""
    return subprocess.run(["./test", "--list", *options, "*"], cwd=tree.ROOT, capture_output=True,
                          text=True, check=True).stdout


class Runnable:
    """What ./test and ./run have by name."""

    def __init__(self):
        self.tests = {word: tests(*word.split()) for word in ("", "--long", "--mutants")}
        self.run = {
            "experiment": {path.split("/")[1] for path in tree.files("experiment.toml")},
            "bench": set(re.findall(r'"(\w+)":', tree.text("scripts/benches/__init__.py"))),
        }

    def complaints(self, text):
        """About the commands in a text: a test that needs --long is none without."""
        for test, kind, rest in COMMAND.findall(text):
            words = rest.split()
            named = [word for word in words if not word.startswith("-") and not OPEN.match(word)]
            if test:
                [among] = [word for word in words if word in self.tests] or [""]
                missing = [word for word in named if word not in self.tests[among]]
            else:
                missing = [word for word in named[:1] if word == words[0]
                           and word not in self.run[kind]]
            for word in missing:
                yield f"./{test or 'run ' + kind} {rest}: there is no {word}"


def figures():
    """The complaints about what a claim's experiment is said to show."""
    for name, shown in CLAIM.findall(tree.text(ARTIFACT)):
        titles = tree.text(f"experiments/{name}/experiment.toml")
        titles = "\n".join(re.findall(r'^title = "(.*)"$', titles, re.M))
        for title in re.findall(r"\*([^*]+)\*", shown):
            if title not in titles:
                yield f"{ARTIFACT}: the experiment {name} has no figure '{title}'"


def check(name, known, runnable):
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
    return complaints + [f"{name}: {complaint}" for complaint in runnable.complaints(text)]


def main():
    code, total = lines()
    if "--lines" in sys.argv:
        print(f"About {round(code, -3):,} lines of code, {round(total, -3):,} with comments")
        return 0
    known = set(tree.files())
    runnable = Runnable()
    complaints = [line for name in tree.files(".md") for line in check(name, known, runnable)]
    complaints += figures()
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
