# SPDX-License-Identifier: Apache-2.0
"""
processes.py: ends every process below this one, so that ./run and ./test leave no emulator behind
when a signal ends them.

Linux gives the orphans of a subreaper's descendants to the subreaper (prctl(2),
PR_SET_CHILD_SUBREAPER), so whatever a test starts stays below this process, also when its parent is
gone or made it the leader of a session.
"""
import contextlib
import ctypes
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


class Ended(BaseException):
    """A signal ends the program; args[0] is its number."""


def catch(*signals):
    """
    From now on the first of the signals ends what runs below this process and raises Ended in the
    main thread.
    """
    def on_signal(number, _):
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        end_all()
        raise Ended(number)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for each in signals:
        signal.signal(each, on_signal)


def parents():
    """The parent of every process that has not exited."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                state, parent = stat.read().rpartition(") ")[2].split()[:2]
            if state != "Z":
                found[int(entry)] = int(parent)
    return found


def descendants():
    """The processes below this one."""
    of, found = parents(), set()
    for process in of:
        line = process
        while line in of and line != os.getpid():
            line = of[line]
        if line == os.getpid() and process != line:
            found.add(process)
    return found


def end_all(seconds=5):
    """Ends every process below this one: SIGTERM, and after some seconds SIGKILL."""
    until = time.monotonic() + seconds
    while descendants():
        number = signal.SIGTERM if time.monotonic() < until else signal.SIGKILL
        for process in descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        time.sleep(0.1)
