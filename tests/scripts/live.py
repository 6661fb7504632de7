#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
live.py: the table of ./run top: rates, orders, and screens of 80 and 200 columns.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import live

MIB = 1 << 20


def reading(seconds, scale):
    """Two VMs: `one` uses twice the CPU, `two` exits twice as often."""
    stats = {"machine.cpus": 2, "machine.uptime": seconds * live.NS, "machine.frames.free": 512,
             "merge.saved": 5 * MIB, "merge.passes": 3, "merge.settled": 1,
             "merge.scanned": 100 * scale, "cpu.0.scan.time": 10**8 * scale}
    for name, cpu, exits in (("one", 2, 1), ("two", 1, 2)):
        stats |= {
            f"vm.{name}.used": cpu * 10**8 * scale,
            f"vm.{name}.exits.cpuid": 10 * exits * scale,
            f"vm.{name}.exits.stage2": 30 * exits * scale,
            f"vm.{name}.exit_ticks.cpuid": [1, 2],
            f"vm.{name}.fault.mapped": 5 * scale,
            f"vm.{name}.fault.cause.merge": 4 * scale,
            f"vm.{name}.sub.stage2.merge.in_place": 2 * scale,
            f"vm.{name}.pages.private": 1000,
            f"vm.{name}.memory.saved": exits * MIB,
            f"vm.{name}.memory.resident": 64 * MIB,
        }
    return live.Reading(stats)


def difference():
    return live.Difference(reading(10.0, 1), reading(12.0, 3))


def text_of(width, height=24, sort="c", chosen="one", of=None):
    return [text for text, _ in live.screen(of or difference(), width, height, sort, chosen)]


class Live(unittest.TestCase):
    def test_counters_are_rates_and_gauges_are_not(self):
        row = difference().vm("one")
        self.assertAlmostEqual(row["cpu"], 20)
        self.assertAlmostEqual(row["exits"], 40)
        self.assertAlmostEqual(row["faults"], 5)
        self.assertEqual(list(row["exit_rates"].items()), [("stage2", 30.0), ("cpuid", 10.0)])
        self.assertEqual(row["saved"], MIB)
        self.assertAlmostEqual(difference().machine()["scan_cpu"], 10)

    def test_the_order_is_by_the_key(self):
        orders = {sort: [row["name"] for row in difference().vms(sort)] for sort in live.SORTS}
        self.assertEqual(orders["c"], ["one", "two"])
        self.assertEqual(orders["e"], ["two", "one"])
        self.assertEqual(orders["s"], ["two", "one"])
        self.assertEqual(orders["n"], ["one", "two"])

    def test_no_line_is_wider_than_the_screen_and_none_is_missing(self):
        for width in (20, 80, 109, 110, 200):
            for height in (5, 24, 50):
                lines = text_of(width, height)
                self.assertEqual(len(lines), height)
                self.assertLessEqual(max(map(len, lines)), width)

    def test_80_columns_have_the_states_and_the_rates_of_the_chosen_vm(self):
        lines = text_of(80)
        self.assertTrue(any(line.startswith("one ") and "1,000" in line for line in lines), lines)
        self.assertTrue(any("one: exits/s" in line for line in lines), lines)
        self.assertTrue(any("stage2.merge" in line for line in lines))

    def test_200_columns_have_the_panes_beside_each_other(self):
        self.assertTrue(any("exits/s" in line and "subscribers" in line for line in text_of(200)))

    def test_a_vm_that_goes_away_or_comes_is_no_error(self):
        before, now = reading(10.0, 1), reading(12.0, 3)
        for name in [name for name in now.stats if name.startswith("vm.one.")]:
            del now.stats[name]
        lines = text_of(80, of=live.Difference(before, now))
        self.assertFalse(any(line.startswith("one ") for line in lines))
        self.assertAlmostEqual(live.Difference(now, reading(13.0, 3)).vm("one")["exits"], 120)

    def test_a_machine_without_vms_and_two_readings_at_once(self):
        empty = live.Reading({})
        lines = text_of(80, of=live.Difference(empty, empty), chosen=None)
        self.assertEqual((len(lines), lines[0]), (24, "waiting for the machine's answer ..."))
        bare = live.Reading({"machine.cpus": 1})
        self.assertEqual(len(text_of(80, of=live.Difference(bare, bare), chosen=None)), 24)

    def test_the_keys_name_the_order_that_is_chosen(self):
        self.assertIn("c:CPU [e:exits] f:faults", text_of(80, sort="e")[-1])

    def test_json_has_the_same(self):
        value = difference().as_json("e")
        self.assertEqual([row["name"] for row in value["vms"]], ["two", "one"])
        self.assertEqual(value["machine"]["cpus"], 2)


if __name__ == "__main__":
    unittest.main()
