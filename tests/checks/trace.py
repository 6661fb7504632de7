#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
trace.py: what scripts/tracing writes is what babeltrace2 reads: records of every event with made-up
values, gaps, two CPUs; every field, time and count is compared. And the records that come by the
serial port are those that were sent.

Debian's Python has the module bt2, another one may not.
"""
import json
import os
import random
import sys
import tempfile

sys.path[:0] = [
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", *where)
    for where in (("..", "scripts"), ())
]
from runner import chrome
from tracing import area, ctf, perfetto, records, serial, table, text

try:
    import bt2
except ImportError:
    print("needs python3-bt2: ./test check/trace installs it")
    sys.exit(77)

RATE = 2_500_000_000
MANY = 3 * ctf.PACKET_EVENTS // 2


def made_up(field, draw):
    """A value of a field: a member of its enum, now and then another one; a length is short."""
    bits, signed = int(field.type[1:]), field.type[0] == "s"
    if field.name in ("took", "waited"):
        return draw.randrange(10)
    if field.kind not in ("dec", "hex") and draw.random() < 0.9:
        return draw.choice(list(table.enum(field.kind)))
    low = -(1 << bits - 1) if signed else 0
    return draw.choice([low, draw.randrange(low, low + (1 << bits)), low + (1 << bits) - 1])


def record(number, ticks, event, draw):
    values = [made_up(field, draw) for field in event.fields]
    head = records.HEAD.pack(number + 1, ticks, event.number, draw.randrange(3), 1, 7)
    return (head + event.layout.pack(*values)).ljust(area.RECORD, b"\0")


def rings_of(draw):
    """CPU 0: every event and more, with two gaps. CPU 1: nothing. CPU 2: one record."""
    rings = area.Rings()
    rings.ticks_per_second = RATE
    rings.spaces = {1: "one", 2: "quoted-2"}
    rings.subscribers = {number: ("stage2", 1) for number in range(1, 1 << 8)}
    events = table.events()
    number, ticks = 5, 1000
    rings.add(0, b"", 5)
    for i in range(MANY):
        lost = 3 if i == 100 else 0
        number += lost
        ticks += draw.randrange(1, 100)
        event = events[i] if i < len(events) else draw.choice(events)
        rings.add(0, record(number, ticks, event, draw), lost)
        number += 1
    rings.add(1, b"", 0)
    rings.add(2, record(0, 1500, events[0], draw), 0)
    return rings


def value_of(field):
    """An integer of bt2, or an enum's number."""
    return int(field)


def read(folder):
    """bt2's events, and how many it says were discarded."""
    found, discarded = [], 0
    for message in bt2.TraceCollectionMessageIterator(folder):
        if isinstance(message, bt2._DiscardedEventsMessageConst):
            discarded += message.count or 0
        if isinstance(message, bt2._EventMessageConst):
            event = message.event
            found.append((
                message.default_clock_snapshot.value,
                int(event.packet.context_field["cpu_id"]),
                event.name,
                tuple(value_of(event.common_context_field[name])
                      for name in ("vm", "by_vm", "by_vcpu")),
                {name: value_of(value) for name, value in event.payload_field.items()},
            ))
    return found, discarded


def written(rings):
    """The same from the records."""
    found = []
    for cpu, raw in rings.of.items():
        for at, each in zip(range(0, len(raw), area.RECORD), records.of_cpu(rings, cpu)):
            ticks = records.HEAD.unpack_from(raw, at)[1]
            found.append((ticks, cpu, each.event.name, (each.vm, *each.by), each.fields))
    return sorted(found, key=lambda each: each[:2])


def lines_of(rings):
    """The rings as the machine sends them."""
    sizes = bytes(event.layout.size for event in table.events()).hex()
    yield {"event": "trace-begin", "version": area.VERSION, "ticks_per_second": RATE,
           "sizes": sizes}
    for number, name in rings.spaces.items():
        yield {"event": "trace-space", "number": number, "name": name}
    for number, (name, space) in rings.subscribers.items():
        yield {"event": "trace-subscriber", "number": number, "space": space, "name": name}
    for cpu, raw in rings.of.items():
        for at in range(0, len(raw), area.RECORD):
            first = int.from_bytes(raw[at : at + 8], "little") - 1
            yield {"event": "trace", "cpu": cpu, "first": first,
                   "records": raw[at : at + area.RECORD].hex().rstrip("0")}


def check_serial(rings, folder):
    path = os.path.join(folder, "control.jsonl")
    with open(path, "w", encoding="ascii") as file:
        file.write("no JSON\n[1]\n")
        for line in lines_of(rings):
            # an odd number of digits is half a byte
            line["records"] = line.get("records", "") + "0" * (len(line.get("records", "")) % 2)
            file.write(json.dumps({"v": 1, **line}) + "\n")
    again = serial.rings_of(serial.events_of(path))
    same = {cpu: raw for cpu, raw in rings.of.items() if raw} == again.of
    return same and again.lost() == rings.lost() and again.spaces == rings.spaces


def check_ctf(rings, folder):
    """Complaints."""
    ctf.write(os.path.join(folder, "trace"), rings, machine='a "machine"')
    found, discarded = read(os.path.join(folder, "trace"))
    counted = written(rings)
    found.sort(key=lambda each: each[:2])
    yield from (f"babeltrace2 reads {a}, the record is {b}"
                for a, b in zip(found, counted) if a != b)
    if len(found) != len(counted):
        yield f"babeltrace2 reads {len(found)} events of {len(counted)}"
    if discarded != rings.lost():
        yield f"babeltrace2 says that {discarded} events were discarded, {rings.lost()} were"


# One change each that a viewer would stumble over.
SPOILT = {
    "a track without a name": lambda events: events.remove(
        next(event for event in events if event["name"] == "thread_name")),
    "a time that is a text": lambda events: events[-1].update(ts="7"),
    "a slice without a length": lambda events: next(
        event for event in events if event["ph"] == "X").update(dur=0),
    "a slice beyond the one around it": lambda events: events.extend(
        {"ph": "X", "name": "x", "pid": events[-1]["pid"], "tid": events[-1]["tid"],
         "ts": 1e9 + n, "dur": 10} for n in (0, 5)),
    "an arrow without an end": lambda events: events.append(
        {"ph": "s", "id": 9999, "name": "x", **{
            name: next(event for event in events if event["ph"] == "X")[name]
            for name in ("pid", "tid", "ts")}}),
    "an unknown phase": lambda events: events[-1].update(ph="Q"),
}


def check_rules(path):
    """trace.json keeps the rules of its format, and no spoilt one does."""
    yield chrome.complaint(path, {"physical CPUs", "subscribers", "VM one"})
    with open(path, encoding="utf-8") as file:
        text_of = file.read()
    for name, spoil in SPOILT.items():
        trace = json.loads(text_of)
        spoil(trace["traceEvents"])
        with open(path, "w", encoding="utf-8") as file:
            json.dump(trace, file)
        if not chrome.complaint(path):
            yield f"trace.json: {name} passes"


def main():
    draw = random.Random(1)
    rings = rings_of(draw)
    with tempfile.TemporaryDirectory(prefix="samepage-trace-") as folder:
        complaints = list(check_ctf(rings, folder))[:5]
        if not check_serial(rings, folder):
            complaints.append("the records by the serial port differ")
        perfetto.write(os.path.join(folder, "trace.json"), rings)
        complaints += check_rules(os.path.join(folder, "trace.json"))
    lives = list(text.life(rings, "one:0-0xfffffffff"))
    if not all(" one:" in line for line in lives) or not lives:
        complaints.append("the life of all pages of VM one has lines of others, or none")
    complaints = [line for line in complaints if line]
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
