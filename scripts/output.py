# SPDX-License-Identifier: Apache-2.0
"""
output.py: all that ./run prints, and the exception that ends it with a message.

Lines of ./run begin with "samepage: ". On a terminal they have at most 100 columns and some have a
colour, unless NO_COLOR is set (no-color.org). --quiet leaves warnings and the last line, --verbose
adds the commands that are run, and --json prints one JSON value on stdout and nothing else there.
"""
import json
import os
import re
import sys
import textwrap

COLUMNS = 100
COLOURS = {"red": 31, "green": 32, "yellow": 33}
QUIET, NORMAL, VERBOSE = range(3)
CLOSED_PIPE = 141


class Stop(Exception):
    """Ends ./run with messages, an argument each, and status 1."""


class State:
    """The options of the command line that are about output."""
    level = NORMAL
    json = False


def arguments(parser):
    """The options that every subcommand has."""
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument("-q", "--quiet", action="store_const", const=QUIET, dest="level",
                        default=NORMAL, help="print warnings and the last line only")
    levels.add_argument("-v", "--verbose", action="store_const", const=VERBOSE, dest="level",
                        help="print the commands that are run, too")
    parser.add_argument("--json", action="store_true",
                        help="print the result as one JSON value, and nothing else on stdout")


def configure(options):
    State.level, State.json = options.level, options.json


def is_terminal(stream):
    """Whether lines are for a person; not in a terminal without capabilities."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painted(text, colour, stream):
    if not colour or not is_terminal(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{COLOURS[colour]}m{text}\033[0m"


def folded(text, stream):
    """The text in lines of at most COLUMNS on a terminal; continued lines are indented."""
    if not is_terminal(stream) or len(text) <= COLUMNS:
        return text
    indent = " " * (len(re.match(r"(?:samepage:)?\s*", text)[0]) + 4)
    return "\n".join(
        textwrap.wrap(text, COLUMNS, subsequent_indent=indent, drop_whitespace=True,
                      replace_whitespace=False, break_on_hyphens=False)
    )


def put(text, stream, colour=None):
    print(painted(folded(text, stream), colour, stream), file=stream, flush=True)


def stream_of_lines():
    """Where lines for a person go: with --json stdout is the program's."""
    return sys.stderr if State.json else sys.stdout


def say(text, level=NORMAL, colour=None):
    """A line of ./run itself."""
    if State.level >= level:
        put(f"samepage: {text}", stream_of_lines(), colour)


def detail(text):
    """A line that --verbose alone shows."""
    say(text, VERBOSE)


def warn(text):
    """A line about something that may be a mistake; on stderr."""
    put(f"samepage: warning: {text}", sys.stderr, "yellow")


def fail(text):
    """The message of an error, and the text that belongs to it; on stderr."""
    first, _, rest = text.partition("\n")
    put(f"samepage: {first}", sys.stderr, "red")
    if rest:
        print(rest, file=sys.stderr, flush=True)


def plain(line=""):
    """A line without the prefix: of a table, of the console."""
    if State.level >= NORMAL and not State.json:
        print(line, flush=True)


def progress(text):
    """A line that the next one replaces, on a terminal."""
    if State.level >= NORMAL and is_terminal(stream_of_lines()):
        print(f"\r{text}", end="", file=stream_of_lines(), flush=True)


def result(value):
    """The result of a subcommand, for --json."""
    if State.json:
        print(json.dumps(value, indent=1), flush=True)


def silence():
    """Text that is still to be written to stdout has no place to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def guarded(function, errors=(Stop,)):
    """
    The status of function(). An error that the user or the computer can cause, such as a full disk,
    ends it with a message and status 1; a closed pipe without one, as a shell's SIGPIPE does.
    """
    try:
        try:
            return function()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        silence()
        return CLOSED_PIPE
    except errors as stop:
        for text in stop.args:
            fail(text)
        return 1
    except OSError as error:
        silence()
        fail(f"{error.filename or 'stdout'}: {error.strerror}")
        return 1
