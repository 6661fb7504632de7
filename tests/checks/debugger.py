#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
debugger.py: gdb with scripts/gdb/samepage.gdb on a machine that waits for it, as ./run --gdb starts
one.
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import machine
import tree

COMMANDS = [
    "sp-help",
    "sp-start",
    "thbreak vm_start",
    "continue",
    "backtrace",
    "sp-cpus",
    "sp-vms",
    "sp-walk $cr3 $pc",
    "kill",
]
EXPECTED = ["sp-walk TABLE ADDRESS", "boot_main (", "vm_start (", "hv_main (", "cpu1 apic 1:",
            "hello: VM_CREATED, 16384 KiB, 1 vCPUs", "level 0: entry"]


def main():
    build = os.path.join(tree.ROOT, "build")
    with tempfile.TemporaryDirectory(prefix="samepage-gdb-") as folder:
        with open(
            os.path.join(tree.ROOT, "scripts", "gdb", "samepage.gdb"), encoding="utf-8"
        ) as script:
            text = script.read().replace("localhost:1234", f"{folder}/socket")
        with open(f"{folder}/script.gdb", "w", encoding="utf-8") as script:
            script.write(text)
        setup = machine.Setup(
            build=build,
            cpus=2,
            gdb=f"unix:{folder}/socket,server=on,wait=off",
            modules=[(os.path.join(build, "guest", "hello.elf"), "name=hello memory=16M")],
        )
        with machine.start(setup) as session:
            while session.running() and not os.path.exists(f"{folder}/socket"):
                time.sleep(0.05)
            done = subprocess.run(
                [
                    "gdb",
                    "-batch",
                    "-nx",
                    "-x",
                    f"{folder}/script.gdb",
                    *[word for command in COMMANDS for word in ("-ex", command)],
                    os.path.join(build, "samepage.elf"),
                ],
                cwd=tree.ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=180,
                check=False,
            )
    missing = [words for words in EXPECTED if words not in done.stdout]
    sys.exit(
        tree.verdict(
            [f"gdb did not say '{words}'" for words in missing] + ([done.stdout] if missing else [])
        )
    )


if __name__ == "__main__":
    main()
