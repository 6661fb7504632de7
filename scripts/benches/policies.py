# SPDX-License-Identifier: Apache-2.0
"""
policies.py: the workload guest under each notifier policy, retry mode and engine, with NPT (QEMU
under -icount) and with EPT (Bochs).

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
ENGINES = ["hash", "tree"]
BACK_ENDS = {"NPT": "qemu-tcg", "EPT": "bochs"}
CELLS = os.path.join(machine.ROOT, "build", "bench-policies")
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


def cell_file(case):
    return os.path.join(CELLS, "-".join(case) + ".json")


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


def show_rows(cells, back_end, engine, columns):
    """A line for each policy and retry mode."""
    plain(f"{'':22}" + "".join(f"{title:>11}" for _, title in columns))
    for policy in words.policies():
        for retry in RETRIES:
            counts = cells[back_end, engine, policy, retry]
            plain(
                f"{policy + ' ' + retry:22}"
                + "".join(f"{counts.get(name, 0):>11}" for name, _ in columns)
            )


def reasons(cells, back_end):
    """Why guests of a back end left, the most frequent first."""
    sums = {}
    for (end, *_), counts in cells.items():
        for name in counts if end == back_end else ():
            if name.startswith("exits_"):
                sums[name] = sums.get(name, 0) + counts[name]
    return sorted(sums, key=sums.get, reverse=True)


def show_policies(cells):
    for back_end in BACK_ENDS:
        for engine in ENGINES:
            counts = cells[back_end, engine, "masked", "inplace"]
            plain(
                f"\n{back_end}, {engine}: {counts['merge_merges']} merges, "
                f"{counts['break_breaks']} breaks; faults after a look, a merge, a rescan; "
                "of a break, and again;\n"
                "flushes and callbacks of the merge and of the break; instructions a page"
            )
            show_rows(cells, back_end, engine, COLUMNS)
            plain(f"\n{back_end}, {engine}: exits of the run, by reason")
            show_rows(
                cells,
                back_end,
                engine,
                [(name, name.removeprefix("exits_")) for name in reasons(cells, back_end)],
            )


def policies(folder):
    builder.need("qemu", "bochs")
    where = builder.build("default")
    cases = [
        (back_end, engine, policy, retry)
        for back_end in BACK_ENDS
        for engine in ENGINES
        for policy in words.policies()
        for retry in RETRIES
    ]
    cells = run_all(where, cases)
    show_policies(cells)
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
