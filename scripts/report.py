# SPDX-License-Identifier: Apache-2.0
"""
report.py: what the serial console of a run says, as a report on the terminal, as JSON and as an HTML page with plots.

The hypervisor's summary is lines of text made to be read by people and by this; parse() takes them apart.
"""
import html
import json
import os
import re

PROGRESS = re.compile(r"\[ *([\d.]+)\].* merge: pass (\d+): (\d+) KiB saved, (\d+) pages in (\d+) frames, (\d+) zero, (\d+) unique")
PAIRS = re.compile(r"([a-z_][a-z_ 0-9]*?) (\d+)(?:/(\d+))?(?:, |$)")
COUNTS = re.compile(r"(\d+) ([a-z][a-z ]*[a-z])")


def parse(text):
    """A run's facts: {vms, merge, progress, audit, frames, noted}."""
    run = {"vms": {}, "merge": {}, "progress": [], "audit": "", "frames": "", "noted": []}
    for line in text.splitlines():
        moment = PROGRESS.search(line)
        if moment:
            seconds, *numbers = moment.groups()
            names = ("pass", "saved_kib", "pages", "frames", "zero", "unique")
            run["progress"].append({"seconds": float(seconds), **dict(zip(names, map(int, numbers)))})
        elif "summary: " in line:
            summary_line(run, line.split("summary: ", 1)[1])
        elif re.search(r": (error|warn): |panic|\| not ok\b|FILES DIFFER", line):
            run["noted"].append(line)
    return run


def summary_line(run, line):
    kind, _, rest = line.partition(": ")
    if kind.startswith("vm "):
        vm = run["vms"].setdefault(kind[3:], {"exits": {}, "events": {}, "stage2": {}, "policy": ""})
        if rest.startswith("exits: "):
            vm["exits"] = {name: int(count) for name, count, _ in PAIRS.findall(rest[7:])}
        elif rest.startswith("events"):
            vm["policy"] = re.search(r"under (\w+)", rest)[1]
            vm["events"] = {name: {"told": int(told), "unwanted": int(unwanted or 0)}
                            for name, told, unwanted in PAIRS.findall(rest.split(": ", 1)[1])}
        elif rest.startswith("stage 2: "):
            vm["stage2"].update({name: int(count) for count, name in COUNTS.findall(rest[9:])})
        elif "slices" in rest:
            vm["end"] = re.split(r", \d+ slices", rest)[0]
    elif kind == "merge":
        run["merge"].update({name: int(count) for count, name in COUNTS.findall(rest)})
        best = re.search(r"at best (\d+) KiB saved", rest)
        if best:
            run["merge"]["best_kib"] = int(best[1])
    elif kind in ("audit", "frames"):
        run[kind] = rest


def rows(run):
    """The report's lines for a terminal."""
    for name, vm in run["vms"].items():
        yield f"{name}: {vm.get('end', 'did not end')}"
        if vm["exits"]:
            top = sorted(vm["exits"].items(), key=lambda item: -item[1])
            yield f"    exits: {', '.join(f'{count} {reason}' for reason, count in top[:8])}"
        if vm["events"]:
            told = ", ".join(f"{event} {n['told']}" for event, n in vm["events"].items() if n["told"])
            unwanted = sum(n["unwanted"] for n in vm["events"].values())
            yield f"    events its subscribers were told of: {told or 'none'}; {unwanted} that nobody wanted cost no call"
        if vm["stage2"]:
            s = vm["stage2"]
            yield (f"    policy {vm['policy']}: {s.get('changed in place', 0)} entries changed in place, each a fault saved against "
                   f"dropping it; {s.get('put off', 0)} of {s.get('flushes', 0) + s.get('put off', 0)} flushes put off")
    if run["merge"].get("best_kib") is not None:
        m = run["merge"]
        yield f"memory saved: {m['best_kib'] / 1024:.1f} MiB at best; {m.get('merged', 0)} pages merged, " \
              f"{m.get('to the frame of zeroes', 0)} to the frame of zeroes, {m.get('races lost', 0)} lost to a write in between"
        yield f"scanner: {m.get('passes', 0)} passes, {m.get('pages visited', 0)} pages, of which it read {m.get('read', 0)}"
    if run["audit"]:
        yield f"audit: {run['audit']}"
    if run["frames"]:
        yield f"frames: {run['frames']}"
    for line in run["noted"][:20]:
        yield f"noted: {line}"


def bars(title, values):
    """A bar for each value, as inline SVG."""
    top = max(values.values(), default=1) or 1
    lines = [f"<h3>{html.escape(title)}</h3><svg width='760' height='{22 * len(values) + 4}' font-family='sans-serif' font-size='12'>"]
    for i, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1])):
        width = 480 * value / top
        lines.append(f"<text x='190' y='{22 * i + 15}' text-anchor='end'>{html.escape(name)}</text>"
                     f"<rect x='200' y='{22 * i + 3}' width='{width:.1f}' height='16' fill='#3b6ea5'/>"
                     f"<text x='{206 + width:.1f}' y='{22 * i + 15}'>{value}</text>")
    return "".join(lines) + "</svg>"


def curve(progress):
    """KiB saved over time."""
    if len(progress) < 2:
        return ""
    start, end = progress[0]["seconds"], progress[-1]["seconds"]
    top = max(point["saved_kib"] for point in progress) or 1
    points = " ".join(f"{60 + 680 * (p['seconds'] - start) / (end - start or 1):.1f},{210 - 190 * p['saved_kib'] / top:.1f}"
                      for p in progress)
    return ("<h3>Memory saved while the guests work</h3><svg width='760' height='240' font-family='sans-serif' font-size='12'>"
            "<path d='M60 20V210H740' fill='none' stroke='#888'/>"
            f"<polyline points='{points}' fill='none' stroke='#b5533c' stroke-width='2'/>"
            f"<text x='55' y='24' text-anchor='end'>{top / 1024:.0f} MiB</text><text x='55' y='213' text-anchor='end'>0</text>"
            f"<text x='60' y='228'>{start:.0f} s</text><text x='740' y='228' text-anchor='end'>{end:.0f} s</text></svg>")


def page(run, title):
    parts = [f"<!doctype html><meta charset='utf-8'><title>{html.escape(title)}</title>"
             f"<body style='font-family:sans-serif;max-width:800px;margin:2em auto'><h1>{html.escape(title)}</h1><pre>",
             html.escape("\n".join(rows(run))), "</pre>", curve(run["progress"])]
    for name, vm in run["vms"].items():
        parts.append(bars(f"{name}: exits by reason", vm["exits"]))
        parts.append(bars(f"{name}: events told", {event: n["told"] for event, n in vm["events"].items()}))
    return "".join(parts) + "</body>\n"


def write(run, folder, title):
    """run.json and run.html in `folder`; returns their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, name) for name in ("run.json", "run.html")]
    with open(paths[0], "w", encoding="utf-8") as file:
        json.dump(run, file, indent=1)
    with open(paths[1], "w", encoding="utf-8") as file:
        file.write(page(run, title))
    return paths
