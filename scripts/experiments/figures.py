# SPDX-License-Identifier: Apache-2.0
"""
figures.py: the figures of an experiment, from its rows, as SVG and PDF for print.

    line        x, y, series      a line each; the range of seeds and repeats as a bar
    bar         x, y, series      bars side by side; several y are series
    table       columns           a row for each point, or for each value of x
    timeline    y, series         a statistic over the machine's time, of points with samples
    break-even  see frontier.py

Series differ by colour, by marker or hatching, and by dashes, so that they differ in grey print.
"""
import hashlib
import io
import json

from experiments import frontier, rows as of_rows, spec as specs

SIZE = (5.2, 3.1)
# Moves when the same data is drawn otherwise.
FORM = 3
INK, GRID = "#1c1c1c", "#d5d5d5"
COLOURS = ["#3b1c6e", "#2a6f97", "#2fa37c", "#8fbf3a", "#c9a800", "#b3522b", "#8c2f5d", "#767676",
           "#4f9fd0", "#1b4332"]
HATCHES = ["", "///", "...", "xxx", "\\\\\\", "ooo", "++", "**", "--", "||"]
DASHES = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2)),
          (0, (3, 3, 1, 3)), (0, (2, 2)), (0, (6, 1))]
MARKERS = "osD^vP*Xhp"
STYLE = {
    "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 9, "font.family": "sans-serif",
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "grid.color": GRID, "axes.spines.top": False, "axes.spines.right": False,
    "hatch.color": "white", "hatch.linewidth": 0.7, "legend.frameon": False, "axes.axisbelow": True,
    "legend.fontsize": 8,
}


def rows_of(figure, rows):
    return [row for row in rows if of_rows.is_in(row, figure.get("where", {}))]


def lines_of(figure, rows):
    """{name of a series: {x: (mean, least, most)}}."""
    x, series, found = figure["x"], figure.get("series"), {}
    chosen = rows_of(figure, rows)
    for measure in specs.ys(figure):
        axes = [x, series] if series else [x]
        for key, value in of_rows.groups(chosen, axes, measure).items():
            words = ([key[1]] if series else []) + ([measure] if len(specs.ys(figure)) > 1 else [])
            words = [figure.get("names", {}).get(word, word) for word in words]
            found.setdefault(", ".join(words) or measure, {})[key[0]] = value
    return found


def covers(first, second, log, span):
    """Whether two lines look like one on paper."""
    if first.keys() != second.keys():
        return False
    pairs = [(first[x][0], second[x][0]) for x in first]
    return all(abs(one - other) <= (0.03 * abs(one) if log else span / 150) for one, other in pairs)


def joined(found, log):
    """The lines with those that cover each other as one, under all of their names."""
    means = [mean for line in found.values() for mean, _, _ in line.values()]
    span = max(means, default=0) - min(0, *means) if means else 0
    kept = []
    for name, line in found.items():
        for group in kept:
            if covers(group[1], line, log, span):
                group[0].append(name)
                break
        else:
            kept.append(([name], line))
    return {", ".join(names): line for names, line in kept}


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def legend(axes, figure, names):
    """Above the plot, so that it covers nothing; numbers are under the name of their axis."""
    if len(names) < 2:
        return
    longest = max(map(len, names))
    columns = max(1, min(len(names), 4 if len(names) > 8 else 3, 72 // (longest + 8)))
    numbers = all(map(is_number, names))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns, handlelength=2.6,
                title=figure.get("legend", figure.get("series") if numbers else None),
                title_fontsize=8)
    more = -(-len(names) // columns) - 2
    axes.figure.set_size_inches(SIZE[0], SIZE[1] + 0.17 * max(0, more))


def finish(axes, figure, names):
    axes.set_xlabel(figure.get("xlabel", figure.get("x", "")))
    axes.set_ylabel(figure.get("ylabel", ", ".join(specs.ys(figure))))
    log = figure.get("log", "")
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]), top=figure.get("top"))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.grid(axis="y", linewidth=0.6)
    legend(axes, figure, list(names))


def apart(places, log):
    """The ticks that do not cover each other."""
    nearest = 0 if log or not places else (float(places[-1]) - float(places[0])) / 25
    found = []
    for place in places:
        if not found or float(place) - float(found[-1]) >= nearest:
            found.append(place)
    return found


def draw_line(axes, figure, rows):
    found = joined(lines_of(figure, rows), "y" in figure.get("log", ""))
    numeric = all(is_number(x) for line in found.values() for x in line)
    places = of_rows.order(x for line in found.values() for x in line)
    for number, (name, line) in enumerate(found.items()):
        xs = [x for x in places if x in line]
        at = [float(x) if numeric else places.index(x) for x in xs]
        means = [line[x][0] for x in xs]
        spread = [[line[x][0] - line[x][1] for x in xs], [line[x][2] - line[x][0] for x in xs]]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(at, means, label=name, color=colour, linestyle=DASHES[number % len(DASHES)],
                  marker=MARKERS[number % len(MARKERS)], markersize=4, linewidth=1.4)
        if any(spread[0]) or any(spread[1]):
            axes.errorbar(at, means, yerr=spread, fmt="none", ecolor=colour, capsize=2)
    if not numeric:
        axes.set_xticks(range(len(places)), places)
    finish(axes, figure, found)
    if numeric and len(places) <= 12:
        places = apart(places, "x" in figure.get("log", ""))
        axes.set_xticks([float(x) for x in places], places)
        axes.minorticks_off()


def draw_bar(axes, figure, rows):
    found = lines_of(figure, rows)
    places = of_rows.order(x for line in found.values() for x in line)
    wide = 0.8 / max(len(found), 1)
    for number, (name, line) in enumerate(found.items()):
        at = [place + (number - (len(found) - 1) / 2) * wide
              for place, x in enumerate(places) if x in line]
        values = [line[x] for x in places if x in line]
        axes.bar(at, [mean for mean, _, _ in values], wide * 0.92, label=name,
                 color=COLOURS[number % len(COLOURS)], hatch=HATCHES[number % len(HATCHES)],
                 edgecolor="white", linewidth=0.4)
        if any(least != most for _, least, most in values):
            axes.errorbar(at, [mean for mean, _, _ in values],
                          yerr=[[mean - least for mean, least, _ in values],
                                [most - mean for mean, _, most in values]],
                          fmt="none", ecolor=INK, capsize=2, linewidth=0.8)
    places = [figure.get("names", {}).get(place, place) for place in places]
    long = max((len(place) for place in places), default=0) * len(places) > 60
    axes.set_xticks(range(len(places)), places, rotation=35 if long else 0,
                    ha="right" if long else "center")
    finish(axes, figure, found)


def draw_timeline(axes, figure, lines):
    """lines: of timelines.py."""
    for number, (name, line) in enumerate(lines.items()):
        axes.step(*zip(*line), where="post", label=name, linewidth=1.4,
                  color=COLOURS[number % len(COLOURS)], linestyle=DASHES[number % len(DASHES)])
    figure = {"xlabel": "time since boot (s)", "ylabel": figure.get("unit", ""), **figure}
    finish(axes, figure, lines)


def draw(axes, figure, rows, lines):
    if figure["kind"] == "line":
        draw_line(axes, figure, rows)
    elif figure["kind"] == "bar":
        draw_bar(axes, figure, rows)
    elif figure["kind"] == "timeline":
        draw_timeline(axes, figure, lines)
    else:
        frontier.draw(axes, figure, rows_of(figure, rows), COLOURS, DASHES)
        legend(axes, figure, axes.get_legend_handles_labels()[1])


def render(figure, rows, lines=None, formats=("svg", "pdf")):
    """{format: bytes}. lines: of a timeline."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({**STYLE, "svg.hashsalt": figure["name"]}):
        drawn, axes = pyplot.subplots(figsize=SIZE, layout="constrained")
        draw(axes, figure, rows, lines or {})
        found = {}
        for kind in formats:
            out = io.BytesIO()
            metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
            drawn.savefig(out, format=kind, metadata=metadata, dpi=110)
            found[kind] = out.getvalue()
        pyplot.close(drawn)
    return found


def digest(figure, rows, lines=None):
    """Names the data of a figure and how it is drawn."""
    text = json.dumps([FORM, figure, lines or rows_of(figure, rows)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def table(figure, rows, axes):
    """The lines of a table: a head, and cells of text."""
    chosen = rows_of(figure, rows)
    columns = figure["columns"]
    first = [figure["x"]] if "x" in figure else [
        axis for axis in axes
        if axis not in of_rows.FREE and len({row.get(axis) for row in chosen}) > 1]
    first += [figure["series"]] if figure.get("series") else []
    first = first or [axis for axis in axes if any(axis in row for row in chosen)][:1]
    keys = list(dict.fromkeys(tuple(row.get(axis, "") for axis in first) for row in chosen))
    means = {name: of_rows.groups([{**dict.fromkeys(first, ""), **row} for row in chosen], first,
                                  name) for name in columns}
    yield [*first, *columns]
    for key in keys:
        yield [*key, *(of_rows.shown(means[name][key][0]) if key in means[name] else ""
                       for name in columns)]
