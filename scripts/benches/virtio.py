# SPDX-License-Identifier: Apache-2.0
"""
virtio.py: what a request of a virtio device costs, in instructions and exits, over Samepage's
devices and over those of QEMU with KVM, in the same emulator.

The bare guest bench_virtio.elf is counted on QEMU with -icount, under Samepage and under Linux with
KVM. Its queues are measured on Bochs, where all CPUs go in step. The same job of Debian's driver
runs over both, too; its clock is the machine's, so a nanosecond is an instruction, the
host's among them. A machine of Linux and KVM has one CPU, as Samepage's has.
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

BLOCKS = 3000	# of diskbench.sh
PEER_TIMEOUT = 900
# Requests of a case of bench_virtio.c, with those before it is measured; of the disk's and of
# `alone`'s cases.
REQUESTS = {"disk": [512] * 4, "alone": [288, 288, 260]}
CASE = re.compile(r"peer: case (\w+) case=(\d) exits (\d+)\n(.*?)(?=peer: case|\Z)", re.S)
QUEUES = "bochs-ept"
KVM = "qemu-tcg-kvm"
TIMES = re.compile(r"diskbench: (read|write) from (\d+) to (\d+)")


def bare(where):
    """(setting, Setup) of each run of the bare guest."""
    bench = os.path.join(where, "guest", "bench_virtio.elf")
    image = (linux.provide("linux/files.img"), "image=root")
    sender = "name=bench memory=24M board=pc net=lan mac=02:00:00:00:00:01"
    sink = "name=sink memory=24M board=pc net=lan mac=02:00:00:00:00:02 kill_after=1000 arg=sink"
    for modules in (
        [(bench, "name=bench memory=24M board=pc disk=root"), image],
        [(bench, f"{sender} arg=send"), (bench, sink)],
        [(bench, f"{sender} arg=alone")],
    ):
        yield "qemu-tcg-npt", machine.Setup(build=where, icount=True, modules=modules)
    for count in (1, 4):
        queues = f"name=bench memory=24M board=pc disk=root vcpus={count} arg=queues={count}"
        yield QUEUES, machine.Setup(
            machine="bochs", build=where, cpus=4, modules=[(bench, queues), image]
        )


def blocks(text, what):
    """Instructions of a block, read and written, of what a guest with the job has printed."""
    ticks = {name: int(end) - int(start) for name, start, end in TIMES.findall(text)}
    if len(ticks) != 2:
        raise machine.MachineError(f"{what}: the job did not end\n{text[-2000:]}")
    return {name: round(value / BLOCKS) for name, value in ticks.items()}


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


def run_peer(where, part):
    """QEMU's virtio under KVM: what the machine has printed."""
    bench = os.path.join(where, "guest", "bench_virtio.elf")
    with tempfile.TemporaryDirectory(prefix="samepage-peer-") as folder:
        initrd = os.path.join(folder, "initrd")
        with linux.alone():
            write_initrd(initrd, "virtio_init.sh", "linux/diskbench.initrd", "job.initrd",
                         [("l2/bench.elf", bench)])
            kernel = linux.fetch("linux/cloud")
        command = [
            *machine.DIE_WITH_PARENT, QEMU, "-nodefaults", "-accel", "tcg",
            "-cpu", machine.ICOUNT_CPU, *machine.ICOUNT, "-machine", "pc,mem-merge=off",
            "-m", "1024", "-smp", "1", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-kernel", kernel, "-initrd", initrd,
            "-append", f"console=ttyS0 panic=-1 quiet tsc=reliable part={part}",
        ]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=PEER_TIMEOUT * machine.SLOW, check=False)
        except subprocess.TimeoutExpired as late:
            raise machine.MachineError(f"kvm: no end in {PEER_TIMEOUT} s\n"
                                       f"{(late.stdout or b'')[-2000:]}") from late
    return done.stdout.decode(errors="replace").replace("\r", "")


def kvm_bare(where):
    """Rows of the bare guest: as measured by it, and its exits by KVM's count."""
    text = run_peer(where, "bare")
    cases = {(kind, int(number)): (int(exits), printed)
             for kind, number, exits, printed in CASE.findall(text)}
    rows = []
    for kind, requests in REQUESTS.items():
        for number, count in enumerate(requests, 1):
            if (kind, number) not in cases or (kind, 0) not in cases:
                raise machine.MachineError(f"kvm: no case {number} of {kind}\n{text[-2000:]}")
            exits, printed = cases[kind, number]
            found = re.search(r"bench: (\w+) (\d+) instructions", printed)
            if not found:
                raise machine.MachineError(f"kvm: case {number} of {kind}\n{printed}")
            name, value = found.groups()
            exits = (exits - cases[kind, 0][0]) * 100 // count
            rows += [{"name": name, "value": int(value), "unit": "instructions", "setting": KVM},
                     {"name": f"{name}_exits", "value": exits, "unit": "hundredths",
                      "setting": KVM}]
    return rows


def virtio(folder):
    builder.need("qemu", "bochs")
    where = builder.build("default")
    rows = []

    def keep(more):
        rows.extend(more)
        common.keep(folder, "virtio", rows)  # an interruption leaves the rows so far

    for setting, setup in bare(where):
        say(f"measuring on {setting} ...")
        keep({"name": name, "value": value, "unit": unit, "setting": setting}
             for name, value, unit in common.measure(setup))
    say(f"measuring on {KVM} ...")
    keep(kvm_bare(where))
    failed = None
    for setting, run in (("Linux, Samepage", lambda: samepage(where)),
                         ("Linux, KVM", lambda: blocks(run_peer(where, "linux"), "kvm"))):
        say(f"measuring {setting} ...")
        try:
            keep({"name": name, "value": value, "unit": "instructions", "setting": setting}
                 for name, value in run().items())
        except machine.MachineError as error:
            failed = error
    common.show(rows)
    plain("A figure of _exits is in hundredths; one of Linux has the host's instructions, too.")
    if failed:
        raise failed
