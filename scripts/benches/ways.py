# SPDX-License-Identifier: Apache-2.0
"""
ways.py: through which files a guest's fault and a page's merge pass, and how often control comes
back to a file entered before.

The host program bench_ways prints each call and return. A file counts as entered when a function of
it runs; inline functions of headers belong to the file that calls them. A return is each end of
a call from one file to another. Files of the simulated machine do not count.
"""
import os
import subprocess

import builder
import machine
from benches import common
from output import plain, say

# The way, the function that is counted, and the name of the table's line. Of several calls
# the longest counts.
WAYS = [
    ("first_touch", "fault_handle", "first touch, table present"),
    ("write_to_shared", "fault_handle", "write to a shared page"),
    ("merge", "merge_visit", "a page to its merge"),
]
MERGING = "mm/merge/"


def record_of(program):
    """way: [address of a function at its call, or None at its return]."""
    text = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    ways = {}
    for line in text.splitlines():
        if line.startswith("way "):
            events = ways[line[4:]] = []
        else:
            events.append(line[1:] or None)
    return ways


def places_of(program, addresses):
    """address: (function, file below the tree's root)."""
    text = subprocess.run(
        ["addr2line", "-f", "-e", program], input="\n".join(addresses), capture_output=True,
        text=True, check=True,
    ).stdout.splitlines()
    return {
        address: (name, os.path.relpath(os.path.normpath(place.split(":")[0]), machine.ROOT))
        for address, name, place in zip(addresses, text[::2], text[1::2])
    }


def longest_call(events, places, function):
    """The events of the longest call of a function, its own call and return included."""
    stack, best = [], []
    for at, address in enumerate(events):
        if address:
            stack.append(at)
        elif stack:
            start = stack.pop()
            if places[events[start]][0] == function and at - start > len(best):
                best = events[start:at + 1]
    return best


def returns_of(events, places, keep):
    """
    file: how often control came back to it from another file, in the order of their entry. Files
    that are not kept belong to the file that calls them.
    """
    stack, returns = [], {}
    for address in events:
        if address:
            file = places[address][1]
            inline = file.endswith(".h") or not keep(file)
            stack.append(stack[-1] if inline and stack else file)
            returns.setdefault(stack[-1], 0)
        else:
            left = stack.pop()
            if stack and stack[-1] != left:
                returns[stack[-1]] += 1
    return returns


def is_ours(file):
    return not file.startswith(("tests/", ".."))


def measure():
    """[(line of the table, {file: returns} in the order of entry)]."""
    builder.need("bench")
    program = os.path.join(builder.build("ways", ["bench_ways"]), "tests", "bench", "bench_ways")
    ways = record_of(program)
    places = places_of(program, sorted({a for events in ways.values() for a in events if a}))
    rows = []
    for way, function, name in WAYS:
        call = longest_call(ways[way], places, function)
        rows.append((name, returns_of(call, places, is_ours)))
        if way == "merge":
            merging = returns_of(call, places, lambda file: file.startswith(MERGING))
            rows.append((f"{name}: files of {MERGING}", merging))
    return rows


def ways(folder):
    say("recording each call on a fault's way and on a page's way to its merge ...")
    rows = measure()
    for name, returns in rows:
        plain(f"\n{name}: {len(returns)} files, {sum(returns.values())} returns")
        for file, times in returns.items():
            plain(f"    {times:3} {file}")
    common.keep(folder, "ways", [
        {"name": f"{name}: {what}", "value": value, "unit": what, "setting": "host"}
        for name, returns in rows
        for what, value in (("files", len(returns)), ("returns", sum(returns.values())))
    ])
