# SPDX-License-Identifier: Apache-2.0
"""
guest.py: what the main job's two Linux guests feel of merging, side by side in one run: Samepage
with merging and without, and Linux with KVM in the same emulator with KSM on and off.

The peer's machine is made from what Debian's packages have: the kernel and the modules of
linux-image-cloud-amd64, busybox-static, and QEMU with its libraries as installed here.

Seconds are the machine's own, from the start of the guests to the power-off of the second one. They
differ from run to run on a computer that does other things too; ratios differ less.
"""
import glob
import os
import re
import subprocess
import tempfile

import builder
import control
import facts
import guests
import linux
import machine
from benches import common
from output import plain, say

CPUS = 3
MIB = 1 << 20
PEER_MEMORY = 1400
KSM_PAGES = 5000
PEER_TIMEOUT = 300
MODULES = ["ccp", "irqbypass", "kvm", "kvm-amd"]
FIRMWARE = ["bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin"]
FIRMWARE_FOLDERS = ["/usr/share/qemu", "/usr/share/seabios"]
QEMU = "/usr/bin/qemu-system-x86_64"


class GuestError(machine.MachineError):
    """A run did not do the work."""


# --- Samepage
# --------------------------------------------------------------------------------------------------

def samepage(where, engine):
    """One run: its figures by name."""
    with tempfile.TemporaryDirectory(prefix="samepage-guest-") as folder:
        setup = machine.Setup(
            machine="qemu-tcg",
            build=where,
            cpus=CPUS,
            memory=guests.MAIN_MEMORY,
            cmdline=f"merge={engine} sample=500",
            modules=guests.modules_of(where, guests.MAIN_JOB),
        )
        with control.Control(folder) as setup.control, machine.start(setup) as session:
            setup.control.start()
            ending = session.wait(PEER_TIMEOUT)
            setup.control.ended.wait(10)
            found, text = facts.of(setup.control.events), session.serial()
    if ending != "ok" or text.count("work: done") != 2:
        raise GuestError(f"merge={engine}: ended with {ending}\n{text[-2000:]}")
    saved = [value for _, value in found.column("merge.saved")] or [0]
    sums = {
        name: sum(found.figure(f"vm.{vm}.{figure}") for vm in found.vms)
        for name, figure in (("flushes", "flush.sent"), ("kicks", "flush.waited"))
    }
    return {
        "seconds": max(vm["t_ns"] for vm in found.vms.values()) / facts.NS,
        "saved_mean": common.mean(saved) / MIB,
        "saved_best": max(saved) / MIB,
        "merged": found.figure("merge.merged") + found.figure("merge.zeroed"),
        **sums,
    }


# --- The peer
# --------------------------------------------------------------------------------------------------

def libraries():
    """The files with which QEMU is linked, as ldd names them."""
    text = subprocess.run(["ldd", QEMU], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", text)))


def firmware(name):
    for folder in FIRMWARE_FOLDERS:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    raise GuestError(f"{name}: not in {', '.join(FIRMWARE_FOLDERS)}; is this Debian's QEMU?")


def peer_files(init, job, job_name):
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


def peer_initrd(path, init="kvm_init.sh", job="linux/work.initrd", job_name="work.initrd"):
    """Writes the peer's RAM disk."""
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
    for name, file in peer_files(init, job, job_name):
        add(name, 0o100755, linux.read(file))
    with open(path, "wb") as out:
        out.write(archive.close())


def peer(ksm):
    """One run of the peer: its figures by name."""
    with tempfile.TemporaryDirectory(prefix="samepage-peer-") as folder:
        initrd = os.path.join(folder, "initrd")
        with linux.alone():
            peer_initrd(initrd)
            kernel = linux.fetch("linux/cloud")
        command = [
            *machine.DIE_WITH_PARENT, QEMU, "-nodefaults", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-machine", "pc,mem-merge=off", "-m", str(PEER_MEMORY),
            "-smp", str(CPUS), "-display", "none", "-serial", "stdio", "-no-reboot",
            "-kernel", kernel, "-initrd", initrd,
            "-append", f"console=ttyS0 panic=-1 quiet ksm={ksm}",
        ]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=PEER_TIMEOUT * machine.SLOW, check=False)
        except subprocess.TimeoutExpired as late:
            raise GuestError(f"ksm={ksm}: no end in {PEER_TIMEOUT} s\n"
                             f"{(late.stdout or b'').decode(errors='replace')[-2000:]}") from late
    text = done.stdout.decode(errors="replace")
    ends = [float(end) for end in re.findall(r"peer: end ([\d.]+)", text)]
    if len(ends) != 2 or text.count("peer: worked") != 2:
        raise GuestError(f"ksm={ksm}: the guests did not work\n{text[-2000:]}\n"
                         f"{done.stderr.decode(errors='replace')[-500:]}")
    saved = [int(pages) * 4096 for pages in re.findall(r"peer: sharing (\d+)", text)] or [0]
    return {
        "seconds": max(ends) - float(re.search(r"peer: start ([\d.]+)", text)[1]),
        "saved_mean": common.mean(saved) / MIB,
        "saved_best": max(saved) / MIB,
    }


# --- Table
# --------------------------------------------------------------------------------------------------

UNITS = {"seconds": "s", "saved_mean": "MiB", "saved_best": "MiB"}


def ratios(cells):
    """Seconds over those of another setting."""
    seconds = {name: figures["seconds"] for name, figures in cells.items()}
    on, off = seconds["samepage merge=hash"], seconds["samepage merge=off"]
    return {
        "merging over none": on / off,
        "KSM over none": seconds[f"kvm ksm={KSM_PAGES}"] / seconds["kvm ksm=off"],
        "merging over KVM without KSM": on / seconds["kvm ksm=off"],
    }


def rows_of(cells):
    return [
        {"name": name, "value": round(value, 2), "unit": UNITS.get(name, name), "setting": setting}
        for setting, figures in cells.items()
        for name, value in figures.items()
    ]


def guest(folder):
    builder.need("qemu")
    where = builder.build("default")
    runs = {
        "samepage merge=off": lambda: samepage(where, "off"),
        "samepage merge=hash": lambda: samepage(where, "hash"),
        "kvm ksm=off": lambda: peer("off"),
        f"kvm ksm={KSM_PAGES}": lambda: peer(KSM_PAGES),
    }
    cells = {}
    for number, (name, run) in enumerate(runs.items(), 1):
        say(f"{number} of {len(runs)}: {name} ...")
        cells[name] = run()
        common.keep(folder, "guest", rows_of(cells))  # an interruption leaves the rows so far
    rows = rows_of(cells)
    common.show(rows)
    found = ratios(cells)
    for name, value in found.items():
        plain(f"{name}: {value:.2f}")
    merged = cells["samepage merge=hash"]
    if merged["kicks"]:
        plain(f"merged pages for each kick: {merged['merged'] / merged['kicks']:.0f}")
    rows += [
        {"name": name, "value": round(value, 3), "unit": "times", "setting": "ratio"}
        for name, value in found.items()
    ]
    common.keep(folder, "guest", rows)
