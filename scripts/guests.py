# SPDX-License-Identifier: Apache-2.0
"""
guests.py: the guests that ./run boots: by name, from a file, and the main job.
"""
import difflib
import os

import linux
import machine
import words
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

# Debian with systemd on a disk. With job=poweroff on its line it says what it is and powers off.
DEBIAN = ("linux/cloud:name=debian memory=256M type=linux console=16M disk=debian rng=yes "
          "arg=console=ttyS0 quiet tsc=reliable")
DEBIAN_FILES = ["linux/root.initrd:for=debian", "linux/debian.img:image=debian"]
# A BIOS that boots iPXE from a disk; it comes up with a network of its own.
IPXE = ["linux/bios:name=ipxe memory=64M type=bios disk=ipxe net=lan", "linux/ipxe.iso:image=ipxe"]
# Guests by name of several modules.
SEVERAL = {
    "ipxe": IPXE,
    "debian": [DEBIAN + " job=poweroff", *DEBIAN_FILES],
    "debian-login": [DEBIAN, *DEBIAN_FILES],
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

# Before the file of a guest that the build makes.
IN_BUILD = "guest:"

# Guests that end otherwise than by shutting down, on purpose.
ENDS = {"hostile": "triple_fault"}


def expand(names):
    """The (file, command line) of guests by name, or of FILE:COMMAND LINE."""
    names = [guest for name in names for guest in (GUESTS if name == "all" else [name])]
    for name in [guest for name in names for guest in SEVERAL.get(name, [name])]:
        file, _, cmdline = name.partition(":")
        if name in GUESTS:
            file, _, cmdline = GUESTS[name].partition(" ")
            file = IN_BUILD + file
        yield file, cmdline


def is_built(file):
    """Whether the build makes the file."""
    return file.startswith(IN_BUILD) or os.path.abspath(file).startswith(machine.ROOT + "/build")


def check_file(file):
    """The complaints about the file of a guest."""
    if is_built(file) or linux.provides(file) or os.path.isfile(file):
        return []
    if os.path.isdir(file):
        return [f"{file}: a folder, not a file"]
    if "/" not in file and "." not in file:
        return [f"{file}: {words.nearest(file, [*GUESTS, *SEVERAL, 'all'])}"]
    if file.startswith("linux/"):
        return [f"{file}: {words.nearest(file, linux.names())}"]
    near = difflib.get_close_matches(os.path.basename(file), beside(file), 1)
    return [f"{file}: there is no such file" + (f"; did you mean {near[0]}?" if near else "")]


def beside(file):
    """The names in the folder of a file."""
    try:
        return os.listdir(os.path.dirname(file) or ".")
    except OSError:
        return []


def check_names(lines):
    """The complaints about names that are given twice, and modules of a VM that is not there."""
    images = [line["image"] for line in lines if "image" in line]
    lines = [line for line in lines if "image" not in line]
    names = [line["name"] for line in lines if "name" in line and "for" not in line]
    complaints = [
        f"name={name}: two guests have this name" for name in names if names.count(name) > 1
    ]
    complaints += [
        f"for={line['for']}: no guest has this name; {words.nearest(line['for'], names)}"
        for line in lines
        if line.get("for", names[0] if names else "") not in names
    ]
    complaints += [
        f"disk={line['disk']}: no image has this name; {words.nearest(line['disk'], images)}"
        for line in lines
        if line.get("disk", images[0] if images else "") not in (*images, "")
    ]
    return list(dict.fromkeys(complaints))


def check(names, cpus):
    """The complaints about guests, before anything is built."""
    found = list(expand(names))
    complaints = []
    for file, cmdline in found:
        complaints += check_file(file) or [
            f"{file}: {text}" for text in words.check_vm(cmdline, cpus)
        ]
    return complaints or check_names([words.parse_vm(cmdline) for _, cmdline in found])


def vms(names):
    """The words of each VM, without the modules."""
    lines = [words.parse_vm(cmdline) for _, cmdline in expand(names)]
    return [line for line in lines if "for" not in line and "image" not in line]


def modules_of(where, names):
    """The boot modules of guests, after the build."""
    found = []
    for file, cmdline in expand(names):
        if file.startswith(IN_BUILD):
            file = os.path.join(where, "guest", file.removeprefix(IN_BUILD))
        elif linux.provides(file):
            file = linux.provide(file)
        if not os.path.isfile(file):
            raise Stop(f"{file}: there is no such file")
        found.append((file, cmdline))
    return found
