# SPDX-License-Identifier: Apache-2.0
"""
locks.py: one at a time, between processes: a lock on a file that ends with its holder.
"""
import contextlib
import fcntl
import os


@contextlib.contextmanager
def held(path, waiting=lambda: None):
    """
    Holds the lock of a file, which is made when it is not there. `waiting` is called once when
    another process holds it.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
