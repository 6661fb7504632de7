# SPDX-License-Identifier: Apache-2.0
"""
ctl.py: ./run ctl 'stats vm.one.*': a command for the machine that runs now, from another terminal.
"""
import json

import control
from output import result, plain

SUMMARY = "send a command to the running machine: help, stats, vms, ..."


def arguments(parser):
    parser.add_argument("words", nargs="*", metavar="WORD",
                        help="the command and its arguments, in one word or several; default: help")


def show(answer):
    """A line for each member."""
    width = max((len(name) for name in answer), default=0)
    for name, value in answer.items():
        text = value if isinstance(value, str) else json.dumps(value)
        plain(f"{name:<{width}}  {text}")


def main(options):
    words = [word for text in options.words for word in text.split()] or ["help"]
    answer = control.Connection().request(*words)
    show(answer)
    result(answer)
    return 0
