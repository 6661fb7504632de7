# SPDX-License-Identifier: Apache-2.0
"""
subcommands: what ./run can do, a module each.

A module has SUMMARY (a line for --help), arguments(parser), which adds its options, and
main(options), which returns the exit status. Packages that not every computer has are imported in
main(), after builder.need().
"""
from subcommands import bench, boot, completion, ctl, experiment, man, sweep, top, trace

COMMANDS = {
    "run": boot,
    "bench": bench,
    "experiment": experiment,
    "sweep": sweep,
    "ctl": ctl,
    "top": top,
    "completion": completion,
    "man": man,
    "trace": trace,
}
DEFAULT = "run"
