# SPDX-License-Identifier: Apache-2.0
"""
live.py: what ./run top shows: two readings of the statistics as a table of VMs, and that as lines
for a screen of any width.
"""
import dataclasses
import textwrap

MIB = 1 << 20
NS = 10**9
STATES = ("off", "ready", "runs", "sleeps")
# key -> (title, field); the order is that of the columns on the screen.
SORTS = {
    "c": ("CPU", "cpu"),
    "e": ("exits", "exits"),
    "f": ("faults", "faults"),
    "s": ("saved", "saved"),
    "m": ("memory", "resident"),
    "n": ("name", "name"),
}
WIDE = 110
JOINT = "\u00a0"	# a blank at which no line ends
REASONS = 8


@dataclasses.dataclass
class Reading:
    """The statistics at a moment, by the machine's clock: an answer may be late."""
    stats: dict

    @property
    def seconds(self):
        return self.stats.get("machine.uptime", 0) / NS

    def family(self, prefix, deep=True):
        """As Facts.family(), with what is 0."""
        return {name.removeprefix(prefix): value for name, value in self.stats.items()
                if name.startswith(prefix) and isinstance(value, (int, float))
                and (deep or "." not in name.removeprefix(prefix))}

    def vms(self):
        """The names of the VMs, in their order."""
        return list(dict.fromkeys(name.split(".")[1] for name in self.stats
                                  if name.startswith("vm.")))


class Difference:
    """Two readings: counters as rates a second, gauges as in the second one."""

    def __init__(self, before, now):
        self.before, self.now = before, now
        self.seconds = max(now.seconds - before.seconds, 1e-9)

    def rate(self, name):
        """Of a counter, a second; one that began meanwhile began at 0. 0 after one reading."""
        if not self.before.stats:
            return 0
        return max(self.now.stats.get(name, 0) - self.before.stats.get(name, 0), 0) / self.seconds

    def rates(self, prefix, deep=True):
        """Of a family, the largest first, without those that stand still."""
        found = {rest: self.rate(prefix + rest) for rest in self.now.family(prefix, deep)}
        return dict(sorted(((rest, rate) for rest, rate in found.items() if rate),
                           key=lambda item: -item[1]))

    def gauge(self, name):
        return self.now.stats.get(name, 0)

    def vm(self, name):
        """The row of a VM."""
        prefix = f"vm.{name}."
        return {
            "name": name,
            "cpu": 100 * self.rate(prefix + "used") / NS,
            "exits": sum(self.rates(prefix + "exits.").values()),
            "faults": sum(self.rates(prefix + "fault.", deep=False).values()),
            "resident": self.gauge(prefix + "memory.resident"),
            "saved": self.gauge(prefix + "memory.saved"),
            "profit": self.gauge(prefix + "memory.profit"),
            "pages": {state: self.gauge(f"{prefix}pages.{state}")
                      for state in ("private", "shared", "zero", "reclaimed")},
            "exit_rates": self.rates(prefix + "exits."),
            "fault_rates": self.rates(prefix + "fault.", deep=False),
            "subscriber_rates": self.rates(prefix + "sub."),
        }

    def vms(self, sort="c"):
        field = SORTS[sort][1]
        rows = [self.vm(name) for name in self.now.vms()]
        return sorted(rows, key=lambda row: row[field], reverse=field != "name")

    def machine(self):
        scan = sum(self.rate(name) for name in self.now.stats
                   if name.startswith("cpu.") and name.endswith(".scan.time"))
        return {
            "uptime": self.gauge("machine.uptime") / NS,
            "cpus": self.gauge("machine.cpus"),
            "frames": self.gauge("machine.frames.total"),
            "free": self.gauge("machine.frames.free"),
            "saved": self.gauge("merge.saved"),
            "profit": self.gauge("merge.profit"),
            "passes": self.gauge("merge.passes"),
            "settled": bool(self.gauge("merge.settled")),
            "scan_cpu": 100 * scan / NS,
            "rates": {name: self.rate(f"merge.{name}")
                      for name in ("scanned", "read", "merged", "zeroed", "breaks", "races")},
        }

    def as_json(self, sort="c"):
        return {"seconds": self.seconds, "machine": self.machine(), "vms": self.vms(sort)}


def mib(size):
    return f"{size / MIB:,.1f}"


def head(machine):
    """The lines about the machine and the scanner."""
    rates = machine["rates"]
    free = 4096 * machine["free"]
    return [
        f"up {machine['uptime']:.0f} s, {machine['cpus']} CPUs, {mib(free)} MiB free, "
        f"saved {mib(machine['saved'])} MiB, profit {mib(machine['profit'])} MiB",
        f"scanner {machine['scan_cpu']:.0f} %CPU, pass {machine['passes']}"
        f"{', settled' if machine['settled'] else ''}; a second: "
        + ", ".join(f"{rate:,.0f}{JOINT}{name}" for name, rate in rates.items() if rate),
    ]


COLUMNS = (
    ("VM", 12, lambda row: row["name"]),
    ("%CPU", 6, lambda row: f"{row['cpu']:.0f}"),
    ("exits/s", 9, lambda row: f"{row['exits']:,.0f}"),
    ("faults/s", 9, lambda row: f"{row['faults']:,.0f}"),
    ("MiB", 8, lambda row: mib(row["resident"])),
    ("saved", 8, lambda row: mib(row["saved"])),
    ("private", 9, lambda row: f"{row['pages']['private']:,}"),
    ("shared", 9, lambda row: f"{row['pages']['shared']:,}"),
    ("zero", 8, lambda row: f"{row['pages']['zero']:,}"),
    ("reclaimed", 10, lambda row: f"{row['pages']['reclaimed']:,}"),
    ("profit", 9, lambda row: mib(row["profit"])),
)


def table_line(cells, width):
    """Cells in their columns, as many as fit; the first to the left, the others to the right."""
    text = ""
    for (_, size, _), cell in zip(COLUMNS, cells):
        cell = f"{cell[:size]:<{size}}" if not text else f"{cell:>{size}}"
        if len(text) + len(cell) > width:
            break
        text += cell
    return text


def pane(title, rates, most):
    """A title and the largest rates below it."""
    lines = [f"{rate:>11,.1f}  {name}" for name, rate in list(rates.items())[:most]]
    return [title, *(lines or ["           -"])]


def panes(row, width, height):
    """What the chosen VM does: beside each other where the screen is wide."""
    most = REASONS if width >= WIDE else max((height - 3) // 3, 1)
    found = [
        pane(f"{row['name']}: exits/s", row["exit_rates"], most),
        pane("faults/s", row["fault_rates"], most),
        pane("subscribers: calls/s", row["subscriber_rates"], most),
    ]
    if width < WIDE:
        return [line for each in found for line in each]
    size = width // len(found)
    tallest = max(map(len, found))
    return ["".join(f"{(each[n] if n < len(each) else '')[:size - 1]:<{size}}" for each in found)
            for n in range(tallest)]


def table(difference, width, sort, chosen):
    """The lines of a table of VMs, and the row of the chosen one."""
    yield table_line([title for title, _, _ in COLUMNS], width), "title"
    for row in difference.vms(sort):
        style = "chosen" if row["name"] == chosen else "normal"
        yield table_line([cell(row) for _, _, cell in COLUMNS], width), style


def body(difference, width, height, sort, chosen):
    """The lines above that of the keys."""
    lines = [(line.replace(JOINT, " "), "normal") for text in head(difference.machine())
             for line in textwrap.wrap(text, max(width, 20), subsequent_indent="    ")]
    lines += table(difference, width, sort, chosen)
    if chosen in difference.now.vms():
        lines.append(("", "normal"))
        row = difference.vm(chosen)
        lines += [(text, "normal") for text in panes(row, width, height - len(lines) - 1)]
    return lines


def screen(difference, width, height, sort, chosen):
    """
    The lines of a screen: (text, style), style one of normal, title, chosen. `chosen` is the name
    of the VM that the rates below are of.
    """
    lines = [("waiting for the machine's answer ...", "normal")]
    if difference.now.stats:
        lines = body(difference, width, height, sort, chosen)
    keys = " ".join(f"[{key}:{title}]" if key == sort else f"{key}:{title}"
                    for key, (title, _) in SORTS.items())
    lines = lines[:height - 1] + [("", "normal")] * (height - 1 - len(lines))
    return [(text[:width], style) for text, style in lines] + [
        (f"sort {keys}  up/down: VM  q: quit"[:width], "title")
    ]
