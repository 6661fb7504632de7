# SPDX-License-Identifier: Apache-2.0
"""
peer.py: what `./run bench guest` compares with: Linux with KVM in the same emulator, running the
main job's two guests with KSM on or off, and the same Linux guest in plain QEMU.

The peer's machine is made from what Debian's packages have: the kernel and the modules of
linux-image-cloud-amd64, busybox-static, and QEMU with its libraries as installed here.
"""
import glob
import os
import re
import subprocess
import tempfile

import facts
import linux
import machine
from benches import common

MIB = 1 << 20
MEMORY = 1400
# MiB more for each guest from the third on, and its QEMU.
EACH = 280
TIMEOUT = 420
MODULES = ["ccp", "irqbypass", "kvm", "kvm-amd", "tun"]
FIRMWARE = ["bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin", "multiboot_dma.bin"]
FIRMWARE_FOLDERS = ["/usr/share/qemu", "/usr/share/seabios"]
QEMU = "/usr/bin/qemu-system-x86_64"


class PeerError(machine.MachineError):
    """A run did not do the work."""


def libraries():
    """The files with which QEMU is linked, as ldd names them."""
    text = subprocess.run(["ldd", QEMU], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", text)))


def firmware(name):
    for folder in FIRMWARE_FOLDERS:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    raise PeerError(f"{name}: not in {', '.join(FIRMWARE_FOLDERS)}; is this Debian's QEMU?")


def files(init, job, job_name):
    """The peer's RAM disk with its first program and its guests' job: (name, file)."""
    kernel = linux.unpacked("linux/cloud")
    for module in MODULES:
        for path in glob.glob(f"{kernel}/lib/modules/*/kernel/**/{module}.ko", recursive=True):
            yield f"mods/{module}.ko", path
    yield "l2/vmlinuz", linux.fetch("linux/cloud")
    yield f"l2/{job_name}", linux.make_initrd(job)
    yield "init", os.path.join(os.path.dirname(__file__), init)
    for path in [QEMU, *libraries()]:
        yield path.lstrip("/"), path
    for name in FIRMWARE:
        yield f"usr/share/qemu/{name}", firmware(name)


def write_initrd(path, init="kvm_init.sh", job="linux/work.initrd", job_name="work.initrd",
                 more=()):
    """Writes the peer's RAM disk, with `more` files: (name, file)."""
    archive, made = linux.Cpio(), set()

    def add(name, mode, data=b"", device=(0, 0)):
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in made:
                archive.add(folder, 0o040755)
                made.add(folder)
        if name not in made:
            archive.add(name, mode, data, device)
        made.add(name)

    for folder in ("dev", "proc", "sys", "tmp", "out"):
        add(f"{folder}/", 0o040755)
    add("dev/console", 0o020600, device=(5, 1))
    busybox = linux.fetch("linux/busybox")
    add("bin/busybox", 0o100755, linux.read(busybox))
    for name in sorted(linux.command([busybox, "--list"]).split()):
        if name != "busybox":
            add(f"bin/{name}", 0o120777, b"busybox")
    for name, file in [*files(init, job, job_name), *more]:
        add(name, 0o100755, linux.read(file))
    with open(path, "wb") as out:
        out.write(archive.close())


def run_qemu(title, memory, cpus, kernel, initrd, cmdline, accel=("-accel", "tcg,thread=multi",
                                                                  "-cpu", "max"), timeout=TIMEOUT):
    """Boots a Linux in plain QEMU until it powers off; the text of its console."""
    command = [
        *machine.DIE_WITH_PARENT, QEMU, "-nodefaults", *accel, "-machine", "pc,mem-merge=off",
        "-m", str(memory), "-smp", str(cpus), "-display", "none", "-serial", "stdio",
        "-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append", cmdline,
    ]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=common.patience(timeout) * machine.SLOW,
                              check=False)
    except subprocess.TimeoutExpired as late:
        raise PeerError(f"{title}: no end in {late.timeout:.0f} s\n"
                        f"{(late.stdout or b'').decode(errors='replace')[-2000:]}") from late
    text = done.stdout.decode(errors="replace").replace("\r", "")
    if done.returncode:
        raise PeerError(f"{title}: QEMU failed\n{done.stderr.decode(errors='replace')[-500:]}")
    return text


def figures(title, text, count=2):
    """What kvm_init.sh has printed, by name; and MiB saved over time."""
    ends = [float(end) for end in re.findall(r"peer: end ([\d.]+)", text)]
    if len(ends) != count or text.count("peer: worked") != count:
        raise PeerError(f"{title}: the guests did not work\n{text[-2000:]}")
    start = float(re.search(r"peer: start ([\d.]+)", text)[1])
    line = [(float(now) - start, int(pages) * 4096 / MIB)
            for now, pages in re.findall(r"peer: at ([\d.]+) sharing (\d+)", text)]
    saved = [value for _, value in line] or [0]
    return {
        "seconds": max(ends) - start,
        "saved_mean": common.mean(saved),
        "saved_best": max(saved),
    }, line


def frames(text):
    """
    What kvm_init.sh has printed of memory and of ksmd, by name: MiB of the guests, without what
    their QEMUs have besides, and ksmd's seconds.
    """
    base = int(re.search(r"peer: before anonymous (\d+)", text)[1])
    own = max(int(kib) for kib in re.findall(r"peer: own (\d+)", text))
    taken = [(float(now), (int(kib) - base - own) / 1024)
             for now, kib in re.findall(r"peer: at ([\d.]+) .* anonymous (\d+)", text)]
    first = min(float(end) for end in re.findall(r"peer: end ([\d.]+)", text))
    return {
        "scan": int(re.search(r"peer: ksmd (\d+)", text)[1]) / facts.NS,
        "rest": common.at_rest(taken, first),
        "peak": max(value for _, value in taken),
    }


def kvm(ksm, cpus, count=2, memory=192, words=""):
    """One run of `count` guests of the main job under KVM: the text of its console."""
    with tempfile.TemporaryDirectory(prefix="samepage-peer-") as folder:
        initrd = os.path.join(folder, "initrd")
        with linux.alone():
            write_initrd(initrd)
            kernel = linux.fetch("linux/cloud")
        return run_qemu(f"kvm ksm={ksm}", MEMORY + (count - 2) * EACH, cpus, kernel, initrd,
                        f"console=ttyS0 panic=-1 quiet ksm={ksm} guests={count} memory={memory} "
                        f"{words}", timeout=TIMEOUT * count // 2)
