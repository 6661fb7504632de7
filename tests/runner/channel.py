# SPDX-License-Identifier: Apache-2.0
"""
channel.py: requests to a machine that runs (docs/control.md): every command, and what no request
should do, beside guests that go on.
"""
import contextlib
import json
import os
import select
import socket
import sys
import tempfile
import termios
import time
import tty

from runner import builds, core

sys.path.insert(0, os.path.join(core.ROOT, "scripts"))
import control
import machine

MACHINES = {"qemu-tcg": ("qemu",), "bochs": ("bochs",)}
SPIN = "name={name} memory=4M merge=1 arg=slices=1000000000"
HELLO = "name=hello memory=16M"


class Wrong(Exception):
    """An answer is not what it should be."""


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def setup(name, link, guests=("one", "two"), cmdline="log=warn"):
    """A machine with guests that never end, and COM2 at `link`."""
    where = builds.folder("default")
    spin = os.path.join(where, "guest", "spin.elf")
    return machine.Setup(
        machine=name, build=where, memory=64, cmdline=cmdline, control=link,
        modules=[(spin, SPIN.format(name=guest)) for guest in guests],
    )


def query(link, command, *args):
    return link.request(command, *args, timeout=120 * core.SLOW)


def refused(link, command, *args):
    """The error text of a request that must fail."""
    try:
        result = query(link, command, *args)
    except control.ControlError as error:
        return str(error)
    raise Wrong(f"{command} {args} was answered: {result}")


def slices(link, name):
    return query(link, "stats", f"vm.{name}.slices")[f"vm.{name}.slices"]


def goes_on(link, name):
    """The guest gets the CPU, and has its turns."""
    first = slices(link, name)
    until = time.monotonic() + 60 * core.SLOW
    while slices(link, name) <= first:
        expect(time.monotonic() < until, f"{name} stands still")


def wait_merged(link):
    """Until the two guests share pages."""
    until = time.monotonic() + 120 * core.SLOW
    while not query(link, "stats", "vm.one.pages.shared")["vm.one.pages.shared"]:
        expect(time.monotonic() < until, "nothing is merged")


def shared_page(link):
    """A page of guest one that another page shares."""
    for gfn in range(256, 1024):
        page = query(link, "page", "one", gfn)
        if page["state"] == "shared" and page["sharers"] > 1:
            return page
    raise Wrong("no page is shared")


def commands(link):
    """Every command, on a machine with the guests one and two."""
    for word in ("help", "stats", "vms", "vm", "page", "policy", "merge", "reclaim", "audit",
                 "trace", "log"):
        expect(any(line.split()[0] == word for line in query(link, "help")), f"help lacks {word}")
    expect(query(link, "vms")["two"]["state"] == "runs", "two does not run")
    goes_on(link, "one")

    expect(query(link, "vm", "one", "pause")["one"]["state"] == "paused", "one is not paused")
    goes_on(link, "two")
    first = slices(link, "one")
    goes_on(link, "two")
    expect(slices(link, "one") == first, "one runs though it is paused")
    query(link, "vm", "one", "resume")
    goes_on(link, "one")
    registers = query(link, "vm", "one", "dump")["0"]
    expect(int(registers["rip"], 16) > 0x1000, f"dump: {registers}")

    wait_merged(link)
    page = shared_page(link)
    expect(page["merge"] == "shared" and page["holders"], f"page: {page}")
    saved = query(link, "stats", "vm.one.memory.*", "merge.s*")
    expect(saved["vm.one.memory.saved"] > 0 and saved["merge.saved"] > 0, f"saved: {saved}")
    expect(saved["vm.one.memory.resident"] - saved["vm.one.memory.part"]
           == saved["vm.one.memory.saved"], f"saved: {saved}")

    for rest in ("count", "merge.in_place"):
        of_all = query(link, "stats", f"*sub.stage2.{rest}")
        expect(of_all.pop(f"sub.stage2.{rest}") == sum(of_all.values()), f"sub: {of_all}")

    traced = query(link, "trace", "on", "merge,cow")
    expect(traced["merge"] and traced["cow"] and not traced["run"], f"trace: {traced}")
    query(link, "trace", "vm", "two")
    query(link, "trace", "page", "0x100-0x1ff")

    expect(query(link, "policy", "bracket", "reenter")["policy"] == "bracket", "policy")
    expect(query(link, "merge", "engine", "tree")["engine"] == "tree", "engine")
    expect(query(link, "merge", "pace", "5")["pace_ms"] == 5, "pace")
    query(link, "merge", "unmerge")
    expect(query(link, "stats", "vm.one.pages.shared")["vm.one.pages.shared"] == 0, "still shared")
    query(link, "merge", "remerge")
    wait_merged(link)
    expect(query(link, "trace")["recorded"] > 0, "nothing was traced")
    query(link, "trace", "off", "all")
    expect(query(link, "merge", "secure", "yes")["secure"], "secure")
    goes_on(link, "one")
    expect("reclaimed" in query(link, "reclaim", "two", "4"), "reclaim")
    for _ in range(2):
        audit = query(link, "audit")
        expect(audit["faults"] == 0 and audit["pages"] > 0, f"audit: {audit}")
        goes_on(link, "two")
    query(link, "log", "error")

    expect("no such command" in refused(link, "wrong"), "an unknown command")
    expect("no such VM" in refused(link, "vm", "three", "pause"), "an unknown VM")
    expect("pause, resume" in refused(link, "vm", "one", "stop"), "an unknown verb")
    expect("not a number" in refused(link, "page", "one", "x"), "a gfn that is none")
    expect("in no slot" in refused(link, "page", "one", "0xffffffffffff"), "a gfn too high")
    expect("usage" in refused(link, "page", "one"), "an argument is missing")
    expect("no such policy" in refused(link, "policy", "x"), "an unknown policy")
    expect("no such class" in refused(link, "trace", "on", "x"), "an unknown class")
    expect("not GFN" in refused(link, "trace", "page", "5-4"), "gfns that are none")
    expect("no such engine" in refused(link, "merge", "engine", "x"), "an unknown engine")


def end_of(link):
    """The events of the end, after both guests were killed."""
    for name in ("one", "two"):
        query(link, "vm", name, "kill")


def check_events(link):
    events = {}
    for event in link.events:
        events.setdefault(event["event"], []).append(event)
    start = {}
    for part in events["start"]:
        start.update(part)
    expect(start["vms"]["one"]["memory"] == 4 << 20 and start["policy"], f"start: {start}")
    expect(start["config"]["log"] == "warn", f"start: {start}")
    ends = {event["vm"]: event["end"] for event in events["vm-end"]}
    expect(ends == {"one": "killed", "two": "killed"}, f"vm-end: {ends}")
    stats = {}
    for event in events["end"]:
        stats.update(event.get("stats", {}))
    last = events["end"][-1]
    expect(last["good"] and last["audit"]["faults"] == 0 and last["frames_missing"] == 0
           and "more" not in last, f"end: {last}")
    expect(stats["vm.one.exits.hypercall"] > 0 and stats["merge.merged"] > 0, "the last figures")


def run_commands(where):
    name = f"channel/commands@{where}"
    with tempfile.TemporaryDirectory(prefix="samepage-channel-") as folder, \
            control.Control(folder, serve="") as link, \
            machine.start(setup(where, link)) as session:
        link.start()
        try:
            commands(link)
            end_of(link)
            ending = session.wait(120)
            link.stop()
            check_events(link)
        except (Wrong, control.ControlError) as error:
            return core.failed(name, f"{error}\n{session.serial()[-2000:]}")
        text = session.serial()
    if ending != "ok":
        return core.failed(name, f"ended with {ending}\n{text[-2000:]}")
    return core.passed(name)


class Raw:
    """
    The emulator's end of COM2 without the rules of control.py, but for one: Bochs drops what does
    not fit into its port, so there a piece follows the sign that the last one was read.
    """

    def __init__(self, folder):
        self.path = os.path.join(folder, "com2")
        self.listener = self.terminal = self.line = None
        self.rest, self.messages = b"", []

    def qemu_arguments(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(1)
        return ["-chardev", f"socket,id=control,path={self.path}", "-serial", "chardev:control"]

    def bochs_lines(self):
        self.line, self.terminal = os.openpty()
        tty.setraw(self.terminal, termios.TCSANOW)
        return f"com2: enabled=1, mode=term, dev={os.ttyname(self.terminal)}\n"

    def accept(self):
        if self.listener:
            self.listener.settimeout(60 * core.SLOW)
            self.line = self.listener.accept()[0].detach()

    def close(self):
        for descriptor in (self.line, self.terminal):
            if descriptor is not None:
                os.close(descriptor)
        if self.listener:
            self.listener.close()

    def receive(self):
        """Takes what comes; whether the machine has read a piece: an empty line, or a reply."""
        if not select.select([self.line], [], [], 60 * core.SLOW)[0]:
            raise Wrong("the machine is silent")
        data = os.read(self.line, 65536)
        if not data:
            raise Wrong("the machine has ended")
        *lines, self.rest = (self.rest + data).split(b"\n")
        new = [json.loads(line) for line in lines if line.strip()]
        self.messages += new
        return any(not line.strip() for line in lines) or any(
            "id" in each and not each.get("more") for each in new)

    def send(self, data):
        if not self.terminal:
            while data:
                data = data[os.write(self.line, data):]
            return
        for at in range(0, len(data), control.PIECE):
            piece = data[at:at + control.PIECE]
            os.write(self.line, piece)
            while len(piece) == control.PIECE and not self.receive():
                pass

    def until(self, holds):
        """The next message that it holds for."""
        while True:
            while self.messages:
                message = self.messages.pop(0)
                if holds(message):
                    return message
            self.receive()

    def reply(self):
        return self.until(lambda message: "id" in message and not message.get("more"))

    def request(self, command, *args, timeout=0):
        """As of a Control."""
        line = json.dumps({"id": 99, "cmd": command, "args": [str(arg) for arg in args]})
        self.send(line.encode() + b"\n")
        result = {}
        while True:
            message = self.until(lambda message: message.get("id") == 99)
            if not message["ok"]:
                raise control.ControlError(message["error"])
            result.update(message["result"])
            if not message.get("more"):
                return result


BAD = [
    (b"{\n", "a member has no name"),
    (b'{"id":5,"cmd":[1,2]}\n', '"cmd" is not a string'),
    (b'{"id":5,"cmd":"stats","args":{"a":1}}\n', '"args" is not a list'),
    (b"\xff\xfe\x00\x01\n", "the request is not ASCII"),
    (b"x" * 513 + b"\n", "a request has at most 512 bytes"),
    (b'{"cmd":"' + b"y" * 1000 + b'"}\n', "a request has at most 512 bytes"),
    (b"[" * 500 + b"\n", "no such command"),
    (b"stats " * 30 + b"\n", "more than 8 arguments"),
]


def bad_requests(link):
    for request, error in BAD:
        link.send(request)
        reply = link.reply()
        expect(not reply["ok"] and error in reply["error"], f"{request[:40]}: {reply}")
    link.send(b"z" * 2000)		# a request without an end: the guest goes on meanwhile
    text = "at most 512"
    link.send(b"\n")
    expect(text in link.reply()["error"], "an endless request")
    goes_on(link, "one")


def stalled(link):
    """
    Replies that nothing reads are dropped; the guest goes on, and so does the channel. A reader
    that was not slow enough for this computer gets all of them, and stalls for longer.
    """
    first = slices(link, "one")
    for pause in (2, 4, 8, 16):
        link.send(b"stats\n" * 20 + b'{"id":5,"cmd":"vms"}\n')
        time.sleep(pause)
        message = link.until(lambda message: message.get("event") == "lost"
                             or message.get("id") == 5)
        if "event" in message:
            break
    expect(message.get("lines", 0) > 0, f"nothing was lost: {message}")
    expect(slices(link, "one") > first, "one stood still")


def stalled_on_bochs(link):
    """Bochs waits for the reader of its port, and its machine with it: nothing is lost."""
    link.send(b"stats\n")
    time.sleep(1.5)
    expect(link.reply()["ok"], "no reply")
    goes_on(link, "one")


def run_bad(where):
    name = f"channel/bad@{where}"
    with tempfile.TemporaryDirectory(prefix="samepage-channel-") as folder, \
            contextlib.closing(Raw(folder)) as link, \
            machine.start(setup(where, link, guests=("one",))) as session:
        try:
            link.accept()
            link.until(lambda message: message.get("event") == "start"
                       and not message.get("more"))
            bad_requests(link)
            stalled_on_bochs(link) if where == "bochs" else stalled(link)
            link.send(b"vm one kill\n")
            last = link.until(lambda message: message.get("event") == "end" and "good" in message)
            expect(last["good"], f"end: {last}")
            ending = session.wait(60)
        except (Wrong, control.ControlError, OSError) as error:
            return core.failed(name, f"{error!r}\n{session.serial()[-2000:]}")
    return core.passed(name) if ending == "ok" else core.failed(name, f"ended with {ending}")


def tests():
    return [
        core.Test(f"channel/{kind}@{where}", lambda run=run, w=where: run(w),
                  {"default": core.ALL}, packages)
        for kind, run in (("commands", run_commands), ("bad", run_bad))
        for where, packages in MACHINES.items()
    ]
