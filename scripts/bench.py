# SPDX-License-Identifier: Apache-2.0
"""
bench.py: what ./run bench measures.

Each bench writes build/results/NAME.json, a list of {name, value, unit, setting}, and prints it as a table.
"""
import json
import os
import re

import machine

RESULTS = os.path.join(machine.ROOT, "build", "results")

# What Linux 6.1 with KVM as the first-level hypervisor takes in the setting qemu-tcg-npt, and what we set out to reach.
KVM = {"cpuid": 2918, "hypercall": 3074, "pio": 1530, "msr_read": 2900, "msr_write": 3418, "fault": 6853}
TARGETS = {"cpuid": 200, "hypercall": 200, "pio": 300, "fault": 900}


def write(name, rows):
    """Keeps the rows as JSON; the path of the file."""
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, f"{name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    return path


def show(rows, extra=None):
    """Prints the rows as a table: a line for each name, a column for each setting, and columns of extra figures."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    extra = extra or {}
    print(f"\n{'':24}" + "".join(f"{title:>18}" for title in [*settings, *extra]))
    for name in dict.fromkeys(row["name"] for row in rows):
        cells = [next((row["value"] for row in rows if (row["name"], row["setting"]) == (name, setting)), "")
                 for setting in settings] + [figures.get(name, "") for figures in extra.values()]
        print(f"{name:24}" + "".join(f"{cell:>18}" for cell in cells))


def measure(setup, timeout=300):
    """Boots a guest that prints lines 'bench: NAME VALUE UNIT'; the (name, value, unit) of each."""
    with machine.start(setup) as session:
        ending = session.wait(timeout)
        text = session.serial()
        if ending != "ok":
            raise machine.MachineError(f"{setup.machine}: the run ended with {ending}\n{text[-3000:]}\n{session.output()}")
    return [(name, int(value), unit) for name, value, unit in re.findall(r"\bbench: (\w+) (\d+) (\w+)", text)]


def exits(_, need, build):
    """Round trips from a guest to the hypervisor and back, in instructions."""
    need("bochs")
    where = build("default")
    guest = [(os.path.join(where, "guest", "bench.elf"), "name=bench memory=32M")]
    rows = []
    for setting, name in (("qemu-tcg-npt", "qemu-tcg"), ("bochs-ept", "bochs")):
        print(f"samepage: measuring on {name} ...", flush=True)
        setup = machine.Setup(machine=name, build=where, modules=guest, icount=name == "qemu-tcg", memory=256)
        rows += [{"name": name, "value": value, "unit": unit, "setting": setting}
                 for name, value, unit in measure(setup)]
    show(rows, {"target": TARGETS, "Linux 6.1 KVM": KVM})
    print(f"\nsamepage: {os.path.relpath(write('exits', rows), machine.ROOT)}")
    return 0


BENCHES = {"exits": exits}
