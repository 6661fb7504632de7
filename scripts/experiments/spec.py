# SPDX-License-Identifier: Apache-2.0
"""
spec.py: experiment.toml, read and checked. A complaint names file and line.
"""
import dataclasses
import os
import re
import tomllib

import machine
from experiments import measures
from output import Stop
from words import nearest

FOLDER = os.path.join(machine.ROOT, "experiments")
FILE = "experiment.toml"
NAME = re.compile(r"[a-z][a-z0-9-]*")
TABLES = ("boot", "points", "values", "quick", "measures", "tolerance", "figures")
TOP = ("title", "question", "seeds", "repeats", "long", *TABLES)
BOOT = {"machine": str, "cpus": int, "memory": int, "icount": bool, "cmdline": str, "guests": list,
        "timeout": int, "program": str, "args": str, "samples": bool}
FIGURE = {"name": str, "title": str, "kind": str, "x": str, "y": (str, list), "series": str,
          "where": dict, "xlabel": str, "ylabel": str, "log": str, "reading": str, "columns": list,
          "cost": dict, "base": str, "top": (int, float), "unit": str,
          "legend": str, "names": dict}
KINDS = ("line", "bar", "table", "timeline", "break-even")
DEFAULTS = {"machine": "qemu-tcg", "cpus": 1, "memory": 256, "icount": True, "cmdline": "",
            "guests": [], "timeout": 300, "program": "", "args": "", "samples": False}


class SpecError(Stop):
    """The file is wrong; each text names file and line."""


@dataclasses.dataclass
class Spec:
    """An experiment. `matrices`: {axis: [value]} each; `boot`: what all points have in common."""
    name: str
    path: str = ""
    text: str = ""
    title: str = ""
    question: str = ""
    boot: dict = dataclasses.field(default_factory=lambda: dict(DEFAULTS))
    matrices: list = dataclasses.field(default_factory=list)
    values: dict = dataclasses.field(default_factory=dict)
    quick: dict = dataclasses.field(default_factory=dict)
    measures: dict = dataclasses.field(default_factory=dict)
    tolerance: dict = dataclasses.field(default_factory=dict)
    figures: list = dataclasses.field(default_factory=list)
    seeds: list = dataclasses.field(default_factory=list)
    repeats: int = 1
    long: bool = False		# minutes: --quick has no point of it

    def at(self, *keys):
        """FILE:LINE of a key, the last one below the others; of the file where it is not found."""
        name = os.path.relpath(self.path, machine.ROOT) if self.path else "command line"
        number = line_of(self.text, keys)
        return f"{name}:{number}" if number else name

    def axes(self):
        """The names of all axes, in their order."""
        names = dict.fromkeys(axis for matrix in self.matrices for axis in matrix)
        more = (["seed"] if self.seeds else []) + (["repeat"] if self.repeats > 1 else [])
        return [*names, *more]

    def file(self, name):
        return os.path.join(FOLDER, self.name, name)


def line_of(text, keys):
    """The line of the last key that the text has in the order given, or 0."""
    found, start = 0, 0
    lines = text.splitlines()
    for key in keys:
        pattern = re.compile(rf"""^\s*(?:\[+\s*["']?{re.escape(key)}\b|["']?{re.escape(key)}["']?"""
                             rf"""\s*=|\[.*\.{re.escape(key)}\])|{re.escape(key)}""")
        for number in range(start, len(lines)):
            if pattern.search(lines[number]):
                found, start = number + 1, number
                break
    return found


def names():
    """The experiments of the tree."""
    if not os.path.isdir(FOLDER):
        return []
    return sorted(name for name in os.listdir(FOLDER)
                  if os.path.exists(os.path.join(FOLDER, name, FILE)))


def load(name):
    """The experiment of a name. SpecError."""
    if name not in names():
        raise SpecError(f"{name}: {nearest(name, names())}" if names() else "there is none")
    return read(os.path.join(FOLDER, name, FILE))


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    name = os.path.basename(os.path.dirname(os.path.abspath(path)))
    shown = os.path.relpath(path, machine.ROOT)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+)", str(error))
        number = place[1] if place else text.count("\n")
        raise SpecError(f"{shown}:{number}: {re.sub(r' .at .*', '', str(error))}") from None
    spec = Spec(name, path, text)
    complaints = list(fill(spec, found))
    if complaints:
        raise SpecError(*complaints)
    return spec


def fill(spec, found):
    """Takes the values over; the complaints."""
    if not NAME.fullmatch(spec.name):
        yield f"{spec.at()}: the folder's name is of small letters, digits and dashes"
    for key in found:
        if key not in TOP:
            yield f"{spec.at(key)}: {key}: {nearest(key, TOP)}"
    wrong = [key for key in ("boot", "values", "quick", "measures", "tolerance")
             if not isinstance(found.get(key, {}), dict)]
    wrong += [key for key in ("points", "figures") if not tables(found.get(key, []))]
    if wrong:
        yield from (f"{spec.at(key)}: {key}: a table, [{key}] or [[{key}]]" for key in wrong)
        return
    spec.title, spec.question = str(found.get("title", spec.name)), str(found.get("question", ""))
    spec.long = found.get("long") is True
    yield from fill_boot(spec, found.get("boot", {}))
    yield from fill_points(spec, found)
    yield from fill_measures(spec, found)
    spec.figures = found.get("figures", [])
    for figure in spec.figures:
        yield from check_figure(spec, figure)


def tables(value):
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def fill_boot(spec, boot):
    for key, value in boot.items():
        if key not in BOOT:
            yield f"{spec.at('boot', key)}: {key}: {nearest(key, list(BOOT))}"
        elif not isinstance(value, BOOT[key]):
            yield f"{spec.at('boot', key)}: {key}: not of type {BOOT[key].__name__}"
        else:
            spec.boot[key] = value
    if not spec.boot["guests"] and not spec.boot["program"]:
        yield f"{spec.at('boot')}: guests = [\"FILE:WORDS\", ...] or program = \"NAME\" is missing"


def texts(value):
    """A list of values as texts; a single value is a list of one."""
    values = value if isinstance(value, list) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def fill_points(spec, found):
    spec.matrices = [{axis: texts(value) for axis, value in matrix.items()}
                     for matrix in found.get("points", [{}])]
    spec.values = found.get("values", {})
    spec.seeds = texts(found.get("seeds", []))
    spec.repeats = found.get("repeats", 1)
    if not isinstance(spec.repeats, int) or not 1 <= spec.repeats <= 1000:
        yield f"{spec.at('repeats')}: repeats: 1 to 1000"
        spec.repeats = 1
    axes = spec.axes()
    for axis, labels in spec.values.items():
        used = {value for matrix in spec.matrices for value in matrix.get(axis, [])}
        if not isinstance(labels, dict):
            yield f"{spec.at('values', axis)}: [values.{axis}] has LABEL = \"TEXT\""
        elif used - set(labels):
            yield (f"{spec.at('values', axis)}: {axis}: no text for "
                   f"{', '.join(sorted(used - set(labels)))}")
    spec.quick = {axis: texts(value) for axis, value in found.get("quick", {}).items()}
    for axis in [*spec.quick, *spec.values]:
        if axis not in axes:
            yield f"{spec.at('quick', axis)}: {axis}: no axis of this name; {nearest(axis, axes)}"


def allowance(value):
    """Whether a value of [tolerance] is a share or a count."""
    return type(value) is int and value >= 0 or type(value) is float and 0 <= value < 1


def fill_measures(spec, found):
    spec.measures = found.get("measures", {})
    spec.tolerance = found.get("tolerance", {})
    if not spec.measures:
        yield f"{spec.at()}: [measures] is missing"
    for name, source in spec.measures.items():
        text = (measures.complaint(name, source, spec.measures)
                or measures.other_vm(source, spec.boot["guests"]))
        if text:
            yield f"{spec.at('measures', name)}: {name}: {text}"
    for name, value in spec.tolerance.items():
        if name not in spec.measures:
            yield (f"{spec.at('tolerance', name)}: {name}: "
                   f"{nearest(name, list(spec.measures))}")
        elif not allowance(value):
            yield f"{spec.at('tolerance', name)}: {name}: a share, 0.0 to 1.0, or a count"


def ys(figure):
    """The measures that a figure shows."""
    y = figure.get("y", [])
    return [y] if isinstance(y, str) else y


def check_figure(spec, figure):
    """The complaints about one [[figures]]."""
    where = spec.at("figures", str(figure.get("name", "")))
    for key, value in figure.items():
        if key not in FIGURE:
            yield f"{where}: {key}: {nearest(key, list(FIGURE))}"
        elif not isinstance(value, FIGURE[key]):
            yield f"{where}: {key}: a value of another type"
            return
    if not NAME.fullmatch(str(figure.get("name", ""))):
        yield f"{where}: name: small letters, digits and dashes"
    kind = figure.get("kind", "")
    if kind not in KINDS:
        yield f"{where}: kind: {nearest(kind, KINDS)}"
        return
    axes, known = spec.axes(), list(spec.measures)
    for key in ("x", "series"):
        if key in figure and figure[key] not in axes:
            yield f"{where}: {key}: {figure[key]}: {nearest(figure[key], axes)}"
    for axis in figure.get("where", {}):
        if axis not in axes:
            yield f"{where}: where: {axis}: {nearest(axis, axes)}"
    weights = [name for each in figure.get("cost", {}).values() for name in each]
    columns = [*ys(figure), *figure.get("columns", []), *weights]
    for name in columns:
        if name not in known and kind != "timeline":
            yield f"{where}: {name}: {nearest(name, known)}"
    if kind in ("line", "bar") and not ("x" in figure and ys(figure)):
        yield f"{where}: {kind}: x and y are missing"
    if kind == "break-even" and not {"x", "series", "base", "cost"} <= figure.keys():
        yield f"{where}: break-even: x, series, base and cost are needed"
    if kind == "timeline" and figure.get("unit", "") not in ("", "MiB"):
        yield f"{where}: unit: {nearest(figure['unit'], ['MiB'])}"
    if kind == "table" and "columns" not in figure:
        yield f"{where}: table: columns is missing"
