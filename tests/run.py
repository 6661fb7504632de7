#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
run.py: every test of the tree, behind ./test. docs/testing.md is its handbook.

Usage: ./test [--list] [--long] [--mutants] [NAME ...]     NAME is a part of a test's name, or a
glob: machine/*@bochs*
"""
import argparse
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from runner import (builds, channel, command, core, experiments, host, labs, machines, mutants,
                    terminal)
import output
import processes


def all_tests(long):
    """
    In the order of their start: first quick ones that find silly mistakes, and no long one last,
    which would leave a CPU idle.
    """
    return [
        *builds.tests(),
        *host.checks(),
        *host.scripts(),
        *host.programs(),
        *mutants.sample(),
        *host.models(),
        *terminal.tests(long),
        *channel.tests(),
        *command.tests(),
        *experiments.tests(long),
        *labs.tests(long),
        *machines.tests(long),
    ]


def install(tests):
    """Installs, or names, the packages that the tests need. Without them nothing is run."""
    purposes = sorted({purpose for test in tests for purpose in test.packages}
                      | {purpose for name, targets in core.targets_of(tests).items()
                         for purpose in builds.packages(name, targets)})
    script = os.path.join(core.ROOT, "scripts", "packages.sh")
    return subprocess.run([script, *purposes], check=False).returncode == 0


def run(tests):
    """The exit status: 130 after SIGINT, 143 after SIGTERM, as a shell has it."""
    processes.catch(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    report = core.Report()
    try:
        if not install(tests):
            return 1
        core.run_all(tests, builds.test, report)
    except processes.Ended as ended:
        # A test that has several steps may start the next one.
        for _ in range(100):
            if all(thread is threading.current_thread() for thread in threading.enumerate()):
                break
            processes.end_all()
            time.sleep(0.1)
        print(f"Bail out! {signal.Signals(ended.args[0]).name}")
        report.close()
        sys.stdout.flush()
        os._exit(128 + ended.args[0])
    return report.close()


def main():
    parser = argparse.ArgumentParser(
        prog="./test", description="Builds Samepage and runs its tests; prints TAP.",
        epilog="SAMEPAGE_SLOW=N multiplies every timeout by N, for a computer under load.")
    parser.add_argument("--list", action="store_true", help="print the names and run nothing")
    parser.add_argument(
        "--long",
        action="store_true",
        help="also the tests that take minutes (long = true in runs*.toml), and whole searches in "
             "unit tests (SAMEPAGE_LONG=1)",
    )
    parser.add_argument("--mutants", action="store_true",
                        help="take out one safety mechanism at a time and show which tests fail")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a part of a name, or a glob; default: all"
    )
    options = parser.parse_args()
    if options.long:
        os.environ["SAMEPAGE_LONG"] = "1"
    tests = (
        mutants.tests()
        if options.mutants
        else [*all_tests(options.long), *mutants.tests(extra=True)]
    )
    tests = core.select(tests, options.names)
    if options.list:
        print("\n".join(test.name for test in tests))
        return 0
    if not tests:
        sys.exit(f"./test: no test is named like {' or '.join(options.names)}; see ./test --list")
    return run(tests)


if __name__ == "__main__":
    sys.exit(output.guarded(main))
