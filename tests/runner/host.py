# SPDX-License-Identifier: Apache-2.0
"""
host.py: the programs that run here (cmocka and libFuzzer, by way of ctest), the static checks, and
the Spin models.
"""
import glob
import os
import re
import sys

from runner import builds, core

CHECKS = os.path.join(core.ROOT, "tests", "checks")
MODELS = os.path.join(core.ROOT, "tests", "model")
MUTANT_SECONDS = 240  # a mutant may hang

# Purposes of scripts/packages.sh beyond cmocka's for the unit tests.
PROGRAM_PACKAGES = {"unit/hv/pc/acpi": ("unit", "acpi"), "fuzz/insn": ("zydis",)}
# What a check needs besides the sources: builds, and purposes of scripts/packages.sh.
CHECK_NEEDS = {
    "image": (("default", "debug"), ()),
    "divisions": (("default",), ()),
    "exit_paths": (("default",), ("qemu",)),
    "deadcode": (("default", "debug"), ()),
    "cppcheck": (("default",), ("cppcheck",)),
    "headers": (("default",), ("clang",)),
    "commands": (("default",), ()),
    "words": (("default",), ("gcc",)),
    "debugger": (("default",), ("gdb", "qemu")),
    "format": ((), ("format",)),
    "python": ((), ("pyflakes",)),
    "trace": ((), ("trace",)),
}


def registered(where):
    """
    The programs that add_test registered in a configured folder, built or not: (name, command,
    timeout).
    """
    for folder, _, files in os.walk(where):
        if "CTestTestfile.cmake" not in files:
            continue
        with open(os.path.join(folder, "CTestTestfile.cmake"), encoding="utf-8") as text:
            lines = text.read()
        for name, arguments in re.findall(
            r"^add_test\((?:\[=\[)?([^\]\s]+)(?:\]=\])? (.*)\)$", lines, re.M
        ):
            limit = re.search(
                rf"^set_tests_properties\((?:\[=\[)?{re.escape(name)}\b.* TIMEOUT \"(\d+)",
                lines,
                re.M,
            )
            yield name, re.findall(r'"((?:[^"\\]|\\.)*)"', arguments), int(
                limit[1]
            ) if limit else 600


def run_program(name):
    """
    One program, or the cases of it that a mutant's row names, each by itself (tests/sim/case.c).
    """
    found = [row for row in registered(builds.folder("host")) if row[0] == name]
    if not found:
        return core.failed(name, "no CMakeLists.txt registers it by add_test()")
    [(_, arguments, timeout)] = found
    cases = [test for test in os.environ.get("SAMEPAGE_CASES", "").split(";")
             if test.startswith(f"{name}: ")]
    if not cases:
        return run_cases(name, arguments, timeout, {})
    return [result for case in cases
            for result in run_cases(case, arguments, timeout,
                                    {"SAMEPAGE_CASE": case.removeprefix(f"{name}: ")})]


def run_cases(name, arguments, timeout, extra):
    """
    Each TAP case counts; a program that dies, or says nothing, is one more failure. `name`: the
    program's, or "PROGRAM: CASE" where `extra` chooses a case.
    """
    where = builds.folder("host")
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP",
                       UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1", **extra)
    status, output = core.command(
        arguments,
        min(timeout, MUTANT_SECONDS) if builds.MUTANT is not None else timeout,
        cwd=where,
        env=environment,
    )
    results = core.of_tap(name.partition(": ")[0], output)
    if status and not any(result.status == "failed" for result in results):
        results += core.failed(name, f"status {status}\n{output[-6000:]}")
    return results or core.passed(name)


def programs():
    """
    One Test for each program, by the files: tests/unit/a/b.c is unit/a/b, tests/fuzz/fuzz_c.c is
    fuzz/c. A test needs its own program of the host build and no other.
    """
    found = {}
    for path in sorted(
        glob.glob(os.path.join(core.ROOT, "tests", "unit", "**", "*.c"), recursive=True)
    ):
        name = os.path.relpath(path, os.path.join(core.ROOT, "tests"))[:-2]
        found[name] = "test_" + name.removeprefix("unit/").replace("/", "_")
    for path in sorted(glob.glob(os.path.join(core.ROOT, "tests", "fuzz", "fuzz_*.c"))):
        program = os.path.basename(path)[:-2]
        if program != "fuzz_env":
            found[f"fuzz/{program.removeprefix('fuzz_')}"] = program
    return [core.Test(name, lambda name=name: run_program(name), {"host": (program,)},
                      PROGRAM_PACKAGES.get(name, ("unit",) if name.startswith("unit/") else ()))
            for name, program in sorted(found.items())]


def checks():
    """Each executable in tests/checks is one check; it gets the tree as working directory."""
    found = []
    for file in sorted(os.listdir(CHECKS)):
        path = os.path.join(CHECKS, file)
        stem = os.path.splitext(file)[0]
        if os.access(path, os.X_OK) and os.path.isfile(path):
            made, packages = CHECK_NEEDS.get(stem, ((), ()))
            found.append(
                core.Test(
                    f"check/{stem}",
                    lambda n=f"check/{stem}", p=path: core.of_command(n, [p]),
                    {name: core.ALL for name in made},
                    packages,
                )
            )
    return found


def scripts():
    """Each file of tests/scripts is a program of unittest cases for the Python in scripts/."""
    folder = os.path.join(core.ROOT, "tests", "scripts")

    def run(file):
        name = f"scripts/{file[:-3]}"
        status, output = core.command([sys.executable, os.path.join(folder, file)])
        if status:
            return core.failed(name, output)
        return core.passed(name)
    return [core.Test(f"scripts/{file[:-3]}", lambda f=file: run(f),
                      packages=("report", "base", "experiment"))
            for file in sorted(os.listdir(folder)) if file.endswith(".py")]


def models():
    """tests/model/check.py searches a model and all its mutants; one Test for each model."""
    script = os.path.join(MODELS, "check.py")

    def run(model):
        name = f"model/{model}"
        status, output = core.command(["python3", script, f"model {model}"], timeout=1800)
        results = core.of_tap(name, output)
        if status and not any(result.status == "failed" for result in results):
            results += core.failed(name, f"status {status}\n{output}")
        return results
    names = sorted(file[:-4] for file in os.listdir(MODELS) if file.endswith(".pml"))
    return [
        core.Test(f"model/{name}", lambda n=name: run(n), packages=("gcc", "spin"))
        for name in names
    ]
