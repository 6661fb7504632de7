# SPDX-License-Identifier: Apache-2.0
"""
policies.py: the workload guest at points of the notifier's axes, with NPT (QEMU under -icount) and
with EPT (Bochs).

    named       each named policy, both retry modes, both back ends
    level       each named policy with the events of `masked` in place (NPT)
    scenes      each named policy beside devices that wait (NPT), a vCPU that stays inside the
                guest, a second view in use (EPT)
    old fault   each named policy, a fault that reads resolved as a write (NPT)
    ablation    `masked` with one axis changed (NPT)

Counts are exact: two runs give the same. Each cell is kept in build/bench-policies/, so that a
table that was interrupted goes on where it ended.
"""
import concurrent.futures
import hashlib
import json
import os
import re

import builder
import machine
import words
from benches import common
from benches.merge import workload
from output import plain, progress

RETRIES = ["reenter", "inplace"]
BACK_ENDS = {"NPT": "qemu-tcg", "EPT": "bochs"}
CELLS = os.path.join(machine.ROOT, "build", "bench-policies")
POLICY_PAGES = 1024
POLICY_WORK = "share=50 contents=64 writes=20 rounds=2"
BASE = "notifier=masked"
INPLACE = "fault_retry=inplace"
NO_EVENTS = ("invalidate", "two_pass")
# One axis of BASE changed. steps=one is refused with start=mask, so it stands beside start=all.
ABLATION = [
    "",
    "notifier_events=page",
    "notifier_events=none",
    "notifier_start=without",
    "notifier_start=companion",
    "notifier_start=tagged",
    "notifier_start=unanimous",
    "notifier_start=all",
    "notifier_start=all notifier_steps=one",
    "notifier_when=after",
    "notifier_flush=eager",
    "notifier_establish=yes",
    "fault_retry=reenter",
    "merge=tree",
]
# What there is beside the guest: words of its line, of the workload, and CPUs.
SCENES = {
    "": ("", "", 1),
    "four slow devices": ("test_calls=yes subscriber=slow:50*4", "devices=4", 1),
    "a vCPU inside": ("vcpus=2", "spin=1", 2),
    "a view in use": ("vcpus=2 subscriber=view", "spin=2", 2),
}
WAIT_COLUMNS = [
    ("passes_merges", "merges"),
    ("passes_waits", "w.pass"),
    ("passes_waited", "t.pass"),
    ("break_waits", "w.break"),
    ("break_waited", "t.break"),
    ("passes_callbacks", "cb.pass"),
    ("break_callbacks", "cb.break"),
]
INSIDE_COLUMNS = [
    ("passes_merges", "merges"),
    ("passes_flushes", "fl.pass"),
    ("passes_kicks", "k.pass"),
    ("passes_faults", "faults"),
    ("break_breaks", "breaks"),
    ("break_flushes", "fl.break"),
    ("break_kicks", "k.break"),
]
# The steps before the break. Which of them merges a page depends on where the scanner's cursor is.
PASSES = ("look", "merge", "rescan")
COLUMNS = [
    ("look_faults", "look"),
    ("merge_faults", "merge"),
    ("merge_unmerged", "unmerged"),
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
    ("exits_stage2", "faults"),
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
    """The counts of a case: a back end, the words of the command line, and perhaps a scene."""
    back_end, line, *scene = case
    vm, work, cpus = SCENES[scene[0] if scene else ""]
    setup = workload(
        where,
        BACK_ENDS[back_end],
        line if "merge=" in line else f"{line} merge=hash",
        POLICY_PAGES,
        f"{POLICY_WORK} {work}".strip(),
        vm,
        cpus,
    )
    with machine.start(setup) as session:
        ending, text = session.wait(600), session.serial()
        if ending != "ok" or "| not ok" in text:
            raise machine.MachineError(
                f"{' '.join(case)}: ended with {ending}\n{text[-3000:]}\n{session.output()}"
            )
    if "refused" in text:
        raise machine.MachineError(f"{line}: {re.search(r'.*refused.*', text)[0]}")
    found = {name: int(value) for name, value in re.findall(r"\bbench: (\w+) (\d+) \w+", text)}
    return {**found, **passes_of(found), **exits_of(text)}


def passes_of(found):
    """Sums over the steps before the break."""
    whats = {name.partition("_")[2] for name in found if name.startswith("rescan_")}
    return {f"passes_{what}": sum(found.get(f"{step}_{what}", 0) for step in PASSES)
            for what in whats}


def cell_file(case):
    return os.path.join(CELLS, re.sub(r"\W+", "-", "-".join(case)) + ".json")


def kept(case, stamp):
    """The counts of an earlier run of this very build, or None."""
    try:
        with open(cell_file(case), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found["counts"] if found.get("stamp") == stamp else None


def one_case(where, case, stamp):
    counts = kept(case, stamp)
    if counts is None:
        counts = run_policy(where, case)
        with open(cell_file(case), "w", encoding="utf-8") as file:
            json.dump({"stamp": stamp, "counts": counts}, file)
    return case, counts


def run_all(where, cases):
    """All cells, as many at once as there are CPUs; {case: counts}."""
    stamp, cells = digest(where), {}
    os.makedirs(CELLS, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [pool.submit(one_case, where, case, stamp) for case in cases]
        try:
            for done in concurrent.futures.as_completed(jobs):
                case, counts = done.result()
                cells[case] = counts
                progress(f"{len(cells)} of {len(cases)}: {' '.join(case):44}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return cells


def title(line):
    """A point as a report names it, with what the lines of its table have in common left out."""
    return line.replace("notifier_", "").replace("notifier=", "").replace("fault_retry=", "")


def show_rows(cells, cases, columns):
    """A line for each case; the last column is of the whole run."""
    common.table(
        [name for _, name in columns],
        [
            [title(case[1]) or "base", *(cells[case].get(name, 0) for name, _ in columns)]
            for case in cases
        ],
    )


def named(back_end):
    return [
        (back_end, f"notifier={policy} fault_retry={retry}")
        for policy in words.policies()
        for retry in RETRIES
    ]


def level():
    """A policy without an event in place stays as it is."""
    return [
        ("NPT", f"notifier={policy} {INPLACE}" + events)
        for policy in words.policies()
        for events in ["" if policy in NO_EVENTS else " notifier_events=range"]
    ]


def old_fault_path():
    return [
        ("NPT", f"notifier={policy} {INPLACE} fault_read=as_write") for policy in words.policies()
    ]


def ablation():
    return [
        ("NPT", f"{BASE} {axis}" if "retry" in axis else f"{BASE} {INPLACE} {axis}".rstrip())
        for axis in ABLATION
    ]


def beside(back_end, scene):
    """Each named policy beside what the scene adds."""
    return [(back_end, f"notifier={policy} {INPLACE}", scene) for policy in words.policies()]


def policies(folder):
    builder.need("qemu", "bochs")
    where = builder.build("default")
    tables = {
        "named points, NPT": named("NPT"),
        "named points, EPT": named("EPT"),
        "named points with events=range, NPT": level(),
        "masked, and one axis of it changed, NPT": ablation(),
        "named points with fault_read=as_write, NPT": old_fault_path(),
    }
    scenes = {
        "four slow devices, NPT; waits and ticks waited": (
            beside("NPT", "four slow devices"),
            WAIT_COLUMNS,
        ),
        "a vCPU that stays inside the guest, EPT; flushes, CPUs waited for": (
            beside("EPT", "a vCPU inside"),
            INSIDE_COLUMNS,
        ),
        "a second view; its vCPU reads the pages, EPT": (
            beside("EPT", "a view in use"),
            INSIDE_COLUMNS,
        ),
    }
    every = [*tables.values(), *(table for table, _ in scenes.values())]
    cases = list(dict.fromkeys(case for table in every for case in table))
    cells = run_all(where, cases)
    counts = cells[cases[0]]
    plain(
        f"{counts['merge_merges']} merges, {counts['break_breaks']} breaks; faults of reading all "
        "after a look, a merge, and pages un-merged by that; after a rescan; faults of a break, "
        "and of reading again;\n"
        "flushes and callbacks of the merge and of the breaks; instructions a page; faults of the "
        "run"
    )
    for name, table in tables.items():
        plain(f"\n{name}")
        show_rows(cells, table, COLUMNS)
    for name, (table, columns) in scenes.items():
        plain(f"\n{name}")
        show_rows(cells, table, columns)
    rows = [
        {
            "name": name,
            "value": value,
            "unit": name.rsplit("_", 1)[-1] if not name.startswith("exits_") else "exits",
            "setting": " ".join(case),
        }
        for case in cases
        for name, value in cells[case].items()
    ]
    common.keep(folder, "policies", rows)
