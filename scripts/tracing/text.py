# SPDX-License-Identifier: Apache-2.0
"""
text.py: records as lines, and the life of a page.
"""
import collections

from tracing import records


def vm_name(rings, number):
    return rings.spaces.get(number, f"space {number}") if number else "none"


def subscriber_name(rings, number):
    name, space = rings.subscribers.get(number, ("unnamed", 0))
    return f"{name}#{number} of {vm_name(rings, space)}"


def value_of(rings, record, name):
    if name == "subscriber":
        return subscriber_name(rings, record.fields[name])
    return record.named(name)


def line(rings, record):
    """[  1.234567890] cpu1 one.0 merge_look one: gfn=0x12 ..."""
    by = "-" if record.by == records.NO_TURN else f"{vm_name(rings, record.by[0])}.{record.by[1]}"
    fields = " ".join(
        f"{name}={value_of(rings, record, name)}" for name in record.fields
    )
    return (f"[{record.ns / 1e9:14.9f}] cpu{record.cpu} {by:>8} {record.event.name:<14} "
            f"{vm_name(rings, record.vm)}: {fields}")


def parse_page(rings, words):
    """VM:GFN or VM:FIRST-LAST: (number, first, last)."""
    name, _, gfns = words.rpartition(":")
    first, _, last = gfns.partition("-")
    number = next((number for number, each in rings.spaces.items() if each == name), None)
    if number is None:
        raise ValueError(f"{name}: the trace has no VM of this name, it has "
                         f"{', '.join(rings.spaces.values()) or 'none'}")
    return number, int(first, 0), int(last or first, 0)


def life(rings, words):
    """The lines of all events about a page, in the order of time."""
    vm, first, last = parse_page(rings, words)
    for record in records.in_order(rings):
        if records.touches(record, vm, first, last):
            yield line(rings, record)


def count(rings):
    """Records by event name, the most frequent first."""
    names = collections.Counter()
    for cpu in rings.of:
        names.update(record.event.name for record in records.of_cpu(rings, cpu))
    return names.most_common()
