# SPDX-License-Identifier: Apache-2.0
"""
mutants.py: shows that the tests can fail. Each switch of Kconfig's menu "Break it" takes one safety mechanism out;
tests/mutants.toml names the tests that must then go red.

A mutant is built in build-mutant/ and its tests run in a runner of their own, told by SAMEPAGE_MUTANT.
"""
import os
import re
import sys
import tomllib

from runner import builds, core

TABLE = os.path.join(core.ROOT, "tests", "mutants.toml")


def run(switch, names):
    """Runs the named tests with the switch on; each must have a failure in it."""
    tests_of = sorted({name.split(":")[0] for name in names})
    status, output = core.command([sys.executable, os.path.join(core.ROOT, "tests", "run.py"), *tests_of], timeout=1800,
                                  env=dict(os.environ, SAMEPAGE_MUTANT=switch))
    red = re.findall(r"^not ok \d+ - (.*)$", output, re.M)
    broken = [line for line in red if line.startswith("build/")]
    results = []
    for name in names:
        title = f"mutant/{switch}: {name} goes red"
        caught = [line for line in red if line.startswith(name)]
        results += core.passed(title) if caught and not broken else core.failed(title, f"status {status}\n{output[-4000:]}")
    return results


def tests():
    """One Test for each switch; a switch without a row is a hole in the tests, and fails."""
    with open(TABLE, "rb") as table:
        rows = tomllib.load(table)

    def run_or_fail(switch):
        names = rows.get(switch, [])
        title = f"mutant/{switch}"
        return run(switch, names) if names else core.failed(title, "tests/mutants.toml names no test for it")
    return [core.Test(f"mutant/{switch}", lambda s=switch: run_or_fail(s), alone=True) for switch in builds.SWITCHES]
