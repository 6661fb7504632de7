# SPDX-License-Identifier: Apache-2.0
"""
jobs.py: `./run bench guest --jobs`: the boot of a Linux guest, and jobs in it that are bound by the
CPU, by memory, by system calls and by forks, on Samepage, in plain QEMU and under KVM in QEMU: the
same kernel and RAM disk, one CPU for the guest, the same emulator.

Two clocks. Under -icount a second is a thousand million instructions of the whole machine, so that
a ratio says what is executed beside the guest, and nothing else on this computer matters. Without
it a second is one of this computer; the pairs run in turn (--repeat), and the table has the medians
of their ratios.
"""
import re
import tempfile

import builder
import guests
import linux
import machine
from benches import common, peer
from output import plain, say

MEMORY = 192
ARGS = "console=ttyS0 quiet tsc=reliable panic=-1"
NAMES = ["boot", "boot of two", "cpu", "memory", "syscall", "fork"]
SAMEPAGE, QEMU, KVM = "samepage", "plain QEMU", "KVM in QEMU"
BOOT = "boot of two"


def times(title, text, guest_count=1):
    """Seconds of each job by the guest's clock; of several guests the last one's."""
    found = {}
    for name, start, end in re.findall(r"speed: (\w+) ([\d.]+) ([\d.]+)", text):
        found[name] = max(found.get(name, 0), float(end) - float(start))
    if text.count("work: done") != guest_count:
        raise peer.PeerError(f"{title}: the jobs did not end\n{text[-2000:]}")
    return found


def guest_lines(names, arguments):
    for name in names:
        yield (f"linux/cloud:name={name} memory={MEMORY}M type=linux console=16M "
               f"arg={ARGS} {arguments}")
        yield f"linux/speed.initrd:for={name}"


def samepage(where, icount, names=("one",), arguments=""):
    cpus = 1 if icount else 1 + machine.kept_free("qemu-tcg", 2)
    setup = machine.Setup(
        machine="qemu-tcg", build=where, cpus=cpus, memory=128 + 2 * MEMORY, icount=icount,
        cmdline="merge=off",
        modules=guests.modules_of(where, list(guest_lines(names, arguments))),
    )
    with machine.start(setup) as session:
        ending, text = session.wait(peer.TIMEOUT), session.serial()
    if ending != "ok":
        raise peer.PeerError(f"{SAMEPAGE}: ended with {ending}\n{text[-2000:]}")
    return times(SAMEPAGE, text, len(names))


def accel(icount):
    if icount:
        return ["-accel", "tcg", "-cpu", machine.ICOUNT_CPU, *machine.ICOUNT]
    return ["-accel", "tcg,thread=multi", "-cpu", "max"]


def plain_qemu(icount):
    with linux.alone():
        kernel, initrd = linux.fetch("linux/cloud"), linux.make_initrd("linux/speed.initrd")
    text = peer.run_qemu(QEMU, MEMORY, 1, kernel, initrd, ARGS, accel(icount))
    return times(QEMU, text)


def kvm(icount):
    with tempfile.TemporaryDirectory(prefix="samepage-peer-") as folder:
        initrd = f"{folder}/initrd"
        with linux.alone():
            peer.write_initrd(initrd, job="linux/speed.initrd", job_name="speed.initrd")
            kernel = linux.fetch("linux/cloud")
        text = peer.run_qemu(KVM, peer.MEMORY, 1, kernel, initrd,
                             "console=ttyS0 panic=-1 quiet ksm=off job=speed", accel(icount))
    return times(KVM, text)


def one_round(where, icount):
    """{setting: {job: seconds}}; the boot of two is set beside two boots, one after the other."""
    say("plain QEMU ...")
    base = plain_qemu(icount)
    say("Samepage ...")
    mine = samepage(where, icount)
    if icount:
        two = samepage(where, icount, ("one", "two"), "jobs=boot")
        mine[BOOT], base[BOOT] = two["boot"], 2 * base["boot"]
    say("KVM ...")
    return {QEMU: base, SAMEPAGE: mine, KVM: kvm(icount)}


def rows_of(rounds, clock):
    """Medians, and medians of the ratios to plain QEMU."""
    for setting in rounds[0]:
        for job in (job for job in NAMES if job in rounds[0][setting]):
            yield {"name": f"{job}, {clock}", "unit": "s", "setting": setting,
                   "value": round(common.median([r[setting][job] for r in rounds]), 2)}
            if setting != QEMU:
                yield {"name": f"{job}, {clock}", "unit": "times",
                       "setting": f"{setting}, ratio", "value": round(common.median(
                           [r[setting][job] / r[QEMU][job] for r in rounds]), 3)}


def jobs(folder, repeat):
    where = builder.build("default")
    say("by instructions (-icount):")
    counted = [one_round(where, True)]
    rows = list(rows_of(counted, "instructions"))
    common.keep(folder, "guest", rows)
    clocked = []
    for number in range(repeat):
        say(f"by the clock, round {number + 1} of {repeat}:")
        clocked.append(one_round(where, False))
        common.keep(folder, "guest", rows + list(rows_of(clocked, "clock")))
    common.show(rows + list(rows_of(clocked, "clock")))
    plain("seconds; under -icount a second is a thousand million instructions")
