# SPDX-License-Identifier: Apache-2.0
"""
figures.py: the figures of the report page, by matplotlib, as SVG that follows the page's colours.

A figure has a title, a sentence that says how to read it, a text in its place, and its data as CSV.
[[word]] in the sentence becomes a link to the glossary. The colours of the SVG are names, which the
page's style sheet defines twice, for light and for dark; series differ by hatching or dashes, too,
and by lightness, so that they differ in grey print.
"""
import csv
import dataclasses
import io
import itertools
import re

MIB = 1 << 20
NS = 10**9
# Inches: narrow, so that the text is legible on a phone, where the figure is scaled down.
SIZE = (4.2, 2.7)
LEGEND = 66  # characters of a line of names, a mark and a gap six each
# A placeholder in matplotlib's output -> what stands in the page. The series are darkest first.
INK, GRID = "#010203", "#010204"
SERIES = [f"#0102{number:02x}" for number in range(16, 22)]
NAMES = {INK: "currentColor", GRID: "var(--grid)",
         **{colour: f"var(--s{number})" for number, colour in enumerate(SERIES)}}
HATCHES = ["", "///", "...", "xxx", "\\\\\\", "ooo"]
DASHES = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3))]
STATES = ["private", "shared", "zero", "reclaimed"]
# Bars of a chart, and lines of one; what is smaller is left to the CSV.
BARS, LINES = 10, 4


@dataclasses.dataclass
class Figure:
    """`rows`: a header and the data. `draw(axes)` plots them."""
    name: str
    title: str
    reading: str
    alt: str
    rows: list
    draw: callable
    size: tuple = SIZE

    def csv(self):
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(self.rows)
        return out.getvalue()

    def svg(self):
        return as_svg(self)


def as_svg(figure):
    """The figure as an svg element: no fixed size, no ids that another figure may have."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    style = {
        "svg.fonttype": "none", "svg.hashsalt": figure.name, "font.size": 10,
        "font.family": "sans-serif", "text.color": INK, "axes.labelcolor": INK,
        "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "grid.color": GRID,
        "axes.spines.top": False, "axes.spines.right": False, "hatch.color": INK,
        "hatch.linewidth": 0.6, "legend.frameon": False, "axes.axisbelow": True,
    }
    with matplotlib.rc_context(style):
        drawn, axes = pyplot.subplots(figsize=figure.size, layout="constrained")
        figure.draw(axes)
        out = io.StringIO()
        drawn.savefig(out, format="svg", transparent=True, metadata={"Date": None})
        pyplot.close(drawn)
    text = out.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    for colour, name in NAMES.items():
        text = text.replace(colour, name)
    return text.replace("<svg", '<svg aria-hidden="true"', 1)


def grid(axes, axis):
    """Lines at the ticks of the axis with the values, with its numbers written in full."""
    from matplotlib import ticker

    values = axes.xaxis if axis == "x" else axes.yaxis
    values.set_major_locator(ticker.MaxNLocator(5))
    values.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.grid(axis=axis, linewidth=0.6)
    axes.margins(x=0.01)


def legend(axes, count):
    """Names above the axes, in as many columns as there is room for; more rows, a higher figure."""
    if count > 1:
        longest = max(len(name) for name in axes.get_legend_handles_labels()[1])
        columns = 2 if count == 4 else min(count, 3)
        columns = max(1, min(columns, LEGEND // (longest + 6)))
        more = max(0, -(-count // columns) - 2)
        axes.figure.set_figheight(axes.figure.get_figheight() + 0.2 * more)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns, fontsize=9)


def draw_steps(axes, lines, unit):
    """Lines by name: [(seconds, value)], each value held until the next."""
    for number, (name, points) in enumerate(lines.items()):
        axes.step(*zip(*points), where="post", label=name, color=SERIES[number],
                  linestyle=DASHES[number], linewidth=1.8)
    axes.set_xlabel("time since boot (s)")
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    grid(axes, "y")
    legend(axes, len(lines))


def draw_stack(axes, seconds, layers, unit):
    """Layers by name, one upon the other, in steps."""
    below = [0] * len(seconds)
    for number, (name, values) in enumerate(layers.items()):
        above = [low + value for low, value in zip(below, values)]
        axes.fill_between(seconds, below, above, step="post", label=name, facecolor=SERIES[number],
                          hatch=HATCHES[number], edgecolor=INK, linewidth=0.4)
        below = above
    axes.set_xlabel("time since boot (s)")
    axes.set_ylabel(unit)
    grid(axes, "y")
    legend(axes, len(layers))


def draw_bars(axes, series, unit):
    """Horizontal bars by name, a bar for each series; {series: {name: value}}."""
    names = most(series, BARS)
    height = 0.8 / max(len(series), 1)
    for number, (label, values) in enumerate(series.items()):
        places = [place + number * height for place in range(len(names))]
        axes.barh(places, [values.get(name, 0) for name in names], height, label=label,
                  color=SERIES[2 * number % 6], hatch=HATCHES[number % 6], edgecolor=INK,
                  linewidth=0.4)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    grid(axes, "x")
    legend(axes, len(series))


def most(series, count):
    """The names with the largest values of any series, the largest first."""
    top = {}
    for values in series.values():
        for name, value in values.items():
            top[name] = max(top.get(name, 0), value)
    return sorted(top, key=lambda name: (-top[name], name))[:count]


def over_time(lines):
    """The CSV rows of lines: a row for each moment, empty where a line has no value."""
    columns = {name: dict(points) for name, points in lines.items()}
    moments = sorted({moment for points in columns.values() for moment in points})
    yield ["seconds", *columns]
    for moment in moments:
        yield [moment, *(values.get(moment, "") for values in columns.values())]


def by_name(series):
    yield ["name", *series]
    for name in most(series, None):
        yield [name, *(values.get(name, 0) for values in series.values())]


def step_figure(name, title, unit, lines, reading, alt):
    lines = {label: points for label, points in lines.items() if len(points) > 1}
    if lines:
        yield Figure(name, title, reading, alt, list(over_time(lines)),
                     lambda axes: draw_steps(axes, lines, unit))


def bar_figure(name, title, unit, series, reading, alt):
    series = {label: values for label, values in series.items() if values}
    if series:
        bars = len(most(series, BARS)) * len(series)
        yield Figure(name, title, reading, alt, list(by_name(series)),
                     lambda axes: draw_bars(axes, series, unit), (SIZE[0], 1.4 + 0.17 * bars))


def alive(facts, name, figure):
    """A figure of a VM over time, up to its end: from then on it stands still."""
    end = facts.vms[name].get("t_ns", float("inf")) / NS
    return [(moment, value) for moment, value in facts.column(f"vm.{name}.{figure}")
            if moment <= end]


def saved(facts):
    lines = {"all VMs": facts.column("merge.saved")}
    if len(facts.vms) > 1:
        lines |= {name: alive(facts, name, "memory.saved")
                  for name in list(facts.vms)[:LINES - 1]}
    lines = {label: [(moment, value / MIB) for moment, value in points]
             for label, points in lines.items()}
    top = max((value for _, value in lines["all VMs"]), default=0)
    yield from step_figure(
        "saved", "Memory saved by merging", "MiB", lines,
        "Higher is better: each step is a sample of the memory that the VMs would need without "
        "merging, less what they need; a [[match]] shared by n VMs counts as 1/n for each, and a "
        "fall is a write that made pages private again, or the end of a VM.",
        f"Line plot of memory saved over time; at best {top:.1f} MiB in all.",
    )


def pages(facts, name):
    columns = {state: alive(facts, name, f"pages.{state}") for state in STATES}
    seconds = [moment for moment, _ in columns["private"]]
    layers = {state: [value for _, value in points] for state, points in columns.items()}
    if len(seconds) < 2 or any(len(values) != len(seconds) for values in layers.values()):
        return
    yield Figure(
        f"pages-{name}", f"Pages of {name} by state",
        "The height of a layer is the number of pages in that state; shared and zero pages need no "
        "frame of their own, so the lowest layer is what the VM costs (a page is a [[gfn]] of "
        "4 KiB; pages never touched are not shown).",
        f"Stacked areas of {name}'s pages over time; at the last sample "
        + ", ".join(f"{values[-1]} {state}" for state, values in layers.items()) + ".",
        list(over_time(columns)),
        lambda axes: draw_stack(axes, seconds, layers, "pages of 4 KiB"),
    )


def rates(points):
    """Counts as rates: between two samples, from the first of them on."""
    return [(first, max(after - before, 0) / (second - first))
            for (first, before), (second, after) in itertools.pairwise(points) if second > first]


def sums(facts, family, names):
    """The sum over the VMs of each name of a family at each sample."""
    return {
        name: [(moment, sum(stats.get(f"vm.{vm}.{family}.{name}", 0) for vm in facts.vms))
               for moment, stats in facts.samples]
        for name in names
    }


def of_vms(facts, family):
    """{VM: {name: value}} of a family at the end."""
    return {name: facts.family(f"vm.{name}.{family}.", deep=False) for name in facts.vms}


def exits(facts):
    series = of_vms(facts, "exits")
    names = most(series, LINES)
    lines = {name: rates(points) for name, points in sums(facts, "exits", names).items()}
    yield from step_figure(
        "exit-rates", "Exits a second", "exits/s", lines,
        "Lower is cheaper: each step is the rate of [[exit]]s of all VMs between two samples, for "
        "the most frequent reasons.",
        "Line plot of exits a second by reason over time.",
    )
    yield from bar_figure(
        "exits", "Exits by reason", "exits", series,
        "A bar is the number of [[exit]]s of a VM for a reason, from its start to its end; the "
        "reason stage2 is a fault of the second-level translation.",
        "Bar chart of exits by reason: " + ", ".join(names) + " are the most frequent.",
    )
    times = {vm: {name: value / 10**6 for name, value in values.items()}
             for vm, values in of_vms(facts, "exit_time").items()}
    yield from bar_figure(
        "exit-time", "Time in the hypervisor by reason of the exit", "ms", times,
        "A bar is the time from an [[exit]] to the next entry, summed over all exits of the "
        "reason; it is time that the guest does not have.",
        "Bar chart of the time in exits by reason.",
    )


def faults(facts):
    series = of_vms(facts, "fault")
    yield from bar_figure(
        "faults", "Faults by outcome", "faults", series,
        "A bar is the number of [[stage 2]] faults with that outcome; faults that are not resolved "
        "at once were retried because a notification changed the page meanwhile.",
        "Bar chart of stage-2 faults by outcome.",
    )
    yield from bar_figure(
        "causes", "Faults by the notification that caused them", "faults",
        of_vms(facts, "fault.cause"),
        "A bar is the number of [[stage 2]] faults on translations that a notification for that "
        "event had taken, or made read-only; first touches have no cause.",
        "Bar chart of stage-2 faults by the event of the notification that caused them.",
    )


def subscribers(facts):
    series = {
        name: {rest.replace(".", " "): value
               for rest, value in facts.family(f"vm.{name}.sub.").items()
               if not rest.endswith(".count")}
        for name in facts.vms
    }
    yield from bar_figure(
        "subscribers", "What the notifier called, by subscriber and event", "calls or pages",
        series,
        "A bar is how often a [[subscriber]] invalidated a range for an event, or changed a page's "
        "entry in place; changes in place need no new fault.",
        "Bar chart of the subscribers' calls by event.",
    )


def scanner(facts):
    lines = {label: rates(facts.column(f"merge.{label}")) for label in ("scanned", "read")}
    yield from step_figure(
        "scanner", "The scanner's work", "pages/s", lines,
        "A step is the rate at which the scanner passed pages, and of them read and hashed them; "
        "both fall when nothing is left to merge and the scanner backs off.",
        "Line plot of pages scanned and read a second.",
    )
    visited = {name: {reason: count for reason, count in values.items() if reason != "absent"}
               for name, values in of_vms(facts, "merge.reason").items()}
    yield from bar_figure(
        "reasons", "Pages by the result of their last visit", "pages", visited,
        "A bar is the number of mergeable pages by the result of the scanner's last visit: merged "
        "(shared or zero), or why not; a [[volatile page]] changes too often.",
        "Bar chart of pages by the result of the scanner's last visit.",
    )


def of(facts):
    """All figures for which the run has data."""
    yield from saved(facts)
    for name in list(facts.vms)[:4]:
        yield from pages(facts, name)
    yield from scanner(facts)
    yield from exits(facts)
    yield from faults(facts)
    yield from subscribers(facts)
