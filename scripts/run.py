#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
run.py: builds the hypervisor and its guests and boots them on an emulated machine; the Python
behind ./run.
"""
import argparse
import contextlib
import os
import signal
import subprocess
import sys
import termios
import time

import bench
import bench_merge
import linux
import machine
import processes
import report

RESULTS = os.path.join(machine.ROOT, "build", "results")

# Guests by name: a file of the build's guest/, and the VM it becomes.
GUESTS = {
    "hello": "hello.elf name=hello memory=16M arg=hello from the command line",
    "exits": "exits.elf name=exits memory=16M",
    "memory": "memory.elf name=memory test_calls=yes memory=64M",
    "smp": "smp.elf name=smp memory=16M vcpus=2",
    "real": "real.bin name=real memory=2M type=real",
    "fpu": "fpu.elf name=fpu memory=16M arg=seed=1 rounds=40",
    "hostile": "hostile.elf name=hostile test_calls=yes memory=16M arg=triple",
}

# The main job: two Debian Linux guests that work on the same files while their pages are merged.
LINUX = "linux/cloud:name={0} memory=192M merge=1 type=linux console=16M " \
        "arg=console=ttyS0 quiet tsc=reliable"
MAIN_JOB = [
    LINUX.format("one"),
    "linux/work.initrd:for=one",
    LINUX.format("two"),
    "linux/work.initrd:for=two",
]
MAIN_MEMORY = 768
MAIN_GUEST_CPUS = 2
# of its own pass in one of ours, more or less: a second is 4 million instructions there
BOCHS_SECONDS = 30


BENCHES = {**bench.BENCHES, **bench_merge.BENCHES}


class Stop(Exception):
    """Ends ./run with a message and status 1."""


def say(text):
    print(f"samepage: {text}", flush=True)


def need(*purposes):
    """Installs, or names, the packages of a purpose; scripts/packages.sh prints the command."""
    if subprocess.run(
        [os.path.join(machine.ROOT, "scripts", "packages.sh"), *purposes], check=False
    ).returncode:
        sys.exit(1)


def watch(command):
    """
    Runs a build step; on a terminal its [12/97] is shown as it moves. Returns (status, output).
    """
    lines = []
    with subprocess.Popen(
        command,
        cwd=machine.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout:
            lines.append(line)
            if sys.stdout.isatty() and line.startswith("["):
                print(f"\r    {line.split(']')[0]}] ", end="", flush=True)
    if sys.stdout.isatty():
        print("\r", end="")
    return process.returncode, "".join(lines)


def build(preset, targets=()):
    """
    Configures when there is no build yet, and builds. The compiler's words are shown only when it
    fails.
    """
    where = os.path.join(
        machine.ROOT,
        {"default": "build", "debug": "build-debug", "asan": "build-host", "bench": "build-bench"}[
            preset
        ],
    )
    steps = [["cmake", "--build", where, *[word for target in targets for word in ("-t", target)]]]
    if not os.path.exists(os.path.join(where, "build.ninja")):
        steps.insert(0, ["cmake", "--preset", preset])
    say(f"building in {os.path.relpath(where, machine.ROOT)}/ ...")
    started = time.monotonic()
    for step in steps:
        status, output = watch(step)
        if status:
            raise Stop(f"{' '.join(step)} failed:\n{output}")
    say(f"built in {time.monotonic() - started:.0f} s")
    return where


def modules_of(where, names):
    """The boot modules for guests by name, or for FILE:COMMAND LINE."""
    found = []
    for name in [guest for name in names for guest in (GUESTS if name == "all" else [name])]:
        file, _, cmdline = name.partition(":")
        if name in GUESTS:
            file, _, cmdline = GUESTS[name].partition(" ")
            file = os.path.join(where, "guest", file)
        if linux.provides(file):
            file = linux.provide(file)
        if not os.path.exists(file):
            raise Stop(
                f"--guest {name}: there is no {file}; guests by name are {', '.join(GUESTS)}"
            )
        found.append((file, cmdline))
    return found


def follow(session):
    """
    Copies the serial console to the terminal, if it is not there by itself, until the machine ends.
    """
    if session.setup.terminal:
        session.process.wait()
        return session.serial()
    shown = 0
    while True:
        running = session.running()
        text = session.serial()
        sys.stdout.write(text[shown:])
        sys.stdout.flush()
        shown = len(text)
        if not running:
            return text
        time.sleep(0.05)


def boot(options):
    """The main job. Returns the exit status."""
    name = options.machine or machine.default_machine()
    how = f"iso-{options.iso}" if options.iso else "kernel"
    if options.gdb and name in machine.BOCHS_MODELS:
        raise Stop("--gdb works with QEMU; Bochs has a debugger of its own")
    if options.console and name in machine.BOCHS_MODELS:
        raise Stop("--console works with QEMU; Bochs has no way to type at its serial port here")
    need(*(["bochs"] if name in machine.BOCHS_MODELS else []), *(["iso"] if options.iso else []),
         *(["gdb"] if options.gdb else []))
    where = build("debug" if options.debug else "default")
    words = options.cmdline + (f" console={options.console}" if options.console else "")
    if not (options.icount or options.console or "progress=" in words):
        words += f" progress={BOCHS_SECONDS if name in machine.BOCHS_MODELS else 1}"
    cpus = options.cpus or MAIN_GUEST_CPUS + machine.kept_free(name, MAIN_GUEST_CPUS)
    if options.icount:
        cpus = 1
    setup = machine.Setup(
        machine=name,
        boot=how,
        build=where,
        cpus=cpus,
        memory=options.memory,
        cmdline=words.strip(),
        terminal=bool(options.console),
        modules=modules_of(where, options.guest or MAIN_JOB),
        gdb="tcp::1234" if options.gdb else "",
        icount=options.icount,
    )
    say(f"booting on {name}: {cpus} CPU(s), {options.memory} MiB, {len(setup.modules)} module(s)"
        f"{', through GRUB' if options.iso or name in machine.BOCHS_MODELS else ''}")
    if options.gdb:
        say("the machine waits for gdb. In another terminal:")
        say(
            "    gdb -x scripts/gdb/samepage.gdb "
            + os.path.join(os.path.relpath(where, machine.ROOT), "samepage.elf")
        )
    if options.console:
        say(
            "the keyboard is the guest's; Ctrl-] and a digit gives it to another one, "
            "Ctrl-] q ends all"
        )
    started = time.monotonic()
    with machine.start(setup) as session:
        text = follow(session)
        ending, output = session.ending(), session.output()
    return show(setup, text, ending, output, time.monotonic() - started)


def show(setup, text, ending, output, seconds):
    """The report on the terminal, and as build/results/run.json and run.html."""
    run = report.parse(text)
    run.update(machine=setup.machine, ending=ending)
    print()
    say(f"report: {setup.machine}, ended with {ending} after {seconds:.1f} s")
    for row in report.rows(run):
        say(f"    {row}")
    paths = report.write(run, RESULTS, f"Samepage on {setup.machine}")
    say(f"the same in {' and '.join(os.path.relpath(path, machine.ROOT) for path in paths)}")
    if ending != "ok" and not text:
        print(output)
    return 0 if ending == "ok" and not any("| not ok" in line for line in run["noted"]) else 1


def arguments():
    parser = argparse.ArgumentParser(
        prog="./run",
        description="Builds Samepage, boots it on an emulated machine, and reports.",
        epilog="./run bench exits | mm | merge | policies measures instead of booting, and writes "
        "build/results/NAME.json.",
    )
    parser.add_argument(
        "job",
        nargs="?",
        choices=["boot", "bench"],
        default="boot",
        help="what to do; default: boot",
    )
    parser.add_argument("what", nargs="?", help=f"which bench: {', '.join(BENCHES)}")
    parser.add_argument(
        "--machine",
        choices=machine.MACHINES,
        help="default: qemu-kvm where the host offers VMX or SVM to guests, else qemu-tcg",
    )
    parser.add_argument(
        "--cpus",
        type=int,
        metavar="N",
        help=f"default: {MAIN_GUEST_CPUS}, and one more on qemu-tcg, where CPU 0 takes no guests; "
        "with --icount 1",
    )
    parser.add_argument(
        "--memory", type=int, default=MAIN_MEMORY, metavar="MIB", help=f"default: {MAIN_MEMORY}"
    )
    parser.add_argument(
        "--cmdline",
        default="",
        metavar="TEXT",
        help='the hypervisor\'s own, e.g. "log=info,vmx=debug"',
    )
    parser.add_argument(
        "--guest",
        action="append",
        metavar="NAME|FILE:CMDLINE",
        help=f"boot this guest ({', '.join(GUESTS)}, all of these, or a file) "
        "instead of two Linux guests; "
        "may be given again",
    )
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
    options = parser.parse_args()
    if (options.cpus is not None and options.cpus < 1) or options.memory < 32:
        parser.error("--cpus is at least 1, --memory at least 32")
    if options.icount and options.cpus not in (None, 1):
        parser.error("--icount counts one CPU: leave --cpus out")
    if (options.job == "bench") != (options.what in BENCHES):
        parser.error(f"a bench is one of: {', '.join(BENCHES)}" if options.job == "bench" else
                     f"{options.what}: nothing of that name can be booted")
    return options


def interrupted(*_):
    """The first Ctrl-C ends everything on its way out; more of them must not cut that short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def terminal_kept():
    """
    An emulator with --console makes the terminal raw, and restores it only if it ends by itself.
    """
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def main():
    signal.signal(signal.SIGINT, interrupted)
    processes.catch(signal.SIGTERM)
    try:
        with terminal_kept():
            return work(arguments())
    except processes.Ended as ended:
        return 128 + ended.args[0]
    except KeyboardInterrupt:
        print("\nsamepage: interrupted", file=sys.stderr)
        return 130


def work(options):
    try:
        if options.job == "bench":
            return BENCHES[options.what](options, need, build)
        return boot(options)
    except (Stop, linux.LinuxError, machine.MachineError) as stop:
        print(f"samepage: {stop}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
