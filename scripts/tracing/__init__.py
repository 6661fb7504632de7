# SPDX-License-Identifier: Apache-2.0
"""
tracing: the records of a traced machine, read from outside, written as CTF and for Perfetto.

    table.py     the events and their fields, from include/trace/events.def
    area.py      the rings, read out of the machine's memory while it runs
    records.py   records as values: ring bytes to (time, CPU, event, fields)
    ctf.py       a CTF 1.8 trace: metadata and a stream file for each CPU
    perfetto.py  Chrome's JSON trace format for Perfetto's UI
    text.py      events as lines, the life of a page

docs/trace.md describes the trace.
"""
