# SPDX-License-Identifier: Apache-2.0
"""
virtio.py: what a request of a virtio device costs, in instructions and exits; and the same job of
Debian's driver over Samepage's disk and over that of QEMU with KVM, in the same emulator.

The bare guest bench_virtio.elf is counted on QEMU with -icount. Its queues are measured on Bochs,
where all CPUs go in step. In both halves of the comparison the machine has one CPU and counts
instructions, and the guest's clock is the machine's: so the seconds of a job are thousand
millions of instructions, the host's among them.
"""
import os
import re
import subprocess
import tempfile

import builder
import linux
import machine
from benches import common
from benches.peer import QEMU, write_initrd
from output import plain, say

BLOCKS = 4 * 6000
PEER_TIMEOUT = 900
TIMES = re.compile(r"diskbench: (read|write) from ([\d.]+) to ([\d.]+)")


def bare(where):
    """(setting, Setup) of each run of the bare guest."""
    bench = os.path.join(where, "guest", "bench_virtio.elf")
    image = (linux.provide("linux/files.img"), "image=root")
    disk = (bench, "name=bench memory=24M board=pc disk=root")
    yield "qemu-tcg-npt", machine.Setup(build=where, modules=[disk, image], icount=True)
    yield "qemu-tcg-npt", machine.Setup(
        build=where,
        icount=True,
        modules=[(bench, "name=bench memory=24M board=pc net=lan mac=02:00:00:00:00:01 arg=send"),
                 (bench, "name=sink memory=24M board=pc net=lan mac=02:00:00:00:00:02 "
                         "kill_after=1000 arg=sink")],
    )
    for count in (1, 4):
        queues = f"name=bench memory=24M board=pc disk=root vcpus={count} arg=queues={count}"
        yield "bochs-ept", machine.Setup(
            machine="bochs", build=where, cpus=4, modules=[(bench, queues), image]
        )


def blocks(text, what):
    """Instructions of a block, read and written, of what a guest with the job has printed."""
    seconds = {name: float(end) - float(start) for name, start, end in TIMES.findall(text)}
    if len(seconds) != 2:
        raise machine.MachineError(f"{what}: the job did not end\n{text[-2000:]}")
    return {name: round(value * 1e9 / BLOCKS) for name, value in seconds.items()}


def samepage(where):
    setup = machine.Setup(
        build=where,
        icount=True,
        memory=384,
        modules=[
            (linux.provide("linux/cloud"), "name=lx memory=128M type=linux disk=root "
             "arg=console=ttyS0 quiet tsc=reliable"),
            (linux.provide("linux/diskbench.initrd"), "for=lx"),
            (linux.provide("linux/files.img"), "image=root"),
        ],
    )
    with machine.start(setup) as session:
        session.wait(PEER_TIMEOUT)
        return blocks(session.serial(), "samepage")


def kvm():
    """QEMU's virtio under KVM."""
    with tempfile.TemporaryDirectory(prefix="samepage-peer-") as folder:
        initrd = os.path.join(folder, "initrd")
        with linux.alone():
            write_initrd(initrd, "virtio_init.sh", "linux/diskbench.initrd", "job.initrd")
            kernel = linux.fetch("linux/cloud")
        command = [
            *machine.DIE_WITH_PARENT, QEMU, "-nodefaults", "-accel", "tcg",
            "-icount", "shift=0,sleep=off", "-cpu", "max,+svm,-rdrand,-rdseed,-erms",
            "-rtc", "base=2024-01-01T00:00:00,clock=vm", "-machine", "pc,mem-merge=off",
            "-m", "1024", "-smp", "1", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-kernel", kernel, "-initrd", initrd,
            "-append", "console=ttyS0 panic=-1 quiet tsc=reliable",
        ]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=PEER_TIMEOUT * machine.SLOW, check=False)
        except subprocess.TimeoutExpired as late:
            raise machine.MachineError(f"kvm: no end in {PEER_TIMEOUT} s\n"
                                       f"{(late.stdout or b'')[-2000:]}") from late
    return blocks(done.stdout.decode(errors="replace"), "kvm")


def virtio(folder):
    builder.need("qemu", "bochs")
    where = builder.build("default")
    rows = []
    for setting, setup in bare(where):
        say(f"measuring on {setting} ...")
        rows += [{"name": name, "value": value, "unit": unit, "setting": setting}
                 for name, value, unit in common.measure(setup)]
    for setting, run in (("Linux, Samepage", lambda: samepage(where)), ("Linux, KVM", kvm)):
        say(f"measuring {setting} ...")
        rows += [{"name": name, "value": value, "unit": "instructions", "setting": setting}
                 for name, value in run().items()]
        common.keep(folder, "virtio", rows)
    common.show(rows)
    plain("A figure of _exits is in hundredths; one of Linux has the host's instructions, too.")
    common.keep(folder, "virtio", rows)
