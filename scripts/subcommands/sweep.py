# SPDX-License-Identifier: Apache-2.0
"""
sweep.py: ./run sweep WORD=V1,V2 ...: an experiment without a file, with CSV and a plot.
"""
import builder
import guests
import machine
from output import Stop, plain
from subcommands import experiment

SUMMARY = "run every combination of words' values; CSV and a plot"
WORKLOAD = ("build/guest/workload.elf:name=w memory=12M merge=1 merge_control=yes "
            "arg=pages=1024 share=50 contents=64 writes=20 rounds=2")
WORKLOAD_LINE = "merge=hash merge_ms=60000"
MEASURES = {
    "exits": "vm.*.exits.*",
    "faults": "vm.*.exits.stage2",
    "flushes": "vm.*.flush.sent",
    "waits": "vm.*.flush.waited",
    "merged": "merge.merged",
    "breaks": "merge.breaks",
    "saved": "best:merge.saved",
}


def arguments(parser):
    parser.add_argument("words", nargs="+", metavar="WORD=V1,V2",
                        help="a word of the hypervisor's command line, vm.WORD of each VM, "
                        "arg.NAME of each guest, or machine, cpus, memory; a comma separates "
                        "values")
    parser.add_argument("--guest", action="append", metavar="NAME|FILE:CMDLINE",
                        help="as for ./run; default: the workload guest")
    parser.add_argument("--measure", action="append", metavar="[NAME=]STATISTIC",
                        help="a statistic (docs/statistics.md), with * for a sum, or bench.NAME; "
                        f"default: {', '.join(MEASURES)}")
    parser.add_argument("--machine", default="qemu-tcg", choices=machine.MACHINES, metavar="NAME")
    parser.add_argument("--cpus", type=int, default=1, metavar="N")
    parser.add_argument("--memory", type=int, default=128, metavar="MIB")
    parser.add_argument("--cmdline", default="", metavar="TEXT")
    parser.add_argument("--no-icount", action="store_true",
                        help="QEMU's CPUs run freely: the counts are not exact")
    parser.add_argument("--repeats", type=int, default=1, metavar="N")
    parser.add_argument("--jobs", type=int, metavar="N", help="points at a time; default: the CPUs")
    parser.add_argument("--slurm", action="store_true", help="run the points as jobs of Slurm")


def measures_of(options):
    found = {}
    for text in options.measure or []:
        name, equal, source = text.partition("=")
        source = source if equal else name
        found[name if equal else source.strip(".*").split(".")[-1].replace("*", "")] = source
    return found or MEASURES


def matrix_of(options):
    found = {}
    for text in options.words:
        name, equal, values = text.partition("=")
        if not (equal and values):
            raise Stop(f"{text}: WORD=V1,V2")
        found[name] = values.split(",")
    return found


def figures_of(matrix, measures):
    """A figure for each measure: over the last axis, a series for each value of the one before."""
    axes = [axis for axis, values in matrix.items() if len(values) > 1] or list(matrix)
    numeric = all(value.replace(".", "", 1).isdigit() for value in matrix[axes[-1]])
    series = {"series": axes[-2]} if len(axes) > 1 else {}
    return [{"name": name.replace("_", "-"), "title": name, "kind": "line" if numeric else "bar",
             "x": axes[-1], "y": name, **series} for name in measures]


def spec_of(options):
    from experiments import spec

    found = spec.Spec("sweep", title=f"sweep of {', '.join(options.words)}")
    matrix, measures = matrix_of(options), measures_of(options)
    icount = not options.no_icount and options.cpus == 1 and "cpus" not in matrix
    line = options.cmdline if options.guest else f"{WORKLOAD_LINE} {options.cmdline}"
    table = {
        "title": found.title,
        "repeats": options.repeats,
        "boot": {"machine": options.machine, "cpus": options.cpus, "memory": options.memory,
                 "icount": icount, "cmdline": line, "guests": options.guest or [WORKLOAD],
                 "samples": any(source.startswith(("best:", "mean:"))
                                for source in measures.values())},
        "points": [matrix],
        "measures": measures,
        "figures": figures_of(matrix, measures),
    }
    complaints = list(spec.fill(found, table))
    if complaints:
        raise spec.SpecError(*complaints)
    return found


def main(options):
    from experiments import points, rows as of_rows, store, workflow

    builder.need("report", "experiment")
    guests.check(options.guest or [], options.cpus)
    found = spec_of(options)
    chosen = points.of(found)
    builder.need(*experiment.purposes(chosen), *(["slurm"] if options.slurm else []))
    store.prepare(chosen)
    failed = workflow.run(chosen, options.jobs, options.slurm)
    command = " ".join(["./run sweep", *options.words])
    rows, have, folder = experiment.keep(found, chosen, failed,
                                         experiment.manifest_of(found, chosen, command))
    experiment.warn_of_silence(found, rows, have)
    plain(of_rows.as_csv(found, rows))
    return experiment.end([f"failed: {point}" for point in failed], [folder], rows)
