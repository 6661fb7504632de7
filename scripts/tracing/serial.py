# SPDX-License-Identifier: Apache-2.0
"""
serial.py: rings that the machine sent by its second serial port after the run (trace_dump=yes).

    {"v":1,"event":"trace-begin","version":1,"ticks_per_second":N,"sizes":"080b..."}
    {"v":1,"event":"trace-space","number":1,"name":"one"}
    {"v":1,"event":"trace-subscriber","number":1,"space":1,"name":"stage2"}
    {"v":1,"event":"trace","cpu":0,"first":17,"records":"HEX HEX ..."}
    {"v":1,"event":"trace-end"}

A record is hexadecimal without the zeroes at its end.
"""
import json

from tracing import area, table


def events_of(path):
    """The events of a captured channel; lines that are none are passed over."""
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict) and "event" in message:
                yield message


def check(message):
    sizes = [event.layout.size for event in table.events()]
    if message["version"] != area.VERSION or list(bytes.fromhex(message["sizes"])) != sizes:
        raise area.TraceError("the image was built from another table of events: build it again")


def add(rings, expected, message):
    cpu, first = message["cpu"], message["first"]
    records = [bytes.fromhex(text).ljust(area.RECORD, b"\0")
               for text in message["records"].split()]
    rings.add(cpu, b"".join(records), first - expected.get(cpu, 0))
    expected[cpu] = first + len(records)


def rings_of(events):
    """The rings out of the events of a channel."""
    rings, expected = area.Rings(), {}
    for message in events:
        kind = message["event"]
        if kind == "trace-begin":
            check(message)
            rings.ticks_per_second = message["ticks_per_second"]
        elif kind == "trace-space":
            rings.spaces[message["number"]] = message["name"]
        elif kind == "trace-subscriber":
            rings.subscribers[message["number"]] = (message["name"], message["space"])
        elif kind == "trace":
            add(rings, expected, message)
    if not rings.ticks_per_second:
        raise area.TraceError("the channel has no trace: the machine sends it at its end")
    return rings
