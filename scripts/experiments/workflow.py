# SPDX-License-Identifier: Apache-2.0
"""
workflow.py: Snakemake over the points that have no result.

A job's output is points/KEY.json, which is written under another name, synced and renamed. So a
point that is there is whole, whatever ended the run before; Snakemake's own lock and its marks of
incomplete files are not used. A failed point leaves KEY.failed, and the others go on
(--keep-going).
"""
import contextlib
import os
import signal
import subprocess
import sys

import locks
import machine
import processes
from experiments import store
from output import State, VERBOSE, detail, progress, say, warn

HERE = os.path.dirname(os.path.abspath(__file__))
JOB = os.path.join(HERE, "job.py")
POLL = 0.5
CANCEL_SECONDS = 5
# Jobs at a time that a cluster is given.
CLUSTER_JOBS = 100
PYTHON = "/usr/bin/python3"
SBATCH = "sbatch --parsable --job-name=samepage --output=slurm-%j.out"


def command(plan, jobs, slurm):
    line = ["snakemake", "--snakefile", os.path.join(HERE, "Snakefile"), "--directory",
            store.FOLDER, "--keep-going", "--nolock", "--rerun-incomplete", "--rerun-triggers",
            "mtime", "--config", f"plan={plan}", f"python={PYTHON}", f"job={JOB}"]
    if not slurm:
        return [*line, "--cores", str(jobs)]
    status = os.path.join(HERE, "slurm_status.py")
    return [*line, "--jobs", str(jobs), "--latency-wait", "20", "--cluster", SBATCH,
            "--cluster-status", f"{PYTHON} {status}", "--cluster-cancel", "scancel",
            "--max-status-checks-per-second", "2"]


def have(keys):
    return sum(os.path.exists(store.path("points", f"{key}.json")) for key in keys)


def follow(process, keys, output):
    """Waits for the end; shows how many points are there."""
    while True:
        try:
            process.wait(POLL)
            progress("")
            return
        except subprocess.TimeoutExpired:
            progress(f"    {have(keys)} of {len(keys)} points ")
            if State.level >= VERBOSE:
                detail(tail(output, 1))


def cancel(process):
    """Ends Snakemake, which takes its jobs out of a queue, and all below it."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(CANCEL_SECONDS)
    processes.end_all()


def tail(path, count):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "\n".join(file.read().splitlines()[-count:])


def run(points, jobs=None, slurm=False):
    """Runs what has no result. Returns the points that have none after it."""
    keys = list(dict.fromkeys(point.key for point in points))
    missing = store.missing(keys)
    say(f"{len(keys)} points, {len(keys) - len(missing)} of them with a result")
    if missing:
        os.makedirs(store.path("points"), exist_ok=True)
        with locks.held(store.path("lock"), lambda: say("waiting for another experiment ...")):
            start(missing, jobs, slurm)
    left = store.missing(keys)
    failed = [point for point in points if point.key in left]
    for point in failed:
        reason = store.failure(point.key) or "no result"
        warn(f"{point}: {reason.splitlines()[0]}; all of it: build/experiments/points/"
             f"{point.key}.failed")
    return failed


def start(missing, jobs, slurm):
    """Snakemake, with its output in snakemake.log."""
    plan, output = store.path(f"plan-{os.getpid()}"), store.path("snakemake.log")
    with open(plan, "w", encoding="ascii") as file:
        file.write("\n".join(missing))
    line = command(plan, jobs or (CLUSTER_JOBS if slurm else os.cpu_count()), slurm)
    detail(" ".join(line))
    environment = {**os.environ, "PYTHONPATH": "", "HOME": os.environ.get("HOME", "/tmp"),
                   "XDG_CACHE_HOME": store.path("cache")}
    try:
        with open(output, "wb") as log:
            with subprocess.Popen(line, cwd=machine.ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, env=environment) as process:
                try:
                    follow(process, missing, output)
                except BaseException:	# Ctrl-C: what is there stays, the rest ends
                    cancel(process)
                    raise
    finally:
        os.unlink(plan)
    if process.returncode and not any(store.failure(key) for key in missing):
        print(tail(output, 30), file=sys.stderr)
