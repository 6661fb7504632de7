# SPDX-License-Identifier: Apache-2.0
"""
mutants.py: shows that the tests can fail. A mutant takes one guard out; the tests that its row
names must then fail.

Rows are in tests/mutants.toml and tests/mutants/*.toml. Two kinds:

    BREAK_FLUSH = ["TEST: CASE", ...]       a switch of Kconfig's menu "Break it"

    [merge_recheck]                         a substitution in a source file; its name
    file = "mm/merge/page.c"
    replace = "if (moved(page))"            text that stands once in the file
    by = "if (0 && moved(page))"
    tests = ["TEST: CASE", ...]             or equivalent = "why no test can see it"

A mutant is built and run in a copy of the tree, build-mutant/N/. Its build folders stay, so that
the next mutant compiles the files that it changes and no others. The copy leaves -Werror out.
"""
import glob
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tomllib

from runner import builds, core
import tree

TABLES = [os.path.join(core.ROOT, "tests", "mutants.toml"),
          *sorted(glob.glob(os.path.join(core.ROOT, "tests", "mutants", "*.toml")))]
KEYS = {"file", "replace", "by", "tests", "equivalent"}
COPIES = 2
SAMPLE = 5
# Programs that take more than some seconds; a plain ./test samples mutants of the others.
LONG = {
    *("unit/mm/frame/frame", "unit/mm/frame/model", "unit/mm/merge/guests", "unit/mm/merge/memory"),
    *("unit/mm/merge/crowd", "unit/mm/merge/large", "unit/mm/space/race", "unit/mm/space/model"),
    *("unit/mm/notify/eran", "unit/mm/stage2/model", "unit/mm/stage2/history"),
}
FREE = queue.Queue()  # the copies that no mutant uses


def rows():
    """
    Every mutant by name: a row with `tests` or `equivalent`. A switch without a row is a hole in
    the tests.
    """
    found = {switch: {"tests": []} for switch in builds.SWITCHES}
    for table in TABLES:
        with open(table, "rb") as text:
            for name, row in tomllib.load(text).items():
                row = {"tests": row} if isinstance(row, list) else row
                if name in found and (found[name]["tests"] or "file" in found[name]):
                    raise ValueError(
                        f"{os.path.relpath(table, core.ROOT)}: {name}: there are two of that name"
                    )
                if not set(row) <= KEYS or ("tests" in row) == ("equivalent" in row):
                    raise ValueError(f"{os.path.relpath(table, core.ROOT)}: {name}: wrong keys")
                found[name] = row
    return found


def patched(row, text):
    """
    The text of row["file"] with the substitution; ValueError where its pattern does not stand once.
    """
    count = text.count(row["replace"])
    if count != 1:
        raise ValueError(
            f"{row['file']}: the text to replace stands there {count} times: {row['replace']}"
        )
    return text.replace(row["replace"], row["by"])


def synchronise(where, row):
    """
    Makes the copy equal to the tree but for the mutant; files that are equal keep their times.
    """
    names = tree.files()
    for name in names:
        with open(os.path.join(core.ROOT, name), "rb") as file:
            data = file.read()
        if name.endswith(("CMakeLists.txt", ".cmake")):
            data = data.replace(b"-Werror", b"-Wno-error")
        if name == row.get("file"):
            data = patched(row, data.decode()).encode()
        path = os.path.join(where, name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                if file.read() == data:
                    continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        shutil.copymode(os.path.join(core.ROOT, name), path)
    keep = {os.path.join(where, name) for name in names}
    for folder, folders, files in os.walk(where):
        folders[:] = [
            each for each in folders if not (folder == where and each.startswith("build"))
        ]
        for path in (os.path.join(folder, name) for name in files if not name.endswith(".pyc")):
            if path not in keep:
                os.remove(path)


def copy_for(row):
    """Takes a free copy and puts the mutant into it."""
    number = FREE.get()
    where = os.path.join(core.ROOT, "build-mutant", str(number))
    os.makedirs(os.path.join(where, "build"), exist_ok=True)
    linux = os.path.join(where, "build", "linux")
    if not os.path.lexists(linux):
        os.symlink(os.path.join(core.ROOT, "build", "linux"), linux)
    synchronise(where, row)
    return number, where


def fails(test, line):
    """
    Whether a failure is the test's, or, where `test` is a program, one of its cases'. cmocka adds
    a text of its own where the fixture of a case fails.
    """
    name = line.split(" Could not run test: ")[0]
    return name == test or (":" not in test and name.startswith(f"{test}:"))


def run(name, row):
    """
    Runs the tests of a mutant's row, of a program only the cases that the row names; each must
    fail.
    """
    title = f"mutant/{name}"
    if not row["tests"]:
        return core.failed(title, "no row in tests/mutants.toml names a test for it")
    number, where = copy_for(row)
    try:
        switch = "" if "file" in row else name
        chosen = sorted({test.split(":")[0] for test in row["tests"]})
        status, output = core.command(
            [sys.executable, os.path.join(where, "tests", "run.py"), *chosen],
            cwd=where,
            timeout=1800,
            env=dict(os.environ, SAMEPAGE_MUTANT=switch, SAMEPAGE_CASES=";".join(row["tests"])),
        )
    finally:
        FREE.put(number)
    failures = re.findall(r"^not ok \d+ - (.*)$", output, re.M)
    broken = any(line.startswith("build/") for line in failures)
    results = []
    for test in row["tests"]:
        caught = any(fails(test, line) for line in failures) and not broken
        results += core.passed(f"{title}: {test} fails") if caught else \
            core.failed(f"{title}: {test} fails", f"status {status}\n{output[-4000:]}")
    return results


def tests(extra=False):
    """One Test for each mutant but the equivalent ones."""
    if FREE.empty():
        for number in range(COPIES):
            FREE.put(number)
    need = ("base", "gcc", "clang", "unit", "acpi", "zydis")
    return [core.Test(f"mutant/{name}", lambda n=name, r=row: run(n, r), packages=need, extra=extra)
            for name, row in rows().items() if "tests" in row]


def is_quick(test):
    return test.startswith("unit/") and test.split(":")[0] not in LONG


def sample():
    """
    A few mutants for every ./test, other ones at each commit: a Test that runs them one after the
    other. Those that need a machine are left to ./test --mutants.
    """
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=core.ROOT, capture_output=True, text=True, check=False
    )
    quick = sorted(name for name, row in rows().items()
                   if row.get("tests") and all(is_quick(test) for test in row["tests"]))
    chosen = random.Random(git.stdout.strip()).sample(quick, min(SAMPLE, len(quick)))
    named = {test.name: test for test in tests()}
    return [
        core.Test(
            "mutant/of this commit",
            lambda: [result for name in chosen for result in named[f"mutant/{name}"].run()],
            packages=("base", "gcc", "clang", "unit", "acpi", "zydis"),
        )
    ]
