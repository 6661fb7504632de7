#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
decoder.py: the list of instructions in docs/devices.md is the decoder's table
(hv/emulate/insn_table.c).

`decoder.py --update` writes the list between the page's two markers.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

PAGE, SOURCE, HEADER = "docs/devices.md", "hv/emulate/insn_table.c", "include/hv/insn.h"
BEGIN, END = "<!-- decoder.py: from here -->", "<!-- to here -->"
MAPS = {"one_byte": "", "two_byte": "0f ", "three_byte": "0f 38 "}
# The members of a group, by ModRM.reg: the first operation of a run, or single ones.
GROUPS = {
    "GROUP_1": (0, "ADD OR ADC SBB AND SUB XOR CMP"),
    "GROUP_2": (0, "ROL ROR RCL RCR SHL SHR SAL SAR"),
    "GROUP_3": (0, "TEST TEST NOT NEG MUL IMUL_A DIV IDIV"),
    "GROUP_4": (0, "INC DEC"),
    "GROUP_5": (0, "INC DEC - - - - PUSH"),
    "GROUP_8": (4, "BT BTS BTR BTC"),
    "GROUP_9": (1, "CMPXCHG8B"),
    "GROUP_MOV": (0, "MOV"),
    "GROUP_POP": (0, "POP"),
}
NAMES = {"IMUL_A": "IMUL", "CMOV": "CMOVcc", "SET": "SETcc"}
ROW = re.compile(r"\[(0x\w+)(?: \.\.\. (0x\w+))?\] = \{([^}]*)\}")
XMM = re.compile(r"\{(0x\w+), (0x\w+), (\w+), .*?\},\s*/\* (\w+) \*/")
PREFIXES = {"NP": "", "P66": "66 ", "PF3": "f3 ", "PF2": "f2 "}
ALU = re.compile(r"ALU\((0x\w+), INSN_(\w+)\)")


def rows(text):
    """Each (operation, opcode) of a map's text."""
    for base, operation in ALU.findall(text):
        for i in range(4):
            yield operation, f"{int(base, 16) + i:02x}"
    for first, last, body in ROW.findall(text):
        operation = re.search(r"INSN_(\w+)", body)
        group = re.search(r"GROUP_\w+", body)
        for opcode in range(int(first, 16), int(last or first, 16) + 1):
            if operation:
                yield operation[1], f"{opcode:02x}"
            else:
                start, members = GROUPS[group[0]]
                for i, member in enumerate(members.split()):
                    if member != "-":
                        yield member, f"{opcode:02x} /{start + i}"


def runs(opcodes):
    """Opcodes without a member, as ranges."""
    plain = sorted({int(o, 16) for o in opcodes if "/" not in o})
    out, i = [], 0
    while i < len(plain):
        j = i
        while j + 1 < len(plain) and plain[j + 1] == plain[j] + 1:
            j += 1
        out.append(f"{plain[i]:02x}" if i == j else f"{plain[i]:02x}-{plain[j]:02x}")
        i = j + 1
    return out + sorted({o for o in opcodes if "/" in o})


def table():
    source, header = ("\n".join(line for _, line in tree.lines(name)) for name in (SOURCE, HEADER))
    enum = header[header.index("enum insn_op {"):header.index("enum insn_mode")]
    order = [NAMES.get(name, name) for name in re.findall(r"\bINSN_(\w+)", enum)]
    found = {}
    for name, prefix in MAPS.items():
        start = source.index(f"struct opcode opcodes_{name}[256]")
        text = source[start:source.index("};", start)]
        text = re.sub(r"#define ALU.*?\n\n", "", text, flags=re.S)
        by_operation = {}
        for operation, opcode in rows(text):
            by_operation.setdefault(operation, []).append(opcode)
        for operation, opcodes in by_operation.items():
            ranges = [prefix + run for run in runs(opcodes)]
            found.setdefault(NAMES.get(operation, operation), []).extend(ranges)
    moves = {}
    for map_, opcode, prefix, name in XMM.findall(source):
        escape = "0f " if map_ == "0x0f" else "0f 38 "
        moves.setdefault(f"{name} (XMM)", []).append(
            f"{PREFIXES[prefix]}{escape}{int(opcode, 16):02x}")
    names = dict.fromkeys(name for name in order if name in found)
    return ["| instruction | opcodes |", "|---|---|"] + [
        f"| {name} | {', '.join((found | moves)[name])} |" for name in [*names, *moves]]


def main():
    lines = [line for _, line in tree.lines(PAGE)]
    begin, end = lines.index(BEGIN), lines.index(END)
    right = lines[:begin + 1] + table() + lines[end:]
    if sys.argv[1:] == ["--update"]:
        with open(os.path.join(tree.ROOT, PAGE), "w") as page:
            page.write("\n".join(right))
        return 0
    stale = f"{PAGE}: not the decoder's table: tests/checks/decoder.py --update"
    return tree.verdict([] if right == lines else [stale])


if __name__ == "__main__":
    sys.exit(main())
