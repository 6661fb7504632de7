#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
experiments.py: files of experiments, their points and measures, recorded counts, parts of a result.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
# This file has the name of the package: scripts/ comes first.
sys.path[0] = SCRIPTS
from experiments import figures, measures, outcome, points, recorded, slurm_status, spec, timelines
from experiments import rows as of_rows
import output

GOOD = """\
title = "a test"
seeds = [1, 2]

[boot]
memory = 64
cmdline = "merge_ms=60000 {policy}"
guests = ["README.md:name=w memory=8M arg=pages=16"]

[[points]]
policy = ["first", "second"]
merge = ["hash", "tree"]
"arg.share" = [10]

[values.policy]
first = "notifier=masked"
second = "notifier=late"

[quick]
merge = ["hash"]
seed = [1]

[measures]
faults = "vm.w.exits.stage2"
all_exits = "vm.*.exits.*"
ticks = "bench.ticks"
share = "= faults / all_exits"

[tolerance]
ticks = 0.1

[[figures]]
name = "faults"
kind = "bar"
x = "policy"
y = "faults"
"""
RAW = {"bench": {"w.ticks": 100.0}, "samples": [], "guest_seconds": 1,
       "stats": {"vm.w.exits.stage2": 3, "vm.w.exits.cpuid": 1}}


def read(text):
    """The experiment of a text."""
    with tempfile.TemporaryDirectory(prefix="samepage-experiment-") as where:
        folder = os.path.join(where, "test")
        os.mkdir(folder)
        with open(os.path.join(folder, "experiment.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        return spec.read(os.path.join(folder, "experiment.toml"))


def complaints(old, new):
    """The lines and texts of what is said about GOOD with one change."""
    try:
        points.of(read(GOOD.replace(old, new, 1)))
    except output.Stop as stop:
        return [text.partition("experiment.toml:")[2] for text in stop.args]
    return []


class File(unittest.TestCase):
    def test_a_complaint_names_the_line(self):
        self.assertEqual(complaints("memory = 64", "memry = 64"),
                         ["5: memry: did you mean memory?"])
        self.assertEqual(complaints("memory = 64", "memory = \"64\""),
                         ["5: memory: not of type int"])
        self.assertIn("12: arg_share: no word of a command line",
                      complaints("\"arg.share\" = [10]", "arg_share = [10]")[0])
        self.assertEqual(["26: share: fauls: no measure before this one; did you mean faults?"],
                         complaints("= faults /", "= fauls /"))
        self.assertIn("kind: did you mean bar?", complaints("\"bar\"", "\"bra\"")[0])
        self.assertTrue(complaints("[measures]", "[measures")[0].startswith("22: "))

    def test_each_point_is_checked_as_the_command_line_is(self):
        self.assertIn("merge=hsh: not", complaints("\"hash\", \"tree\"", "\"hsh\"")[0])
        self.assertIn("no text for third", complaints("\"second\"]", "\"third\"]")[0])
        self.assertIn("icount", complaints("memory = 64", "cpus = 2")[0])

    def test_a_statistic_is_one_of_the_table(self):
        self.assertIsNone(measures.complaint("a", "vm.*.flush.sent", {}))
        self.assertIsNone(measures.complaint("a", "best:merge.saved", {}))
        self.assertIsNotNone(measures.complaint("a", "vm.w.flush.snt", {}))
        self.assertIsNotNone(measures.complaint("a", "bst:merge.saved", {}))
        self.assertEqual(complaints("vm.w.exits", "vm.v.exits"),
                         ["23: faults: v: no guest has this name; there is w"])
        self.assertIsNone(measures.other_vm("vm.v2.exits.stage2", ["f:name=v{vm}", "g:for=v{vm}"]))


class Points(unittest.TestCase):
    def test_the_matrix_and_the_quick_part_of_it(self):
        good = read(GOOD)
        self.assertEqual(len(points.of(good)), 8)
        quick = points.of(good, quick=True)
        self.assertEqual([point.axes["policy"] for point in quick], ["first", "second"])
        self.assertEqual(quick[0].boot["cmdline"], "merge_ms=60000 notifier=masked merge=hash")
        self.assertEqual(quick[0].boot["guests"],
                         ["README.md:name=w memory=8M arg=pages=16 share=10 seed=1"])

    def test_words_are_put_where_they_belong(self):
        self.assertEqual(points.with_vm_word("f:name=a memory=8M arg=x", "memory", "9M"),
                         "f:name=a memory=9M arg=x")
        self.assertEqual(points.with_vm_word("f:for=a x", "memory", "9M"), "f:for=a x")
        self.assertEqual(points.repeated({"vms": 2, "guests": ["f:name=v{vm}", "g:name=b"]}),
                         ["f:name=v1", "g:name=b", "f:name=v2"])


class Measures(unittest.TestCase):
    def test_names_and_expressions(self):
        self.assertEqual(measures.of(read(GOOD), RAW),
                         {"faults": 3, "all_exits": 4, "ticks": 100, "share": 0.75})

    def test_a_division_by_nothing_has_no_value(self):
        raw = {**RAW, "stats": {}}
        self.assertIsNone(measures.of(read(GOOD), raw)["share"])

    def test_a_line_that_no_guest_prints_is_named(self):
        good = read(GOOD.replace("bench.ticks", "bench.tick"))
        rows = of_rows.of(good, points.of(good), {"": RAW})
        self.assertEqual(list(measures.without_value(good, rows, [RAW])), [
            "ticks = bench.tick: no point has this line; did you mean ticks?"])

    def test_when_a_sample_had_nine_tenths_of_the_most(self):
        samples = [[0.5, {}], [1.0, {"merge.saved": 89}], [1.5, {"merge.saved": 90}],
                   [2.0, {"merge.saved": 100}], [2.5, {"merge.saved": 1}]]
        raw = {**RAW, "stats": {}, "samples": samples}
        self.assertEqual(measures.of_samples(raw, "reached", "merge.saved"), 1.5)
        self.assertIsNone(measures.of_samples({**raw, "samples": []}, "reached", "merge.saved"))

    def test_rows_survive_csv(self):
        good = read(GOOD)
        found = points.of(good)
        rows = of_rows.of(good, found, {"": RAW})
        self.assertEqual(of_rows.from_csv(good, of_rows.as_csv(good, rows)), rows)


class Figures(unittest.TestCase):
    def test_lines_that_cover_each_other_are_one(self):
        def line(*means):
            return {str(x): (mean, mean, mean) for x, mean in enumerate(means)}

        found = {"a": line(0, 300), "b": line(1, 300), "c": line(0, 200), "d": line(0)}
        self.assertEqual(list(figures.joined(found, False)), ["a, b", "c", "d"])
        self.assertEqual(list(figures.joined(found, True)), ["a", "b", "c", "d"])


class Recorded(unittest.TestCase):
    def test_a_count_that_differs_is_a_complaint_and_ticks_may_differ_a_little(self):
        good = read(GOOD)
        found = points.of(good)
        rows = of_rows.of(good, found, {"": RAW})
        recorded_rows = [{**row, "ticks": 105} for row in rows]
        with unittest.mock.patch.object(recorded, "read", lambda _: recorded_rows):
            self.assertEqual(list(recorded.check(good, found, rows)), [])
            recorded_rows[0]["faults"] = 4
            self.assertIn("faults is 3, recorded 4", next(recorded.check(good, found, rows)))

    def test_a_whole_number_allows_a_count(self):
        good = read(GOOD.replace("ticks = 0.1", "ticks = 0.1\nfaults = 2"))
        found = points.of(good)
        rows = of_rows.of(good, found, {"": RAW})
        for recorded_faults, complaints in ((1, 0), (5, 0), (6, 1)):
            recorded_rows = [{**row, "faults": recorded_faults} for row in rows[:1]]
            with unittest.mock.patch.object(recorded, "read", lambda _: recorded_rows):
                found_now = [text for text in recorded.check(good, found[:1], rows[:1])
                             if "faults is" in text]
            self.assertEqual(len(found_now), complaints)

    def test_an_allowance_is_a_share_or_a_count(self):
        for value, right in ((0.5, True), (2, True), (1.5, False), (-1, False), (True, False)):
            self.assertEqual(spec.allowance(value), right)


class Timelines(unittest.TestCase):
    TEXT = GOOD + """
[[figures]]
name = "saved"
kind = "timeline"
y = "merge.saved"
series = "policy"
unit = "MiB"
where = { merge = "hash" }
"""

    def test_a_recorded_line_is_thinned_and_read_back(self):
        samples = [(n / 4, {"merge.saved": n << 20}) for n in range(1001)]
        with tempfile.TemporaryDirectory(prefix="samepage-experiment-") as where:
            good = read(self.TEXT)
            with unittest.mock.patch.object(type(good), "file",
                                            lambda _, name: os.path.join(where, name)):
                timelines.write(good, points.of(good), {"": {**RAW, "samples": samples}})
                found = timelines.read(good)["saved"]
        self.assertEqual(list(found), ["first", "second"])
        self.assertEqual((found["first"][0], found["first"][-1]), ((0, 0), (250, 1000)))
        self.assertLessEqual(len(found["first"]), timelines.MOST + 1)

    def test_a_unit_that_is_not_known_is_a_complaint(self):
        with self.assertRaises(output.Stop):
            read(self.TEXT.replace('"MiB"', '"GiB"'))


class Parts(unittest.TestCase):
    def folder(self, where, name, lines):
        path = os.path.join(where, name)
        os.mkdir(path)
        with open(os.path.join(path, "manifest.json"), "w", encoding="utf-8") as file:
            json.dump({"experiment": "test"}, file)
        with open(os.path.join(path, "raw.jsonl"), "w", encoding="utf-8") as file:
            file.write("\n".join(json.dumps(line) for line in lines))
        return path

    def test_parts_of_several_machines_are_one_result(self):
        good = read(GOOD)
        found = points.of(good)
        lines = [{"key": str(number), "axes": point.axes, "exact": True, "raw": RAW}
                 for number, point in enumerate(found)]
        with tempfile.TemporaryDirectory(prefix="samepage-parts-") as where:
            first = self.folder(where, "a", lines[:5])
            second = self.folder(where, "b", lines[4:])
            results, parts = outcome.merged(good, found, [first, second])
            self.assertEqual((len(results), len(parts)), (8, 2))
            other = {**lines[0], "raw": {**RAW, "stats": {}}}
            with self.assertRaises(output.Stop):
                outcome.merged(good, found, [first, self.folder(where, "c", [other])])
            with self.assertRaises(output.Stop):
                outcome.merged(good, found, [first, self.folder(where, "d",
                                                                [{**lines[0], "key": "x"}])])

    def test_parts_of_two_images_are_not_one_result(self):
        good = read(GOOD)
        found = points.of(good)
        lines = [{"key": str(number), "axes": point.axes, "exact": True, "raw": RAW, "made_of":
                  {"machine": "qemu-tcg", "image": str(number // 4), "tool": "QEMU"}}
                 for number, point in enumerate(found)]
        with tempfile.TemporaryDirectory(prefix="samepage-parts-") as where:
            first = self.folder(where, "a", lines[:4])
            outcome.merged(good, found, [first])
            with self.assertRaises(output.Stop):
                outcome.merged(good, found, [first, self.folder(where, "b", lines[4:])])


# A job that writes its result, but for the third: half of it is written, an empty file is what a
# loss of power leaves of a renamed one, and the job stays.
JOB = """\
import os, signal, sys
key, = sys.argv[1:]
with open("ran", "a") as file:
    file.write(key + "\\n")
ran = len(open("ran").read().split())
if ran == 3:
    open(f"points/{key}.json.{os.getpid()}", "w").write('{"ben')
    open(f"points/{key}.json", "w").close()
    open("stays", "w").close()
    signal.pause()
open(f"points/{key}.json", "w").write("{}")
"""
# A run of six points in a store of its own.
RUN = """\
import sys
folder, scripts = sys.argv[1:]
sys.path.insert(0, scripts)
from experiments import points, store, workflow
store.FOLDER, workflow.JOB = folder, folder + "/job.py"
failed = workflow.run([points.Point({"n": n}, {}, f"key{n}") for n in range(6)], jobs=1)
sys.exit(len(failed))
"""


def members(session):
    """The processes of a session."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                state, *rest = stat.read().rpartition(") ")[2].split()
            if state != "Z" and int(rest[2]) == session:
                yield int(entry)


def kill_session(session):
    """SIGKILL to every process of it, as a loss of power ends all at once."""
    while found := list(members(session)):
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


class Resumed(unittest.TestCase):
    def start(self, folder):
        return subprocess.Popen([sys.executable, "-c", RUN, folder, SCRIPTS],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, start_new_session=True)

    def test_after_sigkill_the_points_without_a_whole_result_run(self):
        with tempfile.TemporaryDirectory(prefix="samepage-resumed-") as folder:
            with open(os.path.join(folder, "job.py"), "w", encoding="utf-8") as file:
                file.write(JOB)
            with self.start(folder) as first:
                while not os.path.exists(os.path.join(folder, "stays")):
                    self.assertIsNone(first.poll())
                    time.sleep(0.01)
                kill_session(first.pid)
            with self.start(folder) as second:
                _, text = second.communicate()
                self.assertEqual((second.returncode, text), (0, b""))
            with open(os.path.join(folder, "ran"), encoding="utf-8") as file:
                ran = file.read().split()
        keys = [f"key{n}" for n in range(6)]
        self.assertEqual(sorted(ran[3:]), sorted(set(keys) - set(ran[:2])))


class Slurm(unittest.TestCase):
    def test_states(self):
        text = "JobId=3 JobName=samepage JobState=%s Reason=None ExitCode=0:0"
        for state, status in (("PENDING", "running"), ("COMPLETED", "success"),
                              ("NODE_FAIL", "failed"), ("OUT_OF_MEMORY", "failed")):
            self.assertEqual(slurm_status.status(slurm_status.state_of(text % state)), status)
        self.assertEqual(slurm_status.status(slurm_status.state_of("")), "failed")


if __name__ == "__main__":
    unittest.main()
