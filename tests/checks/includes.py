#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
includes.py: who may know whom, by the #include lines. docs/architecture.md has the picture.

A room may include what its row allows and itself. <asm/...> is arch/x86's own folder of headers, which the boot path
shares; vmx and svm never know each other.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

# The longest matching folder counts. Names are the first part of an include, e.g. <arch/cpu.h>.
ALLOWED = {
    "lib/": {"lib"},
    "include/lib/": {"lib"},
    "include/arch/": {"lib", "arch"},
    "include/mm/": {"lib", "arch", "mm"},
    "include/hv/": {"lib", "arch", "mm", "hv", "abi"},
    "include/abi/": {"abi"},
    "mm/": {"lib", "arch", "mm"},
    "hv/": {"lib", "arch", "mm", "hv", "abi"},
    "arch/x86/": {"lib", "arch", "mm", "hv", "asm"},
    "arch/x86/pgtable/": {"lib", "arch"},
    "boot/": {"lib", "arch", "asm", "hv"},	# hv for hv_main() alone
    "guest/": {"abi"},
}
ROOMS = {"lib", "arch", "mm", "hv", "abi", "asm", "boot", "guest"}
INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^">]+)[">]')


def check(name):
    room = max((folder for folder in ALLOWED if name.startswith(folder)), key=len, default=None)
    if room is None:
        return []
    complaints = []
    for number, line in tree.lines(name):
        include = INCLUDE.match(line)
        if not include:
            continue
        target = include[1].split("/")[0]
        if target in ROOMS and "/" in include[1] and target not in ALLOWED[room]:
            complaints.append(f"{name}:{number}: {room} may not know {target}: {line.strip()}")
        if ("arch/x86/vmx/" in name and "svm" in include[1]) or ("arch/x86/svm/" in name and "vmx" in include[1]):
            complaints.append(f"{name}:{number}: vmx and svm may not know each other: {line.strip()}")
        if include[1].startswith(".."):
            complaints.append(f"{name}:{number}: a way around the include path: {line.strip()}")
    return complaints


if __name__ == "__main__":
    sys.exit(tree.verdict([complaint for name in tree.files(".c", ".h", ".S") for complaint in check(name)]))
