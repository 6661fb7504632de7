# SPDX-License-Identifier: Apache-2.0
"""
export.py: a repository for students: this tree with the functions of some labs cut out, one
commit, and without what shows a solution: the mutants' tables, the labs' own mutants and patches.

Where a function is cut in several labs, the first one has it. A variant (variant.py) has names of
its own.
"""
import json
import os
import re
import shutil

from course import cut, table, variant, working
import tree

SECRET = re.compile(
    r"^(labs/\d+/(mutants\.toml|[\w-]+\.patch)|tests/mutants(/.*|\.toml)|tests/faults/.*"
    r"|CHANGELOG\.md)$")


def cut_all(labs):
    """The skeletons of several labs over each other: path -> text."""
    found, done = {}, set()
    for lab in labs:
        for path in lab.files:
            cuts = [one for one in lab.cut
                    if one.file == path and (path, one.function) not in done]
            done |= {(path, one.function) for one in cuts}
            if path not in found:
                with open(os.path.join(table.ROOT, path), encoding="utf-8") as file:
                    found[path] = file.read()
            if cuts:
                found[path] = cut.cut_text(found[path], lab.number, cuts, path)
    return {path: text.replace("#include <lib/lab.h>\n" * 2, "#include <lib/lab.h>\n")
            for path, text in found.items()}


def varied(folder, labs, number):
    """Gives the labs' files and handouts the names of a variant."""
    texts = {path: names for lab in labs for path, names in variant.helpers(lab).items()}
    for lab in labs:
        for path, names in variant.helpers(lab).items():
            texts[path] = sorted({*texts[path], *names})
    for path, names in texts.items():
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            working.write(folder, path, variant.rename(file.read(), names, number))
    for lab in labs:
        path = f"labs/{lab.number}/README.md"
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            working.write(folder, path, variant.rename_words(file.read(), labs, number))


def make(folder, labs, seed=None, number=None):
    """Writes the repository into a folder that does not exist; `number`: of a variant."""
    folder = os.path.abspath(folder)
    if os.path.exists(folder):
        raise table.LabError(f"{folder} exists already")
    for name in tree.files():
        if not SECRET.match(name):
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy2(os.path.join(table.ROOT, name), path)
    for path, text in cut_all(labs).items():
        working.write(folder, path, text)
    working.write(folder, cut.HEADER, cut.header())
    working.write(folder, "tests/mutants.toml", "# SPDX-License-Identifier: Apache-2.0\n")
    numbers = [lab.number for lab in labs]
    if number is not None:
        varied(folder, labs, number)
    working.write(folder, working.MARK,
                  json.dumps({"labs": numbers, "seed": seed, "variant": number}) + "\n")
    working.git(folder, "init", "-q", "-b", "main")
    working.save(folder, "Samepage: labs " + ", ".join(map(str, numbers)))
