# SPDX-License-Identifier: Apache-2.0
"""
trace.py: ./run trace: a run with tracing on, its trace as CTF and for Perfetto's UI; or the trace
of a captured COM2.
"""
import os

from output import Stop, plain, say, warn
from subcommands import boot
from tracing import area, capture, ctf, perfetto, serial, table, text

SUMMARY = "run with tracing on; write trace/ (CTF) and trace.json (Perfetto)"
RING_KIB = 4096


def arguments(parser):
    parser.add_argument("--classes", default="all", metavar="CLASS,...",
                        help=f"what is traced: {', '.join(table.classes())}; default: all")
    parser.add_argument("--vm", default="", metavar="NAME", help="events of this VM alone")
    parser.add_argument("--page", metavar="VM:GFN|VM:FIRST-LAST",
                        help="events about these pages alone, and print them after the run")
    parser.add_argument("--kib", type=int, default=RING_KIB, metavar="N",
                        help=f"ring of each CPU, in KiB; default: {RING_KIB}")
    parser.add_argument("--read", metavar="FILE",
                        help="boot nothing: write the trace of a captured COM2 (control.jsonl) "
                        "beside it")
    boot.arguments(parser)


def words_of(options):
    """The words of the hypervisor's command line for the trace."""
    words = f"trace={options.classes} trace_kib={options.kib}"
    vm = options.vm
    if options.page:
        vm, _, gfns = options.page.rpartition(":")
        words += f" trace_page={gfns}"
    return words + (f" trace_vm={vm}" if vm else "")


def check(options):
    wrong = [name for name in options.classes.split(",") if name not in ("all", *table.classes())]
    if wrong:
        raise Stop(f"--classes {', '.join(wrong)}: the classes are {', '.join(table.classes())}")
    if options.page and not options.page.rpartition(":")[0]:
        raise Stop(f"--page {options.page}: VM:GFN, for example one:0x123")
    if options.kib < 4:
        raise Stop("--kib is at least 4")


def write(folder, rings, page, **environment):
    """trace/, trace.json and, of a page, its life. folder: the path of one."""
    ctf.write(os.path.join(folder, "trace"), rings, **environment)
    perfetto.write(os.path.join(folder, "trace.json"), rings)
    say(f"trace: {rings.count()} records, {rings.lost()} lost")
    for name, count in text.count(rings):
        say(f"    {count:>9} {name}")
    if page:
        for line in text.life(rings, page):
            plain(line)
    shown = os.path.relpath(folder)
    say(f"trace: babeltrace2 {shown}/trace; or open {shown}/trace.json in https://ui.perfetto.dev")


class Companion:
    """What boot.main() calls for the trace."""

    def __init__(self, options):
        self.options = options
        self.failed = False

    def begin(self, setup):
        return capture.Capture(setup)

    def end(self, taken, folder):
        """A run without a trace has a report all the same, and status 1."""
        try:
            write(folder.path, taken.rings(), self.options.page, machine=taken.setup.machine)
        except (area.TraceError, ValueError) as error:
            self.failed = True
            warn(f"trace: {error}")


def main(options):
    check(options)
    try:
        if options.read:
            rings = serial.rings_of(serial.events_of(options.read))
            write(os.path.dirname(os.path.abspath(options.read)), rings, options.page)
            return 0
        options.cmdline = f"{options.cmdline} {words_of(options)}".strip()
        companion = Companion(options)
        return boot.main(options, companion) or companion.failed
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise Stop(f"{error.filename}: {error.strerror}") from None
    except (area.TraceError, ValueError) as error:
        raise Stop(f"trace: {error}") from None
