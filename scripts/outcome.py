# SPDX-License-Identifier: Apache-2.0
"""
outcome.py: a run from the emulator's start to its report: follows the console, keeps the results,
and returns the status.

docs/output.md lists the files. manifest.json is written at the start and again at the end, so that
a run that is interrupted has one, too.
"""
import json
import shlex
import sys
import time

import control
import facts
import guests
import machine
import provenance
import verdict
from output import QUIET, detail, fail, folded, plain, result, say

POLL = 0.05


def copy(text, last):
    """
    Copies whole lines to the terminal, and at the end the rest; returns how much. A pipe gets the
    lines as they are.
    """
    whole = len(text) if last else text.rfind("\n") + 1
    for line in text[:whole].splitlines():
        plain(folded(line, sys.stdout))
    return whole


class Run:
    """
    One run of a machine. `folder`: its results; `lines`: the words of each VM.
    """

    def __init__(self, folder, setup, lines):
        self.folder, self.setup, self.lines = folder, setup, lines
        self.text = self.ending = self.output = ""
        self.announced = False
        emulator = "bochs" if setup.machine in machine.BOCHS_MODELS else "qemu"
        self.manifest = provenance.manifest("run", setup.build, [emulator])
        self.manifest.update(provenance.of_setup(setup))

    def keep_manifest(self, **more):
        self.manifest.update(more)
        self.folder.write_json("manifest.json", self.manifest)

    def follow(self):
        """Starts the machine and follows it to its end."""
        began = time.monotonic()
        with machine.start(self.setup) as session:
            detail(shlex.join(session.command))
            self.manifest["machine"]["command"] = session.command
            self.keep_manifest()
            try:
                self.setup.control.start(running=session.running)
                self.follow_console(session)
            except control.ControlError:
                session.wait(1)
            finally:
                self.text = session.serial()
                if self.text:
                    self.folder.publish()
                self.folder.write("log.txt", self.text)
            self.ending, self.output = session.ending(), session.output()
        self.manifest["seconds"] = round(time.monotonic() - began, 1)

    def follow_console(self, session):
        """
        Copies the serial console to the terminal, if it is not there by itself. The first text
        publishes the results folder.
        """
        shown, running = 0, True
        while running:
            running = session.running()
            text = session.serial()
            if text:
                self.folder.publish()
            if not session.setup.terminal:
                shown += copy(text[shown:], not running)
            self.banner()
            time.sleep(POLL if running else 0)

    def banner(self):
        """One line with what is in force, when the machine has said it."""
        if self.announced or not self.setup.control.started.is_set():
            return
        self.announced = True
        if not self.setup.terminal:
            from report import lines
            say(f"in force: {lines.in_force(facts.of(self.setup.control.events))}")

    def report(self):
        """The report on the terminal and in the results folder; the exit status."""
        from report import lines, page

        found = facts.of(self.setup.control.events)
        console = self.setup.terminal
        reasons = verdict.reasons(found, self.ending, self.text, self.lines, guests.ENDS, console)
        if not self.text:
            fail(f"the machine printed nothing\n{self.output}")
            return end(reasons)
        self.manifest["hypervisor"].update(found.start)
        self.keep_manifest(ending=self.ending, reasons=reasons)
        self.keep_figures(found)
        plain()
        say(f"report: {self.setup.machine}, ended with {self.ending} after "
            f"{self.manifest['seconds']:.1f} s")
        for line in lines.of(found):
            say(f"    {line}")
        page.write(self.folder, found, self.manifest, reasons)
        say(f"results: {self.folder}/report.html")
        result({"folder": self.folder.path, "reasons": reasons, "vms": found.vms,
                "end": found.end, "stats": found.stats})
        return end(reasons)

    def keep_figures(self, found):
        """statistics.json and series.jsonl."""
        self.folder.write_json("statistics.json", found.stats)
        self.folder.write("series.jsonl", "".join(
            json.dumps({"seconds": seconds, "stats": stats}) + "\n"
            for seconds, stats in found.samples
        ))


def end(reasons):
    """The last line, which says why a run was not good; the exit status."""
    if reasons:
        say(f"failed: {'; '.join(reasons)}", QUIET, "red")
    else:
        say("ok", QUIET, "green")
    return 1 if reasons else 0
