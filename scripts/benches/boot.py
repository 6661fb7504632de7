# SPDX-License-Identifier: Apache-2.0
"""
boot.py: from the kernel's entry to the first guest's, by phase, in instructions: machines of 1, 4
and 64 GiB on QEMU under -icount.

The figures are the control channel's (machine.boot.*). The console is silent, since each character
takes time that has nothing to do with the start.
"""
import os

import builder
import machine
from benches import common
from output import say

SIZES = [1, 4, 64]  # GiB
PHASES = ["entry", "loader", "cpu", "paging", "apic", "cpus", "virt", "vms", "start", "guest"]


def boot_once(where, gib):
    """{phase: instructions} of a machine of so many GiB."""
    ending, found, _ = common.figures_of(machine.Setup(
        build=where,
        icount=True,
        memory=gib << 10,
        cmdline="log=error",
        modules=[(os.path.join(where, "guest", "hello.elf"), "name=hello memory=16M")],
        extra=["-object", f"memory-backend-ram,id=ram,size={gib}G,reserve=off",
               "-machine", "memory-backend=ram"],
    ))
    if ending != "ok":
        raise machine.MachineError(f"{gib} GiB: ended with {ending}")
    return {phase: found.figure(f"machine.boot.{phase}") for phase in PHASES}


def boot(folder):
    builder.need("qemu")
    where = builder.build("default")
    rows = []
    for gib in SIZES:
        say(f"booting {gib} GiB ...")
        ticks = boot_once(where, gib)
        ticks["all"] = sum(ticks.values())
        rows += [{"name": f"boot_{phase}", "value": value, "unit": "instructions",
                  "setting": f"{gib} GiB"} for phase, value in ticks.items()]
    common.show(rows)
    common.keep(folder, "boot", rows)
