#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
top.py: ./run top at pseudo-terminals of 80 and 200 columns, and --once --json, before a channel
that answers as a machine would.
"""
import contextlib
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
from fcntl import ioctl

FOLDER = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(FOLDER, "..", "..", "scripts")
sys.path.insert(0, SCRIPTS)
import live
from subcommands import top

DRIVE = (
    f"import sys; sys.path.insert(0, {SCRIPTS!r}); import control, run; "
    "control.Connection.__init__.__defaults__ = (sys.argv.pop(1), 10); sys.exit(run.main())"
)


def stats(turn):
    """The figures of two VMs at the turn-th request."""
    found = {"machine.uptime": turn * 10**9, "machine.cpus": 2, "merge.saved": 1 << 20}
    for name, exits in (("one", 100), ("two", 300)):
        found |= {f"vm.{name}.used": turn * 10**8, f"vm.{name}.exits.cpuid": turn * exits,
                  f"vm.{name}.pages.private": 77, f"vm.{name}.memory.resident": 3 << 20}
    return found


class Channel(threading.Thread):
    """Answers every request with the figures, in two parts, until its clients are gone."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        self.socket.listen()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def serve(client):
        with contextlib.suppress(OSError), client, client.makefile("rw") as lines:
            for turn, line in enumerate(lines, 1):
                number = json.loads(line)["id"]
                names = list(stats(turn).items())
                for part, more in ((names[:3], True), (names[3:], False)):
                    reply = {"v": 1, "id": number, "ok": True, "result": dict(part), "more": more}
                    lines.write(json.dumps(reply) + "\n")
                lines.flush()


def read_until(terminal, text, seconds=60):
    """What the terminal has got, up to the text or to its end."""
    found, until = "", time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while text not in found and time.monotonic() < until:
            if select.select([terminal], [], [], 0.2)[0]:
                found += os.read(terminal, 65536).decode("utf-8", "replace")
    return found


class Top(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "control")
        self.channel = Channel(self.path)
        self.addCleanup(self.channel.socket.close)
        self.channel.start()

    def command(self, *words):
        return [sys.executable, "-c", DRIVE, self.path, "top", "--interval", "0.2", *words]

    def test_it_draws_at_80_and_200_columns_and_takes_keys(self):
        for width in (80, 200):
            controller, terminal = pty.openpty()
            ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
            child = subprocess.Popen(self.command(), stdin=terminal, stdout=terminal,
                                     stderr=terminal, env=dict(os.environ, TERM="xterm"))
            self.addCleanup(child.kill)
            os.close(terminal)
            self.assertTrue("one: exits/s" in read_until(controller, "one: exits/s"))
            os.write(controller, b"ejq")
            read_until(controller, "no such text")
            self.assertEqual(child.wait(30), 0)
            os.close(controller)

    def test_keys_sort_and_choose(self):
        view = top.View.__new__(top.View)
        view.sort, view.chosen = "c", "one"
        readings = [live.Reading(stats(turn)) for turn in (1, 2)]
        view.difference = live.Difference(*readings)
        self.assertTrue(view.key("e"))
        self.assertEqual(view.sort, "e")
        for key, chosen in (("j", "two"), ("k", "one"), ("KEY_UP", "two"), ("?", "two")):
            view.key(key)
            self.assertEqual(view.chosen, chosen)
        self.assertFalse(view.key("q"))

    def test_once_prints_a_table_and_json_a_value(self):
        done = subprocess.run(self.command("--once"), capture_output=True, text=True, check=True)
        self.assertIn("one: exits/s", done.stdout)
        done = subprocess.run(self.command("--once", "--json", "--sort", "e"), capture_output=True,
                              text=True, check=True)
        value = json.loads(done.stdout)
        self.assertEqual([row["name"] for row in value["vms"]], ["two", "one"])
        self.assertGreater(value["vms"][0]["exits"], 0)

    def test_without_a_machine_or_a_terminal_it_says_so(self):
        self.assertIn("needs a terminal", self.failure(self.command()))
        self.assertIn("--interval is", self.failure(self.command("--once", "--interval", "0")))
        command = self.command("--once")
        command[3] = "/nowhere/control"
        self.assertIn("no machine runs", self.failure(command))

    def failure(self, command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr


if __name__ == "__main__":
    unittest.main()
