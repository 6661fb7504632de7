# SPDX-License-Identifier: Apache-2.0
"""
host.py: the programs that run here (cmocka and libFuzzer, by way of ctest), the static checks, and the Spin models.
"""
import os
import re

from runner import builds, core

CHECKS = os.path.join(core.ROOT, "tests", "checks")
MODELS = os.path.join(core.ROOT, "tests", "model")


def registered(where):
    """The programs that add_test registered in a configured folder, built or not: (name, command, timeout)."""
    for folder, _, files in os.walk(where):
        if "CTestTestfile.cmake" not in files:
            continue
        with open(os.path.join(folder, "CTestTestfile.cmake"), encoding="utf-8") as text:
            lines = text.read()
        for name, arguments in re.findall(r"^add_test\((?:\[=\[)?([^\]\s]+)(?:\]=\])? (.*)\)$", lines, re.M):
            limit = re.search(rf"^set_tests_properties\((?:\[=\[)?{re.escape(name)}\b.* TIMEOUT \"(\d+)", lines, re.M)
            yield name, re.findall(r'"((?:[^"\\]|\\.)*)"', arguments), int(limit[1]) if limit else 600


def run_program(name, arguments, timeout, where):
    """One program. Each TAP case counts; a program that dies, or says nothing, is one more failure."""
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    status, output = core.command(arguments, timeout, cwd=where, env=environment)
    results = core.of_tap(name, output)
    if status and not any(result.status == "failed" for result in results):
        results += core.failed(name, f"status {status}\n{output[-6000:]}")
    return results or core.passed(name)


def programs():
    """One Test for each registered program. Configures the host build, which tells their names."""
    where = builds.folder("host")
    status, output = builds.configure("host")
    if status:
        return [core.Test("unit/configure", lambda: core.failed("unit/configure", output))]
    return [core.Test(name, lambda n=name, a=arguments, t=timeout: run_program(n, a, t, where), ("host",))
            for name, arguments, timeout in sorted(registered(where))]


def checks():
    """Each executable in tests/checks is one check; it gets the tree as working directory."""
    found = []
    for file in sorted(os.listdir(CHECKS)):
        path = os.path.join(CHECKS, file)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            name = f"check/{os.path.splitext(file)[0]}"
            found.append(core.Test(name, lambda n=name, p=path: core.of_command(n, [p]), ("default",)))
    return found


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
    return [core.Test(f"model/{name}", lambda n=name: run(n)) for name in names]
