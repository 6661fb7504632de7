#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
divisions.py: each division in the hypervisor's image has a divisor that no guest can make 0.

A #DE in the hypervisor stops the machine, and the divisor is often a register of a virtual device
or an argument of a guest. The DIV and IDIV instructions of the image are found by objdump; DIVISORS
has a row for each function with one: the divisor, and the place that keeps it from 0. A division
by a constant is a multiplication after compilation and needs no row.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

IMAGE = "build/samepage.elf"
DIVISORS = {
    "access_window": "width of a configuration access: tested before in the same condition",
    "apic_timer_init": "ticks of a measurement: panic at boot if 0",
    "call_time": "the rate of the TSC, known at boot",
    "channel_output": "pit reload: 0 is loaded as 10000h (pit.c, load_count)",
    "control_poll": "polls a second: one of two constants",
    "exit_out_of_memory": "as reclaiming_make_room, inlined",
    "frame_fail_now": "fail_alloc=N: tested in the same expression",
    "inspect_share": "users of a frame: MAX(..., 1)",
    "lapic_timer_expire": "the timer's period: tested in the same condition",
    "merge_space_stats": "pages of a domain that has the region at hand",
    "merging_step": "merge_share=, 1 to 100 (boot/options.c)",
    "mirrors_poll": "devices of a VM: tested by the loop around it",
    "mmio_compute": "an emulated DIV: the upper half is below the divisor (alu.c)",
    "next_period": "period of the RTC: tested in the same expression",
    "pc_clock": "the rate of the TSC",
    "pc_clock_at": "the rate of the TSC",
    "pc_run_clock": "the rate of the TSC",
    "pc_tick_at": "the rate of the TSC, and a clock's rate by it, of constants",
    "pc_wall_clock": "the rate of the TSC",
    "pit_next_rise": "pit reload, as channel_output",
    "pit_rises": "pit reload, as channel_output",
    "put_number": "the base of a conversion: 10 or 16",
    "rate_from_crystal": "CPUID 15h: tested in the same expression",
    "reclaiming_make_room": "the number of VMs: tested by the loop",
    "segment_count": "segment size of a large frame: not 0 (segment.c, segment_check)",
    "shown_count": "pit reload, as channel_output",
    "stat_ns": "the rate of the TSC",
    "stat_vm_take": "timed exits: tested in the same expression",
    "time_microseconds": "the rate of the TSC",
    "virtq_pop": "size of a queue: a power of 2 (VIRTIO-3)",
    "virtq_fill": "as virtq_pop",
    "virtq_push": "as virtq_pop",
    "vm_create": "devices of a word subscriber=: 1 or more (config.c)",
    "work": "queues of a device, a constant of its kind",
}
FUNCTION = re.compile(r"^[0-9a-f]+ <([\w.]+)>:$")
DIVISION = re.compile(r"\t(?:i?div)[bwlq]?\s")
CLONE = re.compile(r"\.(?:isra|part|constprop|cold)\.\d+|\.cold$")


def dividing(image):
    """The functions of an image that divide."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", image], capture_output=True, text=True, check=True
    ).stdout
    found, function = set(), None
    for line in text.splitlines():
        start = FUNCTION.match(line)
        if start:
            function = CLONE.sub("", start[1])
        elif DIVISION.search(line):
            found.add(function)
    return found


def main():
    image = os.path.join(tree.ROOT, IMAGE)
    if not os.path.exists(image):
        print(f"needs {IMAGE}: ./test check/divisions builds it")
        return 77
    found = dividing(image)
    complaints = [f"{name} divides; what keeps its divisor from 0?"
                  for name in sorted(found - set(DIVISORS))]
    complaints += [f"{name} has a row and does not divide"
                   for name in sorted(set(DIVISORS) - found)]
    return tree.verdict(complaints)


if __name__ == "__main__":
    sys.exit(main())
