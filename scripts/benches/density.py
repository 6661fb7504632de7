# SPDX-License-Identifier: Apache-2.0
"""
density.py: what 2 to 16 equal Linux guests with the main job save, and the CPU that they take:
Samepage without merging and with it, and Linux with KVM in the same emulator with KSM off and on.

Figures as those of guest.py: MiB saved at best and in the mean, seconds of the machine, and the
seconds of this computer's CPUs for the whole run. --only takes a part of the settings.
"""
import builder
import facts
import guests
import machine
from benches import common, guest, peer
from output import Stop, say

COUNTS = (2, 4, 8, 16)
# Seconds for each guest; MiB of the machine beside the guests' memory.
PATIENCE = 240
ROOM = 384


def modules(where, count):
    """What the loader is given for so many guests of the main job."""
    names = [f"v{number}" for number in range(1, count + 1)]
    return guests.modules_of(where, [line for name in names for line in (
        guests.LINUX.format(name), f"linux/work.initrd:for={name}")])


def samepage(where, words, count, cpus):
    """Figures by name, and MiB saved over time."""
    ending, found, text = common.figures_of(machine.Setup(
        machine=guest.QEMU, build=where, cpus=cpus, memory=ROOM + 192 * count,
        cmdline=f"{words} sample=500", modules=modules(where, count),
    ), common.patience(PATIENCE * count))
    guest.check_ended(words, ending, text, count)
    line = guest.saved_over_time(found)
    saved = [value for _, value in line] or [0]
    return {"seconds": max(vm["t_ns"] for vm in found.vms.values()) / facts.NS,
            "saved_mean": common.mean(saved), "saved_best": max(saved)}, line


def settings(where, cpus, only):
    """{"SETTING, N guests": a function that runs it}, those with `only` in their name."""
    found = {}
    for count in COUNTS:
        for words in ("merge=off", "merge=hash"):
            found[f"samepage {words}", count] = (
                lambda words=words, count=count: samepage(where, words, count, cpus))
        for ksm in ("off", guest.KSM_PAGES):
            found[f"kvm ksm={ksm}", count] = (
                lambda ksm=ksm, count=count: peer.kvm(ksm, cpus, count))
    named = {f"{setting}, {count} guests": run for (setting, count), run in found.items()}
    chosen = {title: run for title, run in named.items() if only in title}
    if not chosen:
        raise Stop(f"--only {only}: there is {'; '.join(named)}")
    return chosen


def density(folder, cpus=guest.CPUS, only=""):
    builder.need("qemu")
    rows = []
    for title, run in settings(builder.build("default"), cpus, only).items():
        say(f"{title} ...")
        try:
            found, _ = guest.measured(run)
        except machine.MachineError as error:
            say(f"{title}: {str(error).splitlines()[0]}")
            continue
        rows += [{"name": name, "value": round(value, 2), "unit": guest.UNITS[name],
                  "setting": title} for name, value in found.items()]
        common.keep(folder, "density", rows)	# an interruption leaves the rows so far
    if not rows:
        raise Stop("no setting has ended")
    common.show(rows)
