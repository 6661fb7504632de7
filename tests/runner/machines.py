# SPDX-License-Identifier: Apache-2.0
"""
machines.py: the runs on emulated machines, from the tables tests/runs.toml and tests/runs-*.toml.

The oracle is the text on the serial console: the lines of `expect` in their order, none of
`forbid`, and the way the run ended. A row for several machines is one test for each, named
machine/ROW@MACHINE.
"""
import contextlib
import dataclasses
import glob
import os
import re
import time
import sys
import tomllib

from runner import builds, core, traces

sys.path.insert(0, os.path.join(core.ROOT, "scripts"))
import linux
import machine

TABLES = sorted(glob.glob(os.path.join(core.ROOT, "tests", "runs*.toml")))
# By the names that a row's `allow` has. A kernel's panic=-1 is none yet.
FORBID = {
    "panic": r"panic(?!=)",
    "CHECK failed": r"CHECK failed",
    r"\| not ok\b": r"\| not ok\b",
    "error: summary": r"error: summary",
}
# QEMU 7.2 sometimes fails an assertion of its own ("Bail out! ERROR:../../softmmu/cpus.c ...
# iothread_locked") when a guest's #DB is delivered; that says nothing of us, so the run is tried
# again, and the log says that it was.
ABORTED = "Bail out! ERROR:"
# Bochs listens for a viewer; when no port of its fifty is free, it has not started at all.
NO_PORT = "RFB could not bind any port"
TIMEOUT = 120  # seconds, of a row that gives none
KEYS = {
    "name",
    "machines",
    "boot",
    "protocol",
    "build",
    "cpus",
    "guest_cpus",
    "memory",
    "icount",
    "cmdline",
    "modules",
    "expect",
    "anywhere",
    "forbid",
    "allow",
    "exit",
    "twice",
    "timeout",
    "extra",
    "image",
    "reference",
    "variants",
    "long",
    "trace",
}


def setup_of(row, name):
    """The Setup of a row on one machine."""
    where = builds.folder(row.get("build", "default"))
    modules = []
    for text in row.get("modules", []):
        file, _, cmdline = text.partition(" ")
        near = linux.provide(file) if linux.provides(file) else os.path.join(core.ROOT, file)
        modules.append((near if os.path.exists(near) else os.path.join(where, file), cmdline))
    options = {
        key: row[key]
        for key in ("boot", "protocol", "cpus", "memory", "icount", "cmdline", "extra")
        if key in row
    }
    if "guest_cpus" in row:
        options["cpus"] = row["guest_cpus"] + machine.kept_free(name, row["guest_cpus"])
    if "image" in row:
        options["image"] = os.path.join(where, row["image"])
    if name.startswith("bochs"):
        options.pop("icount", None)
    return machine.Setup(machine=name, build=where, modules=modules, **options)


def reference(row):
    """
    What the guests of the row's `reference` must print: the lines with sums that their jobs print
    on this computer.
    """
    patterns = []
    for guest in row.get("reference", []):
        files = {words[0]: words[1:] for words in (module.split() for module in row["modules"])
                 if f"name={guest}" in words or f"for={guest}" in words}
        [jobs] = [linux.jobs_of(file) for file in files if file.endswith(".initrd")]
        settings = dict(
            word.split("=", 1)
            for words in files.values()
            for word in words
            if word.startswith("seed=")
        )
        lines = [
            line
            for line in linux.run_here(tuple(jobs), **settings).splitlines()
            if " files, sum " in line
        ]
        patterns += [f"^{guest}\\| {re.escape(line)}$" for line in lines]
    return patterns


def find_in_order(lines, patterns):
    """The first pattern that no line matches after the line of the one before it, or None."""
    at = 0
    for pattern in patterns:
        while at < len(lines) and not re.search(pattern, lines[at]):
            at += 1
        if at == len(lines):
            return pattern
        at += 1
    return None


def nearest(lines, pattern):
    """What to say of a line that matches the longest beginning of a pattern, if there is one."""
    for end in reversed([match.start() for match in re.finditer(r"[ ,]", pattern)]):
        with contextlib.suppress(re.error):
            near = next((line for line in lines if re.search(pattern[:end], line)), None)
            if near is not None and pattern[:end].strip(" ^"):
                return f"; nearest: {near}"
    return ""


def complaint_about(row, text, ending):
    """What is wrong with a run, or None."""
    lines = text.split("\n")
    allowed = row.get("allow", [])
    for name, pattern in [
        *FORBID.items(),
        *((pattern, pattern) for pattern in row.get("forbid", [])),
    ]:
        if name not in allowed:
            bad = next((line for line in lines if re.search(pattern, line)), None)
            if bad is not None:
                return f"forbidden line: {bad}"
    missing = find_in_order(lines, row.get("expect", []))
    if missing is not None:
        return f"no line (in this order) matches: {missing}{nearest(lines, missing)}"
    absent = next(
        (
            pattern
            for pattern in row.get("anywhere", [])
            if not any(re.search(pattern, line) for line in lines)
        ),
        None,
    )
    if absent is not None:
        return f"no line matches: {absent}{nearest(lines, absent)}"
    if ending != row.get("exit", "ok"):
        return f"ended with {ending}, not with {row.get('exit', 'ok')}"
    return None


def once(row, setup, log, tries=3):
    """
    Runs it once: (serial text, complaint or None). The text is kept in a file for a look
    afterwards.
    """
    setup = dataclasses.replace(setup)
    with contextlib.ExitStack() as stack:
        traced = stack.enter_context(traces.Traced(setup)) if row.get("trace") else None
        session = stack.enter_context(machine.start(setup))
        if traced:
            traced.started()
        ending = session.wait(row.get("timeout", TIMEOUT))
        text, said = session.serial(), session.output()
        complaint = complaint_about(row, text, ending)
        if traced and not complaint:
            complaint = traced.complaint(text)
        with open(log, "w", encoding="utf-8") as file:
            file.write(text)
    cause = next((sign for sign in (ABORTED, NO_PORT) if sign in said), None)
    if complaint and cause and tries > 1:
        print(
            f"# {row['name']}: the emulator itself died, once more: "
            + said[said.index(cause) :].splitlines()[0],
            flush=True,
        )
        time.sleep(3)
        return once(row, setup, log, tries - 1)
    if complaint:
        complaint += f"; it ended with {ending}"
        complaint += f"\n{' '.join(session.command)}\n--- the emulator's output\n{said}"
        complaint += f"\n--- serial\n{text[-6000:]}"
    return text, complaint


def run_row(row, on):
    """A row on one machine; with `twice` a second run must print the same text."""
    name = f"machine/{row['name']}@{on}"
    os.makedirs(core.LOGS, exist_ok=True)
    log = os.path.join(core.LOGS, f"{row['name']}@{on}.serial")
    if on == "qemu-kvm" and not machine.host_has_nested_kvm():
        return core.skipped(name, "this host offers neither VMX nor SVM to guests of KVM")
    row = {**row, "anywhere": row.get("anywhere", []) + reference(row)}
    text, complaint = once(row, setup_of(row, on), log)
    if complaint:
        return core.failed(name, complaint)
    if row.get("twice"):
        again, complaint = once(row, setup_of(row, on), log + ".again")
        if again != text:
            return core.failed(name, f"a second run printed something else: diff {log} {log}.again")
    return core.passed(name)


def rows():
    """
    The tables, their variants spread, and checked: an unknown key is a mistake that would go
    unnoticed.
    """
    found, spread = [], []
    for path in TABLES:
        with open(path, "rb") as table:
            found += tomllib.load(table).get("run", [])
    for row in found:
        variants = row.pop("variants", [{}])
        spread += [
            {
                **row,
                **more,
                "name": "-".join([row["name"], more["name"]] if more else [row["name"]]),
            }
            for more in variants
        ]
    for row in spread:
        if not set(row) <= KEYS:
            raise ValueError(
                f"tests/runs*.toml: {row['name']}: unknown {', '.join(set(row) - KEYS)}"
            )
    return spread


def packages(row, on):
    """The purposes of scripts/packages.sh for a row on one machine."""
    return (
        ("bochs",)
        if on.startswith("bochs")
        else ("qemu", *(["iso"] if row.get("boot", "kernel") != "kernel" else []))
    )


def tests(long=False):
    """
    One Test for each row and machine; those that are long there are extra. Rows of long timeouts
    start first, and none is left to run alone at the end.
    """

    def is_long(row, machine_name):
        where = row.get("long", False)
        return machine_name in where if isinstance(where, list) else where

    return [core.Test(f"machine/{row['name']}@{on}", lambda r=row, m=on: run_row(r, m),
                      {row.get("build", "default"): core.ALL}, packages(row, on),
                      extra=is_long(row, on) and not long)
            for row in sorted(rows(), key=lambda row: -row.get("timeout", TIMEOUT))
            for on in row["machines"]]
