# SPDX-License-Identifier: Apache-2.0
"""
traces.py: the trace of a machine row (key `trace`): babeltrace2 reads it, trace.json keeps the
rules of its format (chrome.py), and its events are as many as the hypervisor counted.

The counts are taken from babeltrace2's text, so that nothing of scripts/tracing reads what
scripts/tracing wrote. They are compared with the summary in the log. A VM's counters are read at
its end, so its events count up to its `vm_end`.
"""
import collections
import os
import re
import subprocess
import sys
import tempfile

from runner import chrome, core

sys.path.insert(0, os.path.join(core.ROOT, "scripts"))
import control
import machine
from tracing import capture, ctf
from tracing import perfetto as viewer

LINE = re.compile(
    r"^\[([\d:.]+)\] \([^)]*\) \S+ (\w+): \{ cpu_id = (\d+) \}, "
    r'\{ vm = \( "([^"]*)"[^)]*\), [^}]*\}, \{ (.*) \}$'
)
VALUE = re.compile(r'(\w+) = (?:\( (?:"([^"]*)"|<unknown>) : container = \d+ \)|(-?\w+))')
# event in the trace: what of the line of stage 2
STAGE2 = {"fault": "faults", "flush": "flushes", "kick": "kicks"}
STARTS = ("start", "change_start", "young")


class Traced:
    """A traced run: its capture, and its control channel where the records come by it."""

    def __init__(self, setup):
        self.folder = tempfile.TemporaryDirectory(prefix="samepage-trace-")
        self.control = None
        if setup.machine in machine.BOCHS_MODELS:
            self.control = setup.control = control.Control(self.folder.name, serve=None)
        self.capture = capture.Capture(setup)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.capture.__exit__()
        if self.control:
            self.control.stop()
        self.folder.cleanup()

    def started(self):
        if self.control:
            self.control.start()

    def complaint(self, text):
        """What is wrong with the trace of the run, which has ended, or None."""
        if self.control:
            self.control.stop()
        rings = self.capture.rings()
        ctf.write(os.path.join(self.folder.name, "trace"), rings)
        viewer.write(os.path.join(self.folder.name, "trace.json"), rings)
        return complaint_about(self.folder.name, text, rings.lost())


def read(folder):
    """babeltrace2's (complaints, events): (event, vm, {field: text})."""
    done = subprocess.run(
        ["babeltrace2", "--clock-gmt", folder], capture_output=True, text=True, check=False
    )
    events = []
    for line in done.stdout.splitlines():
        found = LINE.match(line)
        if not found:
            return f"babeltrace2 printed: {line}", []
        fields = {name: word or number for name, word, number in VALUE.findall(found[5])}
        events.append((found[2], found[4], fields))
    complaint = done.stderr.strip() or (f"status {done.returncode}" if done.returncode else None)
    return complaint and f"babeltrace2: {complaint}", events


def until_end(events):
    """The events of each VM up to its vm_end; the others."""
    ended, kept = set(), []
    for event in events:
        if event[1] not in ended:
            kept.append(event)
        if event[0] == "vm_end":
            ended.add(event[1])
    return kept


def count(events):
    """{name as in the summary: count}, of what is not zero."""
    found = collections.Counter()
    for event, vm, fields in events:
        if event == "exit":
            found[f"{vm}: exit {fields['reason']}"] += 1
        elif event in STAGE2:
            found[f"{vm}: {STAGE2[event]}"] += 1
        elif event in ("notification", "skipped"):
            found[f"{vm}: {event} {fields['event']}"] += 1
        elif event == "callback" and fields["error"] == "ok":
            if fields["call"] in STARTS:
                found[f"{vm}: invalidated {fields['event']}"] += 1
            elif fields["call"] == "change":
                found[f"{vm}: changed {fields['event']}"] += int(fields["pages"])
        elif event == "merge":
            found["to the frame of zeroes" if fields["zero"] == "1" else "merged"] += 1
        elif event == "merge_lost":
            found["races lost"] += 1
    return +found


def pairs(text, first, second):
    """'merge 15/0, cow_break 3/0' as {first merge: 15, ...}."""
    for name, one, other in re.findall(r"(\w+) (\d+)/(\d+)", text):
        yield f"{first} {name}", int(one)
        yield f"{second} {name}", int(other)


def expected(text):
    """The counters of the summary, likewise."""
    found = collections.Counter()
    for vm, line in re.findall(r"summary: vm (\S+): (.*)", text):
        if line.startswith("exits: "):
            for name, value in re.findall(r"(\w+) (\d+)", line[7:]):
                found[f"{vm}: exit {name}"] += int(value)
        elif line.startswith("events "):
            for name, value in pairs(line.split(": ", 1)[1], "notification", "skipped"):
                found[f"{vm}: {name}"] += value
        elif line.startswith("subscriber "):
            for name, value in pairs(line.split(": ", 1)[1], "invalidated", "changed"):
                found[f"{vm}: {name}"] += value
        elif line.startswith("stage 2: "):
            for value, name in re.findall(r"(\d+) (faults|flushes|kicks)\b", line):
                found[f"{vm}: {name}"] += int(value)
    for value, name in re.findall(r"(\d+) (merged|to the frame of zeroes|races lost)",
                                  "".join(re.findall(r"summary: merge: \d+ merged.*", text))):
        found[name] += int(value)
    return +found


def complaint_about(folder, text, lost):
    """What is wrong with the trace in a folder, for a run with this log."""
    if lost:
        return f"{lost} records were lost"
    complaint, events = read(os.path.join(folder, "trace"))
    if complaint:
        return complaint
    found, counted = count(until_end(events)), expected(text)
    different = [f"{name}: {found[name]} events, {counted[name]} counted"
                 for name in sorted(found | counted) if found[name] != counted[name]]
    if different:
        return "trace: " + "; ".join(different)
    merged = {(vm, fields["gfn"]) for event, vm, fields in events if event == "merge"}
    broken = {(vm, fields["gfn"]) for event, vm, fields in events
              if event == "cow_break" and fields["used"] == "1"}
    vms = {vm for event, vm, _ in events if event == "exit"}
    return chrome.complaint(
        os.path.join(folder, "trace.json"),
        {"physical CPUs", "subscribers", *(f"VM {vm}" for vm in vms)}, merged & broken,
    )
