#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
badbzimage.py: kernels' malformed files of Linux's boot protocol, each made from a
good one.

Usage: badbzimage.py GOOD_BZIMAGE FOLDER      writes FOLDER/NAME.badbz for each NAME below
"""
import sys

from badelf import put, write_all

# Of the setup header (Linux, Documentation/x86/boot.rst).
SECTORS, SYSSIZE, BOOT_FLAG, MAGIC, VERSION, XLOADFLAGS, PLACE, INIT_SIZE = (
    0x1F1,
    0x1F4,
    0x1FE,
    0x202,
    0x206,
    0x236,
    0x258,
    0x260,
)
CODE = 0x400		# where the good file's code begins

MADE = {
    "empty": lambda good: b"\0",
    "text": lambda good: b"this is no kernel\n" * 80,
    "header-cut": lambda good: good[:0x260],
    "no-code": lambda good: good[:CODE],
    "cut": lambda good: good[:-16],
    "no-flag": lambda good: put(good, BOOT_FLAG, 0, "<H"),
    "no-magic": lambda good: put(good, MAGIC, 0),
    "old": lambda good: put(good, VERSION, 0x20B, "<H"),
    "setup-outside": lambda good: put(good, SECTORS, 0xFF, "<B"),
    "says-more": lambda good: put(good, SYSSIZE, 0xFFFFFFFF),
    "small-init": lambda good: put(good, INIT_SIZE, 16),
    "huge-init": lambda good: put(good, INIT_SIZE, 0xFFFFFFFF),
    "on-the-tables": lambda good: put(good, PLACE, 0x9000, "<Q"),
    "off-a-page": lambda good: put(good, PLACE, 0x100010, "<Q"),
    "too-high": lambda good: put(good, PLACE, 0xF0000000, "<Q"),
    "wraps": lambda good: put(good, PLACE, 0xFFFFFFFFFFFFF000, "<Q"),
}


if __name__ == "__main__":
    write_all(MADE, *sys.argv[1:], "badbz")
