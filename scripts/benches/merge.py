# SPDX-License-Identifier: Apache-2.0
"""
merge.py: Samepage's code and the running kernel's KSM on the same data on this computer, in
nanoseconds; and a guest's pages on QEMU under -icount, in instructions.

Nanoseconds differ from run to run on a computer that does other things too; ratios differ less.
"""
import os
import re
import signal
import subprocess

import builder
import machine
from benches import common
from benches.mm import callgrind
from output import plain, say

KSM = "/sys/kernel/mm/ksm"
KSM_SETTINGS = ["pages_to_scan", "sleep_millisecs", "run"]
ORDERS = [14, 16, 18, 20]
SHARES = [0, 50, 90]
# Runs of our half, which is short; the median counts.
REPEATS = 5
BYTES_A_PAGE = 4096 + 64	# what each half of the bench needs, one after the other
FIGURES = ["merge", "rescan", "rescan_1pct", "break", "metadata"]
TARGETS = {"samepage_merge": 1000, "samepage_over_floor": 1.25, "samepage_rescan": 10,
           "samepage_metadata": 24}
# KSM of Linux 6.1 on QEMU under -icount, instructions a page, half of them duplicates.
LINUX = {"merge_machine": 18698, "rescan_machine": 7529}
MACHINE_PAGES = 2048
COUNTED_PAGES = 4096


# --- KSM's settings
# --------------------------------------------------------------------------------------------------

class KsmSettings:
    """
    Keeps KSM's settings, and puts them back whatever happens in between: an error, Ctrl-C, a polite
    kill.
    """

    def __init__(self):
        self.why = self.unusable()
        self.kept = {} if self.why else {name: self.read(name) for name in KSM_SETTINGS}
        self.handler = None

    @staticmethod
    def read(name):
        with open(f"{KSM}/{name}", encoding="ascii") as file:
            return file.read().strip()

    def unusable(self):
        if not os.path.isdir(KSM):
            return f"there is no {KSM}: this kernel has no KSM"
        if os.geteuid():
            return "KSM's settings are root's"
        if self.read("run") == "1" and int(self.read("pages_shared")):
            return "KSM is in use on this computer"
        return None

    def __enter__(self):
        def stop(*_):
            raise KeyboardInterrupt
        self.handler = signal.signal(signal.SIGTERM, stop)
        return self

    def __exit__(self, *_):
        for name, value in self.kept.items():
            with open(f"{KSM}/{name}", "w", encoding="ascii") as file:
                file.write(value)
        signal.signal(signal.SIGTERM, self.handler)


# --- merge: this computer
# -------------------------------------------------------------------------------------------------

def free_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"MemAvailable:\s+(\d+)", file.read())[1]) << 10


def plan():
    """What is measured here: (pages, share, engine, late), and what is not, and why."""
    sizes, left_out = [], []
    for order in ORDERS:
        if (BYTES_A_PAGE << order) * 5 // 4 + (256 << 20) > free_bytes():
            left_out.append(f"2^{order} pages: this computer has too little memory free")
        else:
            sizes.append(order)
    if not sizes:
        raise machine.MachineError(left_out[0])
    cases = [
        (1 << order, share, "hash", False)
        for order in sizes
        for share in SHARES
        if order < 20 or share == 50
    ]
    middle = 1 << min(16, sizes[-1])
    cases += [(middle, 50, "tree", False), (middle, 50, "hash", True), (middle, 50, "tree", True)]
    return cases, left_out


def setting_of(pages, share, engine, late):
    return (
        f"host 2^{pages.bit_length() - 1} {share} %"
        + (f" {engine}" if engine != "hash" else "")
        + (" late" if late else "")
    )


def run_program(words):
    """What one process printed: {name: (value, unit)} and KSM's excuse."""
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise machine.MachineError(
            f"{' '.join(words)}: status {done.returncode}\n{done.stdout[-2000:]}"
        )
    figures = {
        name: (float(value), unit)
        for name, value, unit in re.findall(r"^bench: (\w+) ([\d.]+) (\w+)$", done.stdout, re.M)
    }
    excuse = re.search(r"^bench: ksm: (.*)$", done.stdout, re.M)
    return figures, excuse[1] if excuse else None


def run_case(program, case, with_ksm):
    """
    The medians of our figures in REPEATS processes, the last of which gives KSM the same data:
    (figures, KSM's excuse).
    """
    pages, share, engine, late = case
    words = [program, str(pages), str(share), engine] + ["late"] * late
    runs = [
        run_program(words + ["ksm"] * (last and with_ksm and engine == "hash"))
        for last in [False] * (REPEATS - 1) + [True]
    ]
    all_figures = [figures for figures, _ in runs]
    figures = [(name, common.median(run[name][0] for run in all_figures if name in run), unit)
               for name, (_, unit) in all_figures[-1].items()]
    return figures, runs[-1][1]


def on_this_computer(folder, program, ksm):
    """The rows, and the remarks that belong to them."""
    cases, remarks = plan()
    rows = []
    if ksm.why:
        remarks.append(f"ksm_*: {ksm.why}")
    for number, case in enumerate(cases):
        setting = setting_of(*case)
        say(f"{number + 1} of {len(cases)}: {setting} ...")
        figures, excuse = run_case(program, case, not ksm.why)
        rows += [
            {"name": name, "value": round(value, 2), "unit": unit, "setting": setting}
            for name, value, unit in figures
        ]
        by_name = {name: value for name, value, _ in figures}
        say(
            "    "
            + ", ".join(
                f"{name} {by_name[name]:.0f}"
                for name in ("samepage_merge", "ksm_merge", "samepage_rescan", "ksm_rescan")
                if name in by_name
            )
        )
        common.keep(folder, "merge", rows)	# an interruption leaves the rows so far
        if excuse:
            remarks.append(f"ksm_* of {setting}: {excuse}")
    return rows, remarks


def in_instructions(program):
    """Rows: merging and its floor under callgrind, at a size that takes seconds."""
    rows = []
    for share in SHARES:
        counts = callgrind(program, str(COUNTED_PAGES), str(share), "hash")
        floor = counts["floor_hash"] + counts["floor_compare"] * share // 100
        rows += [
            {"name": name, "value": value, "unit": "instructions", "setting": f"counted {share} %"}
            for name, value in (("samepage_merge", counts["merge"]), ("floor", floor),
                                ("above_floor", counts["merge"] - floor))
        ]
    return rows


def ratios(rows):
    """KSM's figure over ours, where one run has both."""
    value = {(row["name"], row["setting"]): row["value"] for row in rows}
    return [
        {
            "name": f"ratio_{figure}",
            "value": round(value["ksm_" + figure, setting] / ours, 2),
            "unit": "times",
            "setting": setting,
        }
        for figure in FIGURES
        for setting in dict.fromkeys(row["setting"] for row in rows)
        if (ours := value.get(("samepage_" + figure, setting)))
        and ("ksm_" + figure, setting) in value
    ]


# --- merge: the machine
# --------------------------------------------------------------------------------------------------

def workload(where, name, cmdline, pages, more="", vm="", cpus=1):
    """
    A Setup with the workload guest; the scanner runs by hypercalls of the guest alone, and a fault
    breaks one page. `vm`: more words of its line.
    """
    memory = 8 + pages * 4096 // (1 << 20)
    guest = [
        (
            os.path.join(where, "guest", "workload.elf"),
            f"name=w memory={memory}M merge=1 merge_control=yes {vm} "
            f"arg=pages={pages} {more}".strip(),
        )
    ]
    return machine.Setup(
        machine=name,
        build=where,
        modules=guest,
        icount=name == "qemu-tcg" and cpus == 1,
        cpus=cpus,
        memory=max(128, 64 + 2 * memory),
        cmdline=f"{cmdline} cow_ahead=1 fault_ahead=1 merge_ms=60000",
    )


def on_the_machine(where):
    rows = []
    for engine in ("hash", "tree"):
        say(f"measuring {engine} on qemu-tcg ...")
        setup = workload(
            where, "qemu-tcg", f"merge={engine}", MACHINE_PAGES, "share=50 contents=256"
        )
        found = {name: value for name, value, _ in common.measure(setup)}
        # To be merged and stable a page is looked at twice.
        figures = {
            "merge_machine": found["look_instructions"] + found["merge_instructions"],
            "rescan_machine": found["rescan_instructions"],
            "break_machine": found["break_instructions"],
        }
        rows += [
            {
                "name": f"samepage_{name}",
                "value": value,
                "unit": "instructions",
                "setting": f"qemu-tcg-npt {engine}",
            }
            for name, value in figures.items()
        ]
    return rows


def show_host(rows):
    names = ["samepage_over_floor"] + [
        f"{side}_{figure}" for figure in FIGURES for side in ("samepage", "ksm", "ratio")] + [
        "floor_hash",
        "floor_compare",
        "floor_hash_ahead",
    ]
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    value = {(row["name"], row["setting"]): row["value"] for row in rows}
    columns = [name for name in names if any((name, setting) in value for setting in settings)]
    common.table(
        [name.replace("samepage_", "our ") for name in columns],
        [
            *([setting, *(value.get((name, setting), "") for name in columns)]
              for setting in settings),
            ["target", *(TARGETS.get(name, "") for name in columns)],
        ],
    )
    plain(
        "ns a page; metadata: bytes a page; ratio: KSM's over ours; floor: to hash a page, and to "
        "compare two, on this computer"
    )


def merge(folder):
    builder.need("bench", "unit", "qemu")
    where = builder.build("bench", ["bench_merge"])
    program = os.path.join(where, "tests", "bench", "bench_merge")
    with KsmSettings() as ksm:
        rows, remarks = on_this_computer(folder, program, ksm)
    rows += ratios(rows)
    show_host(rows)
    counted = in_instructions(program)
    common.show(counted)
    machine_rows = on_the_machine(builder.build("default"))
    common.show(
        machine_rows, {"Linux 6.1": {f"samepage_{name}": value for name, value in LINUX.items()}}
    )
    for remark in remarks:
        say(remark)
    remark_rows = [
        {"name": "remark", "value": remark, "unit": "", "setting": ""} for remark in remarks
    ]
    common.keep(folder, "merge", rows + counted + machine_rows + remark_rows)
