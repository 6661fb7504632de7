# SPDX-License-Identifier: Apache-2.0
"""
chrome.py: what a viewer demands of Chrome's JSON trace format ("Trace Event Format"), held against
a trace.json: complete slices that nest, names of processes and threads, arrows that begin and end
in slices. Nothing of scripts/tracing is used, which wrote the file.
"""
import collections
import json
import numbers

TOLERANCE = 1e-6	# microseconds: of the division that made them
PHASES = {"M", "X", "s", "f"}
NEEDS = {"X": {"ts", "dur"}, "s": {"ts", "id"}, "f": {"ts", "id", "bp"}, "M": {"args"}}


def of_form(events):
    """Complaints about single events: phases, fields and their types."""
    for event in events:
        phase = event.get("ph")
        if phase not in PHASES:
            yield f"an unknown phase: {event}"
        elif not {"name", "pid", "tid"} | NEEDS[phase] <= event.keys():
            yield f"a field is missing: {event}"
        elif not all(isinstance(event[name], int) for name in ("pid", "tid")):
            yield f"pid and tid are numbers: {event}"
        elif not all(isinstance(event.get(name, 0), numbers.Real) and event.get(name, 0) >= 0
                     for name in ("ts", "dur")):
            yield f"ts and dur are numbers from 0 on: {event}"


def of_names(events):
    """Each track has one name, and each process."""
    names = collections.Counter(
        (event["name"], event["pid"], event["tid"] if event["name"] == "thread_name" else 0)
        for event in events if event["ph"] == "M"
    )
    yield from (f"named {count} times: {name}" for name, count in names.items() if count > 1)
    for event in events:
        track = event["pid"], event["tid"]
        if ("process_name", track[0], 0) not in names or (
                event["ph"] != "M" and ("thread_name", *track) not in names):
            yield f"a track without a name: {track}"


def tracks(events):
    """{track: its slices in the order of the file}."""
    found = collections.defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            found[event["pid"], event["tid"]].append(event)
    return found


def of_slices(events):
    """The slices of a track begin one after the other, and each ends in the one around it."""
    for track, slices in tracks(events).items():
        ends, last = [], 0
        for event in slices:
            begin, end = event["ts"], event["ts"] + event["dur"]
            while ends and ends[-1] <= begin + TOLERANCE:
                ends.pop()
            if begin < last or event["dur"] <= 0 or (ends and end > ends[-1] + TOLERANCE):
                yield f"track {track}: a slice that does not nest: {event}"
            ends.append(end)
            last = begin


def of_flows(events):
    """An arrow has two ends, the first one earlier, each at the begin of a slice of its track."""
    begins = {(track, event["ts"]) for track, slices in tracks(events).items()
              for event in slices}
    flows = collections.defaultdict(list)
    for event in events:
        if event["ph"] in "sf":
            flows[event["id"]].append(event)
            if ((event["pid"], event["tid"]), event["ts"]) not in begins:
                yield f"an arrow's end in no slice: {event}"
    for number, ends in flows.items():
        if [event["ph"] for event in ends] != ["s", "f"] or ends[0]["ts"] > ends[1]["ts"]:
            yield f"arrow {number} has not a beginning and an end"


def process_names(events):
    return {event["args"]["name"] for event in events if event["name"] == "process_name"}


def complaint(path, processes=(), arrows=False):
    """
    What is wrong with a trace.json, or None. `processes`: names that some must have; `arrows`: a
    merge was undone, so there is one.
    """
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    for rule in (of_form, of_names, of_slices, of_flows):
        for text in rule(events):
            return f"trace.json: {text}"
    missing = set(processes) - process_names(events)
    if missing:
        return f"trace.json: no tracks of {', '.join(sorted(missing))}"
    if arrows and not any(event["ph"] == "s" for event in events):
        return "trace.json: no arrow from a merge to its break"
    return None
