#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
verdict.py: the reasons of a run that was not good, one by one.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import verdict

LINES = [{"name": "one"}, {"name": "two", "memory": "16M"}]


def run(**changes):
    """The facts of a good run of two VMs, and changes to them."""
    facts = {
        "vms": {"one": {"end": "shut down", "status": 0}, "two": {"end": "shut down", "status": 0}},
        "audit_faults": 0,
        "frames_missing": 0,
        "ending": "ok",
    }
    return {**facts, **changes}


def one(**facts):
    """The same with another end of VM one."""
    return run(vms={**run()["vms"], "one": facts})


def reasons(facts, text="", lines=LINES, console=None):
    return verdict.reasons(facts, text, lines, {"hostile": "triple fault"}, console)


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
        self.assertEqual(reasons(one(end="shut down", status=7)), ["one shut down with status 7"])

    def test_a_vm_is_stopped_or_out_of_memory_or_not_started(self):
        for end in ("stopped", "out of memory", "triple fault", "entry failed", "halted for good"):
            self.assertEqual(reasons(one(end=end, status=0)), [f"one ended with: {end}"])
        self.assertEqual(
            reasons(run(vms={"two": run()["vms"]["two"]})), ["one was not started"]
        )

    def test_the_end_by_the_user_is_right_when_it_is_possible(self):
        facts = one(end="ended by the user", status=0)
        self.assertEqual(len(reasons(facts)), 1)
        self.assertEqual(reasons(facts, console=1), [])
        self.assertEqual(reasons(facts, lines=[{"name": "one", "kill_after": "10"}]), [])

    def test_a_guest_may_be_meant_to_end_otherwise(self):
        lines = [{"name": "hostile"}]
        facts = run(vms={"hostile": {"end": "triple fault", "status": 0}})
        self.assertEqual(reasons(facts, lines=lines), [])
        facts = run(vms={"hostile": {"end": "shut down", "status": 0}})
        self.assertEqual(len(reasons(facts, lines=lines)), 1)

    def test_the_audit_and_the_frames(self):
        self.assertEqual(reasons(run(audit_faults=2)), ["the audit found 2 faults"])
        self.assertEqual(reasons(run(audit_faults=None)), ["there was no audit"])
        self.assertEqual(reasons(run(frames_missing=3)), ["3 frames are missing"])
        self.assertEqual(reasons(run(frames_missing=None)), ["the frames were not counted"])

    def test_the_hypervisor_panics(self):
        text = "\npanic on cpu0: CHECK(a == b) failed at x.c:1\n"
        found = reasons(run(vms={}, audit_faults=None, ending="failed"), text, lines=[])
        self.assertIn("CHECK(a == b)", found[0])

    def test_the_machine_ends_badly(self):
        self.assertEqual(reasons(run(ending="reset")), ["the machine ended with reset"])


if __name__ == "__main__":
    unittest.main()
