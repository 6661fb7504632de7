# SPDX-License-Identifier: Apache-2.0
"""
paths.py: where the instructions of an exit go, function by function.

QEMU logs the address of every instruction of the hypervisor while the guest bench.elf runs
(-singlestep -d exec). The instructions between two executions of VMRUN are one round trip. A round
trip is of the kind of the first function of KINDS that it enters; of each kind the most frequent
round trip is shown. The guest's own instructions are not in the log.
"""
import bisect
import collections
import os
import re
import subprocess

import builder
import machine
from benches import common
from output import plain, say

# A kind, and a function that only its round trips enter.
KINDS = {
    "CPUID": "exit_cpuid",
    "hypercall": "call_ping",
    "port read": "serial_read",
    "MSR read": "msr_read",
    "MSR write": "msr_write",
    "APIC read": "svm_skip_code",
    "copy-on-write break": "space_break",
    "second-level fault": "fault_handle",
}
# A function that a round trip of the kind does not enter: a first touch also clears its frame.
WITHOUT = {"second-level fault": "arch_page_zero"}
# Long loops of the start and of the end, and the copy of a break, left out of the log.
NOT_LOGGED = {
    "arch_page_copy",
    *("audit_run", "rate_from_pit", "frame_init", "count_down", "apic_read", "walk_slots"),
    *("read_machine", "rsdp_scan", "rsdp_valid", "memcmp", "serial_write", "serial_wait_for"),
    *("format_text_v", "map_commit", "host_make_leaf", "put_field", "report_table"),
}
IMAGE_START = 0xFFFFFFFF80000000
CLONE = re.compile(r"\.(?:isra|part|constprop)\.\d+|\.cold$")
COUNT = 16


def functions(image):
    """(start, end, name) of each function of an image, by address; without those of the start."""
    lines = subprocess.run(
        ["nm", "-n", image], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    symbols = [(int(line.split()[0], 16), *line.split()[1:3]) for line in lines
               if len(line.split()) == 3]
    return [
        (address, after[0], CLONE.sub("", name))
        for (address, kind, name), after in zip(symbols, symbols[1:])
        if kind in "tT" and after[0] > address >= IMAGE_START
    ]


def vmrun_of(image):
    """The address of the one VMRUN of an image."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", image], capture_output=True, text=True, check=True
    ).stdout
    return int(re.search(r"^([0-9a-f]+):\tvmrun", text, re.M)[1], 16)


def logged_ranges(table):
    """The argument of -dfilter: the functions that are logged, neighbours joined."""
    ranges = []
    for start, end, name in table:
        if name in NOT_LOGGED:
            continue
        if ranges and ranges[-1][1] == start:
            ranges[-1][1] = end
        else:
            ranges.append([start, end])
    return ",".join(f"{start:#x}..{end - 1:#x}" for start, end in ranges)


def addresses(log):
    """The addresses of a log of -d exec: Trace 0: HOST [CS/PC/FLAGS/CFLAGS]."""
    with open(log, encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("Trace"):
                yield int(line.split("/")[1], 16)


def round_trips(log, table, vmrun):
    """Of each round trip the functions, one for each instruction, in their order."""
    starts = [start for start, _, _ in table]
    names = [name for _, _, name in table]
    trip = None
    for address in addresses(log):
        if trip is not None:
            trip.append(names[bisect.bisect_right(starts, address) - 1])
        if address == vmrun:
            if trip:
                yield tuple(trip)
            trip = []


def kind_of(trip):
    return next((kind for kind, marker in KINDS.items()
                 if marker in trip and WITHOUT.get(kind) not in trip), None)


def most_frequent(trips):
    """kind: [(function, instructions)] in the order of the first entry."""
    found = {kind: collections.Counter() for kind in KINDS}
    for trip in trips:
        kind = kind_of(trip)
        if kind:
            found[kind][trip] += 1
    return {
        kind: list(collections.Counter(counter.most_common(1)[0][0]).items())
        for kind, counter in found.items()
        if counter
    }


def measure():
    """kind: [(function, instructions)] of the default build."""
    builder.need("qemu")
    where = builder.build("default")
    image = os.path.join(where, "samepage.elf")
    table = functions(image)
    guest = os.path.join(where, "guest", "bench.elf")
    log = os.path.join(where, "exec.log")
    setup = machine.Setup(
        build=where,
        modules=[
            (guest, f"name=bench test_calls=yes memory=32M arg=count={COUNT} tries=1"),
            (guest, f"name=apic board=pc memory=32M arg=apic count={COUNT} tries=1"),
            (guest, f"name=mm test_calls=yes memory=32M arg=mm count={COUNT} tries=1"),
        ],
        icount=True,
        cmdline="cow_ahead=1 fault_ahead=1",
        extra=["-singlestep", "-d", "exec,nochain", "-dfilter", logged_ranges(table), "-D", log],
    )
    try:
        common.measure(setup)
        return most_frequent(round_trips(log, table, vmrun_of(image)))
    finally:
        if os.path.exists(log):
            os.remove(log)


def markdown(kinds):
    """A table: a line for each function, a column for each kind."""
    names = list(dict.fromkeys(name for rows in kinds.values() for name, _ in rows))
    lines = ["| function | " + " | ".join(kinds) + " |", "|---|" + "---:|" * len(kinds)]
    for name in names:
        cells = [str(dict(rows).get(name, "")) for rows in kinds.values()]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    sums = [str(sum(count for _, count in rows)) for rows in kinds.values()]
    return "\n".join([*lines, "| all | " + " | ".join(sums) + " |"]) + "\n"


def paths(folder):
    say("logging every instruction of an exit on qemu-tcg ...")
    kinds = measure()
    plain(f"\n{markdown(kinds)}")
    common.keep(folder, "paths", [
        {"name": f"{kind}: {name}", "value": count, "unit": "instructions",
         "setting": "qemu-tcg-npt"}
        for kind, rows in kinds.items() for name, count in rows
    ])
