#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
slurm_status.py: the state of a Slurm job as Snakemake has it: running, success or failed.

squeue has the jobs that wait or run, and scontrol those that ended less than MinJobAge ago; neither
needs an accounting database.

Usage: slurm_status.py JOB
"""
import re
import subprocess
import sys

RUNS = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING",
        "STAGE_OUT", "SIGNALING"}


def state_of(text):
    """JobState of scontrol's line, without what follows, such as 'by 0'."""
    found = re.search(r"\bJobState=(\w+)", text)
    return found[1] if found else ""


def status(state):
    if state in RUNS:
        return "running"
    return "success" if state == "COMPLETED" else "failed"


def main():
    command = ["scontrol", "--oneliner", "show", "job", sys.argv[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "Invalid job id" not in done.stderr:
        print("running")	# the controller does not answer
        return 0
    print(status(state_of(done.stdout)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
