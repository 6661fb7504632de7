#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
badelf.py: guests' files that a user, a disk or an attacker got wrong, each made from a good one.

Usage: badelf.py GOOD_ELF32 FOLDER      writes FOLDER/NAME.bad for each NAME below
"""
import struct
import sys

PHOFF, PHNUM, ENTRY = 28, 44, 24	# in the ELF32 header
TYPE, OFFSET, PADDR, FILESZ, MEMSZ = 0, 4, 12, 16, 20	# in a program header


def put(image, at, value, form="<I"):
    out = bytearray(image)
    struct.pack_into(form, out, at, value)
    return bytes(out)


def segment(image, field, which=0):
    """Where a field of a program header to load stands, by default of the first."""
    table, = struct.unpack_from("<I", image, PHOFF)
    count, = struct.unpack_from("<H", image, PHNUM)
    loads = [
        table + 32 * i
        for i in range(count)
        if struct.unpack_from("<I", image, table + 32 * i)[0] == 1
    ]
    return loads[which] + field


def first_header(image):
    return image.index(struct.pack("<I", 0x1BADB002))


MADE = {
    "empty": lambda good: b"\0",
    "text": lambda good: b"this is no kernel\n" * 8,
    "truncated": lambda good: good[:200],
    "half": lambda good: good[: first_header(good) + 64],
    "no-header": lambda good: put(good, first_header(good), 0),
    "needs-more": lambda good: put(
        put(good, first_header(good) + 4, 0x8003),
        first_header(good) + 8,
        -(0x1BADB002 + 0x8003) & 0xFFFFFFFF,
    ),
    "other-machine": lambda good: put(good, 18, 40, "<H"),
    "big-endian": lambda good: put(good, 5, 2, "<B"),
    "shared": lambda good: put(good, 16, 3, "<H"),
    "table-outside": lambda good: put(good, PHOFF, 0xFFFFFFF0),
    "many-headers": lambda good: put(good, PHNUM, 0xFFFF, "<H"),
    "file-outside": lambda good: put(good, segment(good, OFFSET), 0x7FFFFFFF),
    "file-wraps": lambda good: put(
        put(good, segment(good, OFFSET), 0xFFFFF000), segment(good, FILESZ), 0x2000
    ),
    "too-high": lambda good: put(good, segment(good, PADDR), 0xF0000000),
    "wraps": lambda good: put(good, segment(good, MEMSZ), 0xFFFFFFFF),
    "in-the-hole": lambda good: put(good, segment(good, PADDR), 0xA0000),
    "overlap": lambda good: put(
        good, segment(good, PADDR, 1), struct.unpack_from("<I", good, segment(good, PADDR))[0]
    ),
    "longer-file": lambda good: put(good, segment(good, MEMSZ), 1),
    "entry-outside": lambda good: put(good, ENTRY, 0x40),
}


def write_all(made, good_path, folder, extension):
    """One file for each entry of a table like MADE."""
    with open(good_path, "rb") as file:
        good = file.read()
    for name, make in made.items():
        with open(f"{folder}/{name}.{extension}", "wb") as out:
            out.write(make(good))


if __name__ == "__main__":
    write_all(MADE, *sys.argv[1:], "bad")
