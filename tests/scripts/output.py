#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
output.py: what ./run prints where, results folders, and errors of the computer.
"""
import argparse
import contextlib
import errno
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import fixdep
import locks
import machine
import output
import results
from benches import common
from subcommands import bench, boot


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@contextlib.contextmanager
def stdout(stream, **environment):
    with mock.patch.dict(os.environ, {"TERM": "xterm", **environment}), \
            mock.patch.object(sys, "stdout", stream):
        yield stream


class Output(unittest.TestCase):
    def setUp(self):
        output.State.level, output.State.json = output.NORMAL, False

    tearDown = setUp

    def test_a_terminal_gets_lines_of_at_most_100_columns(self):
        with stdout(Terminal()) as stream:
            output.say("    exits: " + ", ".join(f"{n} reason" for n in range(40)))
        lines = stream.getvalue().splitlines()
        self.assertGreater(len(lines), 1)
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertTrue(all(line.startswith(" " * 17) for line in lines[1:]), lines)

    def test_a_pipe_gets_them_whole(self):
        with stdout(io.StringIO()) as stream:
            output.say("x " * 100)
        self.assertEqual(stream.getvalue().count("\n"), 1)

    def test_a_colour_is_for_a_terminal_and_not_under_no_color(self):
        for stream, environment, coloured in (
            (Terminal(), {}, True),
            (Terminal(), {"NO_COLOR": "1"}, False),
            (Terminal(), {"TERM": "dumb"}, False),
            (io.StringIO(), {}, False),
        ):
            with stdout(stream, **environment):
                output.say("ok", colour="green")
            self.assertEqual("\033" in stream.getvalue(), coloured)

    def test_quiet_leaves_what_is_marked(self):
        output.State.level = output.QUIET
        with stdout(io.StringIO()) as stream:
            output.say("building")
            output.plain("a row")
            output.say("ok", output.QUIET)
        self.assertEqual(stream.getvalue(), "samepage: ok\n")

    def test_json_is_alone_on_stdout(self):
        output.State.json = True
        with stdout(io.StringIO()) as stream, contextlib.redirect_stderr(io.StringIO()) as other:
            output.say("building")
            output.plain("a row")
            output.result({"a": 1})
        self.assertEqual(stream.getvalue(), '{\n "a": 1\n}\n')
        self.assertEqual(other.getvalue(), "samepage: building\n")

    def test_an_error_of_the_computer_is_a_message(self):
        def full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/file")

        with contextlib.redirect_stderr(io.StringIO()) as said, \
                mock.patch.object(output, "silence"):
            self.assertEqual(output.guarded(full), 1)
        self.assertEqual(said.getvalue(), "samepage: /a/file: No space left on device\n")

    def test_a_closed_pipe_is_silent(self):
        def closed():
            raise BrokenPipeError

        with contextlib.redirect_stderr(io.StringIO()) as said, \
                mock.patch.object(output, "silence"):
            self.assertEqual(output.guarded(closed), 141)
        self.assertEqual(said.getvalue(), "")


class Results(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, path in (("RESULTS", folder.name), ("LATEST", f"{folder.name}/latest")):
            patch = mock.patch.object(results, name, path)
            patch.start()
            self.addCleanup(patch.stop)
        self.top = folder.name

    def test_a_run_that_did_not_start_leaves_nothing(self):
        with results.Folder("run") as first:
            first.publish()
            first.write("log.txt", "one")
        with self.assertRaises(KeyboardInterrupt), results.Folder("run") as second:
            second.write("log.txt", "two")
            raise KeyboardInterrupt
        self.assertEqual(sorted(os.listdir(self.top)), [os.path.basename(first.path), "latest"])
        with open(f"{self.top}/latest/log.txt", encoding="utf-8") as file:
            self.assertEqual(file.read(), "one")

    def test_a_bench_says_what_its_machines_were_given_and_keeps_their_logs(self):
        session = mock.Mock(command=["qemu"], setup=machine.Setup(cpus=2, icount=True))
        session.serial.return_value, session.ending.return_value = "bench: a 1 b", "ok"

        def measure(folder):
            for function in machine.on_end:
                function(session)
            common.keep(folder, "exits", [{"name": "a"}])

        options = argparse.Namespace(what="exits")
        with mock.patch.dict(bench.BENCHES, exits=measure), stdout(io.StringIO()), \
                mock.patch.object(bench.provenance, "manifest", lambda *_: {"revision": "abc"}):
            self.assertEqual(bench.main(options), 0)
        self.assertEqual(machine.on_end, [])
        with open(f"{self.top}/latest/manifest.json", encoding="utf-8") as file:
            [given] = json.load(file)["machines"]
        self.assertEqual((given["machine"]["cpus"], given["seeds"]), (2, {"qemu": "1"}))
        with open(f"{self.top}/latest/{given['log']}", encoding="utf-8") as file:
            self.assertEqual(file.read(), "bench: a 1 b")

    def test_machines_that_end_at_once_keep_a_log_each(self):
        session = mock.Mock(command=["qemu"], setup=machine.Setup())
        session.serial.return_value, session.ending.return_value = "", "ok"
        names = []

        def write(name, _):
            names.append(name)
            if len(names) == 1:
                other.start()
                other.join(0.2) # it ends meanwhile, unless it waits for this one

        machines = bench.Machines(mock.Mock(write=write))
        other = threading.Thread(target=machines.keep, args=[session])
        machines.keep(session)
        other.join()
        self.assertEqual(names, ["log-1.txt", "log-2.txt"])

    def test_columns_of_a_bench_do_not_touch(self):
        rows = [{"name": name, "setting": setting, "value": 1.5}
                for name in ("seconds", "kicks")
                for setting in ("samepage merge=off", "samepage merge=hash merge_ms=20")]
        with stdout(io.StringIO()) as stream:
            common.show(rows, {"ratio": {"seconds": 1.25}})
        head, seconds, kicks = stream.getvalue().splitlines()[1:]
        self.assertEqual(re.split("  +", head)[1:], ["samepage merge=off",
                                                 "samepage merge=hash merge_ms=20", "ratio"])
        self.assertEqual(seconds.split(), ["seconds", "1.5", "1.5", "1.25"])
        self.assertEqual(kicks.split(), ["kicks", "1.5", "1.5"])

    def test_two_runs_in_a_second_have_two_folders(self):
        folders = {results.new_folder("run") for _ in range(3)}
        self.assertEqual(len(folders), 3)

    def test_a_failed_write_names_the_file_and_leaves_the_old_one(self):
        folder = results.Folder("run")
        folder.write("log.txt", "old")
        os.mkdir(folder.file("log.txt.part"))
        with self.assertRaises(OSError) as raised:
            folder.write("log.txt", "new")
        self.assertEqual(raised.exception.filename, folder.file("log.txt"))
        with open(folder.file("log.txt"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "old")

    def test_a_folder_that_cannot_be_made_is_named(self):
        with mock.patch.object(results, "RESULTS", "/dev/null/results"):
            with self.assertRaises(OSError) as raised:
                results.Folder("run")
        self.assertIn("/dev/null", raised.exception.filename)


class Machine(unittest.TestCase):
    def test_a_module_with_a_blank_in_its_path_gets_a_plain_one(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "a file")
            with open(file, "w", encoding="ascii") as made:
                made.write("x")
            plain = machine.plain_path(file, folder, "module0")
            self.assertNotIn(" ", os.path.basename(plain))
            self.assertTrue(os.path.samefile(plain, file))
            self.assertEqual(machine.plain_path("/bin/sh", folder, "x"), "/bin/sh")

    def test_the_path_of_a_built_file_is_the_same_in_every_clone(self):
        file = os.path.join(machine.ROOT, "build", "samepage.elf")
        self.assertEqual(machine.plain_path(file, "/nowhere", "x"), "build/samepage.elf")

    def test_gdb_listens_on_the_loopback_interface(self):
        parser = argparse.ArgumentParser()
        boot.arguments(parser)
        options = parser.parse_args(["--gdb", "--machine", "qemu-tcg", "--guest", "run:name=a"])
        self.assertEqual(boot.setup_of(options, "build").gdb, "tcp:127.0.0.1:1234")


class Build(unittest.TestCase):
    def test_a_depfile_may_name_paths_with_blanks(self):
        with tempfile.TemporaryDirectory(prefix="a b") as folder:
            source, depfile = os.path.join(folder, "x.c"), os.path.join(folder, "x.d")
            with open(source, "w", encoding="ascii") as file:
                file.write("CONFIG_DEBUG")
            spaced = folder.replace(" ", "\\ ")
            with open(depfile, "w", encoding="ascii") as file:
                file.write(f"x.o: {spaced}/x.c \\\n {spaced}/generated/autoconf.h\n")
            fixdep.rewrite(depfile, os.path.join(folder, "config"))
            with open(depfile, encoding="ascii") as file:
                self.assertEqual(
                    file.read(), f"x.o: {spaced}/x.c \\\n {spaced}/config/debug.h\n"
                )


class Locks(unittest.TestCase):
    def test_a_second_holder_waits_and_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "lock")
            other = subprocess.Popen(["flock", path, "sh", "-c", "echo held; read line"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            other.stdout.readline()
            said = []

            def waiting():
                said.append("waiting")
                other.communicate(b"\n")

            with locks.held(path, waiting):
                self.assertEqual(said, ["waiting"])
            with locks.held(path, waiting):
                self.assertEqual(said, ["waiting"])


if __name__ == "__main__":
    unittest.main()
