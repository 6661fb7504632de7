# SPDX-License-Identifier: Apache-2.0
"""
common.py: what the benches share: boot and read the figures, show a table, keep the rows.

A bench is a function of a results folder. Its rows are {name, value, unit, setting}.
"""
import os
import re
import tempfile

import control
import facts
import machine
from output import plain


def patience(seconds):
    """A timeout, longer where programs share this computer's cores."""
    return seconds * max(1, os.getloadavg()[0] / os.cpu_count())


def mean(values):
    """Of a list."""
    return sum(values) / len(values)


def median(values):
    ordered = sorted(values)
    return mean(ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1])


def at_rest(line, first_end):
    """Of (second, value): a second before the first guest ends, when all have done their work."""
    return [value for now, value in line if now <= first_end - 1][-1]


def standalone(svg):
    """A figure of the report as a file of its own: colours by value, on white."""
    colours = "--grid:#ddd;--s0:#14375a;--s1:#b3541e;--s2:#3a7d44;--s3:#8a6fb0;--s4:#777;--s5:#c2a"
    return svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" '
                       f'style="{colours};color:#111;background:#fff"', 1)


def keep(folder, name, rows):
    """NAME.json in the results folder."""
    folder.write_json(f"{name}.json", rows)
    folder.publish()
    folder.rows = rows


def table(titles, lines):
    """Prints lines of a name and its cells; a column is as wide as the widest text in it."""
    texts = [["", *titles]] + [[str(cell) for cell in line] for line in lines]
    widths = [max(len(text[column]) for text in texts) for column in range(len(texts[0]))]
    plain("")
    for name, *cells in texts:
        cells = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:]))
        plain(f"{name:{widths[0]}}{cells}".rstrip())


def show(rows, extra=None):
    """
    Prints the rows as a table: a line for each name, a column for each setting, and columns of
    extra figures.
    """
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    extra = extra or {}
    value = {(row["name"], row["setting"]): row["value"] for row in rows}
    table(
        [*settings, *extra],
        [
            [name, *(value.get((name, setting), "") for setting in settings),
             *(figures.get(name, "") for figures in extra.values())]
            for name in dict.fromkeys(row["name"] for row in rows)
        ],
    )


def figures_of(setup, timeout=300):
    """
    Boots a machine with a control channel, until it ends or the time is over: its ending, its
    figures (facts.py), and what stood on its console.
    """
    with tempfile.TemporaryDirectory(prefix="samepage-bench-") as folder:
        with control.Control(folder) as setup.control, machine.start(setup) as session:
            setup.control.start()
            ending = session.wait(timeout)
            setup.control.ended.wait(10)
            return ending, facts.of(setup.control.events), session.serial()


def measure(setup, timeout=300):
    """Boots a guest that prints lines 'bench: NAME VALUE UNIT'; the (name, value, unit) of each."""
    with machine.start(setup) as session:
        ending = session.wait(timeout)
        text = session.serial()
        if ending != "ok":
            raise machine.MachineError(
                f"{setup.machine}: the run ended with {ending}\n{text[-3000:]}\n{session.output()}"
            )
    return [
        (name, int(value), unit)
        for name, value, unit in re.findall(r"\bbench: (\w+) (\d+) (\w+)", text)
    ]
