# SPDX-License-Identifier: Apache-2.0
"""
page.py: report.html of an experiment: its page, figures and tables in one file without a link to
the network.
"""
import os
import re

import machine
from experiments import figures

FOLDER = os.path.join(machine.ROOT, "scripts", "experiments")


def page_of(spec):
    """README.md as HTML, without the links to other files of the tree."""
    import markdown

    try:
        with open(spec.file("README.md"), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return ""
    text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
    return markdown.markdown(text, extensions=["tables", "fenced_code"])


def inline(svg):
    """An svg element for the page: no fixed size, no ids that another figure may have."""
    text = svg.decode()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for name in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {name}="[^"]*"', r"\1", text, count=1)
    return text


def render(spec, rows, manifest, drawn, failed):
    """drawn: [(figure, svg or None)]."""
    import jinja2

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    names = [*spec.axes(), *spec.measures]
    return environment.get_template("page.html").render(
        spec=spec, manifest=manifest, text=page_of(spec), failed=failed,
        figures=[(figure, inline(svg) if svg else None,
                  None if svg else list(figures.table(figure, rows, spec.axes())))
                 for figure, svg in drawn],
        names=names, rows=[[row.get(name) for name in names] for row in rows],
    )
