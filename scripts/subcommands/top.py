# SPDX-License-Identifier: Apache-2.0
"""
top.py: ./run top: the VMs of the running machine, live, from the control channel's statistics.
"""
import sys
import time

import control
import live
from output import Stop, plain, result

SUMMARY = "show the VMs of the running machine, live"
KEYS = {"KEY_UP": -1, "KEY_DOWN": 1, "k": -1, "j": 1}
PIPE_WIDTH = 100


def arguments(parser):
    parser.add_argument("--once", action="store_true",
                        help="print one table and end; with --json, one value")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS",
                        help="between two readings; default: 1")
    parser.add_argument("--sort", choices=live.SORTS, default="c",
                        help=", ".join(f"{key}: {title}" for key, (title, _) in live.SORTS.items()))


def read(connection):
    return live.Reading(connection.request("stats"))


def once(connection, options):
    before = read(connection)
    time.sleep(options.interval)
    difference = live.Difference(before, read(connection))
    names = difference.now.vms()
    lines = live.screen(difference, PIPE_WIDTH, len(names) + 24, options.sort,
                        names[0] if names else None)
    for text, _ in lines[:-1]:
        if text:
            plain(text)
    result(difference.as_json(options.sort))
    return 0


class View:
    """The screen: the order, the chosen VM, and the last two readings."""

    def __init__(self, window, connection, options):
        import curses

        self.window, self.connection, self.options = window, connection, options
        self.sort, self.chosen = options.sort, None
        self.styles = {"normal": 0, "title": curses.A_REVERSE, "chosen": curses.A_BOLD}
        curses.curs_set(0)
        self.now = live.Reading({})
        self.difference = live.Difference(self.now, self.now)

    def advance(self):
        """A busy machine keeps the last reading on the screen."""
        try:
            before, self.now = self.now, read(self.connection)
        except control.ControlBusy:
            return
        self.difference = live.Difference(before, self.now)

    def draw(self):
        import curses

        height, width = self.window.getmaxyx()
        names = self.difference.now.vms()
        if self.chosen not in names:
            self.chosen = names[0] if names else None
        self.window.erase()
        lines = live.screen(self.difference, width - 1, height, self.sort, self.chosen)
        for place, (text, style) in enumerate(lines):
            try:
                self.window.addstr(place, 0, text, self.styles[style])
            except curses.error:	# the window has become smaller
                break
        self.window.refresh()

    def key(self, key):
        """Handles a key; False: the view ends."""
        if key in live.SORTS:
            self.sort = key
        elif key in KEYS:
            names = [row["name"] for row in self.difference.vms(self.sort)]
            if self.chosen in names:
                place = (names.index(self.chosen) + KEYS[key]) % len(names)
                self.chosen = names[place]
        return key not in ("q", "\x1b")

    def run(self):
        import curses

        self.draw()
        while True:
            self.advance()
            self.draw()
            due = time.monotonic() + self.options.interval
            while (left := due - time.monotonic()) > 0:
                self.window.timeout(max(int(left * 1000), 1))
                try:
                    key = self.window.getkey()
                except curses.error:	# no key
                    continue
                if not self.key(key):
                    return 0
                self.draw()


def main(options):
    if not 0.1 <= options.interval <= 3600:
        raise Stop("--interval is 0.1 to 3600 seconds")
    connection = control.Connection()
    if options.once or options.json:
        return once(connection, options)
    if not sys.stdout.isatty():
        raise Stop("top needs a terminal; --once prints one table")
    import curses

    return curses.wrapper(lambda window: View(window, connection, options).run())
