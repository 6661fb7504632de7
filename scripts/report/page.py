# SPDX-License-Identifier: Apache-2.0
"""
page.py: the report page, from page.html by Jinja2: one file that needs no other to be read. The CSV
files of the figures lie beside it, in data/.
"""
import functools
import os
import re

import machine
import tree
from report import figures, lines

TERM = re.compile(r"\[\[([^\]]+)\]\]")
MIB, NS = 1 << 20, 10**9


@functools.cache
def glossary():
    """The words of docs/glossary.md and their meanings."""
    found = {}
    for words, meaning in re.findall(r"^\| ([^|]+) \| ([^|]+) \|$",
                                     tree.text("docs/glossary.md"), re.M):
        for word in words.split(", "):
            found[word.strip(" *")] = meaning.replace("`", "").strip()
    return found


def anchor(word):
    return "word-" + re.sub(r"\W+", "-", word)


def linked(text):
    """A text with [[word]] as links, and escaped otherwise."""
    from markupsafe import Markup, escape

    parts = TERM.split(text)
    return Markup("").join(
        Markup('<a href="#{}">{}</a>').format(anchor(part), part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def words_of(texts):
    """The words of the glossary that the texts link to, with their meanings."""
    words = sorted({word for text in texts for word in TERM.findall(text)})
    return [(anchor(word), word, glossary()[word]) for word in words]


def saved_rows(facts):
    """A row for each VM: name, MiB of memory, saved at best, saved per cent, profit at best."""
    for name, vm in facts.vms.items():
        memory, saved = vm.get("memory", 0), facts.best(f"vm.{name}.memory.saved")
        profit = facts.best(f"vm.{name}.memory.profit")
        yield {
            "name": name,
            "end": lines.end_of(vm),
            "memory": f"{memory / MIB:.0f} MiB",
            "saved": "not sampled" if saved is None else f"{saved / MIB:.1f} MiB",
            "share": "" if saved is None or not memory else f"{100 * saved / memory:.0f} %",
            "profit": "" if profit is None else f"{profit / MIB:.1f} MiB",
        }


def cost_rows(facts):
    """What merging cost: (what, how much, what that is)."""
    figure, used = facts.figure, sum(facts.figure(f"vm.{name}.used") for name in facts.vms) / NS
    scan = lines.scan_time(facts)
    metadata = facts.best("merge.metadata")
    yield ("the scanner's time", f"{scan:.2f} s",
           f"{100 * scan / used:.0f} % of the guests' {used:.2f} s on CPUs" if used else "")
    if metadata is not None:
        yield ("metadata at most", f"{metadata / MIB:.2f} MiB", "indexes, nodes, page metadata")
    yield ("pages split again", f"{figure('merge.breaks')}", "by a write, with a copy each")
    yield ("merges given up", f"{figure('merge.races')}", "written while they were compared")
    sent = sum(figure(f"vm.{name}.flush.sent") for name in facts.vms)
    later = sum(figure(f"vm.{name}.flush.put_off") for name in facts.vms)
    yield ("TLB flushes", f"{sent}", f"{later} more put off or batched")


def clean_rows(facts, reasons):
    """Whether all was clean: (what, result)."""
    if not facts.end:
        yield "the end", "was not reached"
        return
    audit = facts.end["audit"]
    yield "audit", f"{audit['faults'] or 'no'} faults in {audit.get('pages', 0)} pages and " \
                   f"{audit.get('translations', 0)} translations"
    yield "frames", f"{facts.end['frames_missing'] or 'none'} missing"
    yield "guests", "; ".join(reasons) if reasons else "all shut down, without a complaint"


def render(facts, manifest, reasons, drawn, traced):
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.join(machine.ROOT, "scripts", "report")),
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["linked"] = linked
    return environment.get_template("page.html").render(
        manifest=manifest,
        traced=traced,
        reasons=reasons,
        in_force=lines.in_force(facts),
        saved=list(saved_rows(facts)),
        best=f"{facts.figure('merge.saved.peak') * lines.FRAME / MIB:.1f} MiB",
        cost=list(cost_rows(facts)),
        clean=list(clean_rows(facts, reasons)),
        figures=[(figure, figure.svg()) for figure in drawn],
        words=words_of([figure.reading for figure in drawn]),
        lines=list(lines.of(facts)),
    )


def write(folder, facts, manifest, reasons):
    """report.html and data/*.csv in the results folder."""
    drawn = list(figures.of(facts))
    os.makedirs(folder.file("data"), exist_ok=True)
    for figure in drawn:
        folder.write(f"data/{figure.name}.csv", figure.csv())
    traced = os.path.exists(folder.file("trace.json"))
    folder.write("report.html", render(facts, manifest, reasons, drawn, traced))
