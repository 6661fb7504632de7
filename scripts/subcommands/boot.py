# SPDX-License-Identifier: Apache-2.0
"""
boot.py: ./run itself: boots guests on an emulated machine, follows the console, and reports.
"""
import contextlib
import os

import builder
import control
import guests
import machine
import outcome
import results
import words
from output import Stop, say, warn

SUMMARY = "build, boot guests on an emulated machine, and report (the default)"

# Seconds of silence before a line of progress. Bochs counts its own time, in which one second is
# 4 million instructions.
SILENCE = 1
BOCHS_SILENCE = 30
# Milliseconds between two samples of the statistics.
SAMPLE = 500
BOCHS_SAMPLE = 20000


def arguments(parser):
    option = parser.add_argument(
        "--machine",
        metavar="NAME",
        help=f"one of {', '.join(machine.MACHINES)}; default: qemu-kvm where the host offers VMX "
        "or SVM to guests, else qemu-tcg",
    )
    option.completer = lambda **_: machine.MACHINES
    parser.add_argument(
        "--cpus",
        type=int,
        metavar="N",
        help=f"default: {guests.MAIN_CPUS}, and one more on qemu-tcg, where CPU 0 takes no guests; "
        "with --icount 1",
    )
    parser.add_argument(
        "--memory",
        type=int,
        default=guests.MAIN_MEMORY,
        metavar="MIB",
        help=f"default: {guests.MAIN_MEMORY}",
    )
    parser.add_argument(
        "--cmdline",
        default="",
        metavar="TEXT",
        help='the hypervisor\'s own, e.g. "log=info,vmx=debug"',
    )
    option = parser.add_argument(
        "--guest",
        action="append",
        metavar="NAME|FILE:CMDLINE",
        help=f"boot this guest ({', '.join([*guests.GUESTS, 'all of these', *guests.SEVERAL])}, "
        "or a file) instead of two Linux guests; may be given again",
    )
    option.completer = lambda **_: [*guests.GUESTS, *guests.SEVERAL, "all"]
    parser.add_argument("--console", type=int, metavar="N",
                        help="give this terminal to guest N, counted from 1, to log in")
    parser.add_argument("--iso", nargs="?", const="bios", choices=["bios", "uefi"],
                        help="boot through GRUB from an ISO, by BIOS (default) or UEFI")
    parser.add_argument(
        "--icount", action="store_true", help="QEMU counts instructions: two runs print the same"
    )
    parser.add_argument(
        "--gdb", action="store_true", help="wait for gdb before the first instruction"
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="the debug build: lock ranks, poisoned frames, all checks",
    )


def check_options(options):
    """Refuses what the machine cannot do."""
    bochs = options.machine in machine.BOCHS_MODELS
    if options.machine not in machine.MACHINES:
        raise Stop(f"--machine {options.machine}: "
                   f"{words.nearest(options.machine, machine.MACHINES)}")
    if (options.cpus is not None and options.cpus < 1) or options.memory < 32:
        raise Stop("--cpus is at least 1, --memory at least 32")
    if options.icount and options.cpus not in (None, 1):
        raise Stop("--icount counts one CPU: leave --cpus out")
    if options.gdb and bochs:
        raise Stop("--gdb works with QEMU; Bochs has a debugger of its own")
    if options.console and bochs:
        raise Stop("--console works with QEMU; Bochs has no way to type at its serial port here")


def check_words(options):
    """Refuses words, names and files that are wrong; all complaints at once."""
    names = options.guest or guests.MAIN_JOB
    complaints = [f"--cmdline: {text}" for text in words.check_hypervisor(options.cmdline)]
    complaints += [f"--guest: {text}" for text in guests.check(names, cpus_of(options))]
    if complaints:
        raise Stop(*complaints)
    lines = guests.vms(names)
    if options.console is not None and not 1 <= options.console <= len(lines):
        raise Stop(f"--console {options.console}: the guests are numbered 1 to {len(lines)}")
    memory = sum(words.memory_of(line) for line in lines) >> 20
    if memory > options.memory:
        warn(f"the guests have {memory} MiB together, the machine has {options.memory} MiB; "
             "more is there only if pages are merged or reclaimed")


def purposes(options):
    """The purposes of scripts/packages.sh for the machine."""
    return [
        "bochs" if options.machine in machine.BOCHS_MODELS else "qemu",
        *(["iso"] if options.iso else []),
        *(["gdb"] if options.gdb else []),
    ]


def cpus_of(options):
    if options.icount:
        return 1
    return options.cpus or guests.MAIN_CPUS + machine.kept_free(options.machine, guests.MAIN_CPUS)


def words_of(options):
    """The hypervisor's command line."""
    text = options.cmdline + (f" console={options.console}" if options.console else "")
    bochs = options.machine in machine.BOCHS_MODELS
    if not (options.icount or options.console or "progress=" in text):
        text += f" progress={BOCHS_SILENCE if bochs else SILENCE}"
    if not (options.icount or "sample=" in text):
        text += f" sample={BOCHS_SAMPLE if bochs else SAMPLE}"
    return text.strip()


def setup_of(options, where):
    return machine.Setup(
        machine=options.machine,
        boot=f"iso-{options.iso}" if options.iso else "kernel",
        build=where,
        cpus=cpus_of(options),
        memory=options.memory,
        cmdline=words_of(options),
        terminal=bool(options.console),
        modules=guests.modules_of(where, options.guest or guests.MAIN_JOB),
        gdb="tcp:127.0.0.1:1234" if options.gdb else "",
        icount=options.icount,
    )


def announce(options, setup):
    """What is booted, and what the user can do now."""
    grub = options.iso or setup.machine in machine.BOCHS_MODELS
    say(f"booting on {setup.machine}: {setup.cpus} CPU(s), {setup.memory} MiB, "
        f"{len(setup.modules)} module(s){', through GRUB' if grub else ''}")
    if options.gdb:
        image = os.path.join(os.path.relpath(setup.build, machine.ROOT), "samepage.elf")
        say("the machine waits for gdb. In another terminal:")
        say(f"    gdb -x scripts/gdb/samepage.gdb {image}")
    if options.console:
        say("the keyboard is the guest's; Ctrl-] and a digit gives it to another one, "
            "Ctrl-] q ends all")


def main(options, companion=None):
    """
    companion: begin(setup), a context manager, before the start; end(it, folder) after the run,
    before the report, so that the last line says how the run went.
    """
    options.machine = options.machine or machine.default_machine()
    check_options(options)
    check_words(options)
    builder.need("report", *purposes(options))
    setup = setup_of(options, builder.build("debug" if options.debug else "default"))
    announce(options, setup)
    with results.Folder("run") as folder:
        run = outcome.Run(folder, setup, guests.vms(options.guest or guests.MAIN_JOB))
        with (
            control.Control(folder.path) as setup.control,
            companion.begin(setup) if companion else contextlib.nullcontext() as taken,
        ):
            run.follow()
            if companion:
                setup.control.stop()
                companion.end(taken, folder)
        return run.report()
