# SPDX-License-Identifier: Apache-2.0
"""
rows.py: the rows of an experiment: {axis: text, measure: number or None}, a row for each point.
"""
import csv
import io

from experiments import measures

FREE = ("seed", "repeat")


def of(spec, points, results):
    """The rows of the points with a result. `results`: {key: raw}."""
    return [{**point.axes, **measures.of(spec, results[point.key])}
            for point in points if point.key in results]


def text_of(value):
    return "" if value is None else str(value)


def as_csv(spec, rows):
    names = [*spec.axes(), *spec.measures]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([text_of(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def from_csv(spec, text):
    """The rows of a text of as_csv(); a cell without a value is None."""
    def value(name, cell):
        if name not in spec.measures:
            return cell
        return measures.number(float(cell)) if cell else None

    found = []
    for row in csv.DictReader(io.StringIO(text)):
        kept = {name: value(name, cell) for name, cell in row.items()
                if cell or name in spec.measures}
        found.append(kept)
    return found


def axes_of(spec, row):
    """What names a row."""
    return tuple((axis, row[axis]) for axis in spec.axes() if row.get(axis))


def is_in(row, where):
    """Whether a row has the values; a list is one of them."""
    return all(row.get(axis) in ([str(each) for each in value] if isinstance(value, list)
                                 else [str(value)])
               for axis, value in where.items())


def groups(rows, axes, measure):
    """
    {values of the axes: (mean, least, most)} of a measure: over seeds, repeats and other axes.
    """
    found = {}
    for row in rows:
        if row.get(measure) is not None and all(axis in row for axis in axes):
            found.setdefault(tuple(row[axis] for axis in axes), []).append(row[measure])
    return {key: (sum(each) / len(each), min(each), max(each)) for key, each in found.items()}


def order(values):
    """Numbers in their order, else as they came."""
    values = list(dict.fromkeys(values))
    try:
        return sorted(values, key=float)
    except ValueError:
        return values


def shown(value):
    """A number as a table has it."""
    if value is None:
        return ""
    if isinstance(value, float) and abs(value) < 1000 and not value.is_integer():
        return f"{value:.3g}"
    return f"{value:,.0f}"
