# SPDX-License-Identifier: Apache-2.0
"""
terminal.py: someone sits at ./run --console and types: a login in a guest, a change to the other guest, the end.
"""
import os
import sys

from runner import core

KERNEL = "linux/cloud:name={name} memory=128M cpu={cpu} type=linux console=16M arg=console=ttyS0 quiet tsc=reliable"
RUN = ["--machine", "qemu-tcg", "--cpus", "2", "--memory", "512", "--console", "1"]

# What appears (a regular expression), then what is typed.
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


def login():
    name = "terminal/login"
    try:
        import pexpect
    except ImportError:
        return core.failed(name, "python3-pexpect is missing")
    guests = [word for number, guest in enumerate(["one", "two"])
              for word in ("--guest", KERNEL.format(name=guest, cpu=number), "--guest", f"linux/login.initrd:for={guest}")]
    child = pexpect.spawn(sys.executable, [os.path.join(core.ROOT, "scripts", "run.py"), *RUN, *guests], timeout=240, encoding="utf-8",
                          codec_errors="replace", cwd=core.ROOT)
    os.makedirs(core.LOGS, exist_ok=True)
    with open(os.path.join(core.LOGS, "terminal-login.text"), "w", encoding="utf-8") as child.logfile_read:
        for pattern, answer in TALK:
            try:
                child.expect(pattern)
            except (pexpect.TIMEOUT, pexpect.EOF) as end:
                child.close(force=True)
                return core.failed(name, f"{type(end).__name__} instead of {pattern}:\n{(child.before or '')[-4000:]}")
            child.send(answer)
        child.expect(pexpect.EOF)
        child.close()
    return core.passed(name) if child.exitstatus == 0 else core.failed(name, f"status {child.exitstatus}")


def tests():
    return [core.Test("terminal/login", login, ("default",))]
