#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
facts.py: the facts of a run from its events, whole, in parts and cut off.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import facts

EVENTS = [
    {"v": 1, "event": "start", "policy": "masked", "retry": "inplace", "more": True},
    {"v": 1, "event": "start", "vms": {"one": {"memory": 4096}}, "more": True},
    {"v": 1, "event": "start", "vms": {"two": {"memory": 8192}}, "config": {"cpus": 2}},
    {"v": 1, "event": "sample", "t_ns": 10**9, "stats": {"merge.saved": 1, "a.b": 2}, "more": True},
    {"v": 1, "event": "sample", "t_ns": 10**9, "stats": {"vm.one.saved": 3}},
    {"v": 1, "event": "sample", "t_ns": 2 * 10**9, "stats": {"merge.saved": 7}},
    {"v": 1, "event": "new", "with": "fields"},
    {"v": 1, "event": "vm-end", "vm": "one", "end": "shutdown", "status": 0, "t_ns": 5},
    {"v": 1, "event": "end", "stats": {"vm.one.exits.cpuid": 3, "vm.one.h": [1]}, "more": True},
    {"v": 1, "event": "end", "stats": {"vm.one.exits.pio": 4, "vm.one.exits.hlt": 0,
     "vm.one.exits.cause.merge": 9},
     "good": True, "audit": {"faults": 0}, "frames_missing": 0},
]


class OfEvents(unittest.TestCase):
    def test_the_parts_of_an_event_are_one(self):
        found = facts.of(EVENTS)
        self.assertEqual(found.start["policy"], "masked")
        self.assertEqual(found.start["config"], {"cpus": 2})
        self.assertEqual(list(found.vms), ["one", "two"])
        self.assertEqual(found.vms["one"]["end"], "shutdown")
        self.assertEqual(found.samples[0], (1.0, {"merge.saved": 1, "a.b": 2, "vm.one.saved": 3}))
        self.assertEqual(found.family("vm.one.exits.", deep=False), {"cpuid": 3, "pio": 4})
        self.assertEqual(found.family("vm.one.exits.cause."), {"merge": 9})
        self.assertEqual(found.total("vm.one.exits."), 7)
        self.assertEqual(found.column("merge.saved"), [(1.0, 1), (2.0, 7)])
        self.assertEqual(found.best("merge.saved"), 7)
        self.assertIsNone(found.best("nothing"))
        self.assertEqual(found.end["frames_missing"], 0)

    def test_a_run_that_was_cut_off_has_no_end(self):
        for events in ([], EVENTS[:3], EVENTS[:-1]):
            self.assertEqual(facts.of(events).end, {})

    def test_events_are_not_changed(self):
        facts.of(EVENTS)
        self.assertIn("vms", EVENTS[1])


if __name__ == "__main__":
    unittest.main()
