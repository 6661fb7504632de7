# SPDX-License-Identifier: Apache-2.0
"""
programs.py: one case of a test program, in a process of its own.

The case has passed when the nonce of this run comes back through the pipe (harness/verdict.c), and
not by what it prints or by its exit status. Its CPU seconds are bounded, so that what loops ends; a
process that sleeps for ever is ended after a multiple of that.
"""
import os
import re
import resource
import secrets
import signal
import subprocess

from course import build, table

HOST = os.path.join(build.PLACE, "host")
VERDICT = os.path.join(HOST, "labs", "liblab_verdict.so")
SLEEP = 6  # wall-clock seconds for each CPU second
ABSENT = 77
ADDRESS = re.compile(r"0x[57][0-9a-f]{11}\b")  # of this process: another one in each run


def path_of(name):
    """A program's file: labs/1/walker, unit/mm/space/race."""
    kind, _, rest = name.partition("/")
    folder, _, file = rest.rpartition("/")
    if kind == "labs":
        return os.path.join(HOST, "labs", f"test_labs_{folder}_{file}")
    return os.path.join(HOST, "tests", "unit", folder, "test_" + rest.replace("/", "_"))


def target_of(name):
    return os.path.basename(path_of(name))


def source_of(name):
    """The C file of a program, from the root."""
    kind, _, rest = name.partition("/")
    if kind == "labs":
        number, _, file = rest.partition("/")
        return f"labs/{number}/tests/{file}.c"
    return f"tests/unit/{rest}.c"


def source_line(place):
    """FILE:LINE of an assertion as the text that stands there."""
    found = re.match(r"(\S+):(\d+)", place)
    if not found:
        return "", ""
    path = os.path.relpath(os.path.join(HOST, found[1]), build.PLACE)
    try:
        with open(os.path.join(build.PLACE, path), encoding="utf-8") as file:
            lines = file.read().split("\n")
    except OSError:
        return f"{path}:{found[2]}", ""
    line = int(found[2]) - 1
    text = lines[line].strip()
    while not text.endswith((";", "{")) and line + 1 < len(lines) and len(text) < 300:
        line += 1
        text += " " + lines[line].strip()
    return f"{path}:{found[2]}", text


def seen(output, status):
    """What a failed case showed, in words."""
    message = re.search(r"^\[\s+ERROR\s+\] --- (.*)$", output, re.M)
    said = re.search(r"^ERROR: (.*)$", output, re.M)
    place = re.search(r"(\S+:\d+): error: Failure!", output)
    panic = re.search(r"^.*(?:panic|check failed).*$", output, re.M | re.I)
    if place:
        words = said[1] if said else message[1] if message else "an assertion failed"
        words = ADDRESS.sub("(an address)", words)
        where, text = source_line(place[1])
        return f"{words.strip()} at {where}: {text}" if text else f"{words.strip()} at {where}"
    if panic:
        return panic[0].strip()
    if status < 0:
        number = -status
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return "no end: the case was stopped at its bound of CPU seconds"
        return f"the case died of {signal.Signals(number).name}"
    return f"no verdict: the program ended with status {status} before the case returned"


def run(name, case, seconds, seed):
    """Runs a case: (passed, what was seen)."""
    nonce = secrets.token_hex(16).encode()
    ours_in, theirs_in = os.pipe()
    theirs_out, ours_out = os.pipe()
    seconds = int(seconds * build.SLOW) + 1
    environment = {
        **os.environ, "LAB_CASE": case, "LAB_PIPES": f"{theirs_out} {theirs_in}",
        "LD_PRELOAD": VERDICT, "CMOCKA_MESSAGE_OUTPUT": "STDOUT",
        **({"SAMEPAGE_SEED": str(seed)} if seed else {}),
    }
    os.write(ours_out, nonce)
    os.close(ours_out)
    try:
        with subprocess.Popen(
            [path_of(name)], cwd=HOST, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(theirs_in, theirs_out),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1)),
        ) as process:
            os.close(theirs_in)
            try:
                output = process.communicate(timeout=seconds * SLEEP)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                output = process.communicate()[0]
            status = process.returncode
        back = os.read(ours_in, 2 * len(nonce))
    finally:
        os.close(ours_in)
        os.close(theirs_out)
    if status == ABSENT:
        raise table.LabError(f"{name} has no case {case}")
    if back == nonce:
        return True, ""
    return False, seen(output.decode("utf-8", "replace"), status)
