#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
words.py: command lines that are taken apart and checked before anything is built.
"""
import argparse
import contextlib
import io
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import guests
import words
from subcommands import boot


def warnings(*arguments):
    """What ./run prints on stderr before it builds."""
    parser = argparse.ArgumentParser()
    boot.arguments(parser)
    options = parser.parse_args(["--machine", "qemu-tcg", *arguments])
    with contextlib.redirect_stderr(io.StringIO()) as said:
        boot.check_words(options)
    return said.getvalue()


class Words(unittest.TestCase):
    def test_quotes_are_those_of_a_shell(self):
        self.assertEqual(words.split("a='b c'd\" e\" f"), ["a=b cd e", "f"])
        self.assertEqual(words.split("  log=info\tcpus=2 "), ["log=info", "cpus=2"])
        self.assertEqual(words.split("a=b\\ c d=\\\""), ["a=b c", 'd="'])
        with self.assertRaises(ValueError):
            words.split("a='b c")

    def test_a_misspelling_gets_the_nearest_word(self):
        self.assertEqual(
            words.check_hypervisor("notifer=late"), ["notifer: did you mean notifier?"]
        )
        self.assertEqual(words.check_vm("name=a memry=4M", 1), ["memry: did you mean memory?"])

    def test_all_complaints_come_at_once(self):
        self.assertEqual(len(words.check_hypervisor("notifer=late merg=hash cpus=0")), 3)

    def test_what_follows_arg_and_for_belongs_to_the_guest(self):
        self.assertEqual(words.check_vm("name=a arg=console=ttyS0 quiet nonsense", 1), [])
        self.assertEqual(words.check_vm("for=a console=ttyS0 quiet", 1), [])

    def test_the_guests_of_the_table_and_the_main_job_are_right(self):
        self.assertEqual(guests.check(guests.MAIN_JOB, 2), [])
        self.assertEqual(guests.check(["all"], 2), [])

    def test_a_sum_of_memory_above_the_machines_is_warned_of(self):
        two = ["--guest", "README.md:name=a memory=64M", "--guest", "README.md:name=b memory=65M"]
        self.assertIn("the guests have 129 MiB together, the machine has 128 MiB",
                      warnings("--memory", "128", *two))
        self.assertEqual(warnings("--memory", "129", *two), "")


if __name__ == "__main__":
    unittest.main()
