# SPDX-License-Identifier: Apache-2.0
"""
ctf.py: writes a CTF 1.8 trace: `metadata`, and a stream file for each CPU.

The metadata is made of the table of events. A field's bytes in a record are its bytes in the
stream, so an event is a header, the context, and the record's payload as it is.
"""
import os
import struct
import uuid

from tracing import area, records, table

MAGIC = 0xC1FC1FC1
PACKET_HEADER = struct.Struct("<I16sI")
# ticks of the first and the last event, bits of content and of the packet, packet number, events
# discarded so far, CPU
PACKET_CONTEXT = struct.Struct("<QQQQQQI")
EVENT_HEAD = struct.Struct("<HQ")
PACKET_EVENTS = 4096
CONTEXT_AT, CONTEXT_END = 18, 24	# of a record: space, by_space, by_vcpu
TYPES = {"u": "uint{}_t", "s": "int{}_t"}


def type_of(name):
    return TYPES[name[0]].format(name[1:])


def enumerators(names):
    """Unique labels, as TSDL needs them."""
    return ", ".join(f'"{text}" = {value}' for value, text in sorted(names.items()))


def field_text(field):
    kind = type_of(field.type)
    if field.kind == "hex":
        kind = kind.replace("_t", "_hex_t") if kind[0] == "u" else kind
    elif field.kind != "dec":
        kind = f"enum : {kind} {{ {enumerators(table.enum(field.kind))} }}"
    return f"\t\t{kind} _{field.name};"


def event_text(event):
    lines = [
        "event {",
        f'\tname = "{event.name}";',
        f"\tid = {event.number};",
        "\tstream_id = 0;",
        "\tfields := struct {",
        *map(field_text, event.fields),
        "\t};",
        "};",
    ]
    return "\n".join(lines)


def integers():
    """typealiases of the integers, in base 10 and 16, without alignment."""
    for bits in (8, 16, 32, 64):
        plain = f"integer {{ size = {bits}; align = 8; signed = "
        yield f"typealias {plain}false; }} := uint{bits}_t;"
        yield f"typealias {plain}false; base = 16; }} := uint{bits}_hex_t;"
        yield f"typealias {plain}true; }} := int{bits}_t;"


def quoted(value):
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def metadata(rings, identity, environment):
    """The TSDL text."""
    vms = {0: "none", **rings.spaces}
    rows = {"tracer_name": "samepage", "hostname": "samepage", "domain": "hypervisor",
            **environment}
    for number, (name, space) in sorted(rings.subscribers.items()):
        rows[f"subscriber_{number}"] = f"{name} of {rings.spaces.get(space, space)}"
    lines = [
        "/* CTF 1.8 */",
        *integers(),
        "trace {",
        "\tmajor = 1;",
        "\tminor = 8;",
        f'\tuuid = "{identity}";',
        "\tbyte_order = le;",
        "\tpacket.header := struct {",
        "\t\tuint32_t magic;",
        "\t\tuint8_t uuid[16];",
        "\t\tuint32_t stream_id;",
        "\t};",
        "};",
        "env {",
        *(f"\t{name} = {quoted(value)};" for name, value in rows.items()),
        "};",
        "clock {",
        "\tname = tsc;",
        '\tdescription = "time-stamp counter";',
        f"\tfreq = {rings.ticks_per_second};",
        "\toffset = 0;",
        "};",
        "typealias integer { size = 64; align = 8; signed = false; map = clock.tsc.value; } "
        ":= uint64_tsc_t;",
        "stream {",
        "\tid = 0;",
        "\tpacket.context := struct {",
        "\t\tuint64_tsc_t timestamp_begin;",
        "\t\tuint64_tsc_t timestamp_end;",
        "\t\tuint64_t content_size;",
        "\t\tuint64_t packet_size;",
        "\t\tuint64_t packet_seq_num;",
        "\t\tuint64_t events_discarded;",
        "\t\tuint32_t cpu_id;",
        "\t};",
        "\tevent.header := struct {",
        "\t\tuint16_t id;",
        "\t\tuint64_tsc_t timestamp;",
        "\t};",
        "\tevent.context := struct {",
        f"\t\tenum : uint16_t {{ {enumerators(vms)} }} _vm;",
        f"\t\tenum : uint16_t {{ {enumerators(vms)} }} _by_vm;",
        "\t\tuint16_t _by_vcpu;",
        "\t};",
        "};",
        *map(event_text, table.events()),
    ]
    return "\n".join(lines) + "\n"


def packets(raw, gaps):
    """
    Pieces of a CPU's records between gaps: (records, discarded before them). A reader takes losses
    from the difference of two packets, so an empty one comes before a loss at the beginning.
    """
    count = len(raw) // area.RECORD
    if 0 in gaps:
        yield b"", 0
    cuts = sorted({0, count, *gaps, *range(0, count, PACKET_EVENTS)})
    for start, end in zip(cuts, cuts[1:]):
        yield raw[start * area.RECORD : end * area.RECORD], gaps.get(start, 0)


def event_bytes(raw, at, sizes):
    _, ticks, number, *_ = records.HEAD.unpack_from(raw, at)
    return b"".join((
        EVENT_HEAD.pack(number, ticks),
        raw[at + CONTEXT_AT : at + CONTEXT_END],
        raw[at + records.HEAD.size : at + records.HEAD.size + sizes[number]],
    ))


def ticks_at(raw, at):
    return records.HEAD.unpack_from(raw, at)[1]


def write_stream(path, cpu, raw, gaps, identity):
    """The packets of one CPU."""
    sizes = [event.layout.size for event in table.events()]
    discarded, now = 0, ticks_at(raw, 0)
    with open(path, "wb") as file:
        for number, (piece, lost) in enumerate(packets(raw, gaps)):
            discarded += lost
            body = b"".join(
                event_bytes(piece, at, sizes) for at in range(0, len(piece), area.RECORD)
            )
            begin = ticks_at(piece, 0) if piece else now
            now = ticks_at(piece, len(piece) - area.RECORD) if piece else now
            bits = 8 * (PACKET_HEADER.size + PACKET_CONTEXT.size + len(body))
            file.write(PACKET_HEADER.pack(MAGIC, identity.bytes, 0))
            file.write(PACKET_CONTEXT.pack(begin, now, bits, bits, number, discarded, cpu))
            file.write(body)


def write(folder, rings, **environment):
    """The trace as a folder."""
    os.makedirs(folder, exist_ok=True)
    identity = uuid.uuid4()
    with open(os.path.join(folder, "metadata"), "w", encoding="ascii") as file:
        file.write(metadata(rings, identity, environment))
    for cpu, raw in rings.of.items():
        if raw:
            write_stream(
                os.path.join(folder, f"cpu_{cpu}"), cpu, raw, rings.gaps.get(cpu, {}), identity
            )
