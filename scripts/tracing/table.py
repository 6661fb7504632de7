# SPDX-License-Identifier: Apache-2.0
"""
table.py: the trace's classes, events and fields, read from the table that the C side is made of.

The kind of a field that is no number is an enum of a public header; its members, less the prefix
that all of them share, name the values.
"""
import dataclasses
import functools
import glob
import os
import re
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(ROOT, "include", "trace", "events.def")
CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s8": "b", "s16": "h", "s32": "i"}
CLASS = re.compile(r'^TRACE_CLASS\((\w+), (\w+), "([^"]*)"\)', re.M)
EVENT = re.compile(
    r'^TRACE_EVENT\((\w+), (\w+), (\w+), (NONE|PAGE|RANGE), "([^"]*)",'
    r"((?:\s*TRACE_FIELD\([^)]*\))*)\)",
    re.M,
)
FIELD = re.compile(r"TRACE_FIELD\((\w+), (\w+), (\w+)\)")
ENUM = re.compile(r"\benum (\w+) \{(.*?)\}", re.S)
MEMBER = re.compile(r"^\s*([A-Z]\w*)(?:\s*=\s*([-\w() ]+?))?\s*$")


@dataclasses.dataclass(frozen=True)
class Field:
    type: str
    name: str
    kind: str	# dec, hex, or the name of an enum


@dataclasses.dataclass(frozen=True)
class Event:
    number: int
    name: str
    group: str	# its class
    about: str	# NONE, PAGE, RANGE
    text: str
    fields: tuple

    @property
    def layout(self):
        return struct.Struct("<" + "".join(CODES[field.type] for field in self.fields))


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


@functools.cache
def text_of():
    with open(TABLE, encoding="utf-8") as file:
        return without_comments(file.read())


@functools.cache
def classes():
    """The classes by name, each with what it covers."""
    return {name: text for _, name, text in CLASS.findall(text_of())}


@functools.cache
def events():
    """The events in the order of their numbers."""
    groups = {upper: name for upper, name, _ in CLASS.findall(text_of())}
    found = []
    for _, name, group, about, text, fields in EVENT.findall(text_of()):
        rows = tuple(Field(*row) for row in FIELD.findall(fields))
        found.append(Event(len(found), name, groups[group], about, text, rows))
    if len(found) != text_of().count("\nTRACE_EVENT("):
        raise ValueError(f"{TABLE}: a row is malformed")
    return found


def members(body):
    """The members of an enum's body, with their values."""
    found, value = {}, 0
    for part in body.split(","):
        match = MEMBER.match(part)
        if not match:
            continue
        value = int(match[2], 0) if match[2] else value
        found[match[1]] = value
        value += 1
    return found


def without_count(values):
    """Without a last member that is the number of the others: EVENTS, FAULT_OUTCOMES."""
    names = list(values)
    if names[-1].endswith("S") and values[names[-1]] == len(names) - 1:
        values = {name: values[name] for name in names[:-1]}
    return values


def short(names):
    """The names in lower case, less the words that all of them begin with."""
    words = [name.lower().split("_") for name in names]
    shared = 0
    while all(len(each) > shared + 1 and each[shared] == words[0][shared] for each in words):
        shared += 1
    return ["_".join(each[shared:]) for each in words]


@functools.cache
def enum(name):
    """The values of an enum of a public header by number; errors: 0 is ok."""
    for path in sorted(glob.glob(os.path.join(ROOT, "include", "**", "*.h"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            for found, body in ENUM.findall(without_comments(file.read())):
                if found == name:
                    values = without_count(members(body))
                    named = dict(zip(values.values(), short(values)))
                    return {0: "ok", **named} if name == "error" else named
    raise ValueError(f"{TABLE}: no public header has enum {name}")
