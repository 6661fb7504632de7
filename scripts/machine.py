# SPDX-License-Identifier: Apache-2.0
"""
machine.py: starts the hypervisor on an emulated machine and says how it ended.

A Setup names what to boot and the machine; start() returns a Session, which gives the serial text
while it runs. ./run and the test runner both use it, so that what is tested is what is run.

How a run ends, by the agreement of docs/testing.md:
    isa-debug-exit (port 0xf4)    value v ends QEMU with status 2v+1
    magic break (xchg bx,bx)      ends Bochs with status 0
    "Shutdown" to port 0x8900     ends Bochs with status 1
"""
import dataclasses
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# every timeout is multiplied by it; for a computer under load
SLOW = float(os.environ.get("SAMEPAGE_SLOW") or 1)

EXIT_OK = 0x10		# what the hypervisor writes to isa-debug-exit when all VMs have ended
EXIT_FAILED = 0x11	# and after a panic or any other failure
QEMU_ENDINGS = {2 * EXIT_OK + 1: "ok", 2 * EXIT_FAILED + 1: "failed", 0: "reset"}
BOCHS_ENDINGS = {0: "ok", 1: "failed"}

# PLATFORM: with these one TSC tick is one instruction and two runs print the same. ERMS would count
# a page clear as 4096.
ICOUNT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm", "-seed", "1"]
ICOUNT_CPU = "max,+svm,-rdrand,-rdseed,-erms"
OVMF = "/usr/share/ovmf/OVMF.fd"
GRUBS = {"iso-bios": ["i386-pc"], "iso-uefi": ["x86_64-efi"], "iso": ["i386-pc", "x86_64-efi"]}
BOCHS_MODELS = {
    "bochs": "tigerlake",
    "bochs-tigerlake": "tigerlake",
    "bochs-haswell": "corei7_haswell_4770",
    "bochs-ryzen": "ryzen",
    "bochs-penryn": "core2_penryn_t9600",
    "bochs-clawhammer": "athlon64_clawhammer",
}
MACHINES = ["qemu-tcg", "qemu-kvm", *BOCHS_MODELS]

# An emulator ends with the process that started it, also when that is killed (prctl(2),
# PR_SET_PDEATHSIG).
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]


class MachineError(Exception):
    """The machine cannot be started; the text gives the reason."""


@dataclasses.dataclass
class Setup:
    """What to boot, and on what."""
    machine: str = "qemu-tcg"
    # kernel (the emulator loads it), iso-bios, iso-uefi; Bochs always takes iso-bios
    boot: str = "kernel"
					# (make_iso alone: iso, for both)
    # which one GRUB speaks when there is an ISO: multiboot or multiboot2
    protocol: str = "multiboot2"
    build: str = os.path.join(ROOT, "build")
    image: str = ""			# an image other than the build's samepage.elf
    cpus: int = 1
    memory: int = 256			# MiB
    cmdline: str = ""
    modules: list = dataclasses.field(default_factory=list)	# of (file, command line)
    icount: bool = False
    # where QEMU waits for gdb before the first instruction: tcp::1234, unix:PATH,server=on,wait=off
    gdb: str = ""
    # COM1 is this terminal, both ways, besides being kept; QEMU only
    terminal: bool = False
    extra: list = dataclasses.field(default_factory=list)	# more arguments for QEMU
    # the Control of COM2 (control.py), or None: there is no COM2
    control: object = None


def host_has_nested_kvm():
    """Whether KVM is here, ours to open, and offers VMX or SVM to its guests."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    for module in ("kvm_intel", "kvm_amd"):
        try:
            with open(f"/sys/module/{module}/parameters/nested", encoding="ascii") as nested:
                if nested.read().strip() in ("Y", "1"):
                    return True
        except OSError:
            continue
    return False


def default_machine():
    return "qemu-kvm" if host_has_nested_kvm() else "qemu-tcg"


def grub_words(text):
    """A command line as GRUB's script language must have it: each word quoted."""
    return " ".join(shlex.quote(word) for word in text.split())


def make_iso(path, setup, image):
    """
    A GRUB ISO that boots the image with its modules at once, for the firmwares that the
    setup names.
    """
    for grub in GRUBS[setup.boot]:
        if not os.path.isdir(f"/usr/lib/grub/{grub}"):
            raise MachineError(
                f"/usr/lib/grub/{grub} is missing: apt-get install grub-pc-bin grub-efi-amd64-bin"
            )
    with tempfile.TemporaryDirectory(prefix="samepage-iso-") as tree:
        os.makedirs(f"{tree}/boot/grub")
        shutil.copy(image, f"{tree}/boot/samepage.elf")
        module = "module2" if setup.protocol == "multiboot2" else "module"
        lines = [
            "set timeout=0",
            "set default=0",
            f"insmod {setup.protocol}",
            'menuentry "Samepage" {',
            f"\t{setup.protocol} /boot/samepage.elf {grub_words(setup.cmdline)}",
        ]
        for number, (file, cmdline) in enumerate(setup.modules):
            shutil.copy(file, f"{tree}/boot/module{number}")
            lines.append(f"\t{module} /boot/module{number} {grub_words(cmdline)}")
        with open(f"{tree}/boot/grub/grub.cfg", "w", encoding="utf-8") as config:
            config.write("\n".join([*lines, "}", ""]))
        # The slim set of modules starts the kernel in half the time; UEFI needs its own drivers for
        # the screen. An ISO for both, which a real machine may boot from anything, has them all.
        slim = (
            []
            if setup.boot == "iso"
            else [
                f"--install-modules={setup.protocol} normal iso9660"
                + (" biosdisk" if grub == "i386-pc" else " all_video"),
                "--fonts=",
                "--themes=",
                "--locales=",
                "-d",
                f"/usr/lib/grub/{grub}",
            ]
        )
        done = subprocess.run(
            ["grub-mkrescue", *slim, "-o", path, tree], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise MachineError(f"grub-mkrescue failed:\n{done.stderr.strip()}")


def kept_free(name, guest_cpus):
    """
    How many CPUs a machine needs beyond those for guests: QEMU's emulation keeps CPU 0 free of them
    (arch/x86/errata/emulators.c).
    """
    return 1 if name == "qemu-tcg" and guest_cpus > 1 else 0


def plain_path(file, folder, name):
    """
    A file's path as QEMU, which runs in ROOT, puts it into the command lines of the image and of
    its modules. Relative to ROOT, so that a machine with exact counts has the same text, and with
    it the same counts, in every clone. Without a blank: one ends the path there.
    """
    path = os.path.relpath(file, ROOT)
    path = os.path.abspath(file) if path.startswith("..") else path
    if not re.search(r"\s", path):
        return path
    link = f"{folder}/{name}"
    os.symlink(os.path.abspath(file), link)
    return link


def qemu_command(setup, image, folder, serial):
    """
    The command line of QEMU for a setup. mem-merge=off: where the host merges pages, it is to leave
    these alone.
    """
    command = [
        "qemu-system-x86_64",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-m",
        str(setup.memory),
        "-machine",
        "mem-merge=off",
        "-smp",
        str(setup.cpus),
        *serial,
        *(setup.control.qemu_arguments() if setup.control else []),
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=0x4",
    ]
    if setup.machine == "qemu-kvm":
        command += ["-accel", "kvm", "-cpu", "host"]
    elif setup.icount:
        command += ["-accel", "tcg", "-cpu", ICOUNT_CPU, *ICOUNT]
    else:
        command += ["-accel", "tcg,thread=multi", "-cpu", "max,+svm"]
    if setup.gdb:
        command += ["-gdb", setup.gdb, "-S"]
    if setup.boot == "kernel":
        file = image + "32" if os.path.exists(image + "32") else image
        command += ["-kernel", plain_path(file, folder, "image"), "-append", setup.cmdline]
        if setup.modules:
            modules = [
                f"{plain_path(file, folder, f'module{number}')} {text}".replace(",", ",,")
                for number, (file, text) in enumerate(setup.modules)
            ]
            command += ["-initrd", ",".join(modules)]
    else:
        make_iso(f"{folder}/k.iso", setup, image)
        command += [
            "-vga",
            "std",
            "-drive",
            f"file={folder}/k.iso,format=raw,media=cdrom,if=ide",
            "-boot",
            "d",
        ]
        if setup.boot == "iso-uefi":
            command += ["-bios", OVMF]
    return command + setup.extra


def bochs_command(setup, image, folder):
    """
    Writes bochsrc, the debugger's commands and the ISO; the command line of Bochs for a setup.
    """
    if setup.memory > 2048:
        raise MachineError(f"Bochs has at most 2048 MiB of memory, not {setup.memory}")
    if setup.cpus > 8:
        raise MachineError(f"Bochs has at most 8 CPUs, not {setup.cpus}")
    make_iso(f"{folder}/k.iso", dataclasses.replace(setup, boot="iso-bios"), image)
    with open(f"{folder}/bochsrc", "w", encoding="ascii") as config:
        config.write(
            BOCHSRC.format(
                folder=folder,
                model=BOCHS_MODELS[setup.machine],
                cpus=setup.cpus,
                memory=setup.memory,
            )
            + (setup.control.bochs_lines() if setup.control else "")
        )
    with open(f"{folder}/rc", "w", encoding="ascii") as commands:
        commands.write("c\nq\n")
    return ["bochs", "-q", "-unlock", "-f", f"{folder}/bochsrc", "-rc", f"{folder}/rc"]


BOCHSRC = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
vga: extension=vbe, realtime=0, update_freq=1
cpu: model={model}, count={cpus}, ips=4000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest={memory}, host={memory}
clock: sync=none, time0=946681200
ata1-master: type=cdrom, path={folder}/k.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={folder}/serial
port_e9_hack: enabled=1
magic_break: enabled=1
log: {folder}/bochs.log
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
sound: driver=dummy
speaker: enabled=0
mouse: enabled=0
"""


# Called with each session at its end, while its text is still there.
on_end = []


class Session:
    """A running machine, and a context manager: leaving it ends the machine, removes its folder."""

    def __init__(self, setup):
        self.setup = setup
        self.folder = tempfile.mkdtemp(prefix="samepage-run-")
        self.serial_path = f"{self.folder}/serial"
        self.started = time.monotonic()
        image = setup.image or os.path.join(setup.build, "samepage.elf")
        if not os.path.exists(image):
            shutil.rmtree(self.folder)
            raise MachineError(f"{image} is missing: build it first")
        try:
            if setup.machine in BOCHS_MODELS:
                command, self.endings = bochs_command(setup, image, self.folder), BOCHS_ENDINGS
            else:
                serial = ["-serial", f"file:{self.serial_path}"]
                if setup.terminal:
                    serial = [
                        "-chardev",
                        f"stdio,id=terminal,signal=off,logfile={self.serial_path}",
                        "-serial",
                        "chardev:terminal",
                    ]
                command = qemu_command(setup, image, self.folder, serial)
                self.endings = QEMU_ENDINGS
            self.command = command
            if not shutil.which(command[0]):
                raise MachineError(f"{command[0]} is missing")
            with open(f"{self.folder}/output", "wb") as output:
                self.process = subprocess.Popen(
                    DIE_WITH_PARENT + command,
                    stdin=None if setup.terminal else subprocess.DEVNULL,
                    stdout=None if setup.terminal else output,
                    stderr=output,
                    cwd=ROOT,
                )
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        for function in on_end:
            function(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def serial(self):
        """All the text of COM1 so far."""
        return self._text(self.serial_path)

    def output(self):
        """What the emulator itself said; for the report of a run that went wrong."""
        return (
            self._text(f"{self.folder}/output")[-4000:]
            + self._text(f"{self.folder}/bochs.log")[-2000:]
        )

    @staticmethod
    def _text(path):
        try:
            with open(path, "rb") as file:
                return file.read().decode("utf-8", "replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def running(self):
        return self.process.poll() is None

    def ending(self):
        """ok, failed, reset, or the emulator's own status as text. Only after the end."""
        status = self.process.returncode
        return self.endings.get(status, f"status {status}")

    def wait(self, timeout):
        """
        Waits for the end; after `timeout` seconds ends the machine. Returns ending() or "timeout".
        """
        try:
            self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.stop()
            return "timeout"
        return self.ending()

    def stop(self):
        """Ends the machine, first politely."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if not self.running():
                return
            self.process.send_signal(sig)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                continue


def start(setup):
    """Starts the machine. MachineError says why it cannot be."""
    if setup.machine not in MACHINES:
        raise MachineError(f"{setup.machine}: no such machine; there are {', '.join(MACHINES)}")
    if setup.machine == "qemu-kvm" and not host_has_nested_kvm():
        raise MachineError(
            "qemu-kvm: this host offers neither VMX nor SVM to guests of KVM; "
            "take --machine qemu-tcg"
        )
    return Session(setup)
