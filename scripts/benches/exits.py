# SPDX-License-Identifier: Apache-2.0
"""
exits.py: round trips from a guest to the hypervisor and back, in instructions.
"""
import os

import builder
import machine
from benches import common
from output import say

# What Linux 6.1 with KVM as the first-level hypervisor takes in the setting qemu-tcg-npt, and what
# we set out to reach.
KVM = {
    "cpuid": 2918,
    "hypercall": 3074,
    "pio": 1530,
    "msr_read": 2900,
    "msr_write": 3418,
    "fault": 6853,
}
TARGETS = {"cpuid": 200, "hypercall": 200, "pio": 300, "fault": 900, "apic_read": 300}


def exits(folder):
    builder.need("qemu", "bochs")
    where = builder.build("default")
    bench = os.path.join(where, "guest", "bench.elf")
    guest = [
        (bench, "name=bench test_calls=yes memory=32M"),
        (bench, "name=apic board=pc memory=32M arg=apic"),
    ]
    rows = []
    for setting, name in (("qemu-tcg-npt", "qemu-tcg"), ("bochs-ept", "bochs")):
        say(f"measuring on {name} ...")
        setup = machine.Setup(
            machine=name, build=where, modules=guest, icount=name == "qemu-tcg", memory=256,
            cmdline="fault_ahead=1",
        )
        rows += [{"name": name, "value": value, "unit": unit, "setting": setting}
                 for name, value, unit in common.measure(setup)]
    common.show(rows, {"target": TARGETS, "Linux 6.1 KVM": KVM})
    common.keep(folder, "exits", rows)
