# SPDX-License-Identifier: Apache-2.0
"""
host.py: the programs that run here (cmocka and libFuzzer, by way of ctest), the static checks, and the Spin models.
"""
import os
import re
import tempfile
import tomllib

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
    status, output = core.command(["cmake", "--preset", "asan", "-B", where])
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


def run_model(row):
    """Spin makes a verifier, gcc compiles it, and it must find an error just when the row says so."""
    name = f"model/{row['name']}"
    with tempfile.TemporaryDirectory(prefix="samepage-model-") as where:
        defines = [f"-D{define}" for define in row.get("define", [])]
        for step in (["spin", "-a", *defines, os.path.join(MODELS, row["file"])],
                     ["gcc", "-O2", "-w", *row.get("gcc", ["-DSAFETY"]), "-o", "pan", "pan.c"]):
            status, output = core.command(step, cwd=where)
            if status:
                return core.failed(name, output)
        status, output = core.command(["./pan", *row.get("pan", ["-m200000"])], row.get("timeout", 300), cwd=where)
    finished = "State-vector" in output and "max search depth too small" not in output
    found = "errors: 0" not in output
    if status < 0 or not finished:
        return core.failed(name, f"the search did not end\n{output}")
    if found != row.get("violation", False):
        return core.failed(name, f"{'found an error' if found else 'found no error'}\n{output}")
    return core.passed(name)


def models():
    table = os.path.join(MODELS, "models.toml")
    if not os.path.exists(table):
        return []
    with open(table, "rb") as rows:
        return [core.Test(f"model/{row['name']}", lambda r=row: run_model(r)) for row in tomllib.load(rows)["model"]]
