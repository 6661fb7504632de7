#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every Spin model, and that every mutant of it is found.  Prints TAP.

A row is a model, the preprocessor definitions it is built with, and what the search must say:
`holds` (no error in the whole state space) or `fails` (an assertion is violated).  A mutant that is
not found means that a guard of the protocol is not needed or that the model cannot see it: either
is a defect.
"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# The policies by their number in cow.pml: the defines before the default.
NUMBERS = (HERE / "cow.pml").read_text().split("#ifndef POLICY")[0]
POLICIES = [name.lower() for name in re.findall(r"^#define (\w+)\s+\d+$", NUMBERS, re.M)]
COMMON = ["NO_FLUSH", "NO_DROP", "NO_RECHECK"]
TAGGED = COMMON + ["NO_BREAK_BEFORE_MAKE"]
# Most searches are shorter than an optimizing build of their program.
LARGE = {"fault": "-O1"}
COW_MUTANTS = {"event": TAGGED, "companion": TAGGED, "masked": TAGGED}


def rows():
    """Yields (name, model, definitions, verdict)."""
    plain = {
        "fault": [
            "NO_RECHECK",
            "NO_PENDING",
            "NO_DROP",
            "NO_OVERFLOW",
            "LOOKUP_FIRST",
            "BUMP_AT_START",
        ],
        "tlb": ["CHECK_FIRST", "BUMP_FIRST", "NO_WAIT", "LOOK_FIRST"],
        "quiesce": ["NO_WAIT", "LATE_ENTER", "SNAPSHOT_FIRST", "NO_READER_BARRIER", "NO_UPDATER_BARRIER", "WAIT_EVEN"],
    }
    for model, mutants in plain.items():
        yield f"model {model}: holds", model, [], "holds"
        for mutant in mutants:
            yield f"model {model}: mutant {mutant} is found", model, [mutant], "fails"
    for number, policy in enumerate(POLICIES):
        select = [f"POLICY={number}"]
        if policy == "late":
            yield f"model cow {policy}: loses Eran's race", "cow", select, "fails"
            continue
        yield f"model cow {policy}: survives Eran's race", "cow", select, "holds"
        for mutant in COW_MUTANTS.get(policy, COMMON):
            yield f"model cow {policy}: mutant {mutant} is found", "cow", select + [mutant], "fails"
    alone = [f"POLICY={POLICIES.index('unanimous')}", "ALL_CHANGE"]
    yield "model cow unanimous, all with change: survives", "cow", alone, "holds"
    for mutant in ["NO_FLUSH", "NO_RECHECK", "NO_BREAK_BEFORE_MAKE", "NO_BUMP"]:
        yield f"model cow unanimous, all with change: mutant {mutant} is found", "cow", alone + [
            mutant
        ], "fails"


def search(model, definitions):
    """Runs one exhaustive search: ('holds' | 'fails' | 'broken', a line of explanation)."""
    with tempfile.TemporaryDirectory() as folder:
        defines = [f"-D{d}" for d in definitions]
        source = HERE / f"{model}.pml"
        made = subprocess.run(
            ["spin", "-a", *defines, str(source)], cwd=folder, capture_output=True, text=True
        )
        if made.returncode or "rror" in made.stdout:
            return "broken", made.stdout.strip()
        subprocess.run(
            ["gcc", LARGE.get(model, "-O0"), "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=4000",
             "-o", "pan", "pan.c"],
            cwd=folder,
            check=True,
        )
        out = subprocess.run(
            ["./pan", "-m500000"], cwd=folder, capture_output=True, text=True, timeout=900
        ).stdout
    found = re.search(r"errors: (\d+)", out)
    why = next((line for line in out.splitlines() if line.startswith("pan:1:")), "")
    if not found or "search not completed" in out.lower() and found.group(1) == "0":
        return "broken", out.strip()[-300:]
    if found.group(1) == "0":
        states = re.search(r"(\d+) states, stored", out)
        return "holds", f"{states.group(1)} states"
    # A mutant must be caught by a property, not by running into a deadlock or a broken model.
    return ("fails" if "assertion violated" in why and "array" not in why else "broken"), why


def main():
    table = [
        row for row in rows() if not sys.argv[1:] or any(word in row[0] for word in sys.argv[1:])
    ]
    failed = 0
    print(f"1..{len(table)}")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        verdicts = pool.map(lambda row: search(row[1], row[2]), table)
        for number, (row, (verdict, why)) in enumerate(zip(table, verdicts), 1):
            good = verdict == row[3]
            failed += not good
            print(
                f"{'ok' if good else 'not ok'} {number} - {row[0]} # {why}"
                if good
                else f"not ok {number} - {row[0]}\n# expected {row[3]}, got {verdict}: {why}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
