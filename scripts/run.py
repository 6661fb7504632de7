#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
run.py: the Python behind ./run: finds the subcommand, runs it, and turns its end into a status.
"""
import argparse
import contextlib
import signal
import sys
import termios

import linux
import machine
import processes
from output import Stop
from subcommands import COMMANDS, DEFAULT


class Parser(argparse.ArgumentParser):
    """The parser of ./run itself: its help ends with the options of the default subcommand."""

    default = None

    def format_help(self):
        return f"{super().format_help()}\n{self.default.format_help()}"


def parser():
    top = Parser(
        prog="./run",
        description="Builds Samepage, boots it on an emulated machine, and reports.",
        epilog=f"Without a command ./run is ./run {DEFAULT}:",
    )
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", parser_class=argparse.ArgumentParser
    )
    for name, module in COMMANDS.items():
        sub = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        module.arguments(sub)
        sub.set_defaults(main=module.main)
        if name == DEFAULT:
            top.default = sub
    return top


def arguments(words):
    """The options of a command line; a subcommand that is left out is the default."""
    if not words or words[0].startswith("-") and words[0] not in ("-h", "--help"):
        words = [DEFAULT, *words]
    return parser().parse_args(words)


def interrupted(*_):
    """The first Ctrl-C ends everything on its way out; more of them must not cut that short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def terminal_kept():
    """
    An emulator with --console makes the terminal raw, and restores it only if it ends by itself.
    """
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def work(options):
    try:
        return options.main(options)
    except (Stop, linux.LinuxError, machine.MachineError) as stop:
        for line in str(stop).splitlines():
            print(f"samepage: {line}", file=sys.stderr)
        return 1


def main():
    signal.signal(signal.SIGINT, interrupted)
    processes.catch(signal.SIGTERM)
    try:
        with terminal_kept():
            return work(arguments(sys.argv[1:]))
    except processes.Ended as ended:
        return 128 + ended.args[0]
    except KeyboardInterrupt:
        print("\nsamepage: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
