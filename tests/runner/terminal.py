# SPDX-License-Identifier: Apache-2.0
"""
terminal.py: someone sits at ./run --console and types: a login in a guest, a change to the other
guest, the end.
"""
import glob
import os
import re
import signal
import sys
import tempfile
import termios
import time

from runner import builds, core

KERNEL = (
    "linux/cloud:name={name} memory=128M type=linux console=16M "
    "arg=console=ttyS0 quiet tsc=reliable"
)
RUN = ["--machine", "qemu-tcg", "--cpus", "3", "--memory", "512", "--console", "1"]

# What appears (a regular expression), then what is typed, or a function that is called.
TALK = [
    (r"guest login: ", "root\r"),
    (r"# ", "echo sum $((6 * 7)); hostname one\r"),
    (r"sum 42\r", "\x1d2"),			# Ctrl-] 2: to the second guest
    (r"terminal: of two now", "\r"),
    (r"guest login: ", "root\r"),
    (r"# ", "hostname; exit\r"),
    (r"two: shut down, status 0", "\x1d1"),
    (r"terminal: of one now", "hostname; exit\r"),
    (r"\none\r", ""),
    (r"one: shut down, status 0", ""),
    (r"summary: frames: \d+ free, as before", ""),
    (r"ended with ok", ""),
]

# The guest that has the keyboard is killed while it waits for a login; the other one's console
# works after that as before.
KILL_TALK = [
    (r"guest login: ", "\x1d2"),
    (r"terminal: of two now", "\r"),
    (r"guest login: ", "\x1dk"),
    (r"two: ended by the user", "\x1d1"),
    (r"terminal: of one now", "\r"),
    (r"guest login: ", "root\r"),
    (r"# ", "echo sum $((6 * 7)); exit\r"),
    (r"sum 42\r", ""),
    (r"one: shut down, status 0", ""),
    (r"summary: vm two: ended by the user", ""),
    (r"summary: frames: \d+ free, as before", ""),
    (r"ended with ok", ""),
]

# Nothing of the flood is read before its guest has ended. No buffer takes all of it, so the rest is
# dropped, and the other guest's console works after that as before.
FLOOD_LINES = 6000
FLOOD_FILE = os.path.join(builds.folder("default"), "guest", "spin.elf")
FLOOD_NAME = f"flood-{os.getpid()}"
FLOOD = f"{FLOOD_FILE}:name={FLOOD_NAME} memory=4M console=8M arg=slices=3 lines={FLOOD_LINES}"


class Wrong(Exception):
    """A conversation is not what it should be."""


def until_flood_ended(_):
    """Until a run's messages say that this guest has ended: it has a name of its own."""
    until = time.monotonic() + 240 * core.SLOW
    while time.monotonic() < until:
        for path in glob.glob(os.path.join(core.ROOT, "build", "results", "*", "control.jsonl")):
            with open(path, encoding="utf-8", errors="replace") as file:
                if re.search(f'"event":"vm-end","vm":"{FLOOD_NAME}"', file.read()):
                    return
        time.sleep(0.5)
    raise Wrong("the guest does not end while nothing reads its console")


def to_one(child):
    """
    To the guest "one" behind the flood. While the machine finds no room the answer is dropped, too,
    and it may come to the key before what was read here has made room: the key is pressed again.
    """
    import pexpect

    for _ in range(240):
        child.send("\x1d2")
        if child.expect([r"terminal: of one now", pexpect.TIMEOUT], timeout=core.SLOW) == 0:
            break
    else:
        raise Wrong("the console does not go to the other guest")
    lines = child.before.count("flood flood")
    if lines >= FLOOD_LINES - 10:
        raise Wrong(f"{lines} lines came through: nothing was dropped")


STALL_TALK = [
    (r"flood 10\r", until_flood_ended),
    (r"", to_one),
    (r"", "\r"),
    (r"guest login: ", "root\r"),
    (r"# ", "echo sum $((6 * 7)); exit\r"),
    (r"sum 42\r", ""),
    (r"one: shut down, status 0", "\x1dq"),
    (r"summary: frames: \d+ free, as before", ""),
    (r"ended with ok", ""),
]

# Its display is a screen of text on the serial line. The bit fade test waits for 160 seconds of the
# guest's time, so this is one of the long tests. Its patterns make pages alike, which are merged
# while it looks at them, and each next pattern breaks them.
MEMTEST = "linux/memtest:name=mt memory=16M merge=1 type=linux console=64M arg=console=ttyS0,115200"
MEMTEST_TALK = [
    (r"Memtest86\+", ""),
    (r"Pass:\s+1\s+Errors: 0 ", "\x1dq"),
    (r"mt: ended by the user", ""),
    (r"summary: vm mt: events [^\n]* merge [1-9]\d*/\d+, cow_break [1-9]\d*/", ""),
    (r"summary: merge: [1-9]\d* merged, [1-9]\d* to the frame of zeroes", ""),
    (r"summary: audit: [^\n]*: no faults", ""),
    (r"summary: frames: \d+ free, as before", ""),
    (r"ended with ok", ""),
]

# The monitor beside a guest that never ends: keys, a command and its result, a wrong one, the end.
SPIN = "build/guest/spin.elf:name={name} memory=4M arg=slices=1000000000"
MONITOR_TALK = [
    (r"two: started", "\x1d?"),
    (r"Ctrl-\] and a digit: to that guest; .*m: to the monitor;[^?]*q: ends all", "\x1dm"),
    (r"monitor: help lists the commands", ""),
    (r"samepage> ", "vmz\x7fs\r"),		# with a backspace
    (r'two \{"state":"runs"', ""),
    (r"samepage> ", "stats vm.one.slices machine.cpus\r"),
    (r"vm\.one\.slices \d+", ""),
    (r"samepage> ", "vm three pause\r"),
    (r"three: no such VM", ""),
    (r"samepage> ", "nonsense\r"),
    (r"nonsense: no such command", ""),
    (r"samepage> ", "vm one kill\r"),
    (r"summary|one: ended by the user", "\x1dq"),
    (r"two: ended by the user", ""),
    (r"summary: frames: \d+ free, as before", ""),
    (r"samepage: ok", ""),
]


def talk(name, options, guests, script, timeout):
    """Starts ./run with the guests and holds the conversation."""
    try:
        import pexpect
    except ImportError:
        return core.failed(name, "python3-pexpect is missing")
    words = [word for guest in guests for word in ("--guest", guest)]
    child = pexpect.spawn(
        os.path.join(core.ROOT, "run"),
        [*options, *words],
        timeout=timeout * core.SLOW,
        encoding="utf-8",
        codec_errors="replace",
        cwd=core.ROOT,
    )
    os.makedirs(core.LOGS, exist_ok=True)
    log = os.path.join(core.LOGS, f"{name.replace('/', '-')}.text")
    with open(log, "w", encoding="utf-8") as child.logfile_read:
        for pattern, answer in script:
            try:
                child.expect(pattern)
                if callable(answer):
                    answer(child)
                else:
                    child.send(answer)
            except (pexpect.TIMEOUT, pexpect.EOF, Wrong) as end:
                child.close(force=True)
                return core.failed(
                    name,
                    f"{type(end).__name__}: {end} instead of {pattern}:\n"
                    f"{(child.before or '')[-4000:]}",
                )
        child.expect(pexpect.EOF)
        child.close()
    return (
        core.passed(name)
        if child.exitstatus == 0
        else core.failed(name, f"status {child.exitstatus}")
    )


# Ctrl-C when this has appeared. With --console the keyboard is the guest's by then, and the signal
# comes from elsewhere.
TCG = ["--machine", "qemu-tcg"]
INTERRUPTS = {
    "apt": (TCG, "samepage: installing"),
    "build": (TCG, "samepage: building in"),
    "fetch": (TCG, "samepage: fetching"),
    "boot": (TCG, "samepage: booting on"),
    "guests": (TCG, r"one: started"),
    "console": ([*TCG, "--console", "1"], "one: started"),
    "report": (
        [*TCG, "--guest", "hello"],
        r"frames: \d+ free, as before the first VM[\s\S]*frames: ",
    ),
    "bench": (["bench", "exits"], "samepage: measuring on"),
}
# Stand before the system's commands: root on a computer that has no package, and an apt-get that
# takes for ever.
FOR_EVER = {"apt-get": "exec sleep 1000"}
STAND_INS = {"apt": {"id": "echo 0", "dpkg-query": "exit 1", **FOR_EVER}, "fetch": FOR_EVER}
# ./run with one part replaced: a computer that has fetched nothing yet, and a report without end.
DRIVE = "import sys; sys.path.insert(0, 'scripts'); import run; {}; sys.exit(run.main())"
DRIVERS = {
    "fetch": DRIVE.format("run.linux.FOLDER = sys.argv.pop(1)"),
    "report": DRIVE.format(
        "import time; from report import page; sys.argv.pop(1); "
        "page.write = lambda *_: time.sleep(1000)"
    ),
}


def in_session(leader):
    """The processes of a terminal's session that are still there, by name."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                name, _, rest = stat.read().partition(" (")[2].rpartition(") ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, _, session = rest.split()[:4]
        if int(session) == leader and state != "Z":
            found.append(name)
    return found


def left_behind(leader):
    """What is in the session for good: a process that was killed may take a moment to end."""
    for _ in range(int(100 * core.SLOW)):
        left = in_session(leader)
        if not left:
            break
        time.sleep(0.1)
    return left


def wait_for_process(leader, name):
    """
    Until a program is in the session, or nothing is left in it: dash loses a Ctrl-C that comes
    while it starts a program.
    """
    for _ in range(int(600 * core.SLOW)):
        running = in_session(leader)
        if name in running or not running:
            return
        time.sleep(0.1)


def interrupt(phase):
    """./run and a Ctrl-C: nothing of it is left, the terminal is as it was, and it says so."""
    import pexpect
    name, (options, moment) = f"terminal/interrupt-{phase}", INTERRUPTS[phase]
    with tempfile.TemporaryDirectory(prefix="samepage-bin-") as folder:
        for program, text in STAND_INS.get(phase, {}).items():
            with open(os.path.join(folder, program), "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\n{text}\n")
            os.chmod(file.name, 0o755)
        command = (
            [sys.executable, "-c", DRIVERS[phase], os.path.join(folder, "linux")]
            if phase in DRIVERS
            else [os.path.join(core.ROOT, "run")]
        )
        child = pexpect.spawn(
            command[0],
            [*command[1:], *options],
            timeout=300 * core.SLOW,
            encoding="utf-8",
            codec_errors="replace",
            cwd=core.ROOT,
            env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"),
        )
        before = termios.tcgetattr(child.child_fd)
        try:
            child.expect(moment)
            if phase in STAND_INS:
                wait_for_process(child.pid, "sleep")
            if "--console" in options:
                child.kill(signal.SIGINT)
            else:
                child.sendintr()
            child.expect("samepage: interrupted")
            child.expect(pexpect.EOF)
        except (pexpect.TIMEOUT, pexpect.EOF) as end:
            child.close(force=True)
            return core.failed(name, f"{type(end).__name__}:\n{(child.before or '')[-4000:]}")
        after = termios.tcgetattr(child.child_fd)
        child.wait()
        left = in_session(child.pid)
        child.close()
    if child.exitstatus != 130 or left or after != before:
        return core.failed(
            name,
            f"status {child.exitstatus}, signal {child.signalstatus}, left: {left}, "
            f"terminal {'restored' if after == before else 'changed'}",
        )
    return core.passed(name)


# A signal when the emulator runs: the command, the signal and the status. SIGKILL leaves no program
# that could end the emulator.
LINUX_ROW = "machine/linux-work-1-cpu@qemu-tcg"
SIGNALS = {
    "sigterm-run": (["run", *TCG, "--cmdline", "merge=off"], signal.SIGTERM, 143),
    "sighup-run": (["run", *TCG, "--cmdline", "merge=off"], signal.SIGHUP, 129),
    "sigkill-run": (["run", *TCG, "--cmdline", "merge=off"], signal.SIGKILL, None),
    "sigterm-test": (["test", LINUX_ROW], signal.SIGTERM, 143),
    "sighup-test": (["test", LINUX_ROW], signal.SIGHUP, 129),
}


def terminate(case):
    """./run or ./test and a signal: no process of it is left, and its status is the signal's."""
    import pexpect

    name, ((command, *options), number, expected) = f"terminal/{case}", SIGNALS[case]
    child = pexpect.spawn(
        os.path.join(core.ROOT, command),
        options,
        timeout=300 * core.SLOW,
        encoding="utf-8",
        codec_errors="replace",
        cwd=core.ROOT,
    )
    wait_for_process(child.pid, "qemu-system-x86")
    child.kill(number)
    try:
        child.expect(pexpect.EOF)
    except pexpect.TIMEOUT:
        child.close(force=True)
        return core.failed(name, (child.before or "")[-4000:])
    child.wait()
    left = left_behind(child.pid)
    child.close()
    if child.exitstatus != expected or left:
        return core.failed(name, f"status {child.exitstatus}, left: {left}")
    return core.passed(name)


def login(name):
    return [KERNEL.format(name=name), f"linux/login.initrd:for={name}"]


def of_two(name, script):
    return talk(name, RUN, [*login("one"), *login("two")], script, 240)


def stall():
    return talk("terminal/stall", RUN, [FLOOD, *login("one")], STALL_TALK, 240)


def monitor():
    guests = [SPIN.format(name=name) for name in ("one", "two")]
    return talk("terminal/monitor", ["--machine", "qemu-tcg", "--cpus", "1", "--console", "1"],
                guests, MONITOR_TALK, 60)


def memtest():
    return talk(
        "terminal/memtest",
        ["--machine", "qemu-tcg", "--cpus", "1", "--memory", "128", "--console", "1"],
        [MEMTEST],
        MEMTEST_TALK,
        900,
    )


def tests(long=False):
    talks = {
        "monitor": monitor,
        "login": lambda: of_two("terminal/login", TALK),
        "kill": lambda: of_two("terminal/kill", KILL_TALK),
        "stall": stall,
        "memtest": memtest,
        **{f"interrupt-{phase}": lambda phase=phase: interrupt(phase) for phase in INTERRUPTS},
        **{case: lambda case=case: terminate(case) for case in SIGNALS},
    }
    return [core.Test(f"terminal/{name}", run, {"default": core.ALL}, ("qemu", "terminal"),
                      extra=name == "memtest" and not long)
            for name, run in talks.items()]
