#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
mkiso.py: an ISO that boots the hypervisor and its guests on a real machine, by BIOS or by UEFI,
from a CD, or from a USB stick that it is written to byte by byte. ./run makes its own for the
emulators.

    scripts/mkiso.py samepage.iso "build/guest/hello.elf name=hello memory=16M"

The console is COM1, 115200 8N1.
"""
import argparse
import os
import sys

import machine


def main():
    parser = argparse.ArgumentParser(
        prog="mkiso.py", description="Makes an ISO that boots Samepage by BIOS or UEFI."
    )
    parser.add_argument("iso", help="the file to write")
    parser.add_argument(
        "module", nargs="*", help="a file, then its command line, as one argument: one VM each"
    )
    parser.add_argument("--image", default=os.path.join(machine.ROOT, "build", "samepage.elf"))
    parser.add_argument("--cmdline", default="", help="the hypervisor's own")
    parser.add_argument("--protocol", choices=("multiboot2", "multiboot"), default="multiboot2",
                        help="multiboot (1) boots by BIOS alone")
    options = parser.parse_args()
    modules = [(file, line) for file, _, line in (text.partition(" ") for text in options.module)]
    for file in (options.image, *(file for file, _ in modules)):
        if not os.path.isfile(file):
            sys.exit(f"mkiso.py: there is no {file}")
    setup = machine.Setup(
        boot="iso", protocol=options.protocol, cmdline=options.cmdline, modules=modules
    )
    try:
        machine.make_iso(options.iso, setup, options.image)
    except (machine.MachineError, FileNotFoundError) as error:
        sys.exit(f"mkiso.py: {error}")


if __name__ == "__main__":
    main()
