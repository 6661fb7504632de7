# SPDX-License-Identifier: Apache-2.0
"""
disks.py: two Linux guests that read one image: by a disk, with the scanner alone and with each kind
of I/O hint, and by persistent memory, where nothing of the image is left to merge.

One machine with one CPU that counts instructions as time (QEMU under -icount), so that two runs
give the same. Each guest reads 24 MiB of files, waits for a second and reads them again.

    seconds       of the machine, until both have ended
    saved_mean    MiB saved over that time
    saved_best    MiB saved at best
    best_at       seconds until nine tenths of the best were saved
    frames_mean   MiB of guest frames over that time
    frames_best   MiB of them at most
    passes        of the scanner
    scanned       pages that it read
    merged        pages; looked, mapped: pages hinted at, backed by the image's frame
    exits         of both guests; faults: of their second level; breaks: of shared pages
"""
import re

import builder
import facts
import guests
import machine
from benches import common
from output import say

MIB = 1 << 20
PAGE = 4096
TIMEOUT = 600
MEMORY = 384
VMS = ("one", "two")
# What is named base, and the machine's own words.
SETTINGS = {
    "no merging": ("disk=base", "merge=off"),
    "hints off": ("disk=base disk_hints=off", ""),
    "hints scan": ("disk=base disk_hints=scan", ""),
    "hints known": ("disk=base disk_hints=known", ""),
    "pmem": ("pmem=base", ""),
}
UNITS = {"seconds": "s", "best_at": "s", "saved_mean": "MiB", "saved_best": "MiB",
         "frames_mean": "MiB", "frames_best": "MiB"}
HINTED = re.compile(r"disk base: .* (\d+) pages mapped, (\d+) looked at")


def modules(where, device):
    """The two guests and their image."""
    source = "pmem0" if device.startswith("pmem") else "vda"
    names = []
    for vm in VMS:
        names += [
            f"linux/cloud:name={vm} memory=96M merge=1 type=linux console=16M {device} "
            f"arg=console=ttyS0 quiet tsc=reliable no_timer_check panic=-1 source={source}",
            f"linux/share.initrd:for={vm}",
        ]
    return guests.modules_of(where, [*names, "linux/share.img:image=base"])


def reached(samples, least):
    """The time of the first sample of at least so much."""
    return next(time for time, value in samples if value >= least)


def figures_of(found, text):
    """The figures of a run by name."""
    saved = found.column("merge.saved") or [(0, 0)]
    frames = [value * PAGE for _, value in found.column("machine.frames.guest")]
    best = max(value for _, value in saved)
    hinted = [[int(count) for count in pair] for pair in HINTED.findall(text)] or [[0, 0]]
    return {
        "seconds": max(vm["t_ns"] for vm in found.vms.values()) / facts.NS,
        "saved_mean": common.mean([value for _, value in saved]) / MIB,
        "saved_best": best / MIB,
        "best_at": reached(saved, best * 0.9),
        "frames_mean": common.mean(frames) / MIB,
        "frames_best": max(frames) / MIB,
        "passes": found.figure("merge.passes"),
        "scanned": found.figure("merge.read"),
        "merged": found.figure("merge.merged") + found.figure("merge.zeroed"),
        "mapped": sum(pair[0] for pair in hinted),
        "looked": sum(pair[1] for pair in hinted),
        "exits": sum(found.total(f"vm.{vm}.exits.") for vm in VMS),
        "faults": sum(found.total(f"vm.{vm}.fault.") for vm in VMS),
        "breaks": found.figure("merge.breaks"),
    }


def run(where, device, cmdline):
    """One run: its figures by name."""
    ending, found, text = common.figures_of(machine.Setup(
        machine="qemu-tcg",
        build=where,
        memory=MEMORY,
        icount=True,
        cmdline=f"sample=20 {cmdline}".strip(),
        modules=modules(where, device),
    ), TIMEOUT)
    if ending != "ok" or text.count("share: and again") != len(VMS):
        raise machine.MachineError(f"{device}: ended with {ending}\n{text[-2000:]}")
    return figures_of(found, text)


def disks(folder):
    builder.need("qemu")
    where = builder.build("default")
    rows = []
    for number, (setting, words) in enumerate(SETTINGS.items(), 1):
        say(f"{number} of {len(SETTINGS)}: {setting} ...")
        rows += [
            {"name": name, "value": round(value, 2), "unit": UNITS.get(name, name),
             "setting": setting}
            for name, value in run(where, *words).items()
        ]
        common.keep(folder, "disks", rows)  # an interruption leaves the rows so far
    common.show(rows)
