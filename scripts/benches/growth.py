# SPDX-License-Identifier: Apache-2.0
"""
growth.py: how costs grow with memory, CPUs, VMs and sharers: curves for docs/scaling.md.

    counts          unit/mm/growth prints them, and holds the law of each
    instructions    bench_growth under callgrind; machines with 1 to 64 VMs under -icount
    figures         docs/figures/scaling-*.svg
"""
import os
import re
import subprocess

import builder
import machine
from benches import common
from benches.mm import callgrind
from output import plain, say

VMS = [1, 2, 4, 8, 16, 32, 64]
# Figure: (x, y, log axes, {legend: curve}).
FIGURES = {
    "pass": ("pages owned, or written of 16,384", "instructions of a pass", "xy",
             {"owned, none written": "pass_owned", "written": "pass_written"}),
    "vm": ("pages of the VM, or touched of 16,384", "instructions", "xy",
           {"start, by size": "vm_size_start", "end, by size": "vm_size_end",
            "end, by pages touched": "vm_touched_end"}),
    "faults": ("vCPUs of one VM that fault at once", "LOCK_MMU, for 64 faults", "",
               {"acquisitions": "fault_at_once_locks", "of these waited": "fault_at_once_waits"}),
    "flush": ("CPUs inside the guest", "kicks of a flush", "", {"kicks": "flush_kicks"}),
    "vms": ("VMs", "instructions at boot for each", "x", {"made and loaded": "boot_each"}),
    "vm-frames": ("VMs", "frames before a guest runs", "xy", {"address space": "vm_frames"}),
    "rmap": ("users of one frame", "bytes for each", "x", {"rmap": "rmap_each"}),
}


# Curve: how much more the last point may be than the first.
LAWS = {"boot_each": 1.15, "vm_size_start": 1.05, "vm_size_end": 1.05, "fault_locks": 1,
        "fault_at_once_locks": 1}


def counts(where):
    """(curve, x, count) of unit/mm/growth."""
    program = os.path.join(where, "tests", "unit", "mm", "test_mm_growth")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise machine.MachineError(f"{program}: status {done.returncode}\n{done.stdout[-2000:]}")
    return [(curve, int(x), int(count)) for curve, x, count in
            re.findall(r"^growth: (\w+) (\d+) (\d+)$", done.stdout, re.M)]


def instructions(where):
    program = os.path.join(where, "tests", "bench", "bench_growth")
    found = callgrind(program)
    return [(*re.fullmatch(r"(\w+)_(\d+)", name).groups(), count) for name, count in found.items()]


def machine_with(where, vms):
    """The figures of a machine that makes and runs so many VMs."""
    hello = os.path.join(where, "guest", "hello.elf")
    ending, found, _ = common.figures_of(machine.Setup(
        build=where,
        icount=True,
        memory=1024,
        cmdline="log=error",
        modules=[(hello, f"name=hello{n} memory=4M") for n in range(vms)],
    ))
    if ending != "ok":
        raise machine.MachineError(f"{vms} VMs: ended with {ending}")
    return found


def draw(name, curves):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    from experiments import figures

    xlabel, ylabel, log, lines = FIGURES[name]
    with matplotlib.rc_context({**figures.STYLE, "svg.hashsalt": name}):
        drawn, axes = pyplot.subplots(figsize=figures.SIZE, layout="constrained")
        for number, (legend, curve) in enumerate(lines.items()):
            points = sorted(curves.get(curve, {}).items())
            axes.plot([x for x, _ in points], [y for _, y in points], label=legend,
                      color=figures.COLOURS[number], linestyle=figures.DASHES[number],
                      marker=figures.MARKERS[number], markersize=4)
        top = None if "y" in log else 1.1 * axes.dataLim.ymax
        figures.finish(axes, {"x": xlabel, "ylabel": ylabel, "y": [], "log": log, "top": top},
                       lines)
        path = os.path.join(machine.ROOT, "docs", "figures", f"scaling-{name}.svg")
        drawn.savefig(path, metadata={"Date": None})
        pyplot.close(drawn)


def hold(curves):
    """A curve that should be flat is."""
    for curve, most in LAWS.items():
        points = sorted(curves[curve].items())
        if points[-1][1] > points[0][1] * most:
            raise machine.MachineError(f"{curve} grows: {points[0]} to {points[-1]}")


def growth(folder):
    builder.need("bench", "unit", "qemu", "report")
    say("counting ...")
    points = counts(builder.build("asan", ["test_mm_growth"]))
    points += instructions(builder.build("bench", ["bench_growth"]))
    where = builder.build("default")
    for vms in VMS:
        say(f"booting {vms} VMs ...")
        found = machine_with(where, vms)
        points.append(("boot_each", vms, found.figure("machine.boot.vms") // vms))
    curves = {}
    for curve, x, count in points:
        curves.setdefault(curve, {})[int(x)] = count
    curves["rmap_each"] = {users: count / users for users, count in curves["rmap_bytes"].items()}
    for curve, values in curves.items():
        plain(f"{curve:18}" + "  ".join(f"{x}: {y:,.6g}" for x, y in sorted(values.items())))
    hold(curves)
    for name in FIGURES:
        draw(name, curves)
    common.keep(folder, "growth", [
        {"name": curve, "value": count, "unit": "", "setting": str(x)}
        for curve, values in curves.items() for x, count in sorted(values.items())
    ])
