#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
includes.py: the walls between the rooms, by the #include lines, and the circles among files.

ROOMS has a row for each room: the rooms of which it may include headers, besides its own. A private
header belongs to the room of its folder. A public header (include/mm, include/hv, include/arch)
belongs to the room that defines what it declares; HEADERS says which, and is held against the
definitions.

A circle is a set of files that reach each other by includes; a header and the .c file of its name
count as one. The walls order the rooms, so a circle lies within one room; docs/architecture.md
gives the reason of each.

includes.txt lists today's breaks, `PLACE: COUNT` a line, and may only shrink: `includes.py
--update`. `includes.py
--picture` prints the walls as a Mermaid graph; this check holds docs/architecture.md to it.
"""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

# The rooms under all others but lib itself.
BASE = {"lib", "arch"}
# The rooms with event sites have lib/trace below them, too.
TRACED = BASE | {"lib/trace"}
MM = {"mm/frame", "mm/rmap", "mm/table", "mm/store", "mm/notify", "mm/space"}
ALL_MM = MM | {"mm", "mm/stage2", "mm/merge", "mm/reclaim", "mm/subscribers"}
LOW_HV = ALL_MM | {"abi", "hv/core"}
HIGH_HV = LOW_HV | {"hv/pci", "hv/pc", "hv/load", "hv/jobs"}
# A room is a folder; the longest that fits a file's path is its room. "mm" itself is the auditor,
# "hv" the run loop.
ROOMS = {
    "lib": {"lib"},
    "lib/trace": BASE,
    "abi": set(),
    "arch": BASE,
    "asm": BASE,
    "mm/frame": BASE,
    "mm/rmap": BASE | {"mm/frame"},
    "mm/table": BASE | {"mm/frame"},
    "mm/store": BASE | {"mm/frame"},
    "mm/notify": TRACED | {"mm/frame"},
    "mm/space": TRACED | MM,
    "mm": TRACED | MM,
    "mm/stage2": TRACED | MM | {"mm"},
    "mm/merge": TRACED | MM | {"mm"},
    "mm/reclaim": TRACED | MM | {"mm"},
    "mm/subscribers": TRACED | MM | {"mm"},
    "hv/core": TRACED | LOW_HV,
    "hv/pci": TRACED | LOW_HV,
    "hv/pc": TRACED | LOW_HV | {"hv/pci"},
    "hv/load": TRACED | LOW_HV | {"hv/pc", "hv/pci"},
    "hv/jobs": TRACED | LOW_HV | {"hv/pc", "hv/pci"},
    "hv/stat": TRACED | LOW_HV | {"hv/jobs"},
    "hv/control": TRACED | LOW_HV | {"hv/stat", "hv/jobs", "hv/virtio"},
    "hv/virtio": TRACED | LOW_HV | {"hv/pc", "hv/pci"},
    "hv/call": TRACED | HIGH_HV,
    "hv/cpu": TRACED | HIGH_HV,
    "hv/emulate": TRACED | HIGH_HV,
    "hv": TRACED
    | HIGH_HV
    | {"hv/call", "hv/control", "hv/cpu", "hv/emulate", "hv/stat", "hv/virtio"},
    "arch/x86/pgtable": BASE,
    "arch/x86": BASE | {"asm", "arch/x86/pgtable", "mm/frame", "mm/table"},
    "arch/x86/vmx": BASE | {"asm", "arch/x86", "mm/frame", "mm/table"},
    "arch/x86/svm": BASE | {"asm", "arch/x86", "mm/frame", "mm/table"},
    "boot": BASE | {"asm", "hv", "tests/selftest"},     # hv for hv_main() and hv_ap_main() alone
    "guest": {"abi"},
}
# The room that defines what a public header declares.
HEADERS = {
    "mm/frame": "frame",
    "mm/rmap": "rmap",
    "mm/table": "walk",
    "mm/notify": "invalidate notifier policy",
    "mm/space": "addrspace cow dirty_log image inspect",
    "mm/stage2": "fault peek stage2 tlb",
    "mm/merge": "merge",
    "mm/reclaim": "reclaim",
    "mm/subscribers": "guest_cache mirror",
    "mm": "audit",
    "hv/core": "console exit irqchip memory park ram sched vcpu verdict vm vm_config",
    "hv/pci": "pci",
    "hv/pc": "acpi fw_cfg i8042 ioapic lapic mptable pc pic pit pm rtc uart vga",
    "hv/load": "bios bzimage config linux loader",
    "hv/stat": "stat",
    "hv/control": "control",
    "hv/jobs": "dirty display lifetime merging mirrors progress reclaiming terminal tracing",
    "hv/virtio": "virtio",
    "hv/call": "hypercall",
    "hv/cpu": "cpuid msr mtrr",
    "hv/emulate": "gva insn insn_memo mmio pio task vm_memory",
    "hv": "exits jobs main run summary vm_create",
}
FOLDERS = {
    "include/lib/": "lib",
    "include/trace/": "lib/trace",
    "include/abi/": "abi",
    "include/arch/": "arch",
    "arch/x86/include/asm/": "asm",
    "arch/x86/inline/": "arch",
    "lib/shim/": "lib",
}
PICTURE = "docs/architecture.md"
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^">]+)[">]')
DECLARED = re.compile(
    r"^(?!static|#|\s|typedef|return)[a-z_][\w *]*?\b(\w+)\([^;{}]*\)[^;{}]*;", re.M
)
DEFINED = re.compile(
    r"^(?!static)[a-z_][\w \t*]*?\b(\w+)\([^;{}]*\)[^;{}()]*(?:\([^;{}]*\)[^;{}]*)*\{", re.M
)


def public_room(name):
    """The room of a header in include/mm or include/hv."""
    _, top, stem = name[:-2].split("/")
    return next(
        (
            room
            for room, stems in HEADERS.items()
            if room.split("/")[0] == top and stem in stems.split()
        ),
        None,
    )


def room_of(name):
    """The room of a file, or None where no wall stands."""
    if name.startswith(("include/mm/", "include/hv/")):
        return public_room(name)
    folder = next((folder for folder in FOLDERS if name.startswith(folder)), None)
    if folder:
        return FOLDERS[folder]
    return max((room for room in ROOMS if name.startswith(room + "/")), key=len, default=None)


def target_of(name, kind, words, known):
    """The file that an include line names: beside the file, or by the include path of its room."""
    near = os.path.normpath(os.path.join(os.path.dirname(name), words))
    places = [near] if kind == '"' else []
    places += [words] if kind == '"' else []
    places += [
        os.path.join(folder, words)
        for folder in ("include", "arch/x86/include", "arch/x86/inline", "lib/shim")
    ]
    return next((place for place in places if place in known), None)


def includes(known):
    """Every include of a file of the tree: (file, line, text, target)."""
    for name in sorted(known):
        for number, line in tree.lines(name):
            found = INCLUDE.match(line)
            if found:
                yield name, number, found[2], target_of(name, found[1], found[2], known)


def allowed(room, target):
    return target is None or room is None or room == target or target in ROOMS.get(room, set())


def breaks(edges):
    """The includes that pass a wall: {"FILE includes HEADER": [FILE:LINE]}."""
    found = collections.defaultdict(list)
    for name, number, words, target in edges:
        if words.startswith(".."):
            found[f"{name} goes around the include path by {words}"].append(f"{name}:{number}")
        if target and not allowed(room_of(name), room_of(target)):
            found[f"{name} includes {target}"].append(f"{name}:{number}")
    return found


def without_comments(name):
    with open(os.path.join(tree.ROOT, name), encoding="utf-8") as text:
        return re.sub(r"/\*.*?\*/|//[^\n]*", "", text.read(), flags=re.S)


def misplaced(known):
    """
    Public headers in no room or in two, and declarations defined in another room than
    their header's.
    """
    found = collections.defaultdict(list)
    defined = {}
    for name in known:
        if name.endswith(".c") and name.split("/")[0] in ("mm", "hv", "lib", "boot", "arch"):
            defined.update({function: name for function in DEFINED.findall(without_comments(name))})
    stems = collections.Counter(
        f"include/{room.split('/')[0]}/{stem}.h"
        for room, row in HEADERS.items()
        for stem in row.split()
    )
    for header in sorted(
        name for name in known | stems.keys() if name.startswith(("include/mm/", "include/hv/"))
    ):
        if stems[header] != 1 or header not in known:
            found[
                f"{header} stands {stems[header]} times in HEADERS, and "
                f"{'is' if header in known else 'is not'} there"
            ].append(header)
    for header in sorted(name for name in known if name.startswith("include/")):
        for function in DECLARED.findall(without_comments(header)):
            place = defined.get(function)
            if place and not same_side(room_of(header), room_of(place)):
                found[f"{header} declares {function}() of {place}"].append(header)
    return found


def same_side(room, place):
    """
    include/arch is the contract that arch/x86 and boot fulfil; the other headers belong to the room
    that defines.
    """
    return (
        room == place
        or (room == "arch" and place.startswith(("arch/", "boot")))
        or (room == "lib" and place.startswith("arch/"))
    )


def node_of(name, known):
    """
    A header and the .c file of its name are one node, named by the .c file; other files stand for
    themselves.
    """
    if name.endswith(".h"):
        room, stem = room_of(name), os.path.basename(name)[:-2]
        return next((c for c in (f"{name[:-2]}.c", f"{room}/{stem}.c") if c in known), name)
    return name


def circles(edges, known):
    """The strongly connected sets of more than one node (Tarjan's algorithm)."""
    graph = collections.defaultdict(set)
    for name, _, _, target in edges:
        if target and not name.startswith(("tests/", "guest/")):
            graph[node_of(name, known)].add(node_of(target, known))
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(sorted(stack[at:]))
            del stack[at:]
    sys.setrecursionlimit(10000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return [circle for circle in found if len(circle) > 1]


def picture():
    """The walls as Mermaid text: the arrows of the rows that other arrows do not imply."""
    below = {}
    for room, row in ROOMS.items():
        below[room] = {each for each in row if each in ROOMS and room not in ROOMS[each]} - {room}
    arrows = []
    for room, row in below.items():
        implied = {deeper for other in row for deeper in below[other]}
        arrows += [(room, other) for other in sorted(row - implied)]
    ids = {room: room.replace("/", "_") for room in ROOMS}
    return ["graph TD", *(f'  {ids[a]}["{a}"] --> {ids[b]}["{b}"]' for a, b in arrows)]


def check_picture():
    """docs/architecture.md has the picture of today's walls."""
    shown = re.search(r"```mermaid\n(graph TD\n.*?)\n```", tree.text(PICTURE), re.S)
    if shown and shown[1] == "\n".join(picture()):
        return []
    return [f"{PICTURE}: its picture is not that of tests/checks/includes.py --picture"]


def main():
    known = {
        name
        for name in tree.files(".c", ".h", ".S")
        if not name.startswith(("tests/unit/", "tests/fuzz/"))
    }
    edges = list(includes(known))
    if "--picture" in sys.argv:
        print("\n".join(picture()))
        return 0
    found = {place: len(where) for place, where in {**breaks(edges), **misplaced(known)}.items()}
    for circle in circles(edges, known):
        found.update({f"{node} in a circle of": len(circle) for node in circle})
    return tree.verdict(check_picture()) | tree.shrinking("includes", found)


if __name__ == "__main__":
    sys.exit(main())
