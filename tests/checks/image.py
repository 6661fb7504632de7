#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
image.py: the hypervisor's images use no vector or x87 register, no segment of them is writable and
executable, and after an exit no general register keeps a guest's value.

Why: guests' FPU state stays in the registers while the hypervisor runs, so one stray SSE
instruction would corrupt a guest. And W^X that the page tables enforce must already hold for the
segments they are made from. A register that is not overwritten behind an exit can be used under
speculation.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

REGISTER = re.compile(r"%(?:[xyz]?mm\d+|st\b|st\(\d\))")

# From the exit to the C code: the function, the instruction before the first one, and the last one.
EXITS = {"svm_run": ("vmrun", "stgi"), "vmx_exit_point": (None, None)}
REGISTERS = {"ax", "bx", "cx", "dx", "si", "di", "bp", *(f"{n}" for n in range(8, 16))}
OVERWRITTEN = re.compile(r"\t(?:xor\s+%(\w+),%\1|pop\s+%(\w+))$")
# Loads of what is ours: the struct svm_vcpu, and the VMCB's exit code (svm/run.c).
LOADED = re.compile(r"\tmov\s+(?:0x90\(%rax\),%(rdi)|0x70\(%rdi\),%(rcx))$")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def kept(code, function, behind, last):
    """The general registers that still have a guest's value when C code runs again."""
    lines = code.partition(f"<{function}>:\n")[2].partition("\n\n")[0].splitlines()
    if behind:
        lines = lines[next(i for i, line in enumerate(lines) if behind in line) + 1 :]
        lines = lines[: next(i for i, line in enumerate(lines) if last in line)]
    names = {match[1] or match[2]
             for line in lines if (match := OVERWRITTEN.search(line) or LOADED.search(line))}
    return REGISTERS - {re.sub(r"^[er]|(?<=\d)d$", "", name) for name in names}


def check(image):
    code = output("objdump", "-d", "--no-show-raw-insn", image)
    complaints = [
        f"{image}: FPU register: {line.strip()}"
        for line in code.splitlines()
        if REGISTER.search(line)
    ]
    complaints += [
        f"{image}: {function}: r{name} is the guest's after an exit"
        for function, bounds in EXITS.items()
        for name in sorted(kept(code, function, *bounds))
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
