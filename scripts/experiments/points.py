# SPDX-License-Identifier: Apache-2.0
"""
points.py: the matrices of an experiment as points, and what each boots.

An axis is, in this order:
    {AXIS} in the command line, a guest's line or the arguments: its value is put there
    machine, cpus, memory, icount, vms (guests with {vm} are there as often)
    a word of the hypervisor's command line
    vm.WORD: a word of each VM's line; arg.NAME: an option of each guest
"""
import dataclasses
import itertools
import re

import guests
import machine
import words
from experiments.spec import SpecError
from words import nearest

OF_MACHINE = ("machine", "cpus", "memory", "icount", "vms")
FREE = ("seed", "repeat")
NUMBER = re.compile(r"\d{1,6}")


@dataclasses.dataclass
class Point:
    """`axes`: its values by name; `boot`: what it boots, as the file has it, filled in."""
    axes: dict
    boot: dict
    key: str = ""

    def __str__(self):
        return " ".join(f"{axis}={value}" for axis, value in self.axes.items())

    def exact(self):
        """Whether two runs give the same counts."""
        return bool(self.boot["program"] or self.boot["icount"]
                    or self.boot["machine"] in machine.BOCHS_MODELS)


def templates(boot):
    return [boot["cmdline"], boot["args"], boot["program"], *boot["guests"]]


def complaint(spec, axis):
    """What is wrong with the name of an axis, or None."""
    placed = any("{" + axis + "}" in text for text in templates(spec.boot))
    if placed or axis in (*OF_MACHINE, *FREE) or axis in words.hypervisor():
        return None
    kind, dot, name = axis.partition(".")
    if dot and (kind == "arg" or kind == "vm" and name in words.vm()):
        return None
    known = [*OF_MACHINE, *words.hypervisor(), *(f"vm.{name}" for name in words.vm())]
    return f"{axis}: no word of a command line, and no text has {{{axis}}}; {nearest(axis, known)}"


def with_word(line, name, value):
    """A line of words with NAME=VALUE in the place of an earlier one, or at its end."""
    kept = [word for word in line.split() if word.partition("=")[0] != name]
    return " ".join([*kept, f"{name}={value}"])


def with_vm_word(line, name, value):
    """The same before arg=; a module of a VM stays as it is."""
    head, arg, tail = line.partition(" arg=")
    if re.search(r"(^|[: ])(for|image)=", head):
        return line
    file, colon, rest = head.partition(":")
    return f"{file}{colon}{with_word(rest, name, value)}{arg}{tail}"


def with_option(line, name, value):
    """A guest's option, at the end of its line."""
    head, arg, tail = line.partition(" arg=")
    if re.search(r"(^|[: ])(for|image)=", head):
        return line
    return f"{head} arg={with_word(tail, name, value)}"


def set_axis(boot, axis, value, label):
    """Puts a value in its place. `label`: what the axis says, before [values]."""
    mark = "{" + axis + "}"
    if any(mark in text for text in templates(boot)):
        for key in ("cmdline", "args", "program"):
            boot[key] = boot[key].replace(mark, value)
        boot["guests"] = [guest.replace(mark, value) for guest in boot["guests"]]
        if axis in ("cpus", "memory"):
            boot[axis] = int(value)
    elif axis == "vms":
        boot["vms"] = int(value)
    elif axis in ("cpus", "memory"):
        boot[axis] = int(value)
    elif axis == "icount":
        boot["icount"] = value in ("true", "yes", "1")
    elif axis == "machine":
        boot["machine"] = value
    elif axis == "repeat":
        boot["repeat"] = label
    elif axis == "seed":
        boot["guests"] = [with_option(guest, "seed", value) for guest in boot["guests"]]
    elif axis.startswith("vm."):
        name = axis.removeprefix("vm.")
        boot["guests"] = [with_vm_word(guest, name, value) for guest in boot["guests"]]
    elif axis.startswith("arg."):
        name = axis.removeprefix("arg.")
        boot["guests"] = [with_option(guest, name, value) for guest in boot["guests"]]
    else:
        boot["cmdline"] = with_word(boot["cmdline"], axis, value)


def repeated(boot):
    """Guests with {vm} once for each VM, 1 to vms."""
    count = boot.pop("vms", 1)
    return [guest.replace("{vm}", str(number)) for number in range(1, count + 1)
            for guest in boot["guests"] if number == 1 or "{vm}" in guest]


def point_of(spec, axes):
    boot = {**spec.boot, "guests": list(spec.boot["guests"])}
    for axis, label in axes.items():
        set_axis(boot, axis, spec.values.get(axis, {}).get(label, label), label)
    boot["guests"] = repeated(boot)
    boot["cmdline"] = " ".join(boot["cmdline"].split())
    if boot["machine"] in machine.BOCHS_MODELS:
        boot["icount"] = False
    return Point(axes, boot)


def check_numbers(spec, matrix):
    for axis in ("cpus", "memory", "vms"):
        for value in matrix.get(axis, []):
            if not NUMBER.fullmatch(value) or not int(value):
                yield f"{spec.at('points', axis)}: {axis} = {value}: not a number from 1"


def check_axes(spec):
    for matrix in spec.matrices:
        for axis in matrix:
            text = complaint(spec, axis)
            if text:
                yield f"{spec.at('points', axis)}: {text}"
        yield from check_numbers(spec, matrix)


def check_point(spec, point):
    """The complaints about what a point boots."""
    boot = point.boot
    if boot["machine"] not in machine.MACHINES:
        return [f"machine = {boot['machine']}: {nearest(boot['machine'], machine.MACHINES)}"]
    if boot["icount"] and boot["cpus"] != 1 and boot["machine"] == "qemu-tcg":
        return ["icount = true counts one CPU: cpus = 1, or icount = false"]
    if boot["program"]:
        return []
    left = re.findall(r"\{(\w[\w.]*)\}", " ".join(templates(boot)))
    if left:
        return [f"{{{name}}}: there is no axis of this name" for name in left]
    found = [f"cmdline: {text}" for text in words.check_hypervisor(boot["cmdline"])]
    return found + [f"guests: {text}" for text in guests.check(boot["guests"], boot["cpus"])]


def in_quick(spec, axes):
    return not spec.long and all(axes.get(axis, values[0]) in values
                                 for axis, values in spec.quick.items())


def of(spec, quick=False):
    """The points, each once. SpecError."""
    complaints = list(check_axes(spec))
    if complaints:
        raise SpecError(*dict.fromkeys(complaints))
    found, more = {}, {}
    if spec.seeds:
        more["seed"] = spec.seeds
    if spec.repeats > 1:
        more["repeat"] = [str(number) for number in range(1, spec.repeats + 1)]
    for matrix in spec.matrices:
        axes = {**matrix, **more}
        for values in itertools.product(*axes.values()):
            chosen = dict(zip(axes, values))
            if not quick or in_quick(spec, chosen):
                found[tuple(sorted(chosen.items()))] = point_of(spec, chosen)
    for point in found.values():
        complaints += [f"{spec.at('points')}: {point}: {text}" for text in check_point(spec, point)]
    if complaints:
        raise SpecError(*complaints[:8])
    return list(found.values())
