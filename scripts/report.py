# SPDX-License-Identifier: Apache-2.0
"""
report.py: what the serial console of a run says, as a report on the terminal, as JSON and as an
HTML page with plots.

The hypervisor's summary is lines of text made to be read by people and by this; parse() takes them
apart.
"""
import html
import re

PROGRESS = re.compile(
    r"\[ *([\d.]+)\].* merge: pass (\d+): (\d+) KiB saved, (\d+) pages in (\d+) frames, "
    r"(\d+) zero, (\d+) unique"
)
STATES = ("private", "shared", "zero", "reclaimed")	# of pages; the others are absent
PAIRS = re.compile(r"([a-z_][a-z_ 0-9]*?) (\d+)(?:/(\d+))?(?:, |$)")
COUNTS = re.compile(r"(\d+) ([a-z][a-z ]*[a-z])")


def parse(text):
    """A run's facts: {vms, merge, progress, audit, frames, noted}."""
    run = {"vms": {}, "merge": {}, "progress": [], "audit": "", "frames": "", "noted": [],
           "audit_faults": None, "frames_missing": None}
    for line in text.splitlines():
        moment = PROGRESS.search(line)
        if moment:
            seconds, *numbers = moment.groups()
            names = ("pass", "saved_kib", "pages", "frames", "zero", "unique")
            run["progress"].append(
                {"seconds": float(seconds), **dict(zip(names, map(int, numbers)))}
            )
        elif "summary: " in line:
            summary_line(run, line.split("summary: ", 1)[1])
        elif re.search(r": (error|warn): |panic|\| not ok\b|FILES DIFFER", line):
            run["noted"].append(line)
    return run


def summary_line(run, line):
    kind, _, rest = line.partition(": ")
    if kind.startswith("vm "):
        vm = run["vms"].setdefault(
            kind[3:],
            {"exits": {}, "pages": {}, "events": {}, "subscribers": {}, "stage2": {}, "policy": ""},
        )
        if rest.startswith("exits: "):
            vm["exits"] = {name: int(count) for name, count, _ in PAIRS.findall(rest[7:])}
        elif rest.startswith("events"):
            vm["policy"] = re.search(r"under (\w+)", rest)[1]
            vm["events"] = {name: {"sent": int(sent), "skipped": int(skipped or 0)}
                            for name, sent, skipped in PAIRS.findall(rest.split(": ", 1)[1])}
        elif rest.startswith("pages at its end: "):
            vm["pages"] = {state: int(count) for count, state in COUNTS.findall(rest)}
        elif rest.startswith("subscriber "):
            name, count = re.match(r"subscriber (\w+) x(\d+)", rest).groups()
            vm["subscribers"][name] = {
                "count": int(count),
                "events": {
                    event: {"drops": int(drops), "changes": int(changes or 0)}
                    for event, drops, changes in PAIRS.findall(rest.split("): ", 1)[1])
                },
            }
        elif rest.startswith("stage 2: "):
            vm["stage2"].update({name: int(count) for count, name in COUNTS.findall(rest[9:])})
        elif "slices" in rest:
            vm["end"], _, status = re.split(r", \d+ slices", rest)[0].partition(", status ")
            vm["status"] = int(status or 0)
    elif kind == "merge":
        run["merge"].update({name: int(count) for count, name in COUNTS.findall(rest)})
        best = re.search(r"at best (\d+) KiB saved", rest)
        if best:
            run["merge"]["best_kib"] = int(best[1])
    elif kind == "audit":
        found = re.search(r"(\d+) faults", rest)
        run.update(audit=rest, audit_faults=int(found[1]) if found else 0)
    elif kind == "frames":
        found = re.search(r"(\d+) free, (\d+) before", rest)
        run.update(frames=rest, frames_missing=int(found[2]) - int(found[1]) if found else 0)


def calls(events):
    """The calls that a subscriber got, by role and event."""
    drops, changes = (
        {event: n[kind] for event, n in events.items() if n[kind]} for kind in ("drops", "changes")
    )
    said = [
        f"{what} {', '.join(f'{event} {count}' for event, count in counts.items())}"
        for what, counts in (("dropped", drops), ("changed in place", changes))
        if counts
    ]
    return "; ".join(said) or "no calls"


def rows(run):
    """The report's lines for a terminal."""
    for name, vm in run["vms"].items():
        yield f"{name}: {vm.get('end', 'did not end')}, status {vm.get('status', '-')}"
        if vm["exits"]:
            top = sorted(vm["exits"].items(), key=lambda item: -item[1])
            yield f"    exits: {', '.join(f'{count} {reason}' for reason, count in top[:8])}"
        if vm["pages"]:
            pages = ", ".join(f"{count} {state}" for state, count in vm["pages"].items())
            yield f"    pages at its end: {pages}"
        if vm["events"]:
            sent = ", ".join(
                f"{event} {n['sent']}" for event, n in vm["events"].items() if n["sent"]
            )
            skipped = sum(n["skipped"] for n in vm["events"].values())
            yield f"    events: {sent or 'none'}; {skipped} skipped, without a subscriber"
        for name, subscriber in vm["subscribers"].items():
            yield f"    subscriber {name}: {calls(subscriber['events'])}"
        if vm["stage2"]:
            s = vm["stage2"]
            yield (
                f"    policy {vm['policy']}: {s.get('changed in place', 0)} entries changed in "
                f"place, each a fault saved; {s.get('put off', 0)} of "
                f"{s.get('flushes', 0) + s.get('put off', 0)} flushes put off"
            )
    if run["merge"].get("best_kib") is not None:
        m = run["merge"]
        yield (
            f"memory saved: {m['best_kib'] / 1024:.1f} MiB at best; "
            f"{m.get('merged', 0)} pages merged, "
            f"{m.get('to the frame of zeroes', 0)} to the frame of zeroes, "
            f"{m.get('races lost', 0)} lost to a write in between"
        )
        yield (
            f"scanner: {m.get('passes', 0)} passes, {m.get('pages visited', 0)} pages, "
            f"of which it read {m.get('read', 0)}"
        )
    if run["audit"]:
        yield f"audit: {run['audit']}"
    if run["frames"]:
        yield f"frames: {run['frames']}"
    for line in run["noted"][:20]:
        yield f"noted: {line}"


# --- The page: plots as inline SVG, so that it is one file that opens anywhere. ---

COLOURS = ("#3b6ea5", "#b5533c", "#5b8c5a", "#c9a227", "#7d5ba6", "#4d9a9a", "#a0522d", "#777777")
WIDTH, LEFT, RIGHT = 760, 230, 70	# of a plot, of what stands beside its bars


def svg(height, *parts):
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height:.0f}' "
        "font-family='sans-serif' font-size='12' fill='#222'>"
        f"{''.join(parts)}</svg>"
    )


def label(x, y, text, anchor="start"):
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{html.escape(str(text))}</text>"


def box(x, y, width, height, colour):
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' fill='{colour}'/>"
    )


def legend(names, y=12):
    parts, x = [], LEFT
    for name, colour in zip(names, COLOURS):
        parts += [box(x, y - 9, 10, 10, colour), label(x + 14, y, name)]
        x += 34 + 7 * len(name)
    return "".join(parts)


def bars(series):
    """
    Bars by name, those of all series (a VM each) together; the largest first. `series`: {VM: {name:
    value}}.
    """
    names = sorted({name for values in series.values() for name, value in values.items() if value},
                   key=lambda name: -max(values.get(name, 0) for values in series.values()))
    if not names:
        return ""
    top = max(value for values in series.values() for value in values.values())
    step, parts = 13 * len(series) + 7, [legend(series)]
    for i, name in enumerate(names):
        y = 26 + step * i
        parts.append(label(LEFT - 10, y + step / 2 + 1, name, "end"))
        for k, values in enumerate(series.values()):
            width = (WIDTH - LEFT - RIGHT) * values.get(name, 0) / top
            parts += [box(LEFT, y + 13 * k, max(width, 1), 11, COLOURS[k % len(COLOURS)]),
                      label(LEFT + width + 6, y + 13 * k + 10, f"{values.get(name, 0):,}")]
    return svg(26 + step * len(names), *parts)


def shares(series, names):
    """One bar a VM, made of parts that add up to its whole."""
    if not series:
        return ""
    parts = [legend(names)]
    for i, (vm, values) in enumerate(series.items()):
        x, whole = LEFT, sum(values.values()) or 1
        parts.append(label(LEFT - 10, 26 + 24 * i + 14, vm, "end"))
        for k, name in enumerate(names):
            width = (WIDTH - LEFT - 10) * values.get(name, 0) / whole
            parts.append(box(x, 26 + 24 * i, width, 19, COLOURS[k % len(COLOURS)]))
            if width > 8 * len(f"{values[name]:,}"):
                parts.append(
                    "<g fill='#fff'>"
                    + label(x + width / 2, 26 + 24 * i + 14, f"{values[name]:,}", "middle")
                    + "</g>"
                )
            x += width
    return svg(26 + 24 * len(series), *parts)


def nice(top):
    """A round distance between the lines of an axis that reaches to `top`: some five of them."""
    power = 10 ** len(str(int(top / 5))) / 10 if top >= 5 else 1
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= top)


def axes(start, end, top, unit):
    """Lines and figures, and the two functions that place a point between them."""
    def across(seconds):
        return 60 + (WIDTH - 80) * (seconds - start) / (end - start or 1)

    def up(value):
        return 230 - 200 * value / top
    step, seconds = nice(top), nice(end - start)
    parts = []
    for i in range(int(top / step) + 1):
        parts += [
            f"<path d='M60 {up(i * step):.1f}H{WIDTH - 20}' stroke='#ddd'/>",
            label(54, up(i * step) + 4, f"{i * step:,.0f}", "end"),
        ]
    for i in range(int(-(-start // seconds)), int(end // seconds) + 1):
        parts.append(label(across(i * seconds), 246, f"{i * seconds:.0f} s", "middle"))
    return [*parts, label(60, 20, unit)], across, up


def areas(progress, unit, names):
    """
    Values over time, one upon the other. `names`: {key of a point: (its name, what it is divided
    by)}.
    """
    if len(progress) < 2:
        return ""
    scaled = [[point[key] / divisor for key, (_, divisor) in names.items()] for point in progress]
    parts, across, up = axes(
        progress[0]["seconds"], progress[-1]["seconds"], max(map(sum, scaled)) or 1, unit
    )
    below = [0] * len(progress)
    for k in range(len(names)):
        above = [low + values[k] for low, values in zip(below, scaled)]
        edge = [f"{across(p['seconds']):.1f},{up(value):.1f}" for p, value in zip(progress, above)]
        base = [f"{across(p['seconds']):.1f},{up(value):.1f}" for p, value in zip(progress, below)]
        parts.append(
            f"<polygon points='{' '.join(edge + base[::-1])}' fill='{COLOURS[k]}' "
            "fill-opacity='.85'/>"
        )
        below = above
    return svg(252, *parts, legend([name for name, _ in names.values()]) if len(names) > 1 else "")


def plots(run):
    """Of (title, SVG)."""
    vms = run["vms"]
    yield "Memory saved while the guests work", areas(
        run["progress"], "MiB", {"saved_kib": ("saved", 1024)}
    )
    yield "Pages of the guests, as the scanner has them", areas(run["progress"], "pages", {
        "pages": ("merged with others", 1), "zero": ("of zeroes", 1), "unique": ("unique", 1)})
    yield "Pages by state, at each guest's end", shares(
        {
            name: {state: vm["pages"].get(state, 0) for state in STATES}
            for name, vm in vms.items()
            if vm["pages"]
        },
        STATES,
    )
    yield "Exits by reason", bars({name: vm["exits"] for name, vm in vms.items()})
    yield "Events by subscriber: ranges dropped, pages changed in place", bars(
        {
            name: {
                f"{subscriber_name} {word} {event}": n[kind]
                for subscriber_name, subscriber in vm["subscribers"].items()
                for event, n in subscriber["events"].items()
                for kind, word in (("drops", "drops"), ("changes", "takes"))
            }
            for name, vm in vms.items()
        }
    )
    yield "What the policy saved: faults and flushes", bars(
        {
            name: {
                "faults saved by changing": vm["stage2"].get("changed in place", 0),
                "entries dropped": vm["stage2"].get("drops", 0),
                "flushes put off": vm["stage2"].get("put off", 0),
                "flushes carried out": vm["stage2"].get("flushes", 0),
            }
            for name, vm in vms.items()
        }
    )


def page(run, title):
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        "<body style='font-family:sans-serif;color:#222;max-width:800px;margin:2em auto'>"
        f"<h1>{html.escape(title)}</h1>"
        "<pre style='white-space:pre-wrap;background:#f6f6f4;padding:1em'>",
        html.escape("\n".join(rows(run))),
        "</pre>",
    ]
    parts += [f"<h3>{html.escape(name)}</h3>{plot}" for name, plot in plots(run) if plot]
    return "".join(parts) + "</body></html>\n"


def write(run, folder, title):
    """run.json and report.html in the results folder."""
    folder.write_json("run.json", run)
    folder.write("report.html", page(run, title))
