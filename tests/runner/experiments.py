# SPDX-License-Identifier: Apache-2.0
"""
experiments.py: the small set of experiments with their recorded counts; and points as jobs of
Slurm, in a long run.
"""
import os

from runner import core, slurm

PACKAGES = ("report", "experiment", "qemu", "bochs", "bench", "unit")


def quick():
    """Every exact count of --quick is as recorded."""
    run = os.path.join(core.ROOT, "run")
    return core.of_command("experiment/quick", [run, "experiment", "--all", "--quick", "--check"])


def tests(long):
    return [
        core.Test("experiment/quick", quick, {"default": core.ALL}, PACKAGES),
        core.Test(slurm.NAME, slurm.run, {"default": core.ALL}, slurm.PACKAGES, extra=not long),
    ]
