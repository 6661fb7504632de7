# SPDX-License-Identifier: Apache-2.0
"""
provenance.py: what made a result: the revision, the tools, the configuration of a build.
"""
import functools
import os
import platform
import re
import subprocess

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
    """The commit, with -dirty behind it when a tracked file differs; None outside of git."""
    return line_of(["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])


def tools(emulator):
    """The versions of what built and ran it."""
    names = ["compiler", "cmake", "bochs" if emulator.startswith("bochs") else "qemu"]
    return {
        **{name: line_of(TOOLS[name]) for name in names},
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def settings(path):
    """CONFIG_ values of a file, by name."""
    with open(path, encoding="utf-8") as file:
        return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", file.read(), re.M))


def configuration(where):
    """The Kconfig values of a build, and those that a minimal defconfig has to name."""
    work = os.path.join(where, "kconfig")
    script = os.path.join(machine.ROOT, "scripts", "kconfig.py")
    saved = os.path.join(where, "differs_defconfig")
    command = ["python3", script, "--source", machine.ROOT, "--work", work, "--save", saved]
    subprocess.run(command, capture_output=True, check=False)
    return {
        "values": settings(os.path.join(work, ".config")),
        "differs": settings(saved) if os.path.exists(saved) else None,
    }
