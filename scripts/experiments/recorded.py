# SPDX-License-Identifier: Apache-2.0
"""
recorded.py: experiments/NAME/expected.csv, the recorded rows of an experiment.

--record writes it, --check compares: a count of an exact point is as recorded, but for what
[tolerance] allows: a share of the recorded value (0.05), or a count (2). Points that are not exact
are recorded for the figures alone.
"""
import os

from experiments import rows as of_rows

FILE = "expected.csv"


def read(spec):
    """The recorded rows; none without a file."""
    try:
        with open(spec.file(FILE), encoding="utf-8") as file:
            return of_rows.from_csv(spec, file.read())
    except FileNotFoundError:
        return []


def write(spec, rows):
    """Records rows; those of other points stay, in the order of the matrix."""
    from experiments import points

    if not rows:
        return
    kept = {of_rows.axes_of(spec, row): row for row in [*read(spec), *rows]}
    order = [of_rows.axes_of(spec, point.axes) for point in points.of(spec)]
    text = of_rows.as_csv(spec, [kept[axes] for axes in order if axes in kept])
    with open(spec.file(FILE) + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(spec.file(FILE) + ".part", spec.file(FILE))


def differs(spec, name, value, expected):
    if None in (value, expected):
        return value is not expected
    allowed = spec.tolerance.get(name, 0)
    if isinstance(allowed, float):
        allowed *= abs(expected)
    return abs(value - expected) > allowed + 1e-6


def check(spec, points, rows):
    """The complaints about exact points."""
    known = {of_rows.axes_of(spec, row): row for row in read(spec)}
    exact = {of_rows.axes_of(spec, point.axes): point for point in points if point.exact()}
    for row in rows:
        axes = of_rows.axes_of(spec, row)
        if axes not in exact:
            continue
        if axes not in known:
            yield f"{spec.name}: {exact[axes]}: not recorded; --record does"
            continue
        for name in spec.measures:
            value, expected = row[name], known[axes].get(name)
            if differs(spec, name, value, expected):
                yield (f"{spec.name}: {exact[axes]}: {name} is {of_rows.text_of(value)}, recorded "
                       f"{of_rows.text_of(expected)}")
