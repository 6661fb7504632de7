# SPDX-License-Identifier: Apache-2.0
"""
bench_merge.py: what ./run bench merge and ./run bench policies measure: what merging costs, and
what it costs a guest.

merge: Samepage's code and the running kernel's KSM on the same data on this computer, in
nanoseconds; and a guest's pages on QEMU under -icount, in instructions. Nanoseconds differ from run
to run on a computer that does other things too; ratios differ less.

policies: the workload guest under each notifier policy, retry mode and engine, with NPT (QEMU under
-icount) and with EPT (Bochs). Counts are exact: two runs give the same. Each run's result is kept,
so that a table that was interrupted goes on where it ended.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys

import bench
import machine

KSM = "/sys/kernel/mm/ksm"
KSM_SETTINGS = ["pages_to_scan", "sleep_millisecs", "run"]
ORDERS = [14, 16, 18, 20]
SHARES = [0, 50, 90]
# Runs of our half, which is short; the median counts.
REPEATS = 3
BYTES_A_PAGE = 4096 + 64	# what each half of the bench needs, one after the other
FIGURES = ["merge", "rescan", "rescan_1pct", "break", "metadata"]
TARGETS = {"samepage_merge": 1000, "samepage_rescan": 10, "samepage_metadata": 16}
# KSM of Linux 6.1 on QEMU under -icount, instructions a page, half of them duplicates.
LINUX = {"merge_machine": 18698, "rescan_machine": 7529}
MACHINE_PAGES = 2048


def is_on_terminal():
    return sys.stdout.isatty()


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
    figures = [(name, statistics.median(run[name][0] for run in all_figures if name in run), unit)
               for name, (_, unit) in all_figures[-1].items()]
    return figures, runs[-1][1]


def on_this_computer(program, ksm):
    """The rows, and the remarks that belong to them."""
    cases, remarks = plan()
    rows = []
    if ksm.why:
        remarks.append(f"ksm_*: {ksm.why}")
    for number, case in enumerate(cases):
        setting = setting_of(*case)
        print(f"samepage: {number + 1} of {len(cases)}: {setting} ...", flush=True)
        figures, excuse = run_case(program, case, not ksm.why)
        rows += [
            {"name": name, "value": round(value, 2), "unit": unit, "setting": setting}
            for name, value, unit in figures
        ]
        by_name = {name: value for name, value, _ in figures}
        print(
            "samepage:     "
            + ", ".join(
                f"{name} {by_name[name]:.0f}"
                for name in ("samepage_merge", "ksm_merge", "samepage_rescan", "ksm_rescan")
                if name in by_name
            ),
            flush=True,
        )
        bench.write("merge", rows)	# what there is, if the rest is not waited for
        if excuse:
            remarks.append(f"ksm_* of {setting}: {excuse}")
    return rows, remarks


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

def workload(where, name, cmdline, pages, more=""):
    """A Setup with the workload guest; the scanner runs by hypercalls of the guest alone."""
    memory = 8 + pages * 4096 // (1 << 20)
    guest = [
        (
            os.path.join(where, "guest", "workload.elf"),
            f"name=w memory={memory}M merge=1 merge_control=yes arg=pages={pages} {more}".strip(),
        )
    ]
    return machine.Setup(
        machine=name,
        build=where,
        modules=guest,
        icount=name == "qemu-tcg",
        memory=max(128, 64 + 2 * memory),
        cmdline=f"{cmdline} merge_ms=60000",
    )


def on_the_machine(where):
    rows = []
    for engine in ("hash", "tree"):
        print(f"samepage: measuring {engine} on qemu-tcg ...", flush=True)
        setup = workload(
            where, "qemu-tcg", f"merge={engine}", MACHINE_PAGES, "share=50 contents=256"
        )
        found = {name: value for name, value, _ in bench.measure(setup)}
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
    names = [f"{side}_{figure}" for figure in FIGURES for side in ("samepage", "ksm", "ratio")] + [
        "floor_hash",
        "floor_compare",
    ]
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    value = {(row["name"], row["setting"]): row["value"] for row in rows}
    columns = [name for name in names if any((name, setting) in value for setting in settings)]
    print("\n" + " " * 20 + "".join(f"{name.replace('samepage_', 'our '):>16}" for name in columns))
    for setting in settings:
        print(
            f"{setting:20}" + "".join(f"{value.get((name, setting), ''):>16}" for name in columns)
        )
    print(f"{'target':20}" + "".join(f"{TARGETS.get(name, ''):>16}" for name in columns))
    print(
        "ns a page; metadata: bytes a page; ratio: KSM's over ours; floor: to hash a page, and to "
        "compare two, on this computer"
    )


def merge(_, need, build):
    need("bench", "test")
    program = os.path.join(build("bench", ["bench_merge"]), "tests", "bench", "bench_merge")
    with KsmSettings() as ksm:
        rows, remarks = on_this_computer(program, ksm)
    rows += ratios(rows)
    show_host(rows)
    machine_rows = on_the_machine(build("default"))
    bench.show(
        machine_rows, {"Linux 6.1": {f"samepage_{name}": value for name, value in LINUX.items()}}
    )
    for remark in remarks:
        print(f"samepage: {remark}")
    path = bench.write(
        "merge",
        rows
        + machine_rows
        + [{"name": "remark", "value": remark, "unit": "", "setting": ""} for remark in remarks],
    )
    print(f"\nsamepage: {os.path.relpath(path, machine.ROOT)}")
    return 0


# --- policies
# --------------------------------------------------------------------------------------------------

RETRIES = ["reenter", "inplace"]
ENGINES = ["hash", "tree"]
BACK_ENDS = {"NPT": "qemu-tcg", "EPT": "bochs"}
POLICY_PAGES = 1024
POLICY_WORK = "share=50 contents=64 writes=20 rounds=2"
COLUMNS = [
    ("look_faults", "look"),
    ("merge_faults", "merge"),
    ("rescan_faults", "rescan"),
    ("break_faults", "break"),
    ("break_refaults", "again"),
    ("merge_flushes", "fl.merge"),
    ("break_flushes", "fl.break"),
    ("merge_callbacks", "cb.merge"),
    ("break_callbacks", "cb.break"),
    ("look_instructions", "i.look"),
    ("merge_instructions", "i.merge"),
    ("rescan_instructions", "i.rescan"),
    ("break_instructions", "i.break"),
]


def digest(where):
    """Names what runs: a result of another build is no result."""
    text = POLICY_WORK.encode() + str(POLICY_PAGES).encode()
    for file in ("samepage.elf", "guest/workload.elf"):
        with open(os.path.join(where, file), "rb") as image:
            text += image.read()
    return hashlib.sha256(text).hexdigest()


def exits_of(text):
    """Exits by reason, as the summary has them."""
    line = re.search(r"summary: vm w: exits: (.*)$", text, re.M)[1]
    return {f"exits_{reason}": int(count) for reason, count in re.findall(r"(\w+) (\d+)", line)}


def run_policy(where, case):
    """One cell of the table: its counts."""
    back_end, engine, policy, retry = case
    setup = workload(
        where,
        BACK_ENDS[back_end],
        f"notifier={policy} fault_retry={retry} merge={engine}",
        POLICY_PAGES,
        POLICY_WORK,
    )
    with machine.start(setup) as session:
        ending, text = session.wait(600), session.serial()
        if ending != "ok" or "| not ok" in text:
            raise machine.MachineError(
                f"{' '.join(case)}: ended with {ending}\n{text[-3000:]}\n{session.output()}"
            )
    found = {name: int(value) for name, value in re.findall(r"\bbench: (\w+) (\d+) \w+", text)}
    exits = exits_of(text)
    return {**found, **exits, "exits_all": sum(exits.values())}


def kept(folder, case, stamp):
    """The counts of an earlier run of this very build, or None."""
    try:
        with open(os.path.join(folder, "-".join(case) + ".json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found["counts"] if found.get("stamp") == stamp else None


def one_case(where, folder, case, stamp):
    counts = kept(folder, case, stamp)
    if counts is None:
        counts = run_policy(where, case)
        with open(os.path.join(folder, "-".join(case) + ".json"), "w", encoding="utf-8") as file:
            json.dump({"stamp": stamp, "counts": counts}, file)
    return case, counts


def run_all(where, cases):
    """All cells, as many at once as there are CPUs; {case: counts}."""
    folder, stamp, table = os.path.join(bench.RESULTS, "policies"), digest(where), {}
    os.makedirs(folder, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [pool.submit(one_case, where, folder, case, stamp) for case in cases]
        try:
            for done in concurrent.futures.as_completed(jobs):
                case, counts = done.result()
                table[case] = counts
                start, end = ("\r", "") if is_on_terminal() else ("", "\n")
                print(
                    f"{start}samepage: {len(table)} of {len(cases)}: {' '.join(case):44}",
                    end=end,
                    flush=True,
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    print()
    return table


def show_rows(table, back_end, engine, columns):
    """A line for each policy and retry mode."""
    print(f"{'':22}" + "".join(f"{title:>11}" for _, title in columns))
    for policy in bench.POLICIES:
        for retry in RETRIES:
            counts = table[back_end, engine, policy, retry]
            print(
                f"{policy + ' ' + retry:22}"
                + "".join(f"{counts.get(name, 0):>11}" for name, _ in columns)
            )


def reasons(table, back_end):
    """Why guests of a back end left, the most frequent first."""
    sums = {}
    for (end, *_), counts in table.items():
        for name in counts if end == back_end else ():
            if name.startswith("exits_"):
                sums[name] = sums.get(name, 0) + counts[name]
    return sorted(sums, key=sums.get, reverse=True)


def show_policies(table):
    for back_end in BACK_ENDS:
        for engine in ENGINES:
            counts = table[back_end, engine, "masked", "inplace"]
            print(
                f"\n{back_end}, {engine}: {counts['merge_merges']} merges, "
                f"{counts['break_breaks']} breaks; faults after a look, a merge, a rescan; "
                "of a break, and again;\nflushes and callbacks of the merge and of the break; instructions a page"
            )
            show_rows(table, back_end, engine, COLUMNS)
            print(f"\n{back_end}, {engine}: exits of the run, by reason")
            show_rows(
                table,
                back_end,
                engine,
                [(name, name.removeprefix("exits_")) for name in reasons(table, back_end)],
            )


def policies(_, need, build):
    need("bochs")
    where = build("default")
    cases = [
        (back_end, engine, policy, retry)
        for back_end in BACK_ENDS
        for engine in ENGINES
        for policy in bench.POLICIES
        for retry in RETRIES
    ]
    table = run_all(where, cases)
    show_policies(table)
    rows = [
        {
            "name": name,
            "value": value,
            "unit": name.rsplit("_", 1)[-1] if not name.startswith("exits_") else "exits",
            "setting": " ".join(case),
        }
        for case in cases
        for name, value in table[case].items()
    ]
    print(f"\nsamepage: {os.path.relpath(bench.write('policies', rows), machine.ROOT)}")
    return 0


BENCHES = {"merge": merge, "policies": policies}
