# SPDX-License-Identifier: Apache-2.0
"""
words.py: the words of the two command lines, and the check of a line before anything is built.

The words are read out of the C tables: options[] of boot/options.c for the hypervisor, words[] of
hv/load/config.c for a VM. tests/checks/words.py compiles those files and compares their verdicts
with the ones here.

The values of a word are alternatives: a word as it stands, a range LOW..HIGH, or a kind of value in
capitals (KINDS).
"""
import dataclasses
import difflib
import functools
import re

import tree

OPTION = re.compile(r"\{\s*\.name = \"([\w-]+)\",\s*\.kind = OPTION_(TEXT|NUMBER)\b([^}]*)\}")
VM_WORD = re.compile(r"\{\"(\w+)\", \w+,\s*\"\w+ is ([^\s,\"]+)(?:, ([^\"]*))?\"")
UNITS = {"": 0, "K": 10, "M": 20, "G": 30}
VM_DEFAULTS = {"memory": "16M"}
ARG_LONGEST = 2047
BOARD_MEMORY = (1 << 20) + 1


@dataclasses.dataclass
class Word:
    """A word, its values, an alternative each, and a remark about them."""
    name: str
    values: tuple
    remark: str = ""


def constants():
    """The numbers that the C tables name."""
    found = re.findall(r"^#define (\w+)\s+(\d+)$", tree.text("include/arch/boot_info.h"), re.M)
    return {name: int(value) for name, value in found}


def number_of_c(text):
    """A constant of a C table: 64, 1u << 30, ~0ull, NAME, NAME - 1."""
    for name, value in constants().items():
        text = text.replace(name, str(value))
    text = re.sub(r"(?<=\d)u(ll)?\b", "", text.strip())
    first, operator, second = re.fullmatch(r"(~?\d+)(?: (<<|-) (\d+))?", text).groups()
    value = (1 << 64) - 1 if first == "~0" else int(first)
    if operator == "<<":
        return value << int(second)
    return value - int(second or 0)


def field(row, name):
    """The C text of a field of an initializer, or None."""
    found = re.search(rf"\.{name} = ([^,}}]+)", row)
    return found[1] if found else None


@functools.cache
def hypervisor():
    """The words of the hypervisor's command line, by name."""
    found = {}
    for name, kind, row in OPTION.findall(tree.text("boot/options.c")):
        if kind == "TEXT":
            values = tuple(field(row, "values").strip('"').split("|"))
        else:
            low, high = (number_of_c(field(row, end) or "0") for end in ("min", "max"))
            values = (f"{low}..{high}",)
        found[name] = Word(name, values)
    return found


@functools.cache
def vm():
    """The words of a VM's command line, by name."""
    rows = VM_WORD.findall(tree.text("hv/load/config.c"))
    return {name: Word(name, tuple(values.split("|")), remark) for name, values, remark in rows}


def names_in(file, array):
    """The strings of a C array of names."""
    body = re.search(rf"\b{array}\[\] = \{{(.*?)\}};", tree.text(file), re.S)[1]
    return re.findall(r'"(\w+)"', body)


def symbols(prefix):
    """The members of a Kconfig choice, in lower case: the names that the code gives them."""
    names = re.findall(rf"^config {prefix}_(\w+)$", tree.text("Kconfig"), re.M)
    return [name.lower() for name in names]


def policies():
    return symbols("NOTIFIER_POLICY")


def engines():
    return symbols("MERGE_ENGINE")


def levels():
    """The log levels, and SUBSYSTEM=LEVEL of each subsystem."""
    names = names_in("lib/log.c", "level_names")
    subsystems = names_in("lib/log.c", "subsystem_names")
    return [*names, *(f"{subsystem}={name}" for subsystem in subsystems for name in names)]


def classes():
    """The classes of the trace."""
    rows = re.findall(r"^TRACE_CLASS\(\w+, (\w+),", tree.text("include/trace/events.def"), re.M)
    return ["all", *rows]


def is_gfns(text, _):
    """0x12 or 0x12-0x1f."""
    first, dash, last = text.partition("-")
    first, last = number(first), number(last if dash else first)
    return first is not None and last is not None and first <= last < 1 << 36


def is_levels(text, _):
    return all(word in levels() for word in text.split(","))


def is_cpus(text, cpus):
    """0 or 1,3 or 2-5: CPUs of a machine with so many."""
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not found:
            return False
        first, last = int(found[1]), int(found[2] or found[1])
        if not first <= last < min(cpus, 64):
            return False
    return True


def is_mac(text, _):
    """Six bytes of a station, not of a group."""
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text):
        return False
    number_of = int(text.replace(":", ""), 16)
    return number_of != 0 and not number_of >> 40 & 1


def is_subscriber(text, _):
    """KIND[:US][*COUNT], as set_subscriber() of hv/load/config.c takes it."""
    found = re.fullmatch(r"(?:view|(?:busy|slow|shadow|interval)(?::([^*]*))?(?:\*(.*))?)", text)
    if not found:
        return bool(re.fullmatch(r"view\*(?:0[xX])?0*1", text))
    for part, most in ((found[1], 1000), (found[2], 1024)):
        if part is not None and not 1 <= (number(part) or 0) <= most:
            return False
    return True


# The values in capitals: whether a text is one, on a machine with so many CPUs. A kind that is not
# here takes any text.
KINDS = {
    "LEVELS": is_levels,
    "POLICY": lambda text, _: text in policies(),
    "ENGINE": lambda text, _: text in engines(),
    "CLASSES": lambda text, _: all(name in classes() for name in text.split(",")),
    "GFNS": is_gfns,
    "NAME": lambda text, _: bool(re.fullmatch(r"[A-Za-z0-9_-]{1,23}", text)),
    "CPUS": is_cpus,
    "MAC": is_mac,
    "SUBSCRIBER": is_subscriber,
}
SPELLED = {"POLICY": policies, "ENGINE": engines, "CLASSES": classes}


def number(text):
    """lib/string.c: decimal or 0x hexadecimal, then perhaps K, M or G. None for anything else."""
    found = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([KMG]?)", text, re.A)
    if not found:
        return None
    value = int(found[1], 16 if found[1][1:2] in ("x", "X") else 10) << UNITS[found[2]]
    return value if value < 1 << 64 else None


def alternative_takes(alternative, text, cpus):
    low, dots, high = alternative.partition("..")
    if dots:
        value = number(text)
        return value is not None and number(low) <= value <= number(high)
    if alternative.isupper():
        return bool(text) and KINDS.get(alternative, lambda *_: True)(text, cpus)
    return text == alternative


def takes(word, text, cpus=64):
    """Whether a word may have this value."""
    if not any(alternative_takes(alternative, text, cpus) for alternative in word.values):
        return False
    return word.name != "memory" or number(text) % 4096 == 0


def spelled(word):
    """Its values with the kinds that are lists spelled out."""
    return [
        value
        for alternative in word.values
        for value in (SPELLED[alternative]() if alternative in SPELLED else [alternative])
    ]


def nearest(text, candidates):
    """', did you mean X?' for a likely misspelling, else the candidates."""
    near = difflib.get_close_matches(text, candidates, 1, 0.6)
    return f"did you mean {near[0]}?" if near else f"there is {', '.join(candidates)}"


def complaint(words, word, cpus):
    """What is wrong with NAME=VALUE, or None."""
    name, equal, value = word.partition("=")
    if name not in words:
        return f"{name}: {nearest(name, list(words))}"
    if not equal:
        return f"{name}: a value is missing, as in {name}={spelled(words[name])[0]}"
    if takes(words[name], value, cpus):
        return None
    if words[name].values == ("LEVELS",):
        value = next(level for level in value.split(",") if level not in levels())
        return f"{word}: {value}: {nearest(value, levels())}"
    values = spelled(words[name])
    near = difflib.get_close_matches(value, values, 1, 0.6)
    remark = f" ({words[name].remark})" if words[name].remark else ""
    text = f"{word}: not {'|'.join(values)}{remark}"
    return text + (f"; did you mean {near[0]}?" if near else "")


def split(line):
    """
    The words of the hypervisor's line as lib/words.c has them. ValueError names an open quote.
    """
    found = []
    for part in re.findall(r"(?:\\.|\"(?:\\.|[^\"\\])*\"|'[^']*'|[^\s\"'])+|\S", line):
        if part in ("'", '"'):
            raise ValueError(f"{line}: a quote is not closed")
        found.append(
            re.sub(
                r"\\(.)|\"((?:\\.|[^\"\\])*)\"|'([^']*)'",
                lambda m: m[1] or re.sub(r"\\(.)", r"\1", m[2] or "") or m[3] or "",
                part,
            )
        )
    return found


def check_hypervisor(line):
    """The complaints about a command line of the hypervisor."""
    try:
        parts = split(line)
    except ValueError as error:
        return [str(error)]
    return [text for part in parts if (text := complaint(hypervisor(), part, 64))]


def parse_vm(line):
    """A VM's line as NAME=VALUE words, {name: value} with arg= and for= to the end of the line."""
    parts, found = line.split(" "), {}
    for place, part in enumerate(parts):
        name, _, value = part.partition("=")
        if name == "arg":
            found["arg"] = " ".join(parts[place:])[len("arg=") :].strip()
            break
        if part:
            found[name] = value
        if name == "for":
            found["arg"] = " ".join(parts[place + 1 :]).strip()
            break
    return found


def check_vm(line, cpus):
    """The complaints about the command line of a VM or of its module."""
    found = parse_vm(line)
    parts = [f"{name}={value}" for name, value in found.items() if name != "arg"]
    complaints = [text for part in parts if (text := complaint(vm(), part, cpus))]
    if not complaints and not {"name", "for", "image"} & found.keys():
        complaints.append("a VM needs name=NAME, and a module of one for=NAME")
    if len(found.get("arg", "")) > ARG_LONGEST:
        complaints.append(f"arg: longer than {ARG_LONGEST} characters")
    board = found.get("type") in ("linux", "bios") or found.get("board") == "pc"
    devices = {"disk", "pmem", "net", "balloon"} & found.keys()
    devices = devices or "yes" in (found.get("rng"), found.get("hvc"))
    if not complaints and devices and not board:
        complaints.append("virtio devices need a board: board=pc")
    if (not complaints and found.get("disk_hints", "off") != "off"
            and found.get("merge", "off") == "off"):
        complaints.append("disk_hints need merge=")
    if not complaints and number(found.get("balloon", "0")) >= memory_of(found):
        complaints.append("balloon is less than the VM's memory")
    if found.get("keyboard") == "yes" and not board:
        complaints.append("keyboard=yes needs board=pc")
    if not complaints and board and memory_of(found) < BOARD_MEMORY:
        complaints.append("a VM with a board has more than 1M of memory")
    return complaints


def memory_of(found):
    """The bytes of a VM with these words."""
    return number(found.get("memory", VM_DEFAULTS["memory"]))
