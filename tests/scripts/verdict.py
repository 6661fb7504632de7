#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
verdict.py: the reasons of a run that was not good, one by one.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import facts
import verdict

LINES = [{"name": "one"}, {"name": "two", "memory": "16M"}]


GOOD = {"end": "shutdown", "status": 0}


def run(vms=None, faults=0, missing=0):
    """The facts of a good run of two VMs, and changes to them."""
    end = {"good": True, "audit": {"faults": faults}, "frames_missing": missing}
    return facts.Facts(vms={"one": GOOD, "two": GOOD} if vms is None else vms, end=end)


def one(**vm):
    """The same with another end of VM one."""
    return run(vms={"one": vm, "two": GOOD})


def reasons(found, text="", lines=LINES, console=None, ending="ok"):
    return verdict.reasons(found, ending, text, lines, {"hostile": "triple_fault"}, console)


class Verdict(unittest.TestCase):
    def test_a_good_run_has_no_reasons(self):
        self.assertEqual(reasons(run(), "one| work: round 1: every file reads as it was\n"), [])

    def test_a_guest_says_that_files_differ(self):
        self.assertEqual(
            reasons(run(), "x\none| work: FILES DIFFER\none| work: FILES DIFFER\n"),
            ["one printed: work: FILES DIFFER"],
        )

    def test_a_guest_kernel_panics(self):
        text = "two| [    1.5] Kernel panic - not syncing: Attempted to kill init!\n"
        self.assertIn("Kernel panic", reasons(run(), text)[0])

    def test_a_job_or_a_case_fails(self):
        self.assertEqual(reasons(run(), "one| job: status 3\n"), ["one printed: job: status 3"])
        self.assertEqual(reasons(run(), "one| job: status 0\n"), [])
        self.assertEqual(len(reasons(run(), "two| not ok - the page reads 7\n")), 1)

    def test_a_vm_shuts_down_with_a_status(self):
        self.assertEqual(reasons(one(end="shutdown", status=7)), ["one shut down with status 7"])

    def test_a_vm_is_stopped_or_out_of_memory_or_not_started(self):
        for end in ("stopped", "no_memory", "triple_fault", "entry_failed", "halted", "reboot"):
            words = verdict.ENDS.get(end, end)
            self.assertEqual(reasons(one(end=end)), [f"one ended with: {words}"])
        self.assertEqual(reasons(run(vms={"two": GOOD})), ["one was not started"])
        self.assertEqual(reasons(one(memory=1)), ["one did not end"])

    def test_the_end_by_the_user_is_right_when_it_is_possible(self):
        found = one(end="killed")
        self.assertEqual(len(reasons(found)), 1)
        self.assertEqual(reasons(found, console=1), [])
        self.assertEqual(reasons(found, lines=[{"name": "one", "kill_after": "10"}]), [])

    def test_a_guest_may_be_meant_to_end_otherwise(self):
        lines = [{"name": "hostile"}]
        self.assertEqual(reasons(run(vms={"hostile": {"end": "triple_fault"}}), lines=lines), [])
        self.assertEqual(len(reasons(run(vms={"hostile": GOOD}), lines=lines)), 1)

    def test_the_audit_and_the_frames(self):
        self.assertEqual(reasons(run(faults=2)), ["the audit found 2 faults"])
        self.assertEqual(reasons(run(missing=3)), ["3 frames are missing"])
        found = run()
        found.end = {}
        self.assertEqual(reasons(found), ["there was no audit, and the frames were not counted"])

    def test_the_hypervisor_panics(self):
        text = "\npanic on cpu0: CHECK(a == b) failed at x.c:1\n"
        found = reasons(facts.Facts(), text, lines=[], ending="failed")
        self.assertIn("CHECK(a == b)", found[0])

    def test_the_machine_ends_badly(self):
        self.assertEqual(reasons(run(), ending="reset"), ["the machine ended with reset"])


if __name__ == "__main__":
    unittest.main()
