# SPDX-License-Identifier: Apache-2.0
"""
experiments.py: the small set of experiments with their recorded counts, a sweep; and points as jobs
of Slurm, in a long run.
"""
import os
import re

from runner import core, slurm

PACKAGES = ("report", "experiment", "qemu", "bochs", "bench", "unit")


def quick():
    """Every exact count of --quick is as recorded."""
    run = os.path.join(core.ROOT, "run")
    return core.of_command("experiment/quick", [run, "experiment", "--all", "--quick", "--check"])


def sweep():
    """An experiment without a file: a row for each point is printed."""
    name = "experiment/sweep"
    status, output = core.command([os.path.join(core.ROOT, "run"), *slurm.SWEEP])
    rows = re.findall(r"^(16|32),\d+$", output, re.M)
    if status or rows != ["16", "32"]:
        return core.failed(name, f"status {status}\n{output}")
    return core.passed(name)


def tests(long):
    return [
        core.Test("experiment/sweep", sweep, {"default": core.ALL}, PACKAGES),
        core.Test("experiment/quick", quick, {"default": core.ALL}, PACKAGES),
        core.Test(slurm.NAME, slurm.run, {"default": core.ALL}, slurm.PACKAGES, extra=not long),
    ]
