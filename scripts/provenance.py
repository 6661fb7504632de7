# SPDX-License-Identifier: Apache-2.0
"""
provenance.py: what made a result: the revision, the tools, the configuration of a build.
"""
import functools
import os
import platform
import re
import subprocess
import sys
import time

import machine

TOOLS = {
    "compiler": ["gcc", "--version"],
    "qemu": ["qemu-system-x86_64", "--version"],
    "bochs": ["dpkg-query", "-W", "-f", "${Version}", "bochs"],
    "cmake": ["cmake", "--version"],
}


def line_of(command):
    """The first line that a command prints, or None."""
    try:
        done = subprocess.run(
            command, cwd=machine.ROOT, capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else None


@functools.cache
def revision():
    """The commit; None outside of git."""
    return line_of(["git", "rev-parse", "--short=12", "HEAD"])


@functools.cache
def is_dirty():
    """Whether a tracked file differs from the commit."""
    return bool(line_of(["git", "status", "--porcelain", "--untracked-files=no"]))


def tools(emulators):
    """The versions of what built and ran it, and of the kernel below."""
    return {
        **{name: line_of(TOOLS[name]) for name in ("compiler", "cmake", *emulators)},
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def settings(path):
    """CONFIG_ values of a file, by name."""
    with open(path, encoding="utf-8") as file:
        return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", file.read(), re.M))


def configuration(where):
    """The Kconfig values of a build, and those of them that are not the default."""
    work = os.path.join(where, "kconfig")
    saved = os.path.join(work, "differs")
    script = os.path.join(machine.ROOT, "scripts", "kconfig.py")
    command = [sys.executable, script, "--source", machine.ROOT, "--work", work, "--save", saved]
    subprocess.run(command, capture_output=True, check=True)
    return {"values": settings(os.path.join(work, ".config")), "differs": settings(saved)}


def seeds(setup):
    """The seeds that are on a command line, by their words, and QEMU's own under -icount."""
    lines = [("hypervisor", setup.cmdline), *setup.modules]
    found = {
        f"{file}: {word.partition('=')[0]}": word.partition("=")[2]
        for file, cmdline in lines
        for word in cmdline.split()
        if word.startswith(("seed=", "fail_seed="))
    }
    return {**found, **({"qemu": "1"} if setup.icount else {})}


def of_setup(setup):
    """What a machine was given: its size, the command lines, the guests, the seeds."""
    return {
        "machine": {
            "name": setup.machine, "cpus": setup.cpus, "memory_mib": setup.memory,
            "boot": setup.boot, "icount": setup.icount,
        },
        "hypervisor": {"cmdline": setup.cmdline},
        "guests": [list(module) for module in setup.modules],
        "seeds": seeds(setup),
    }


def manifest(name, where, emulators):
    """What made a result, of a run or a bench, with the build in the folder `where`."""
    return {
        "name": name,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": sys.argv,
        "revision": revision(),
        "dirty": is_dirty(),
        "tools": tools(emulators),
        "kconfig": configuration(where),
        "host": {"cpus": os.cpu_count(), "machine": platform.machine()},
    }
