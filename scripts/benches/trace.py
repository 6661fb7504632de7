# SPDX-License-Identifier: Apache-2.0
"""
trace.py: what an event costs, off and on, and how many a second come out of a machine.

A site alone is counted under callgrind; exits, hypercalls and faults with and without their events
on QEMU, which counts instructions. Events a second, and those lost, are of a run without that.
"""
import os

import builder
import machine
from benches import common
from benches.mm import callgrind
from output import say
from tracing import capture, records

GUEST = "name=bench test_calls=yes memory=32M"
# class: (round trip of the guest, events in it)
TRIPS = {"run": ("cpuid", 2), "hypercall": ("hypercall", 1), "fault": ("fault", 3)}
TARGETS = {"site_off": 2, "site_on": 100, "run": 100, "hypercall": 100, "fault": 100}


def row(name, value, unit, setting):
    return {"name": name, "value": value, "unit": unit, "setting": setting}


def sites():
    """A site of its own: off, on, filtered."""
    where = builder.build("bench", ["bench_trace"])
    counts = callgrind(os.path.join(where, "tests", "bench", "bench_trace"))
    return [row(f"site_{name}", counts[name] - counts["no_site"], "instructions", "host-callgrind")
            for name in ("off", "on", "filtered")]


def setup_of(where, words, icount):
    guest = [(os.path.join(where, "guest", "bench.elf"), GUEST)]
    return machine.Setup(build=where, modules=guest, icount=icount, memory=256,
                         cmdline=f"fault_ahead=1 {words}")


def trips(where):
    """What an event adds to a round trip."""
    off = {name: value for name, value, _ in common.measure(setup_of(where, "", True))}
    for group, (trip, events) in TRIPS.items():
        on = dict((name, value)
                  for name, value, _ in common.measure(setup_of(where, f"trace={group}", True)))
        yield row(trip, off[trip], "instructions", "trace off")
        yield row(trip, on[trip], "instructions", f"trace={group}")
        yield row(group, round((on[trip] - off[trip]) / events), "instructions an event",
                  "qemu-tcg-npt")


def rate(where):
    """Events a second of the machine's clock, and records lost, with a reader that follows."""
    setup = setup_of(where, "trace=all", False)
    with capture.Capture(setup) as taken:
        with machine.start(setup) as session:
            ending = session.wait(300)
            if ending != "ok":
                raise machine.MachineError(f"the run ended with {ending}\n{session.serial()}")
        rings = taken.rings()
    seconds = max(record.ns for record in records.in_order(rings)) / 1e9
    yield row("events_a_second", round(rings.count() / seconds), "events/s", "qemu-tcg")
    yield row("lost", rings.lost(), "events", "qemu-tcg")


def trace(folder):
    builder.need("bench", "unit", "qemu")
    say("counting under callgrind ...")
    rows = sites()
    where = builder.build("default")
    say("measuring on qemu-tcg ...")
    rows += [*trips(where), *rate(where)]
    common.show(rows, {"at most": TARGETS})
    common.keep(folder, "trace", rows)
