# SPDX-License-Identifier: Apache-2.0
"""
output.py: the lines that ./run prints, and the exception that ends it with a message.
"""


class Stop(Exception):
    """Ends ./run with a message and status 1."""


def say(text):
    """A line of ./run itself."""
    print(f"samepage: {text}", flush=True)
