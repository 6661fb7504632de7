# SPDX-License-Identifier: Apache-2.0
"""
records.py: records as values, of one CPU or of all in the order of time.
"""
import dataclasses
import heapq
import struct

from tracing import area, table

HEAD = struct.Struct("<QQBxHHH")
NO_TURN = (0, 0)


@dataclasses.dataclass(slots=True)
class Record:
    """
    ns: since the first record of the trace; vm: the address space that it is about; by: the address
    space and vCPU in its turn, or NO_TURN; fields: by name, as numbers.
    """

    ns: float
    cpu: int
    event: table.Event
    vm: int
    by: tuple
    fields: dict

    def named(self, name):
        """A field as text: its enum's word, or a number."""
        kind = next(field.kind for field in self.event.fields if field.name == name)
        value = self.fields[name]
        if kind == "dec":
            return str(value)
        return hex(value) if kind == "hex" else table.enum(kind).get(value, str(value))


def begin_of(rings):
    """The ticks of the first record."""
    firsts = [
        HEAD.unpack_from(raw)[1] for raw in rings.of.values() if raw
    ]
    return min(firsts, default=0)


def of_cpu(rings, cpu, begin=None):
    """The records of one CPU."""
    raw = rings.of[cpu]
    events = table.events()
    layouts = [event.layout for event in events]
    names = [[field.name for field in event.fields] for event in events]
    begin = begin_of(rings) if begin is None else begin
    scale = 1e9 / (rings.ticks_per_second or 1)
    for at in range(0, len(raw), area.RECORD):
        _, ticks, number, space, by_space, by_vcpu = HEAD.unpack_from(raw, at)
        values = layouts[number].unpack_from(raw, at + HEAD.size)
        yield Record(
            (ticks - begin) * scale,
            cpu,
            events[number],
            space,
            (by_space, by_vcpu),
            dict(zip(names[number], values)),
        )


def in_order(rings):
    """All records in the order of time."""
    begin = begin_of(rings)
    return heapq.merge(
        *(of_cpu(rings, cpu, begin) for cpu in sorted(rings.of)), key=lambda record: record.ns
    )


def touches(record, vm, first, last):
    """Is it about one of these gfns of the VM?"""
    if record.vm != vm or record.event.about == "NONE":
        return False
    gfn = record.fields["gfn"]
    end = record.fields["end"] if record.event.about == "RANGE" else gfn + 1
    return gfn <= last and end > first
