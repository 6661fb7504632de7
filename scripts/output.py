# SPDX-License-Identifier: Apache-2.0
"""
output.py: the lines that ./run prints, and the exception that ends it with a message.
"""
import sys


class Stop(Exception):
    """Ends ./run with a message and status 1."""


def say(text):
    """A line of ./run itself."""
    print(f"samepage: {text}", flush=True)


def warn(text):
    """A line about something that may be a mistake; on stderr."""
    print(f"samepage: warning: {text}", file=sys.stderr, flush=True)
