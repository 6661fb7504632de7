# SPDX-License-Identifier: Apache-2.0
"""
timelines.py: what the figures of kind "timeline" show: a statistic over the machine's time, of
points with samples. --record keeps it as timelines.csv, from which docs/results.md is drawn.
"""
import csv
import io
import os

from experiments import measures, rows as of_rows, spec as specs

FILE = "timelines.csv"
HEAD = ["figure", "line", "seconds", "value"]
# Moments of a line that are recorded.
MOST = 100
UNITS = {"": 1, "MiB": 1 << 20}


def lines_of(figure, points, results):
    """{name of a line: [(seconds, value)]}."""
    unit, found = UNITS[figure.get("unit", "")], {}
    for point in points:
        if point.key not in results or not of_rows.is_in(point.axes, figure.get("where", {})):
            continue
        label = point.axes.get(figure.get("series"), "")
        for source in specs.ys(figure):
            values = [(seconds, measures.of_statistic(stats, source))
                      for seconds, stats in results[point.key]["samples"]]
            line = [(seconds, value / unit) for seconds, value in values if value is not None]
            if line:
                found.setdefault(label or source, line)
    return found


def thinned(line):
    """The first, the last, and evenly spread ones between."""
    step = max(1, -(-len(line) // MOST))
    return [*line[:-1:step], line[-1]]


def in_order(spec, figure, lines):
    """The lines that the matrix has, in its order."""
    axis = figure.get("series")
    names = [value for matrix in spec.matrices for value in matrix.get(axis, [])]
    names = list(dict.fromkeys(names)) + specs.ys(figure)
    return {name: lines[name] for name in names if name in lines}


def of(spec):
    return [figure for figure in spec.figures if figure["kind"] == "timeline"]


def write(spec, points, results):
    """Records the lines of all timelines; nothing without any. Other lines stay."""
    out, kept = io.StringIO(), read(spec)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for figure in of(spec):
        lines = {**kept.get(figure["name"], {}), **lines_of(figure, points, results)}
        for name, line in in_order(spec, figure, lines).items():
            writer.writerows([figure["name"], name, f"{seconds:.3f}", f"{value:.6g}"]
                             for seconds, value in thinned(line))
    if of(spec):
        with open(spec.file(FILE) + ".part", "w", encoding="utf-8") as file:
            file.write(out.getvalue())
        os.replace(spec.file(FILE) + ".part", spec.file(FILE))


def read(spec):
    """{figure: {name of a line: [(seconds, value)]}} as recorded."""
    found = {}
    try:
        with open(spec.file(FILE), encoding="utf-8") as file:
            for row in csv.DictReader(file):
                line = found.setdefault(row["figure"], {}).setdefault(row["line"], [])
                line.append((float(row["seconds"]), float(row["value"])))
    except FileNotFoundError:
        pass
    return found
