#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
results_page.py: docs/results.md and docs/figures/*.svg, made of experiments/: the page's section
"Answer", and the figures of the recorded counts.

Usage: scripts/results_page.py [--check]     --check: status 1 if a file is not what it would be
"""
import os
import re
import sys
import textwrap

from experiments import figures, points, recorded, spec as specs, timelines

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCS = os.path.join(ROOT, "docs")
PAGE = os.path.join(DOCS, "results.md")
COLUMNS = 100

HEAD = """\
# Results

Made by `scripts/results_page.py` of the folders in `experiments/`; not to be edited by hand. Each
folder has a page with claim, method and how to read the figures; [experiments.md](experiments.md)
describes the machinery, [output.md](output.md) the files of a result.

The figures show recorded counts, `experiments/NAME/expected.csv`. Counts of QEMU under `-icount`,
of Bochs and of callgrind are exact: `./run experiment NAME --check` repeats and compares them. What
an emulator counts are instructions and events, never cycles.
"""


def answer_of(spec):
    """The section "Answer" of its page, as it stands."""
    try:
        with open(spec.file("README.md"), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return ""
    found = re.search(r"^## Answer\n+(.*?)(?=^## |\Z)", text, re.M | re.S)
    return links(found[1].strip(), spec.name) if found else ""


def links(text, name):
    """Links of experiments/NAME/README.md as docs/ has them."""
    return re.sub(r"\]\((?!https?:|#)([^)]+)\)", lambda link: "](" + os.path.relpath(
        os.path.join(ROOT, "experiments", name, link[1]), DOCS) + ")", text)


def paragraph(text):
    return textwrap.fill(text, COLUMNS, break_long_words=False, break_on_hyphens=False)


def markdown(lines):
    """A table: the first columns are text, numbers are set to the right."""
    head, *body = lines
    numeric = [all(re.fullmatch(r"[-\d.,e+]*", line[place]) for line in body)
               for place in range(len(head))]
    yield "| " + " | ".join(f"`{name}`" for name in head) + " |"
    yield "|" + "|".join("---:" if each else "---" for each in numeric) + "|"
    for line in body:
        yield "| " + " | ".join(cell or " " for cell in line) + " |"


def exactness(spec):
    """A remark where the recorded counts are not exact."""
    exact = [point.exact() for point in points.of(spec)]
    if all(exact):
        return ""
    part = "Some points run" if any(exact) else "The points run"
    return f"{part} on CPUs that are not counted by instruction: figures differ from run to run."


def figure_file(spec, figure):
    return os.path.join(DOCS, "figures", f"{spec.name}-{figure['name']}.svg")


def shown(spec):
    """The figures of which there are recorded values, and the lines of those over time."""
    recorded_lines = timelines.read(spec)
    for figure in spec.figures:
        lines = recorded_lines.get(figure["name"])
        if figure["kind"] != "timeline" or lines:
            yield figure, lines


def section(spec, rows):
    """The lines of an experiment."""
    yield f"## {spec.title}"
    yield ""
    if spec.question:
        yield paragraph(f"*{spec.question}*")
        yield ""
    if answer := answer_of(spec):
        yield answer
        yield ""
    if remark := exactness(spec):
        yield paragraph(remark)
        yield ""
    for figure, _ in shown(spec):
        title = figure.get("title", figure["name"])
        yield f"**{title}**"
        yield ""
        if figure["kind"] == "table":
            yield from markdown(list(figures.table(figure, rows, spec.axes())))
        else:
            file = os.path.basename(figure_file(spec, figure))
            yield f"![{spec.name}: {figure['name']}](figures/{file})"
        yield ""
        reading = figure.get("reading", "")
        yield paragraph(f"{reading} `./run experiment {spec.name}`".strip())
        yield ""
    yield f"Page: [experiments/{spec.name}](../experiments/{spec.name}/README.md)"
    yield ""


def all_specs():
    return [(spec, recorded.read(spec)) for spec in map(specs.load, specs.names())]


def page():
    lines = [HEAD]
    for spec, rows in all_specs():
        if rows:
            lines += section(spec, rows)
    return "\n".join(lines)


def marked(figure, rows, lines):
    """The remark of an SVG that names its data."""
    return f"<!-- data {figures.digest(figure, rows, lines)} -->"


def drawn():
    """Each SVG: (path, the remark, a function that draws it)."""
    for spec, rows in all_specs():
        for figure, lines in shown(spec):
            if rows and figure["kind"] != "table":
                yield (figure_file(spec, figure), marked(figure, rows, lines),
                       lambda figure=figure, rows=rows, lines=lines: figures.render(
                           figure, rows, lines, ("svg",))["svg"])


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def strays():
    """Figures that this program drew for an experiment that is gone; others stay."""
    folder = os.path.join(DOCS, "figures")
    known = {path for path, *_ in drawn()}
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [path for path in (os.path.join(folder, name) for name in names)
            if path not in known and re.search(r"<!-- data \w+ -->\s*\Z", read(path))]


def complaints():
    if read(PAGE) != page():
        yield "docs/results.md is not what scripts/results_page.py makes of experiments/"
    for path, mark, _ in drawn():
        if not read(path).rstrip().endswith(mark):
            yield f"{os.path.relpath(path, ROOT)} shows other data than expected.csv has"
    for path in strays():
        yield f"{os.path.relpath(path, ROOT)} is a figure of no experiment"


def write():
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page())
    os.makedirs(os.path.join(DOCS, "figures"), exist_ok=True)
    for path, mark, draw in drawn():
        if not read(path).rstrip().endswith(mark):
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"{draw().decode().rstrip()}\n{mark}\n")
    for path in strays():
        os.unlink(path)


def main():
    if "--check" not in sys.argv:
        write()
        return 0
    found = list(complaints())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
