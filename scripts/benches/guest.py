# SPDX-License-Identifier: Apache-2.0
"""
guest.py: what the main job's two Linux guests feel of merging, side by side in one run: Samepage
without merging, with each engine and with a pass each 20 ms, and Linux with KVM in the same
emulator with KSM off and on.

Seconds are the machine's own, from the start of the guests to the power-off of the second one;
`cpu` are the seconds of this computer's CPUs that the emulator used for all of the run, its boot
included. Both differ from run to run on a computer that does other things too, seconds most:
--repeat runs the settings in turn, and the table has the medians, and the medians of each round's
ratios. A setting that does not end in time is named at the end, and the others go on; --only runs a
part of them again. Timeouts grow with the computer's load.
"""
import resource

import builder
import facts
import guests
import machine
from benches import common, jobs, peer
from output import Stop, plain, say
from report import figures

MIB = 1 << 20
CPUS = 3
TIMEOUT = 420
KSM_PAGES = 5000
QEMU = "qemu-tcg"
OFF, ON = "samepage merge=off", "samepage merge=hash"
FIXED = "samepage merge=hash merge_ms=20"
TREE = "samepage merge=tree"
KVM_OFF, KVM_ON = "kvm ksm=off", f"kvm ksm={KSM_PAGES}"
UNITS = {"seconds": "s", "cpu": "s", "scan": "s", "saved_mean": "MiB", "saved_best": "MiB"}
# Name of a ratio: what is divided by what.
RATIOS = {
    "merging over none": (ON, OFF),
    "merging each 20 ms over none": (FIXED, OFF),
    "KSM over none": (KVM_ON, KVM_OFF),
    "merging over KVM without KSM": (ON, KVM_OFF),
}


def used():
    """CPU seconds of the programs that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def check_ended(name, ending, text, work):
    if ending != "ok" or text.count("work: done") != work:
        raise peer.PeerError(f"{name}: ended with {ending}\n{text[-2000:]}")


def saved_over_time(found):
    """MiB by seconds since the first sample."""
    line = found.column("merge.saved")
    return [(moment - line[0][0], value / MIB) for moment, value in line]


def samepage(where, words, cpus=CPUS, name=QEMU, icount=False, job=guests.MAIN_JOB):
    """One run of two guests: figures by name, and MiB saved over time."""
    ending, found, text = common.figures_of(machine.Setup(
        machine=name,
        build=where,
        cpus=cpus,
        memory=guests.MAIN_MEMORY,
        icount=icount,
        cmdline=f"{words} sample=500",
        modules=guests.modules_of(where, job),
    ), common.patience(TIMEOUT))
    check_ended(words, ending, text, 2)
    line = saved_over_time(found)
    saved = [value for _, value in line] or [0]
    sums = {
        name: sum(found.figure(f"vm.{vm}.{figure}") for vm in found.vms)
        for name, figure in (("flushes", "flush.sent"), ("kicks", "flush.waited"),
                             ("stage2", "exits.stage2"), ("breaks", "merge.breaks"))
    }
    merged = found.figure("merge.merged") + found.figure("merge.zeroed")
    return {
        "seconds": max(vm["t_ns"] for vm in found.vms.values()) / facts.NS,
        "saved_mean": common.mean(saved),
        "saved_best": max(saved),
        "merged": merged,
        "read": found.figure("merge.read"),
        "passes": found.figure("merge.passes"),
        "scan": sum(found.figure(f"cpu.{number}.scan.time") for number in range(cpus)) / facts.NS,
        **sums,
        **({"merged_a_kick": merged / sums["kicks"]} if sums["kicks"] else {}),
    }, line


def linux_kvm(ksm, cpus):
    """The same of Linux with KVM."""
    return peer.figures(f"kvm ksm={ksm}", peer.kvm(ksm, cpus))


def settings(where, cpus, name, only, icount):
    """
    What is run, by name: what has `only` in its name. The peer runs in QEMU alone, and with a clock
    of its own; Bochs takes half an hour for a setting, so it has two unless `only` names others.
    """
    prefix = "samepage "
    titles = (OFF, ON, FIXED, TREE) if name == QEMU or only else (OFF, ON)
    runs = {
        title: lambda words=title[len(prefix):]: samepage(where, words, cpus, name, icount)
        for title in titles
    }
    if name == QEMU and not icount:
        runs[KVM_OFF] = lambda: linux_kvm("off", cpus)
        runs[KVM_ON] = lambda: linux_kvm(KSM_PAGES, cpus)
    found = {title: run for title, run in runs.items() if only in title}
    if not found:
        raise Stop(f"--only {only}: there is {', '.join(runs)}")
    return found


def medians(rounds):
    """Of some runs of a setting: each figure's median."""
    return {name: common.median([figures.get(name, 0) for figures in rounds])
            for name in rounds[-1]}


def ratios(cells):
    """Medians of the ratios of a round, of seconds and of CPU seconds."""
    for title, (over, under) in RATIOS.items():
        for figure in ("seconds", "cpu"):
            pairs = zip(cells.get(over, []), cells.get(under, []))
            found = [a[figure] / b[figure] for a, b in pairs]
            if found:
                yield f"{title}, {figure}", common.median(found)


def rows_of(cells):
    rows = [
        {"name": name, "value": round(value, 2), "unit": UNITS.get(name, name), "setting": setting}
        for setting, rounds in cells.items()
        for name, value in medians(rounds).items()
    ]
    return rows + [
        {"name": name, "value": round(value, 3), "unit": "times", "setting": "ratio"}
        for name, value in ratios(cells)
    ]


def draw(folder, lines):
    """saved.svg and saved.csv: memory saved over the time of each setting's last run."""
    for figure in figures.step_figure("saved", "Memory saved", "MiB", lines,
                                      "Higher is better.", "memory saved over time"):
        folder.write("saved.svg", common.standalone(figure.svg()))
        folder.write("saved.csv", figure.csv())


def measured(run):
    """The run's figures with its CPU seconds, and its line."""
    before = used()
    found, line = run()
    return {**found, "cpu": used() - before}, line


def run_all(folder, runs, repeat):
    """Figures of the rounds by setting, lines by setting, and the names of what did not end."""
    cells, lines, failed = {}, {}, []
    for number in range(repeat):
        for name, run in runs.items():
            say(f"round {number + 1} of {repeat}: {name} ...")
            try:
                found, line = measured(run)
            except machine.MachineError as error:
                say(f"{name}: {error}")
                failed.append(name)
                continue
            cells.setdefault(name, []).append(found)
            if any(value for _, value in line):
                lines[name] = line
            common.keep(folder, "guest", rows_of(cells))  # an interruption leaves the rows so far
    return cells, lines, failed


def main_job(folder, runs, repeat):
    cells, lines, failed = run_all(folder, runs, repeat)
    if not cells:
        raise Stop("no setting has ended")
    rows = rows_of(cells)
    common.show([row for row in rows if row["setting"] != "ratio"])
    for row in rows:
        if row["setting"] == "ratio":
            plain(f"{row['name']}: {row['value']:.2f}")
    if failed:
        plain(f"did not end: {', '.join(failed)}")
    draw(folder, lines)


def guest(folder, repeat=1, cpus=CPUS, speed=False, only="", machine_name=QEMU, icount=False):
    builder.need("bochs" if machine_name != QEMU else "qemu")
    if speed:
        jobs.jobs(folder, repeat)
        return
    runs = settings(builder.build("default"), cpus, machine_name, only, icount)
    main_job(folder, runs, repeat)
