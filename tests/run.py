#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
run.py: every test of the tree, behind ./test. docs/testing.md is its handbook.

Usage: ./test [--list] [--mutants] [NAME ...]     NAME is a part of a test's name, or a glob: machine/*@bochs*
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from runner import builds, core, host, machines, mutants, terminal


def all_tests(build_tests):
    """In the order they are started: quick ones that find silly mistakes first, and no long one last, which would leave a CPU idle."""
    return [*build_tests, *builds.tests(), *host.checks(), *host.programs(), *host.models(), *terminal.tests(), *machines.tests()]


def main():
    parser = argparse.ArgumentParser(prog="./test", description="Builds Samepage and runs its tests; prints TAP.")
    parser.add_argument("--list", action="store_true", help="print the names and run nothing")
    parser.add_argument("--mutants", action="store_true",
                        help="take out one safety mechanism at a time and show which tests go red")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of a name, or a glob; default: all")
    options = parser.parse_args()
    made = {} if options.mutants else builds.all_builds()
    tests = core.select(mutants.tests() if options.mutants else all_tests(list(made.values())), options.names)
    if options.list:
        print("\n".join(test.name for test in tests))
        return 0
    if not tests:
        sys.exit(f"./test: no test is named like {' or '.join(options.names)}; see ./test --list")
    report = core.Report()
    try:
        core.run_all(tests, made, report)
    except KeyboardInterrupt:
        print("Bail out! interrupted")
        report.close()
        return 130
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
