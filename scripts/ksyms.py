#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
ksyms.py: the functions of a linked image as an assembly file, for the backtrace of a panic.

Why in passes: the table changes the image it describes. The first link has an empty table, the
second one a table of the right size, the third one the right addresses, as the section .ksyms no
longer grows. --verify holds that.

Layout, in section .ksyms, in ascending order of addresses:
    u32 ksyms_count; u32 ksyms_offsets[count]     address minus 0xffffffff80000000 u32
    ksyms_name_index[count]                   where in ksyms_names the NUL-terminated name starts
    char ksyms_names[]

Usage: ksyms.py [--nm NM] [--verify TABLE] [IMAGE] > TABLE       without IMAGE: the empty table
"""
import argparse
import subprocess
import sys

BASE = 0xFFFFFFFF80000000


def read_functions(nm, image):
    """
    The functions of the image as a sorted list of (offset, name); of several names the first is
    taken.
    """
    listing = subprocess.run(
        [nm, "--defined-only", image], check=True, capture_output=True, text=True
    ).stdout
    functions = {}
    for line in listing.splitlines():
        address, kind, name = line.split()
        if kind in "tTwW" and int(address, 16) >= BASE and not name.startswith("."):
            functions.setdefault(int(address, 16) - BASE, name)
    return sorted(functions.items())


def table_of(functions):
    """The assembly text of the table."""
    index, names, at = [], [], 0
    for _, name in functions:
        index.append(f"\t.long {at}")
        names.append(f'\t.asciz "{name}"')
        at += len(name) + 1
    return "\n".join([
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Made by scripts/ksyms.py. */",
        '\t.section .ksyms, "a", @progbits',
        "\t.globl ksyms_count, ksyms_offsets, ksyms_name_index, ksyms_names",
        "\t.balign 4",
        "ksyms_count:", f"\t.long {len(functions)}",
        "ksyms_offsets:", *[f"\t.long {offset:#x}" for offset, _ in functions],
        "ksyms_name_index:", *index,
        "ksyms_names:", *names,
        "\t.byte 0",
        '\t.section .note.GNU-stack, "", @progbits', ""])


def main():
    parser = argparse.ArgumentParser(
        description="Prints the table of an image's functions as assembly."
    )
    parser.add_argument("--nm", default="nm")
    parser.add_argument(
        "--verify", metavar="TABLE", help="print nothing; fail unless TABLE is the image's table"
    )
    parser.add_argument("image", nargs="?")
    options = parser.parse_args()
    table = table_of(read_functions(options.nm, options.image) if options.image else [])
    if not options.verify:
        sys.stdout.write(table)
        return
    with open(options.verify, encoding="utf-8") as text:
        if text.read() != table:
            sys.exit(f"ksyms: {options.image} does not match its table: one more pass is needed")


if __name__ == "__main__":
    main()
