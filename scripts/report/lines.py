# SPDX-License-Identifier: Apache-2.0
"""
lines.py: the report on the terminal.
"""
import verdict

MIB = 1 << 20
FRAME = 4096
NS = 10**9
# Reasons, events and outcomes in a line, the most frequent ones.
MOST = 8
# Words of the command line that the line of what is in force says first, or that change nothing.
SAID = ("notifier", "fault_retry", "merge", "progress", "sample", "console", "log")


def counts(family):
    """'39339 stage2, 1267 cpuid': the largest first."""
    rows = sorted(family.items(), key=lambda item: -item[1])
    return ", ".join(f"{value} {name}" for name, value in rows[:MOST]) or "none"


def end_of(vm):
    """The end of a VM in words."""
    if "end" not in vm:
        return "did not end"
    words = verdict.ENDS.get(vm["end"], vm["end"])
    return words + (f", status {vm['status']}" if "status" in vm else "")


def saved_of(facts, name):
    """The most memory that merging saved of a VM, in bytes; None without samples."""
    return facts.best(f"vm.{name}.memory.saved")


def of_subscribers(facts, name):
    """What each kind of subscriber of a VM was called for."""
    prefix = f"vm.{name}.sub."
    for kind in dict.fromkeys(rest.split(".")[0] for rest in facts.family(prefix)):
        calls = facts.family(f"{prefix}{kind}.")
        calls.pop("count", None)
        said = {rest.replace(".", " "): value for rest, value in calls.items()}
        yield f"    subscriber {kind}: {counts(said)}"


def of_vm(facts, name, vm):
    prefix = f"vm.{name}."
    saved = saved_of(facts, name)
    least = f"; {saved / MIB:.1f} MiB saved at best" if saved is not None else ""
    yield f"{name}: {end_of(vm)}; {vm.get('memory', 0) / MIB:.0f} MiB of memory{least}"
    yield f"    exits: {counts(facts.family(prefix + 'exits.'))}"
    yield (
        f"    time: {facts.figure(prefix + 'used') / NS:.2f} s on a CPU; "
        f"{facts.total(prefix + 'exit_time.') / NS:.2f} s between exits and entries; "
        f"{facts.figure(prefix + 'stolen') / NS:.2f} s ready and waiting"
    )
    yield f"    faults: {counts(facts.family(prefix + 'fault.', deep=False))}"
    yield f"    faults by cause: {counts(facts.family(prefix + 'fault.cause.'))}"
    yield f"    pages: {counts(facts.family(prefix + 'pages.'))}"
    events = {
        rest.removesuffix(".sent"): value
        for rest, value in facts.family(prefix + "notify.").items()
        if rest.endswith(".sent")
    }
    yield f"    events: {counts(events)}"
    yield from of_subscribers(facts, name)
    yield (
        f"    stage 2: {facts.figure(prefix + 'stage2.in_place')} leaves changed in place, "
        f"{facts.figure(prefix + 'stage2.dropped')} invalidated; "
        f"{facts.figure(prefix + 'flush.sent')} flushes sent, "
        f"{facts.figure(prefix + 'flush.put_off')} put off"
    )


def of_merging(facts):
    figure = facts.figure
    yield (
        f"memory saved: {figure('merge.saved.peak') * FRAME / MIB:.1f} MiB at best; "
        f"{figure('merge.merged')} pages merged, {figure('merge.zeroed')} with a frame of zeroes, "
        f"{figure('merge.breaks')} split again by a write, {figure('merge.races')} given up"
    )
    yield (
        f"scanner: {figure('merge.passes')} passes, {figure('merge.scanned')} pages, "
        f"{figure('merge.read')} of them read; {scan_time(facts):.2f} s"
    )


def scan_time(facts):
    """Seconds that the scanner had, on all CPUs."""
    return sum(
        value for name, value in facts.stats.items()
        if name.startswith("cpu.") and name.endswith(".scan.time")
    ) / NS


def in_force(facts):
    """Policy, retry mode, engine, and the words of the command line that have a value."""
    start = facts.start
    config = [f"{name}={value}" for name, value in start.get("config", {}).items()
              if value not in ("", 0) and name not in SAID]
    return (
        f"policy {start.get('policy', '?')}, retry {start.get('retry', '?')}, "
        f"engine {start.get('engine', '?')}" + (f"; {' '.join(config)}" if config else "")
    )


def of_end(facts):
    if not facts.end:
        return
    audit, missing = facts.end["audit"], facts.end["frames_missing"]
    yield (
        f"audit: {audit.get('pages', 0)} pages, {audit.get('translations', 0)} translations, "
        f"{audit.get('frames', 0)} frames: {audit['faults'] or 'no'} faults"
    )
    yield f"frames: {missing} missing" if missing else "frames: as many free as before the first VM"


def of(facts):
    """The lines of a report."""
    yield f"in force: {in_force(facts)}"
    for name, vm in facts.vms.items():
        yield from of_vm(facts, name, vm)
    yield from of_merging(facts)
    yield from of_end(facts)
