# SPDX-License-Identifier: Apache-2.0
"""
capture.py: the trace of one run, by the way that its machine offers.

QEMU's RAM is a file, which is read while the machine runs. Bochs' is not: there the machine sends
its rings by the control channel when the VMs have ended (trace_dump=yes).
"""
import os

import machine
from tracing import area, serial


class Capture:
    """Goes with a run: prepares its setup, and has its rings when it has ended."""

    def __init__(self, setup):
        self.setup = setup
        self.memory = self.reader = None
        if setup.machine in machine.BOCHS_MODELS:
            setup.cmdline += " trace_dump=yes"
            return
        self.memory = area.Memory(setup.memory)
        setup.extra = [*setup.extra, *self.memory.qemu_options()]
        image = setup.image or os.path.join(setup.build, "samepage.elf")
        self.reader = area.Reader(self.memory, image)
        self.reader.follow()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.reader:
            self.reader.stopped.set()
            self.reader.thread.join()
            self.memory.close()

    def rings(self):
        """Once, after the machine has ended and its channel was stopped."""
        return self.reader.stop() if self.reader else serial.rings_of(self.setup.control.events)
