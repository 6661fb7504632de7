# SPDX-License-Identifier: Apache-2.0
"""
guests.py: the guests that ./run boots: by name, from a file, and the main job.
"""
import os

import linux
from output import Stop

# Guests by name: a file of the build's guest/, and the VM it becomes.
GUESTS = {
    "hello": "hello.elf name=hello memory=16M arg=hello from the command line",
    "exits": "exits.elf name=exits memory=16M",
    "memory": "memory.elf name=memory test_calls=yes memory=64M",
    "smp": "smp.elf name=smp memory=16M vcpus=2",
    "real": "real.bin name=real memory=2M type=real",
    "fpu": "fpu.elf name=fpu memory=16M arg=seed=1 rounds=40",
    "hostile": "hostile.elf name=hostile test_calls=yes memory=16M arg=triple",
}

# The main job: two Debian Linux guests that work on the same files while their pages are merged.
LINUX = "linux/cloud:name={0} memory=192M merge=1 type=linux console=16M " \
        "arg=console=ttyS0 quiet tsc=reliable"
MAIN_JOB = [
    LINUX.format("one"),
    "linux/work.initrd:for=one",
    LINUX.format("two"),
    "linux/work.initrd:for=two",
]
MAIN_MEMORY = 768
MAIN_CPUS = 2


def modules_of(where, names):
    """The boot modules for guests by name, or for FILE:COMMAND LINE."""
    found = []
    for name in [guest for name in names for guest in (GUESTS if name == "all" else [name])]:
        file, _, cmdline = name.partition(":")
        if name in GUESTS:
            file, _, cmdline = GUESTS[name].partition(" ")
            file = os.path.join(where, "guest", file)
        if linux.provides(file):
            file = linux.provide(file)
        if not os.path.exists(file):
            raise Stop(
                f"--guest {name}: there is no {file}; guests by name are {', '.join(GUESTS)}"
            )
        found.append((file, cmdline))
    return found
