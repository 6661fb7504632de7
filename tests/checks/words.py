#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
words.py: the check of command lines in scripts/words.py says what the hypervisor says.

boot/options.c and hv/load/config.c are compiled into a library for this computer, and lines made
from their tables, right and wrong ones, are given to both.
"""
import ctypes
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree
import words

SOURCES = ["boot/options.c", "hv/load/config.c", "lib/words.c", "lib/string.c", "lib/text.c"]
FLAGS = ["-shared", "-fPIC", "-O1", "-w", "-ffreestanding", "-Iinclude", "-Iarch/x86/inline"]
FLAGS += ["-I.", "-include", "build/kconfig/include/generated/autoconf.h"]
CPUS = 4
# What the files call besides each other: a log that counts its lines.
ENVIRONMENT = """
unsigned complaints;
void log_line(int subsystem, int level, const char *format, ...) { complaints++; }
_Bool log_enabled(int subsystem, int level) { return 1; }
void check_failed(void) { __builtin_trap(); }
"""
# Checked by the user of the option, not by options.c.
CHECKED_LATER = {"log", "notifier", "merge", "selftest", "trace", "trace_vm", "trace_page"}
LINES = ["", "name=a", "for=a any=thing", "name=a memory=4097", "memory=16M", "name=a x",
         "name=a type=linux memory=64K", "name=a type=linux memory=4G", "name=a board=pc memory=2M",
         "name=a type=bios memory=64K", "name=a type=bios disk=b keyboard=yes",
         "name=a arg=memory=1 2 3", "name=a arg=" + "x" * 255, "name=a arg=" + "x" * 256,
         "name=a  memory=2M ", "name=a memory=0x100K", "name=a cpu=0,2-3", "name=a cpu=0-4",
         "name=a cpu=3-2", "name=a cpu=,", "name=a cpu="]


def library(folder):
    """The C files as a library of this computer."""
    stub, made = os.path.join(folder, "environment.c"), os.path.join(folder, "words.so")
    with open(stub, "w", encoding="ascii") as file:
        file.write(ENVIRONMENT)
    subprocess.run(["gcc", *FLAGS, "-o", made, *SOURCES, stub], cwd=tree.ROOT, check=True)
    return ctypes.CDLL(made)


def c_takes_option(code, word):
    counter = ctypes.c_uint.in_dll(code, "complaints")
    counter.value = 0
    code.options_parse(f"image {word}".encode())
    return counter.value == 0


def c_takes_vm(code, line):
    config, error = ctypes.create_string_buffer(1 << 16), ctypes.create_string_buffer(64)
    return code.vm_config_parse(line.encode(), CPUS, config, error) == 0


def samples(word):
    """Values on both sides of what a word takes."""
    for value in words.spelled(word):
        low, dots, high = value.partition("..")
        ends = [words.number(end) for end in (low, high)] if dots else []
        yield from (str(end + by) for end in ends for by in (-1, 0, 1) if end + by >= 0)
        yield from ("", value, value + "x", value.upper(), value.lower(), "0x1", "1K", "-1", "4096")


def check_tables():
    """The tables are found whole."""
    complaints = []
    for file, found, row in (("boot/options.c", words.hypervisor(), '.name = "'),
                             ("hv/load/config.c", words.vm(), '{"')):
        table = tree.text(file)
        count = table.count(row)
        if count != len(found) or not found:
            complaints.append(f"{file}: {count} rows, of which scripts/words.py reads {len(found)}")
    return complaints


def check_options(code):
    return [
        f"boot/options.c and scripts/words.py disagree about {name}={value}"
        for name, word in words.hypervisor().items()
        if name not in CHECKED_LATER
        for value in samples(word)
        for text in [f"{name}={value}"]
        if c_takes_option(code, text) == bool(words.check_hypervisor(text))
    ]


def check_vms(code):
    lines = LINES + [
        f"{'' if name in ('name', 'for') else 'name=a '}{name}={value}"
        for name, word in words.vm().items()
        for value in samples(word)
    ]
    return [
        f"hv/load/config.c and scripts/words.py disagree about '{line}'"
        for line in lines
        if c_takes_vm(code, line) == bool(words.check_vm(line, CPUS))
    ]


def main():
    with tempfile.TemporaryDirectory(prefix="samepage-words-") as folder:
        code = library(folder)
        return tree.verdict(check_tables() + check_options(code) + check_vms(code))


if __name__ == "__main__":
    sys.exit(main())
