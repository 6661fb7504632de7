#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
image.py: the hypervisor's images use no vector or x87 register, and no segment of them is writable
and executable.

Why: guests' FPU state stays in the registers while the hypervisor runs, so one stray SSE
instruction would corrupt a guest. And W^X that the page tables enforce must already hold for the
segments they are made from.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

REGISTER = re.compile(r"%(?:[xyz]?mm\d+|st\b|st\(\d\))")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check(image):
    complaints = [
        f"{image}: FPU register: {line.strip()}"
        for line in output("objdump", "-d", "--no-show-raw-insn", image).splitlines()
        if REGISTER.search(line)
    ]
    loads = [
        line.split()
        for line in output("readelf", "-lW", image).splitlines()
        if line.strip().startswith("LOAD")
    ]
    for load in loads:
        flags = "".join(load[6:-1])
        if "W" in flags and "E" in flags:
            complaints.append(f"{image}: the segment at {load[2]} is writable and executable")
    if not loads:
        complaints.append(f"{image}: has no segment to load")
    if "NEEDED" in output("readelf", "-dW", image):
        complaints.append(f"{image}: needs a shared library")
    return complaints


def main():
    images = [path for build in ("build", "build-debug", "build-clang")
              for path in [os.path.join(tree.ROOT, build, "samepage.elf")] if os.path.exists(path)]
    if not images:
        sys.exit("no samepage.elf has been built")
    sys.exit(tree.verdict([complaint for image in images for complaint in check(image)]))


if __name__ == "__main__":
    main()
