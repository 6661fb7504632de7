#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
run.py: the Python behind ./run: finds the subcommand, runs it, and turns its end into a status.
"""
import argparse
import contextlib
import os
import signal
import sys
import termios

import control
import linux
import machine
import output
import processes
import provenance
from subcommands import COMMANDS, DEFAULT
from words import nearest

# What the user or the computer can cause; each ends ./run with its text.
ERRORS = (output.Stop, control.ControlError, linux.LinuxError, machine.MachineError)
# The options of ./run itself, without a subcommand.
OF_ITSELF = ("-h", "--help", "--version")


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
    top.add_argument("--version", action="version", version=f"Samepage {provenance.revision()}")
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", parser_class=argparse.ArgumentParser
    )
    for name, module in COMMANDS.items():
        sub = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        module.arguments(sub)
        output.arguments(sub)
        sub.set_defaults(main=module.main)
        if name == DEFAULT:
            top.default = sub
    return top


def arguments(words):
    """The options of a command line; a subcommand that is left out is the default."""
    first = words[0] if words else ""
    if first.startswith("-") and first not in OF_ITSELF or not first:
        words = [DEFAULT, *words]
    elif first not in (*COMMANDS, *OF_ITSELF):
        raise output.Stop(f"{first}: {nearest(first, list(COMMANDS))}")
    return parser().parse_args(words)


def complete():
    """
    Prints the candidates, where bash calls for them (argcomplete). A line that begins with an
    option is that of the default subcommand.
    """
    import argcomplete

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    command, _, rest = line.partition(" ")
    if rest.lstrip().startswith("-"):
        os.environ["COMP_LINE"] = f"{command} {DEFAULT} {rest}"
        os.environ["COMP_POINT"] = str(point + len(DEFAULT) + 1)
    argcomplete.autocomplete(parser())


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


def work(line):
    options = arguments(line)
    output.configure(options)
    return options.main(options)


def main():
    if "_ARGCOMPLETE" in os.environ:
        complete()
    signal.signal(signal.SIGINT, interrupted)
    processes.catch(signal.SIGTERM, signal.SIGHUP)
    try:
        with terminal_kept():
            return output.guarded(lambda: work(sys.argv[1:]), ERRORS)
    except processes.Ended as ended:
        return 128 + ended.args[0]
    except KeyboardInterrupt:
        output.fail("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
