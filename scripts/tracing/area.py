# SPDX-License-Identifier: Apache-2.0
"""
area.py: the rings, read out of the machine's memory while it runs.

QEMU keeps the machine's RAM in a file that is shared with this process, so reading costs the
machine nothing. `trace_area` lies at an address that the image's symbols give (<trace/area.h> has
the layout); each ring has the machine address of its records. A record is whole if its sequence is
its number plus 1, and was not overwritten while it was copied if `next` is still less than a whole
ring ahead afterwards.
"""
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import threading

from tracing import table

MAGIC = b"SAMEPAGE-TRACE\n\0"
VERSION = 1
IMAGE_BASE = 0xFFFFFFFF80000000	# linker.ld
HEADER = struct.Struct("<16sIIIIQII64s")
SPACES, NAME = 64, 32
SUBSCRIBERS = 256
SUBSCRIBER = struct.Struct("<30sH")
RING = struct.Struct("<QQQHH36x")
RECORD = 64
SPACES_AT = HEADER.size
SUBSCRIBERS_AT = SPACES_AT + SPACES * NAME
RINGS_AT = (SUBSCRIBERS_AT + SUBSCRIBERS * SUBSCRIBER.size + RING.size - 1) // RING.size * RING.size
# Where QEMU's pc machine splits RAM that does not fit below the devices.
LOW_MAX, LOW_IF_MORE = 0xE0000000, 0xC0000000
POLL = 0.01


class TraceError(Exception):
    """The trace cannot be read; the text gives the reason."""


def symbol(image, name):
    """The machine address of a symbol of the image."""
    done = subprocess.run(["nm", image], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == name:
            return int(words[0], 16) - IMAGE_BASE
    raise TraceError(f"{image} has no symbol {name}: built without CONFIG_TRACE?")


def text(raw):
    return raw.split(b"\0", 1)[0].decode("ascii", "replace")


class Memory:
    """A file that is the RAM of a QEMU machine; and the options that make it so."""

    def __init__(self, mebibytes):
        self.size = mebibytes << 20
        where = "/dev/shm"
        if not os.path.isdir(where) or shutil.disk_usage(where).free < self.size * 1.2:
            where = None
        self.folder = tempfile.mkdtemp(prefix="samepage-ram-", dir=where)
        self.path = os.path.join(self.folder, "ram")
        with open(self.path, "wb") as file:
            file.truncate(self.size)
        with open(self.path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), self.size, prot=mmap.PROT_READ)

    def qemu_options(self):
        return [
            "-object",
            f"memory-backend-file,id=ram,size={self.size},mem-path={self.path},share=on",
            "-machine",
            "memory-backend=ram",
        ]

    def read(self, address, size):
        """Bytes at a machine address."""
        low = self.size if self.size < LOW_MAX else LOW_IF_MORE
        if address >= 1 << 32:
            address = low + address - (1 << 32)
        elif address >= low:
            raise TraceError(f"0x{address:x} is no RAM")
        return self.map[address : address + size]

    def close(self):
        self.map.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Rings:
    """
    What was read so far. of[cpu]: whole records, one behind the other; gaps[cpu]: {place in
    of[cpu]: records lost before it}.
    """

    def __init__(self):
        self.of, self.gaps = {}, {}
        self.ticks_per_second = 0
        self.spaces, self.subscribers = {}, {}

    def add(self, cpu, records, lost):
        kept = self.of.setdefault(cpu, bytearray())
        gaps = self.gaps.setdefault(cpu, {})
        if lost:
            gaps[len(kept) // RECORD] = gaps.get(len(kept) // RECORD, 0) + lost
        kept += records

    def lost(self):
        return sum(sum(gaps.values()) for gaps in self.gaps.values())

    def count(self):
        return sum(len(records) // RECORD for records in self.of.values())


class Reader:
    """Follows the rings of one machine. read() takes what is new."""

    def __init__(self, memory, image):
        self.memory = memory
        self.at = symbol(image, "trace_area")
        self.rings = Rings()
        self.done = {}	# by CPU: the number of the next record to read
        self.thread, self.stopped = None, threading.Event()
        self.failure = None

    def header(self):
        """The head of the area, or None while there is none."""
        raw = self.memory.read(self.at, HEADER.size)
        magic, version, cpus, places, events, rate, _, _, sizes = HEADER.unpack(raw)
        if magic != MAGIC or not cpus or not places:
            return None
        known = [event.layout.size for event in table.events()]
        if version != VERSION or list(sizes[:events]) != known:
            raise TraceError("the image was built from another table of events: build it again")
        return cpus, places, rate

    def names(self):
        raw = self.memory.read(self.at + SPACES_AT, SPACES * NAME)
        for number in range(SPACES):
            name = text(raw[number * NAME : (number + 1) * NAME])
            if name:
                self.rings.spaces[number] = name
        raw = self.memory.read(self.at + SUBSCRIBERS_AT, SUBSCRIBERS * SUBSCRIBER.size)
        for number, (name, space) in enumerate(SUBSCRIBER.iter_unpack(raw)):
            if text(name):
                self.rings.subscribers[number] = (text(name), space)

    def ring(self, cpu):
        raw = self.memory.read(self.at + RINGS_AT + cpu * RING.size, RING.size)
        written, machine, *_ = RING.unpack(raw)
        return written, machine

    def copy(self, machine, places, first, end):
        """The bytes of records [first, end): at most two pieces."""
        place, count = first % places, end - first
        head = min(count, places - place)
        found = self.memory.read(machine + place * RECORD, head * RECORD)
        return found + self.memory.read(machine, (count - head) * RECORD)

    def read_cpu(self, cpu, places):
        """Takes what is new in a ring; True: there was something."""
        written, machine = self.ring(cpu)
        first = self.done.get(cpu, 0)
        if not machine or written == first:
            return False
        start = max(first, written - places)
        raw = self.copy(machine, places, start, written)
        after, _ = self.ring(cpu)
        safe = max(start, after - places)
        raw = raw[(min(safe, written) - start) * RECORD :]
        start = min(safe, written)
        end = start + whole(raw, start)
        if end > start or start > first:
            self.rings.add(cpu, raw[: (end - start) * RECORD], start - first)
        self.done[cpu] = end
        return True

    def read(self):
        """Takes what is new in all rings; True: there was something."""
        header = self.header()
        if not header:
            return False
        cpus, places, self.rings.ticks_per_second = header
        self.names()
        return any([self.read_cpu(cpu, places) for cpu in range(cpus)])

    def follow(self):
        """Reads in a thread of its own until stop()."""

        def work():
            try:
                while not self.stopped.is_set():
                    if not self.read():
                        self.stopped.wait(POLL)
            except TraceError as failure:
                self.failure = failure

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def stop(self):
        """The machine has ended: reads the rest. Returns the rings."""
        self.stopped.set()
        self.thread.join()
        if self.failure:
            raise self.failure
        self.read()
        return self.rings


def whole(raw, first):
    """How many records from the first on are whole: the last ones may still be written."""
    count = len(raw) // RECORD
    for i in range(count):
        if int.from_bytes(raw[i * RECORD : i * RECORD + 8], "little") != first + i + 1:
            return i
    return count
