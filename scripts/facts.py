# SPDX-License-Identifier: Apache-2.0
"""
facts.py: the facts of a run, put together from the events of the control channel
(docs/control.md). The report, the manifest and the verdict read them; none reads the log.

An event that is long comes in parts: their members are one event.
"""
import dataclasses

NS = 10**9


@dataclasses.dataclass
class Facts:
    """
    start	policy, retry, engine, cpus, config, refused: what is in force
    vms		by name, in their order: memory, vcpus, type; then end, status, good
    samples	(seconds, {figure: value}), in their order
    stats	the figures at the end
    end		good, audit, frames_missing; empty until the machine has counted its frames
    """
    start: dict = dataclasses.field(default_factory=dict)
    vms: dict = dataclasses.field(default_factory=dict)
    samples: list = dataclasses.field(default_factory=list)
    stats: dict = dataclasses.field(default_factory=dict)
    end: dict = dataclasses.field(default_factory=dict)

    def figure(self, name, default=0):
        """A figure at the end of the run."""
        return self.stats.get(name, default)

    def family(self, prefix, deep=True):
        """
        The figures below a prefix that are numbers and not 0, by the rest of their name. Not deep:
        those with one name below it.
        """
        return {
            name.removeprefix(prefix): value
            for name, value in self.stats.items()
            if name.startswith(prefix) and isinstance(value, (int, float)) and value
            and (deep or "." not in name.removeprefix(prefix))
        }

    def total(self, prefix):
        """Of the figures with one name below the prefix."""
        return sum(self.family(prefix, deep=False).values())

    def column(self, name):
        """A figure over time: (seconds, value) of each sample that has it."""
        return [(seconds, stats[name]) for seconds, stats in self.samples if name in stats]

    def best(self, name):
        """The most that a figure was in a sample or at the end; None without any."""
        values = [value for _, value in self.column(name)]
        if name in self.stats:
            values.append(self.stats[name])
        return max(values, default=None)


def add_start(facts, event):
    for name, vm in event.pop("vms", {}).items():
        facts.vms[name] = {**facts.vms.get(name, {}), **vm}
    facts.start.setdefault("config", {}).update(event.pop("config", {}))
    facts.start.update(event)


def add_sample(facts, event):
    seconds = event["t_ns"] / NS
    if not facts.samples or facts.samples[-1][0] != seconds:
        facts.samples.append((seconds, {}))
    facts.samples[-1][1].update(event.get("stats", {}))


def add_vm_end(facts, event):
    vm = facts.vms.setdefault(event.pop("vm"), {})
    vm.update(event)


def add_end(facts, event):
    facts.stats.update(event.pop("stats", {}))
    facts.end.update(event)


KINDS = {"start": add_start, "sample": add_sample, "vm-end": add_vm_end, "end": add_end}


def of(events):
    """The facts of a run from its events. Kinds that are not known here are passed over."""
    facts = Facts()
    for event in events:
        rest = {name: value for name, value in event.items() if name not in ("v", "event", "more")}
        if event.get("event") in KINDS:
            KINDS[event["event"]](facts, rest)
    if not {"audit", "frames_missing"} <= facts.end.keys():
        facts.end = {}
    return facts
