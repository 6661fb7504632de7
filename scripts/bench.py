# SPDX-License-Identifier: Apache-2.0
"""
bench.py: what ./run bench measures.

Each bench writes build/results/NAME.json, a list of {name, value, unit, setting}, and prints it as
a table.
"""
import glob
import json
import os
import re
import subprocess
import tempfile

import machine

RESULTS = os.path.join(machine.ROOT, "build", "results")

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
    """
    Prints the rows as a table: a line for each name, a column for each setting, and columns of
    extra figures.
    """
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    extra = extra or {}
    print(f"\n{'':24}" + "".join(f"{title:>18}" for title in [*settings, *extra]))
    for name in dict.fromkeys(row["name"] for row in rows):
        cells = [
            next(
                (row["value"] for row in rows if (row["name"], row["setting"]) == (name, setting)),
                "",
            )
            for setting in settings
        ] + [figures.get(name, "") for figures in extra.values()]
        print(f"{name:24}" + "".join(f"{cell:>18}" for cell in cells))


def measure(setup, timeout=300):
    """Boots a guest that prints lines 'bench: NAME VALUE UNIT'; the (name, value, unit) of each."""
    with machine.start(setup) as session:
        ending = session.wait(timeout)
        text = session.serial()
        if ending != "ok":
            raise machine.MachineError(
                f"{setup.machine}: the run ended with {ending}\n{text[-3000:]}\n{session.output()}"
            )
    return [
        (name, int(value), unit)
        for name, value, unit in re.findall(r"\bbench: (\w+) (\d+) (\w+)", text)
    ]


def exits(_, need, build):
    """Round trips from a guest to the hypervisor and back, in instructions."""
    need("bochs")
    where = build("default")
    guest = [(os.path.join(where, "guest", "bench.elf"), "name=bench test_calls=yes memory=32M")]
    rows = []
    for setting, name in (("qemu-tcg-npt", "qemu-tcg"), ("bochs-ept", "bochs")):
        print(f"samepage: measuring on {name} ...", flush=True)
        setup = machine.Setup(
            machine=name, build=where, modules=guest, icount=name == "qemu-tcg", memory=256
        )
        rows += [{"name": name, "value": value, "unit": unit, "setting": setting}
                 for name, value, unit in measure(setup)]
    show(rows, {"target": TARGETS, "Linux 6.1 KVM": KVM})
    print(f"\nsamepage: {os.path.relpath(write('exits', rows), machine.ROOT)}")
    return 0


# What ./run bench mm set out to reach.
WITHOUT = {"fault_first_touch": "zero_page", "populate": "zero_page", "cow_break": "copy_page"}
MM_TARGETS = {"unwanted": 20, "fault_first_touch": 1200, "cow_break": 1500}
# What Linux 6.1 takes: KVM's fault with zeroing, a process's copy-on-write fault with copying.
MM_LINUX = {"fault_first_touch": 6853, "cow_break": 4434}


def counts_of(where):
    """
    What callgrind counted between on and off (tests/bench/bench.h): {name: (instructions, rounds,
    times on)}.
    """
    found = {}
    for file in sorted(
        glob.glob(os.path.join(where, "callgrind.*")), key=lambda path: int(path.rsplit(".", 1)[1])
    ):
        with open(file, encoding="utf-8") as dump:
            text = dump.read(4096)
        label = re.search(r"^desc: Trigger: Client Request: bench (\S+) (\d+) (\d+)$", text, re.M)
        summary = re.search(r"^(?:summary|totals): (\d+)$", text, re.M)
        if label and summary:
            found[label[1]] = (int(summary[1]), int(label[2]), int(label[3]))
    return found


def callgrind(program):
    """
    Runs a program of tests/bench under callgrind; instructions a round, less what the counting
    takes itself.
    """
    with tempfile.TemporaryDirectory(prefix="samepage-bench-") as where:
        done = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                "--collect-atstart=no",
                f"--callgrind-out-file={where}/callgrind",
                program,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        found = counts_of(where)
    if done.returncode or "empty" not in found:
        raise machine.MachineError(f"{program}: status {done.returncode}\n{done.stdout}")
    instructions, _, times = found.pop("empty")
    switch = instructions // times
    return {
        name: round((count - switch * times) / rounds)
        for name, (count, rounds, times) in found.items()
    }


def policies():
    """The names of the notifier's policies, which are those of Kconfig's symbols."""
    with open(os.path.join(machine.ROOT, "Kconfig"), encoding="utf-8") as file:
        names = re.findall(r"^config NOTIFIER_POLICY_(\w+)$", file.read(), re.M)
    return [name.lower() for name in names]


POLICIES = policies()


def mm_machine(where):
    """
    The memory core as a guest sees it, exits, zeroing and copying (512 instructions each) included.
    """
    rows = {}
    for policy, devices in [(policy, 1) for policy in POLICIES] + [
        ("masked", 8),
        ("masked", 64),
        ("bracket", 8),
        ("bracket", 64),
    ]:
        print(
            f"samepage: measuring {policy} with {devices} device model(s) on qemu-tcg ...",
            flush=True,
        )
        guest = [
            (
                os.path.join(where, "guest", "bench.elf"),
                f"name=bench test_calls=yes memory=32M devices={devices} arg=mm count=200 tries=2",
            )
        ]
        setup = machine.Setup(
            build=where, modules=guest, icount=True, memory=256, cmdline=f"notifier={policy}"
        )
        for name, value, _ in measure(setup):
            # A fault notifies no subscriber, so its cost does not depend on the policy.
            full = (
                name
                if name.startswith("fault")
                else f"{name}_{policy}" + (f"_{devices}" if devices > 1 else "")
            )
            rows.setdefault(full, value)
    return [
        {"name": name, "value": value, "unit": "instructions", "setting": "qemu-tcg-npt"}
        for name, value in rows.items()
    ]


def mm(_, need, build):
    """The memory core on this computer and on an emulated one, in instructions."""
    need("bench", "test")
    where = build("bench", ["bench_mm"])
    print("samepage: counting under callgrind ...", flush=True)
    counts = callgrind(os.path.join(where, "tests", "bench", "bench_mm"))
    for name in counts:
        # Clearing and copying a page is libc's affair here and the machine's there.
        part = next((part for start, part in WITHOUT.items() if name.startswith(start)), None)
        counts[name] -= counts[part] if part else 0
    rows = [{"name": name, "value": value, "unit": "instructions", "setting": "host-callgrind"}
            for name, value in counts.items()]
    rows += mm_machine(build("default"))
    show(rows, {"target": MM_TARGETS, "Linux 6.1": MM_LINUX})
    print(f"\nsamepage: {os.path.relpath(write('mm', rows), machine.ROOT)}")
    return 0


BENCHES = {"exits": exits, "mm": mm}
