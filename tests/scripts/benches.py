#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
benches.py: what `./run bench density` makes of a console's text, and that its settings differ in
the hypervisor alone.
"""
import os
import sys
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
from benches import common, peer
from benches.density import modules, settings
import output

# As kvm_init.sh prints it: two guests of 96 MiB, and QEMUs with 16 MiB of their own together.
CONSOLE = """\
peer: before anonymous 1024
peer: start 2.00
peer: at 2.00 sharing 0 anonymous 2048
peer: at 4.00 sharing 256 anonymous 214016
peer: own 16384
peer: at 6.00 sharing 1024 anonymous 115712
peer: own 16000
peer: at 9.50 sharing 2048 anonymous 66560
peer: end 10.00
peer: end 10.50
peer: ksmd 1500000000
peer: worked 1
peer: worked 2
"""


class Peer(unittest.TestCase):
    def test_memory_is_the_guests_alone_and_at_rest_before_the_first_end(self):
        found = peer.frames(CONSOLE)
        self.assertEqual(found, {"scan": 1.5, "rest": 96.0, "peak": 192.0})

    def test_saved_is_the_count_of_ksm(self):
        found, line = peer.figures("kvm", CONSOLE)
        self.assertEqual(found["seconds"], 8.5)
        self.assertEqual(found["saved_best"], 8)
        self.assertEqual(line, [(0, 0), (2, 1), (4, 4), (7.5, 8)])

    def test_a_guest_that_did_not_work_is_an_error(self):
        with self.assertRaises(peer.PeerError):
            peer.figures("kvm", CONSOLE.replace("peer: worked 2\n", ""))


class Rest(unittest.TestCase):
    def test_is_a_second_before_the_first_end(self):
        self.assertEqual(common.at_rest([(1, 10), (2, 20), (3, 30)], 3.5), 20)


class Settings(unittest.TestCase):
    def test_guests_have_the_same_memory_kernel_and_files(self):
        with unittest.mock.patch("guests.modules_of", lambda _, names: names):
            lines = modules("build", 2)
        self.assertEqual([line.split(" ")[0] for line in lines], [
            "linux/cloud:name=v1", "linux/work.initrd:for=v1",
            "linux/cloud:name=v2", "linux/work.initrd:for=v2"])
        for line in lines[::2]:
            self.assertIn(" memory=96M ", line)
        with unittest.mock.patch("benches.peer.kvm", return_value=CONSOLE) as kvm:
            settings("build", 3, "kvm ksm=5000, 2 guests")["kvm ksm=5000, 2 guests"]()
        kvm.assert_called_once_with(5000, 3, 2, 96, "")

    def test_only_takes_a_part(self):
        self.assertEqual(list(settings("build", 3, "merge=hash, 1")),
                         ["samepage merge=hash, 16 guests"])
        with self.assertRaises(output.Stop):
            settings("build", 3, "nothing")


if __name__ == "__main__":
    unittest.main()
