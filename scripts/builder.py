# SPDX-License-Identifier: Apache-2.0
"""
builder.py: what must be there before a run: Debian packages, and a build.
"""
import os
import subprocess
import sys
import time

import locks
import machine
from output import Stop, detail, progress, say

FOLDER = os.path.join(machine.ROOT, "build")
FOLDERS = {"default": "build", "debug": "build-debug", "asan": "build-host", "bench": "build-bench",
           "ways": "build-ways"}


def need(*purposes):
    """Installs, or names, the packages of a purpose; scripts/packages.sh prints the command."""
    script = os.path.join(machine.ROOT, "scripts", "packages.sh")
    if subprocess.run([script, *purposes], check=False).returncode:
        sys.exit(1)


def watch(command):
    """
    Runs a build step; on a terminal its [12/97] is shown as it moves. Returns (status, output).
    """
    detail(" ".join(command))
    lines = []
    with subprocess.Popen(
        command,
        cwd=machine.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("["):
                progress(f"    {line.split(']')[0]}] ")
    progress("")
    return process.returncode, "".join(lines)


def alone():
    """One build of this tree at a time, of ./run and of ./test."""
    return locks.held(
        os.path.join(machine.ROOT, "build", "lock"),
        lambda: say("waiting for another build of this tree ..."),
    )


def build(preset, targets=()):
    """
    Configures when there is no build yet, and builds. Returns the folder. The output of the
    compiler is shown only after a failure.
    """
    where = os.path.join(machine.ROOT, FOLDERS[preset])
    need("base", "gcc")
    steps = [["cmake", "--build", where, *[word for target in targets for word in ("-t", target)]]]
    if not os.path.exists(os.path.join(where, "build.ninja")):
        steps.insert(0, ["cmake", "--preset", preset])
    say(f"building in {os.path.relpath(where, machine.ROOT)}/ ...")
    started = time.monotonic()
    with alone():
        for step in steps:
            status, output = watch(step)
            if status:
                raise Stop(f"{' '.join(step)} failed:\n{output}")
    say(f"built in {time.monotonic() - started:.0f} s")
    return where
