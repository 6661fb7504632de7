#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
headers.py: each header compiles alone, with gcc and with clang, and including it twice does no
harm.
"""
import concurrent.futures
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

FLAGS = [
    "-std=gnu11",
    "-ffreestanding",
    "-mgeneral-regs-only",
    "-mno-red-zone",
    "-fsyntax-only",
    "-Wall",
    "-Wextra",
    "-Wundef",
    "-Werror",
    "-include",
    "build/kconfig/include/generated/autoconf.h",
    "-x",
    "c",
    "-",
]


def include_path(name):
    """Where a header of this folder looks for others: that of its room."""
    if name.startswith("guest/"):
        return ["-Iinclude", "-Iguest/include", "-Iguest", "-I" + os.path.dirname(name)]
    return [
        "-Iinclude",
        "-iquote",
        ".",
        "-Iarch/x86/inline",
        "-Iarch/x86/include",
        "-I" + os.path.dirname(name),
    ]


def check(job):
    compiler, name = job
    text = f'#include "{os.path.join(tree.ROOT, name)}"\n' * 2
    done = subprocess.run(
        [compiler, *include_path(name), *FLAGS],
        input=text,
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return [f"{compiler}: {name}:\n{done.stderr.strip()}"] if done.returncode else []


def main():
    names = [name for name in tree.files(".h") if not name.startswith(("tests/", "labs/"))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        complaints = pool.map(
            check, [(compiler, name) for compiler in ("gcc", "clang") for name in names]
        )
    sys.exit(tree.verdict([line for some in complaints for line in some]))


if __name__ == "__main__":
    main()
