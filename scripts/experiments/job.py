# SPDX-License-Identifier: Apache-2.0
"""
job.py: one point of an experiment: boots what build/experiments/jobs/KEY.json says, and writes
points/KEY.json. Snakemake runs it, here or on a node of a cluster that shares the folder.

Usage: job.py KEY
"""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import facts
import guests
import machine
import verdict
from benches.mm import callgrind
from experiments import measures, store

LOG_TAIL = 4000


class Failed(Exception):
    """The point has no result; the text gives the reason."""


def setup_of(job):
    return machine.Setup(
        machine=job["machine"], image=job["image"], cpus=job["cpus"],
        memory=job["memory"], cmdline=job["cmdline"], icount=job["icount"],
        modules=[tuple(module) for module in job["modules"]])


class Channel:
    """
    COM2 as a file. A socket that is read late makes the machine wait for room, which costs it
    instructions that two runs do not have in common; a file never does.
    """

    def __init__(self, folder):
        self.path = os.path.join(folder, "com2")

    def qemu_arguments(self):
        return ["-serial", f"file:{self.path}"]

    def bochs_lines(self):
        return f"com2: enabled=1, mode=file, dev={self.path}\n"

    def events(self):
        """What the machine sent, but for a line that its end cut off."""
        found = []
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            for line in file.read().split(b"\n"):
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return [event for event in found if isinstance(event, dict) and "event" in event]


def boot(job):
    """The raw result of a machine."""
    with tempfile.TemporaryDirectory(prefix="samepage-point-") as folder:
        setup = setup_of(job)
        setup.control = Channel(folder)
        with machine.start(setup) as session:
            ending = session.wait(job["timeout"])
            text, output = session.serial(), session.output()
        found = facts.of(setup.control.events())
    refused = found.start.get("refused")
    reasons = verdict.reasons(found, ending, text, job["lines"], guests.ENDS, False)
    reasons += [f"refused: {refused}"] if refused else []
    if reasons:
        raise Failed(f"{'; '.join(reasons)}\n{text[-LOG_TAIL:]}\n{output[-LOG_TAIL:]}")
    ends = [vm["t_ns"] for vm in found.vms.values() if "t_ns" in vm]
    return {
        "bench": measures.bench_of(text),
        "stats": {name: value for name, value in found.stats.items()
                  if not isinstance(value, list)},
        "samples": found.samples if job["samples"] else [],
        "start": {name: found.start.get(name) for name in ("policy", "retry", "engine")},
        "guest_seconds": max(ends, default=0) / facts.NS,
    }


def count(job):
    """The raw result of a program of tests/bench under callgrind: instructions a round, by name."""
    counts = callgrind(job["program"], *job["args"].split())
    return {"bench": counts, "stats": {}, "samples": [], "start": {}, "guest_seconds": 0}


def main():
    key, = sys.argv[1:]
    failed = store.path("points", f"{key}.failed")
    os.chdir(machine.ROOT)
    job = store.read_json(f"jobs/{key}.json")
    began = time.monotonic()
    try:
        raw = count(job) if "program" in job else boot(job)
    except BaseException as error:	# whatever it is, the report has it
        expected = isinstance(error, (Failed, machine.MachineError, subprocess.TimeoutExpired))
        text = str(error) if expected else traceback.format_exc().strip()
        with open(failed, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"{key}: {text}", file=sys.stderr)
        return 1
    raw["host_seconds"] = round(time.monotonic() - began, 2)
    if os.path.exists(failed):
        os.unlink(failed)
    store.write_json(f"points/{key}.json", raw)
    return 0


if __name__ == "__main__":
    sys.exit(main())
