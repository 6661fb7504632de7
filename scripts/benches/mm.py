# SPDX-License-Identifier: Apache-2.0
"""
mm.py: the memory core on this computer and on an emulated one, in instructions.
"""
import glob
import os
import re
import subprocess
import tempfile

import builder
import machine
import words
from benches import common
from output import say

# What ./run bench mm set out to reach.
WITHOUT = {"fault_first_touch": "zero_page", "populate": "zero_page", "cow_break": "copy_page"}
MM_TARGETS = {"unwanted": 20, "fault_first_touch": 1200, "cow_break": 1500}
# What Linux 6.1 takes: KVM's fault with zeroing, a process's copy-on-write fault with copying.
MM_LINUX = {"fault_first_touch": 6853, "cow_break": 4434}


def counts_of(where):
    """
    What callgrind counted between on and off (tests/bench/bench.h): {name: (instructions, rounds,
    times on)}.
    """
    found = {}
    for file in sorted(
        glob.glob(os.path.join(where, "callgrind.*")), key=lambda path: int(path.rsplit(".", 1)[1])
    ):
        with open(file, encoding="utf-8") as dump:
            text = dump.read(4096)
        label = re.search(r"^desc: Trigger: Client Request: bench (\S+) (\d+) (\d+)$", text, re.M)
        summary = re.search(r"^(?:summary|totals): (\d+)$", text, re.M)
        if label and summary:
            found[label[1]] = (int(summary[1]), int(label[2]), int(label[3]))
    return found


def callgrind(program, *arguments):
    """
    Runs a program of tests/bench under callgrind; instructions a round, less what the counting
    takes itself.
    """
    with tempfile.TemporaryDirectory(prefix="samepage-bench-") as where:
        done = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                "--collect-atstart=no",
                f"--callgrind-out-file={where}/callgrind",
                program,
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        found = counts_of(where)
    if done.returncode or not found:
        raise machine.MachineError(f"{program}: status {done.returncode}\n{done.stdout}")
    instructions, _, times = found.pop("empty", (0, 0, 1))
    switch = instructions // times
    return {
        name: round((count - switch * times) / rounds)
        for name, (count, rounds, times) in found.items()
    }


def mm_machine(where):
    """
    The memory core as a guest sees it, exits, zeroing and copying (512 instructions each) included.
    """
    rows = {}
    for policy, devices in [(policy, 1) for policy in words.policies()] + [
        ("masked", 8),
        ("masked", 64),
        ("bracket", 8),
        ("bracket", 64),
    ]:
        say(f"measuring {policy} with {devices} device model(s) on qemu-tcg ...")
        guest = [
            (
                os.path.join(where, "guest", "bench.elf"),
                f"name=bench test_calls=yes memory=32M devices={devices} arg=mm count=200 tries=2",
            )
        ]
        setup = machine.Setup(
            build=where, modules=guest, icount=True, memory=256,
            cmdline=f"fault_ahead=1 notifier={policy}",
        )
        for name, value, _ in common.measure(setup):
            # A fault notifies no subscriber, so its cost does not depend on the policy.
            full = (
                name
                if name.startswith("fault")
                else f"{name}_{policy}" + (f"_{devices}" if devices > 1 else "")
            )
            rows.setdefault(full, value)
    return [
        {"name": name, "value": value, "unit": "instructions", "setting": "qemu-tcg-npt"}
        for name, value in rows.items()
    ]


def mm(folder):
    builder.need("bench", "unit", "qemu")
    where = builder.build("bench", ["bench_mm"])
    say("counting under callgrind ...")
    counts = callgrind(os.path.join(where, "tests", "bench", "bench_mm"))
    for name in counts:
        # Clearing and copying a page is libc's affair here and the machine's there.
        part = next((part for start, part in WITHOUT.items() if name.startswith(start)), None)
        counts[name] -= counts[part] if part else 0
    rows = [{"name": name, "value": value, "unit": "instructions", "setting": "host-callgrind"}
            for name, value in counts.items()]
    rows += mm_machine(builder.build("default"))
    common.show(rows, {"target": MM_TARGETS, "Linux 6.1": MM_LINUX})
    common.keep(folder, "mm", rows)
