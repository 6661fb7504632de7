# SPDX-License-Identifier: Apache-2.0
"""
runs.py: a boot on an emulated machine, for a task.

The nonce is the name of the VM, which stands before each line of the guest: @ in modules and in the
expressions of lab.toml. The student's code cannot write such a line: build.trespasses() keeps
console_write() from it, and log lines begin with their time.
"""
import os
import re
import secrets

from course import build, table
import machine

MACHINE = os.path.join(build.PLACE, "machine")
PANIC = r"^panic|CHECK failed|\| not ok\b"


def targets(run):
    """What the machine build makes for a run."""
    return ["samepage.elf32" if run.machine.startswith("qemu") else "samepage.elf",
            *(module.split()[0] for module in run.modules)]


def complaint(run, text, ending, nonce):
    """What is wrong with the serial text, or None."""
    lines, at = text.split("\n"), 0
    for pattern in [PANIC, *run.forbid]:
        bad = next((line for line in lines if re.search(pattern, line)), None)
        if bad is not None:
            return bad.replace(nonce, "guest")
    for pattern in (pattern.replace("@", nonce) for pattern in run.expect):
        while at < len(lines) and not re.search(pattern, lines[at]):
            at += 1
        if at == len(lines):
            last = next((line for line in reversed(lines) if line.strip()), "nothing")
            return (f"no line matches {pattern}; the last one is: {last}").replace(nonce, "guest")
    return None if ending == "ok" else f"the machine ended with {ending}"


def run(row):
    """Boots it: (passed, what was seen)."""
    nonce = "g" + secrets.token_hex(5)
    modules = []
    for module in row.modules:
        file, _, words = module.partition(" ")
        modules.append((os.path.join(MACHINE, file), words.replace("@", nonce)))
    cpus = row.cpus
    if row.guest_cpus:
        cpus = row.guest_cpus + machine.kept_free(row.machine, row.guest_cpus)
    icount = row.icount and row.machine.startswith("qemu")
    try:
        with machine.start(machine.Setup(machine=row.machine, build=MACHINE, modules=modules,
                                         cpus=cpus, memory=row.memory, cmdline=row.cmdline,
                                         icount=icount)) as session:
            ending = session.wait(row.timeout)
            bad = complaint(row, session.serial(), ending, nonce)
    except machine.MachineError as error:
        raise table.LabError(str(error)) from None
    return bad is None, bad or ""
