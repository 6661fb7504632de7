# SPDX-License-Identifier: Apache-2.0
"""
ctl.py: ./run ctl 'stats vm.one.*': a command for the machine that runs now, from another terminal.
"""
import json

import control
from output import Stop

SUMMARY = "send a command to the running machine: help, stats, vms, ..."


def arguments(parser):
    parser.add_argument("words", nargs="*", metavar="WORD",
                        help="the command and its arguments, in one word or several; default: help")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def show(result):
    """A line for each member."""
    width = max((len(name) for name in result), default=0)
    for name, value in result.items():
        text = value if isinstance(value, str) else json.dumps(value)
        print(f"{name:<{width}}  {text}")


def main(options):
    words = [word for text in options.words for word in text.split()] or ["help"]
    try:
        connection = control.Connection()
        result = connection.request(*words)
    except control.ControlError as error:
        raise Stop(str(error)) from None
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0
