#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
report.py: the report page and its figures, of a run with samples, without, and with hostile names.
"""
import csv
import html.parser
import io
import os
import re
import sys
import tempfile
import unittest
from unittest import mock
from xml.etree import ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import facts
from report import figures, lines, page

MIB = 1 << 20
MANIFEST = {
    "name": "run", "started": "2026-11-29 18:22:11", "seconds": 27.3, "revision": "abc",
    "dirty": False, "machine": {"name": "qemu-tcg", "cpus": 3, "memory_mib": 768},
    "command": ["./run", "<script>alert(1)</script>"],
}


def stats(scale):
    """The figures of a sample."""
    found = {"merge.saved": 4 * MIB * scale, "merge.scanned": 1000 * scale,
             "merge.read": 100 * scale, "merge.saved.peak": 2048, "merge.metadata": 4096,
             "cpu.0.scan.time": 10**9}
    for vm in ("one", "two"):
        found |= {f"vm.{vm}.exits.{name}": 10 * scale for name in ("cpuid", "stage2", "pio")}
        found |= {f"vm.{vm}.exit_time.{name}": 10**6 for name in ("cpuid", "stage2")}
        found |= {f"vm.{vm}.pages.{state}": 100 * scale for state in figures.STATES}
        found |= {f"vm.{vm}.fault.mapped": 7, f"vm.{vm}.fault.cause.merge": 4,
                  f"vm.{vm}.sub.stage2.merge.in_place": 3,
                  f"vm.{vm}.merge.reason.unique": 5, f"vm.{vm}.used": 2 * 10**9,
                  f"vm.{vm}.memory.saved": 2 * MIB * scale, f"vm.{vm}.memory.profit": MIB}
    return found


def run(samples=3):
    return facts.Facts(
        start={"policy": "masked", "retry": "inplace", "engine": "hash"},
        vms={name: {"memory": 64 * MIB, "end": "shutdown", "status": 0} for name in ("one", "two")},
        samples=[(float(moment), stats(moment + 1)) for moment in range(samples)],
        stats=stats(samples + 1),
        end={"audit": {"faults": 0, "pages": 1, "translations": 2, "frames": 3},
             "frames_missing": 0, "good": True},
    )


class Folder:
    """A results folder in a temporary one."""

    def __init__(self, path):
        self.path = path

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text):
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)


def written(found, reasons=(), manifest=MANIFEST, traced=False):
    """The page's text, and the names of its data."""
    with tempfile.TemporaryDirectory() as path:
        if traced:
            Folder(path).write("trace.json", "{}")
        page.write(Folder(path), found, manifest, list(reasons))
        with open(os.path.join(path, "report.html"), encoding="utf-8") as file:
            return file.read(), sorted(os.listdir(os.path.join(path, "data")))


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text, cls.data = written(run())

    def test_what_is_read_first_stands_first(self):
        text = self.text
        places = [text.index(part) for part in ("All clean", "Memory saved per VM", "What it cost",
                                                "Whether all was clean", "<h2>Figures")]
        self.assertEqual(places, sorted(places))
        self.assertIn("8.0 MiB", text)

    def test_every_figure_has_a_sentence_a_text_and_data(self):
        text = self.text
        found = list(figures.of(run()))
        self.assertEqual(self.data, sorted(f"{figure.name}.csv" for figure in found))
        self.assertEqual(text.count("<figcaption>"), len(found))
        self.assertEqual(text.count('role="img" aria-label="'), len(found))
        for figure in found:
            self.assertRegex(figure.reading, r"\.$")
            self.assertIn(f'href="data/{figure.name}.csv"', text)

    def test_links_lead_to_the_glossary(self):
        text = self.text
        for target in re.findall(r'href="#([^"]+)"', text):
            self.assertIn(f'id="{target}"', text)

    def test_the_page_needs_no_other_file(self):
        text = self.text
        self.assertNotRegex(text, r"<(?:script|img|link)\b|@import|url\(http")
        html.parser.HTMLParser().feed(text)

    def test_a_trace_is_linked(self):
        with mock.patch.object(figures.Figure, "svg", lambda _: "<svg/>"):
            text, _ = written(run(), traced=True)
        self.assertIn('href="trace/"', text)
        self.assertNotIn('href="trace/"', self.text)

    def test_the_figures_of_a_vm_stop_at_its_end(self):
        found = run()
        found.vms["one"]["t_ns"] = 1.5 * 10**9
        [figure] = figures.saved(found)
        self.assertEqual([row[2] for row in figure.rows], ["one", 2.0, 4.0, ""])

    def test_text_from_outside_is_escaped(self):
        with mock.patch.object(figures.Figure, "svg", lambda _: "<svg/>"):
            text, _ = written(run(), ["one printed: <b>"])
        self.assertNotIn("<b>", text)
        self.assertIn("Failed: one printed: &lt;b&gt;", text)

    def test_a_run_without_samples_or_end_has_a_page(self):
        with mock.patch.object(figures.Figure, "svg", lambda _: "<svg/>"):
            for found in (run(samples=0), facts.Facts(), facts.Facts(vms={"one": {}})):
                text, _ = written(found)
                self.assertIn("Memory saved per VM", text)

    def test_a_figure_is_svg_in_the_colours_of_the_page(self):
        found = re.findall(r"<svg.*?</svg>", self.text, re.S)
        self.assertGreater(len(found), 5)
        for text in found:
            ElementTree.fromstring(text)
            self.assertNotIn("#0102", text)
            self.assertIn("currentColor", text)
            self.assertRegex(text, r'viewBox="0 0 \d+')

    def test_the_data_of_a_figure_is_csv(self):
        [figure] = figures.saved(run())
        rows = list(csv.reader(io.StringIO(figure.csv())))
        self.assertEqual(rows[0], ["seconds", "all VMs", "one", "two"])
        self.assertEqual(rows[1], ["0.0", "4.0", "2.0", "2.0"])

    def test_the_lines_name_what_is_in_force(self):
        found = list(lines.of(run()))
        self.assertEqual(found[0], "in force: policy masked, retry inplace, engine hash")
        self.assertTrue(any("of memory; 8.0 MiB saved at best" in line for line in found), found)


if __name__ == "__main__":
    unittest.main()
