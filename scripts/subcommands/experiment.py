# SPDX-License-Identifier: Apache-2.0
"""
experiment.py: ./run experiment NAME: a question of experiments/, answered by points that Snakemake
runs; leaves a results folder (docs/experiments.md).
"""
import hashlib
import os
import shlex

import builder
import machine
import provenance
import results
from output import QUIET, Stop, fail, plain, result, say, warn
from words import nearest

SUMMARY = "run an experiment of experiments/: points of a matrix, figures, a page"


def arguments(parser):
    from experiments import spec

    option = parser.add_argument("names", nargs="*", metavar="NAME",
                                 help="a folder of experiments/")
    option.completer = lambda **_: spec.names()
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--list", action="store_true", help="print them with their questions")
    parser.add_argument("--quick", action="store_true",
                        help="the points of [quick] alone, which take seconds")
    parser.add_argument("--check", action="store_true",
                        help="compare exact counts with expected.csv and draw nothing; status 1 "
                        "if one differs")
    parser.add_argument("--record", action="store_true", help="write expected.csv")
    parser.add_argument("--jobs", type=int, metavar="N", help="points at a time; default: the CPUs")
    parser.add_argument("--slurm", action="store_true", help="run the points as jobs of Slurm")
    parser.add_argument("--shard", metavar="I/N", help="the I-th of N parts of the points alone")
    parser.add_argument("--only", action="append", metavar="AXIS=V1,V2",
                        help="the points with these values alone; may be given several times")
    parser.add_argument("--merge", nargs="+", metavar="FOLDER",
                        help="run nothing: one result of the folders of several machines")


def check_options(options):
    from experiments import spec

    if not options.names and not options.all:
        raise Stop("NAME, --all or --list is missing")
    if options.all and options.names:
        raise Stop("--all and a name")
    if (options.merge or options.shard or options.only) and len(options.names) != 1:
        raise Stop("--merge, --shard and --only take one NAME")
    if options.jobs is not None and options.jobs < 1:
        raise Stop("--jobs is at least 1")
    return options.names or spec.names()


def listed():
    from experiments import points, spec

    for name in spec.names():
        found = spec.load(name)
        plain(f"{name:16} {len(points.of(found)):>4} points, {len(points.of(found, True)):>3} quick"
              f"  {found.title}")
    return 0


def shard_of(points, text):
    """The I-th of N parts: every N-th point."""
    first, slash, count = text.partition("/")
    if not (slash and first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise Stop(f"--shard {text}: I/N, as in 1/4")
    return points[int(first) - 1 :: int(count)]


def only(found, points, texts):
    """The points with the values of AXIS=V1,V2 ..."""
    axes = found.axes()
    for text in texts:
        axis, equal, values = text.partition("=")
        if axis not in axes or not equal:
            raise Stop(f"--only {text}: AXIS=V1,V2; {nearest(axis, axes)}")
        points = [point for point in points if point.axes.get(axis) in values.split(",")]
        if not points:
            raise Stop(f"--only {text}: no point has it")
    return points


def purposes(points):
    machines = {point.boot["machine"] for point in points if not point.boot["program"]}
    bochs = machines & set(machine.BOCHS_MODELS)
    return [*(["bochs"] if bochs else []), *(["qemu"] if machines - bochs else []),
            *(["bench", "unit"] if any(point.boot["program"] for point in points) else [])]


def again(name, options):
    """The command that makes this result."""
    words = [f"--{word}" for word in ("quick", "slurm") if getattr(options, word)]
    words += [f"--only {shlex.quote(text)}" for text in options.only or []]
    return " ".join(["./run experiment", name, *words])


def manifest_of(found, points, again_by):
    """What made the result."""
    emulators = [tool for tool in ("qemu", "bochs") if tool in purposes(points)]
    made = provenance.manifest(f"experiment-{found.name}", builder.FOLDER, emulators)
    return {**made, "experiment": found.name, "again": again_by,
            "spec": hashlib.sha256(found.text.encode()).hexdigest(),
            "points": [{"key": point.key, "axes": point.axes} for point in points]}


def load(options, names):
    """[(experiment, its points)]; all complaints before anything is built."""
    from experiments import points, spec

    found = []
    for name in names:
        one = spec.load(name)
        chosen = only(one, points.of(one, options.quick), options.only or [])
        found.append((one, shard_of(chosen, options.shard) if options.shard else chosen))
    return found


def keep(found, points, failed, manifest, with_figures=True):
    """The results folder; its rows, {key: raw} and its path."""
    from experiments import outcome, store

    have = {point.key: store.result(point.key) for point in points if point not in failed}
    with results.Folder(f"experiment-{found.name}") as folder:
        lines = [f"failed: {point}" for point in failed]
        rows = outcome.write(folder, found, points, have, manifest, lines, with_figures)
    return rows, have, folder


def warn_of_silence(found, rows, have):
    """Names the measures that no point has. have: {key: raw}."""
    from experiments import measures

    for text in measures.without_value(found, rows, have.values()):
        warn(text)


def compare(options, found, points, rows, results_of):
    """--check and --record: the complaints. results_of: {key: raw}."""
    from experiments import recorded, timelines

    if options.record:
        recorded.write(found, rows)
        timelines.write(found, points, results_of)
    return list(recorded.check(found, points, rows)) if options.check else []


def merge(options, found):
    from experiments import outcome, points

    one, all_points = found, points.of(found)
    have, parts = outcome.merged(one, all_points, options.merge)
    missing = [point for point in all_points if point.key not in have]
    if missing:
        warn(f"{len(missing)} of {len(all_points)} points are in none of the folders")
    with results.Folder(f"experiment-{one.name}") as folder:
        manifest = {**parts[0], "parts": parts, "again": " ".join(
            ["./run experiment", one.name, "--merge", *options.merge])}
        rows = outcome.write(folder, one, all_points, have, manifest, [])
        complaints = compare(options, one, all_points, rows, have)
    return end(complaints, [folder], rows)


def end(complaints, folders, rows):
    for text in complaints:
        fail(text)
    for folder in folders:
        page = folder.file("report.html")
        say(f"results: {os.path.relpath(page if os.path.exists(page) else folder.path)}", QUIET)
    result({"folders": [folder.path for folder in folders], "complaints": complaints,
            "rows": rows})
    return 1 if complaints else 0


def main(options):
    from experiments import spec, store, workflow

    if options.list:
        return listed()
    names = check_options(options)
    builder.need("report", "experiment")
    if options.merge:
        return merge(options, spec.load(names[0]))
    found = load(options, names)
    every = [point for _, points in found for point in points]
    builder.need(*purposes(every), *(["slurm"] if options.slurm else []))
    store.prepare(every)
    failed = workflow.run(every, options.jobs, options.slurm)
    complaints, folders, all_rows = [f"failed: {point}" for point in failed], [], {}
    for one, points in found:
        if not points:
            continue
        missing = [point for point in points if point in failed]
        manifest = manifest_of(one, points, again(one.name, options))
        rows, have, folder = keep(one, points, missing, manifest, with_figures=not options.check)
        complaints += compare(options, one, points, rows, have)
        if not (options.only or options.shard):
            warn_of_silence(one, rows, have)
        folders.append(folder)
        all_rows[one.name] = rows
    return end(complaints, folders, all_rows)
