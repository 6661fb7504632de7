# SPDX-License-Identifier: Apache-2.0
"""
outcome.py: the results folder of an experiment, and results of several machines as one.

    raw.jsonl       a line for each point: key, axes, exact, raw
    points.csv      axes and measures
    manifest.json   what made it
    figures/*       SVG and PDF of each figure
    report.html     all of it on one page
"""
import json
import os

from experiments import figures, page, rows as of_rows, store, timelines
from output import Stop



def raw_lines(points, results):
    return [{"key": point.key, "axes": point.axes, "exact": point.exact(),
             "made_of": store.made_of(point.key), "raw": results[point.key]}
            for point in points if point.key in results]


def draw(spec, rows, points, results):
    """[(figure, {format: bytes})]; a table has none."""
    found = []
    for figure in spec.figures:
        figure = {"title": figure["name"], "reading": "", **figure}
        if figure["kind"] == "table":
            found.append((figure, {}))
            continue
        lines = timelines.lines_of(figure, points, results) if figure["kind"] == "timeline" else {}
        found.append((figure, figures.render(figure, rows, lines)))
    return found


def write_figures(folder, drawn):
    os.makedirs(folder.file("figures"), exist_ok=True)
    for figure, formats in drawn:
        for kind, data in formats.items():
            with open(folder.file(f"figures/{figure['name']}.{kind}"), "wb") as file:
                file.write(data)


def write(folder, spec, points, results, manifest, failed, with_figures=True):
    """The whole folder; a comparison leaves figures and page out. Returns the rows."""
    rows = of_rows.of(spec, points, results)
    folder.write("raw.jsonl", "".join(json.dumps(line) + "\n"
                                      for line in raw_lines(points, results)))
    folder.write("points.csv", of_rows.as_csv(spec, rows))
    folder.write_json("manifest.json", manifest)
    if with_figures:
        drawn = draw(spec, rows, points, results)
        write_figures(folder, drawn)
        shown = [(figure, formats.get("svg")) for figure, formats in drawn]
        folder.write("report.html", page.render(spec, rows, manifest, shown, failed))
    folder.publish()
    return rows


# --- Several machines ---

def read_part(path, name):
    """(manifest, lines) of a results folder of this experiment."""
    try:
        with open(os.path.join(path, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        with open(os.path.join(path, "raw.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise Stop(f"{path}: no result of an experiment: {error}") from None
    if manifest.get("experiment") != name:
        raise Stop(f"{path}: a result of {manifest.get('experiment')}, not of {name}")
    return manifest, lines


def same_counts(first, second):
    return all(first[name] == second[name] for name in ("bench", "stats"))


def same_image(line, images):
    """Whether a point's machine had this image and emulator in the points before it."""
    made = line.get("made_of", {})
    image = (made.get("image"), made.get("tool"))
    return "machine" not in made or images.setdefault(made["machine"], image) == image


def merged(spec, points, paths):
    """
    ({key: raw}, [manifest]) of several folders. All points of a machine are of one image and one
    emulator. Points of one key are one point; exact ones must have the same counts.
    """
    by_axes = {of_rows.axes_of(spec, point.axes): point for point in points}
    results, manifests, keys, images = {}, [], {}, {}
    for path in paths:
        manifest, lines = read_part(path, spec.name)
        manifests.append(manifest)
        for line in lines:
            axes = of_rows.axes_of(spec, line["axes"])
            if axes not in by_axes:
                raise Stop(f"{path}: {dict(axes)}: the matrix has no such point")
            if keys.setdefault(axes, line["key"]) != line["key"] or not same_image(line, images):
                raise Stop(f"{path}: {by_axes[axes]}: of another image, guest or emulator")
            if line["exact"] and axes in results and not same_counts(results[axes], line["raw"]):
                raise Stop(f"{path}: {by_axes[axes]}: other counts than {paths[0]} has")
            results.setdefault(axes, line["raw"])
    for axes, point in by_axes.items():
        point.key = keys.get(axes, "")
    return {by_axes[axes].key: raw for axes, raw in results.items()}, manifests
