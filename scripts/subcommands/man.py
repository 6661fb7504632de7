# SPDX-License-Identifier: Apache-2.0
"""
man.py: ./run man makes a manual page of what --help prints, by help2man.
"""
import os
import subprocess

import builder
import machine
from output import QUIET, Stop, say

SUMMARY = "make a manual page, for man build/samepage-run.1"
PAGE = os.path.join(machine.ROOT, "build", "samepage-run.1")
TITLE = "build and boot Samepage on an emulated machine"


def arguments(_):
    pass


def main(_):
    builder.need("man")
    os.makedirs(os.path.dirname(PAGE), exist_ok=True)
    command = ["help2man", "--no-info", f"--name={TITLE}", f"--output={PAGE}", "./run"]
    done = subprocess.run(command, cwd=machine.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"help2man failed\n{done.stderr}")
    say(f"man {os.path.relpath(PAGE, os.getcwd())}", QUIET)
    return 0
