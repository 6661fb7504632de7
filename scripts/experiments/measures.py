# SPDX-License-Identifier: Apache-2.0
"""
measures.py: what is read out of a point's raw result, by name.

    vm.w.flush.sent     a statistic at the end (docs/statistics.md); with *, the sum of all that fit
    best:merge.saved    the most that it was in a sample; mean:, the mean of the samples; reached:,
                        seconds until a sample had nine tenths of the most
    bench.NAME          the guest's or the program's line "bench: NAME VALUE UNIT"
    bench.VM.NAME       of one VM of several; with *, the sum
    run.guest_seconds   the machine's time until the last VM has ended
    = a / b             arithmetic on other measures; min() and max()
"""
import ast
import fnmatch
import functools
import operator
import re

import figures_page
from words import nearest

BENCH = re.compile(r"^(?:([A-Za-z0-9_-]+)\| )?bench: (\w+) ([\d.]+) ?\S*", re.M)
OF_SAMPLES = ("best", "mean", "reached")
RUN = ("run.guest_seconds", "run.host_seconds")
NAME = re.compile(r"[a-z]\w*")
# A file of a VM that another line starts.
OF_VM = re.compile(r"[: ](for|image)=")
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
             ast.Div: operator.truediv}
FUNCTIONS = {"min": min, "max": max}


@functools.cache
def statistics():
    """The names of all statistics, as lists of parts; one in capitals is any word."""
    found = []
    for scope, rows in figures_page.scopes():
        prefixes = [figures_page.PREFIX[scope], figures_page.OF_ALL.get(scope)]
        found += [f"{prefix}{name}".split(".") for name, *_ in rows
                  for prefix in prefixes if prefix is not None]
    return found


def is_statistic(name):
    """Whether a name, perhaps with *, can be one of a statistic."""
    parts = name.split(".")
    return any(
        len(parts) == len(row) and all(
            mine == theirs or theirs.isupper() or "*" in mine and fnmatch.fnmatch(theirs, mine)
            for mine, theirs in zip(parts, row))
        for row in statistics())


def complaint(name, source, others):
    """What is wrong with a measure, or None."""
    if not NAME.fullmatch(name):
        return "the name of a measure is of small letters, digits and _"
    if not isinstance(source, str):
        return "a statistic's name, or \"= EXPRESSION\""
    if source.startswith("="):
        return complaint_of_expression(name, source[1:], list(others))
    kind, colon, statistic = source.partition(":")
    if colon and kind not in OF_SAMPLES:
        return f"{kind}: {nearest(kind, OF_SAMPLES)}"
    source = statistic if colon else source
    if source.startswith("bench.") and not colon or source in RUN and not colon:
        return None
    if not is_statistic(source):
        return f"{source}: {nearest(source, ['.'.join(row) for row in statistics()])[:200]}"
    return None


def other_vm(source, guests):
    """What is wrong with the NAME of vm.NAME, or None. guests: the lines of all guests."""
    vm = re.search(r"^(?:\w+:)?vm\.([^.*?\[]+)\.", source)
    names = [re.search(r"[: ]name=(\S+)", line) for line in guests if not OF_VM.search(line)]
    if not vm or None in names:
        return None
    names = [re.sub(r"\{[^}]*\}", "*", name[1]) for name in names]
    if any(fnmatch.fnmatchcase(vm[1], name) for name in names):
        return None
    return f"{vm[1]}: no guest has this name; {nearest(vm[1], names)}"


def complaint_of_expression(name, text, others):
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        return f"{text.strip()}: {error.msg}"
    before = others[:others.index(name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in [*before, *FUNCTIONS]:
            return f"{node.id}: no measure before this one; {nearest(node.id, before)}"
    try:
        evaluate(tree, dict.fromkeys(before, 1.0))
    except (TypeError, KeyError) as error:
        return f"{text.strip()}: {error}"
    return None


def evaluate(node, known):
    """The value of an expression; None where a part has none, or for a division by 0."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = evaluate(node.operand, known)
        return None if value is None else -value
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in FUNCTIONS:
        parts = [evaluate(each, known) for each in node.args]
        return None if None in parts else FUNCTIONS[node.func.id](parts)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = evaluate(node.left, known), evaluate(node.right, known)
        if None in (left, right) or isinstance(node.op, ast.Div) and right == 0:
            return None
        return OPERATORS[type(node.op)](left, right)
    raise TypeError("+ - * /, numbers, measures, min() and max()")


def bench_of(text):
    """{(vm or "", name): value} of the lines of guests and programs."""
    return {f"{vm}.{name}" if vm else name: float(value) for vm, name, value in BENCH.findall(text)}


def number(value):
    """An integer as one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value


def of_bench(bench, name):
    found = [value for key, value in bench.items()
             if fnmatch.fnmatchcase(key, name) or key.endswith("." + name)]
    return sum(found) if found else None


def of_statistic(stats, name):
    """A figure, or the sum of those that fit. A figure of a family that is 0 is left out there."""
    if "*" not in name:
        return stats.get(name, 0)
    values = [value for key, value in stats.items() if fnmatch.fnmatchcase(key, name)]
    return sum(value for value in values if isinstance(value, (int, float)))


def of_samples(raw, kind, name):
    values = [of_statistic(stats, name) for _, stats in raw["samples"]]
    if kind == "best":
        return max([*values, of_statistic(raw["stats"], name)])
    if kind == "reached":
        return next((time for (time, _), value in zip(raw["samples"], values)
                     if value >= 0.9 * max(values)), None)
    return sum(values) / len(values) if values else None


def of_source(raw, source):
    """The value of a name that is no expression."""
    if source.startswith("bench."):
        return of_bench(raw["bench"], source.removeprefix("bench."))
    if source.startswith("run."):
        return raw[source.removeprefix("run.")]
    kind, colon, statistic = source.partition(":")
    return of_samples(raw, kind, statistic) if colon else of_statistic(raw["stats"], source)


def of(spec, raw):
    """The measures of a point, by name; None for one without a value."""
    found = {}
    for name, source in spec.measures.items():
        if source.startswith("="):
            value = evaluate(ast.parse(source[1:].strip(), mode="eval").body, found)
        else:
            value = of_source(raw, source)
        found[name] = number(round(value, 6) if isinstance(value, float) else value)
    return found


def without_value(spec, rows, raws):
    """What to say of each measure of a line "bench:" that no point has."""
    printed = sorted({name.rpartition(".")[2] for raw in raws for name in raw["bench"]})
    for name, source in spec.measures.items():
        if source.startswith("bench.") and rows and all(row[name] is None for row in rows):
            hint = nearest(source.rpartition(".")[2], printed) if printed else "there is none"
            yield f"{name} = {source}: no point has this line; {hint}"
