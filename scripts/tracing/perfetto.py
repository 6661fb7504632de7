# SPDX-License-Identifier: Apache-2.0
"""
perfetto.py: a trace as Chrome's JSON trace format, which Perfetto's UI opens.

Tracks: a process of physical CPUs, with a thread for each; a process for each VM, with a thread for
each vCPU; a process of subscribers, with a thread for each subscription. On a CPU's track lie the
turns of vCPUs, and the events that its code recorded; on a vCPU's, when its guest ran and what its
exits were; on a subscriber's, its callbacks. An arrow leads from a merge to the break that undid
it.
"""
import json

from tracing import records, text

CPUS, SUBSCRIBERS, VMS = 1, 2, 100	# process numbers; VM n is VMS + n
POINT = 1	# nanoseconds that an event without a length has, so that an arrow can begin there
RAN = {"sched_in", "sched_out", "entry", "exit", "callback"}


class Writer:
    """
    Events of the JSON, gathered in the order of the records. Times are whole nanoseconds. Slices of
    a track follow each other or contain each other, as the viewer needs them: `free` is the end of
    a track's last slice, before which none begins.
    """

    def __init__(self, rings):
        self.rings = rings
        self.events = []
        self.tracks = {}	# (process, thread): name
        self.entered, self.left, self.turn = {}, {}, {}
        self.merged, self.flows = {}, 0
        self.free = {}

    def track(self, process, thread, name):
        self.tracks.setdefault((process, thread), name)
        return {"pid": process, "tid": thread}

    def cpu(self, record):
        return self.track(CPUS, record.cpu, f"CPU {record.cpu}")

    def vcpu(self, record):
        thread = record.fields["vcpu"]
        return self.track(VMS + record.vm, thread, f"vCPU {thread}")

    def subscriber(self, record):
        number = record.fields["subscriber"]
        return self.track(SUBSCRIBERS, number, text.subscriber_name(self.rings, number))

    def begin(self, where, start_ns):
        """When a slice of a track can begin, at the earliest at a time."""
        return max(int(start_ns), self.free.get((where["pid"], where["tid"]), 0))

    def slice(self, where, name, start, end_ns, **arguments):
        """A slice from `start`, of begin(); its beginning."""
        end = max(int(end_ns), self.begin(where, start + POINT))
        self.free[where["pid"], where["tid"]] = end
        self.events.append({
            "ph": "X", "name": name, "cat": "samepage", **where, "ts": start / 1e3,
            "dur": (end - start) / 1e3, "args": arguments,
        })
        return start

    def arguments(self, record):
        return {"vm": text.vm_name(self.rings, record.vm),
                **{name: text.value_of(self.rings, record, name) for name in record.fields}}

    def flow(self, kind, where, start, number):
        """An end of an arrow, in the slice of a track that began then."""
        self.events.append({
            "ph": kind, "id": number, "name": "merge to break", "cat": "merge", **where,
            "ts": start / 1e3, **({"bp": "e"} if kind == "f" else {}),
        })

    def run(self, record):
        """Turns on the CPU's track; the guest and its exits on the vCPU's."""
        name, key = record.event.name, (record.vm, record.fields["vcpu"])
        if name == "sched_in":
            self.turn[record.cpu] = self.begin(self.cpu(record), record.ns)
        elif name == "sched_out" and record.cpu in self.turn:
            begun = self.turn.pop(record.cpu)
            self.slice(self.cpu(record), f"{text.vm_name(self.rings, record.vm)}.{key[1]}",
                       begun, record.ns)
        elif name == "entry":
            left = self.left.pop(key, None)
            if left:
                where = self.vcpu(record)
                self.slice(where, left.named("reason"), self.begin(where, left.ns), record.ns,
                           **self.arguments(left))
            self.entered[key] = record
        elif name == "exit":
            entered = self.entered.pop(key, None)
            if entered:
                where = self.vcpu(record)
                self.slice(where, "guest", self.begin(where, entered.ns), record.ns)
            self.left[key] = record

    def callback(self, record):
        took = record.fields["took"] * 1e9 / self.rings.ticks_per_second
        where = self.subscriber(record)
        self.slice(where, f"{record.named('call')} {record.named('event')}",
                   self.begin(where, record.ns - took), record.ns, **self.arguments(record))

    def point(self, record):
        """Any other event, on the CPU's track; the ends of an arrow."""
        start = record.ns
        if record.event.name == "flush":
            start -= record.fields["waited"] * 1e9 / self.rings.ticks_per_second
        where = self.cpu(record)
        start = self.slice(where, record.event.name, self.begin(where, start), record.ns,
                           **self.arguments(record))
        page = (record.vm, record.fields.get("gfn"))
        if record.event.name == "merge":
            self.merged[page] = where, start
        elif record.event.name == "cow_break" and record.fields["used"] and page in self.merged:
            self.flows += 1
            self.flow("s", *self.merged.pop(page), self.flows)
            self.flow("f", where, start, self.flows)

    def add(self, record):
        if record.event.name == "callback":
            self.callback(record)
        elif record.event.name in RAN:
            self.run(record)
        else:
            self.point(record)

    def finish(self):
        """Names of the tracks, and all events in the order of their beginnings."""
        processes = {CPUS: "physical CPUs", SUBSCRIBERS: "subscribers",
                     **{VMS + number: f"VM {name}" for number, name in self.rings.spaces.items()}}
        used = {process for process, _ in self.tracks}
        named = [
            {"ph": "M", "name": "process_name", "pid": process, "tid": 0, "ts": 0,
             "args": {"name": processes.get(process, f"VM {process - VMS}")}}
            for process in sorted(used)
        ] + [
            {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "ts": 0,
             "args": {"name": name}}
            for (process, thread), name in sorted(self.tracks.items())
        ]
        # A slice that contains another one has to come first; an arrow's end after its slice.
        self.events.sort(key=lambda event: (event["ts"], -event.get("dur", 0)))
        return named + self.events


def write(path, rings):
    writer = Writer(rings)
    for record in records.in_order(rings):
        writer.add(record)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"displayTimeUnit": "ns", "traceEvents": writer.finish()}, file)
        file.write("\n")
