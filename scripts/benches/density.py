# SPDX-License-Identifier: Apache-2.0
"""
density.py: what 2 to 16 equal Linux guests with the main job take, of memory and of the CPU:
Samepage without merging and with it, and Linux with KVM in the same emulator with KSM off and on.

The same kernel, RAM disk and memory for a guest, the same CPUs of the same emulator; what differs
is the hypervisor, and that Samepage's scanner has CPU 0 for itself. Memory is counted as frames
that back guests (of Linux: anonymous memory, less what each QEMU has for itself): what a merger
counts as saved has pages in it that nothing but a host's huge page touched. `rest` is a second
before the first guest ends, when all have done their work. Memory hardly depends on this computer's
load; seconds do, and `cpu`, the seconds of this computer's CPUs for the whole run, boot included,
does a little. --only takes a part of the settings.
"""
import builder
import facts
import guests
import machine
from benches import common, guest, peer
from output import Stop, say

MIB = 1 << 20
COUNTS = (2, 4, 8, 16)
# MiB of a guest, as in the experiment density, and of the machine beside the guests' memory.
MEMORY = 96
ROOM = 384
# Seconds for each guest.
PATIENCE = 240
# Pages that KSM passes in each 20 ms, as in ./run bench guest.
KSM = ("off", guest.KSM_PAGES)
# Of Linux, its huge pages as Debian has them, or pages of 4 KiB alone.
HUGE = {"": "", " 4K": "transparent_hugepage=never"}
UNITS = {**guest.UNITS, "rest": "MiB", "peak": "MiB"}


def modules(where, count):
    """What the loader is given for so many guests of the main job."""
    names = [f"v{number}" for number in range(1, count + 1)]
    guest_line = guests.LINUX.replace("192M", f"{MEMORY}M")
    return guests.modules_of(where, [line for name in names for line in (
        guest_line.format(name), f"linux/work.initrd:for={name}")])


def samepage(where, words, count, cpus):
    """Figures by name."""
    ending, found, text = common.figures_of(machine.Setup(
        machine=guest.QEMU, build=where, cpus=cpus, memory=ROOM + MEMORY * count,
        cmdline=f"{words} sample=500", modules=modules(where, count),
    ), common.patience(PATIENCE * count))
    guest.check_ended(words, ending, text, count)
    saved = [value for _, value in guest.saved_over_time(found)] or [0]
    ends = [vm["t_ns"] / facts.NS for vm in found.vms.values()]
    taken = [(now, frames * 4096 / MIB) for now, frames in found.column("machine.frames.guest")]
    scan = sum(found.figure(f"cpu.{number}.scan.time") for number in range(cpus))
    return {"seconds": max(ends), "scan": scan / facts.NS,
            "rest": common.at_rest(taken, min(ends)), "peak": max(value for _, value in taken),
            "saved_mean": common.mean(saved), "saved_best": max(saved)}


def linux_kvm(ksm, words, count, cpus):
    """The same of Linux with KVM."""
    text = peer.kvm(ksm, cpus, count, MEMORY, words)
    found, _ = peer.figures(f"kvm ksm={ksm}", text, count)
    return {**found, **peer.frames(text)}


def settings(where, cpus, only):
    """{"SETTING, N guests": a function that runs it}, those with `only` in their name."""
    found = {}
    for count in COUNTS:
        for words in ("merge=off", "merge=hash"):
            found[f"samepage {words}, {count} guests"] = (
                lambda words=words, count=count: samepage(where, words, count, cpus))
        for pages, words in HUGE.items():
            for ksm in KSM:
                found[f"kvm{pages} ksm={ksm}, {count} guests"] = (
                    lambda ksm=ksm, words=words, count=count: linux_kvm(ksm, words, count, cpus))
    chosen = {title: run for title, run in found.items() if only in title}
    if not chosen:
        raise Stop(f"--only {only}: there is {'; '.join(found)}")
    return chosen


def density(folder, cpus=guest.CPUS, only=""):
    builder.need("qemu")
    rows = []
    for title, run in settings(builder.build("default"), cpus, only).items():
        say(f"{title} ...")
        before = guest.used()
        try:
            found = run()
        except machine.MachineError as error:
            say(f"{title}: {str(error).splitlines()[0]}")
            continue
        found["cpu"] = guest.used() - before
        rows += [{"name": name, "value": round(value, 2), "unit": UNITS[name],
                  "setting": title} for name, value in found.items()]
        common.keep(folder, "density", rows)	# an interruption leaves the rows so far
    if not rows:
        raise Stop("no setting has ended")
    common.show(rows)
