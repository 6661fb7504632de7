# SPDX-License-Identifier: Apache-2.0
"""
core.py: what a test is, running many of them, and the TAP text that comes out.

A Test is a name and a function that returns a list of Results: a check returns one, a cmocka
program one for each of its cases. The builds that the chosen tests need run first, one after the
other, as each takes all CPUs; then the tests run two at a time, more where there are more than four
CPUs. The last line printed is exactly "N passed, N failed, N skipped".
"""
import concurrent.futures
import dataclasses
import fnmatch
import os
import re
import subprocess
import sys
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build", "test-logs")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import machine

SLOW = machine.SLOW
WORKERS = max(2, (os.cpu_count() or 2) // 2)  # a run keeps two CPUs busy at most times
ALL = None  # in place of a build's targets: all of them


@dataclasses.dataclass
class Result:
    """One line of TAP. `detail` is printed below a failure; for a skip it is the reason."""
    name: str
    status: str  # passed, failed, skipped
    detail: str = ""


@dataclasses.dataclass
class Test:
    """
    Something that can be run by name.

    builds    build folders made before it runs, each with the targets that it needs (ALL or a
              tuple of names)
    packages  purposes of scripts/packages.sh
    alone     nothing else runs beside it, because it changes a build folder
    extra     not part of a plain ./test: only when it is named, or by an option
    """
    name: str
    run: callable
    builds: dict = dataclasses.field(default_factory=dict)
    packages: tuple = ()
    alone: bool = False
    extra: bool = False
    suite: str = ""

    def __post_init__(self):
        self.suite = self.name.split("/")[0]


def passed(name, detail=""):
    return [Result(name, "passed", detail)]


def failed(name, detail):
    return [Result(name, "failed", detail)]


def skipped(name, why):
    return [Result(name, "skipped", why)]


def command(arguments, timeout=600, **options):
    """
    Runs a program in the tree with its output captured; (status, output). A timeout is status -1.
    """
    options.setdefault("cwd", ROOT)
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout * SLOW,
            text=True,
            errors="replace",
            check=False,
            **options
        )
    except subprocess.TimeoutExpired as late:
        text = late.stdout or b""
        text = text if isinstance(text, str) else text.decode("utf-8", "replace")
        return -1, f"{text}\nstill running after {timeout * SLOW:g} s"
    except FileNotFoundError as missing:
        return -2, f"{missing.filename}: not found"
    return done.returncode, done.stdout


def of_command(name, arguments, timeout=600, **options):
    """A test that is one command: status 0 passes, 77 skips with the last line as the reason."""
    status, output = command(arguments, timeout, **options)
    if status == 77:
        return skipped(name, output.strip().splitlines()[-1] if output.strip() else "")
    return passed(name) if status == 0 else failed(name, f"status {status}\n{output}")


def of_tap(name, output):
    """The Results of a program that prints TAP, each named after the program and the case."""
    results = []
    notes = []
    for line in output.splitlines():
        case = re.match(r"\s*(not )?ok\b\s*\d*\s*(?:-\s*)?([^#]*)(#\s*SKIP\b.*)?", line)
        if not case:
            notes.append(line)
            continue
        status = "skipped" if case[3] else "failed" if case[1] else "passed"
        results.append(
            Result(f"{name}: {case[2].strip()}", status, case[3] or "\n".join(notes[-30:]))
        )
        notes = []
    return results


def select(tests, patterns):
    """
    The tests with a name that contains a pattern or matches it as a glob; without patterns all but
    the extra ones.
    """
    if not patterns:
        return [test for test in tests if not test.extra]
    return [
        test
        for test in tests
        if any(pattern in test.name or fnmatch.fnmatch(test.name, pattern) for pattern in patterns)
    ]


class Report:
    """Prints TAP as results come and keeps the sums, and what each test took."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sums = {}
        self.times = []
        self.failures = []
        self.number = 0
        print("TAP version 13", flush=True)

    def add(self, suite, results, seconds, name=None):
        with self.lock:
            if name:
                self.times.append((seconds, name))
            for result in results:
                self.number += 1
                sums = self.sums.setdefault(suite, {"passed": 0, "failed": 0, "skipped": 0})
                sums[result.status] += 1
                self.line(result)
            if seconds > 20:
                print(f"# {results[0].name.split(':')[0] if results else suite}: {seconds:.0f} s")
            sys.stdout.flush()

    def line(self, result):
        word = "not ok" if result.status == "failed" else "ok"
        skip = f" # SKIP {result.detail}" if result.status == "skipped" else ""
        print(f"{word} {self.number} - {result.name}{skip}")
        if result.status == "failed":
            why, *rest = result.detail.strip().splitlines() or [""]
            self.failures.append(f"{result.name}: {why[:300]}")
            for text in [why, *rest[-60:]]:
                print(f"#   {text}")

    def write_times(self):
        """Seconds and name of each test, the slowest first, beside the logs."""
        os.makedirs(LOGS, exist_ok=True)
        with open(os.path.join(LOGS, "times.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{seconds:8.1f} {name}\n"
                            for seconds, name in sorted(self.times, reverse=True))

    def close(self):
        """Prints what failed and the sums; returns the exit status."""
        self.write_times()
        print(f"1..{self.number}")
        for failure in self.failures:
            print(f"# failed: {failure}")
        for suite, sums in self.sums.items():
            print(f"# {suite}: " + ", ".join(f"{count} {status}" for status, count in sums.items()))
        total = {status: sum(sums[status] for sums in self.sums.values())
                 for status in ("passed", "failed", "skipped")}
        print(
            f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped",
            flush=True,
        )
        return 1 if total["failed"] or not self.number else 0


def run_one(test, report):
    """Runs a test; an exception in it is a failure of it. Returns whether nothing failed."""
    started = time.monotonic()
    try:
        results = test.run() or failed(test.name, "it ran nothing")
    except Exception:
        results = failed(test.name, traceback.format_exc())
    report.add(test.suite, results, time.monotonic() - started, test.name)
    return all(result.status != "failed" for result in results)


def targets_of(tests):
    """Every build that the tests need, in order, each with the targets of all of them together."""
    needed = {}
    for test in tests:
        for name, targets in test.builds.items():
            if targets is ALL or needed.get(name, ()) is ALL:
                needed[name] = ALL
            else:
                needed[name] = tuple(sorted({*needed.get(name, ()), *targets}))
    return needed


def run_all(tests, build, report):
    """
    First the builds that the tests need (build(name, targets) is a Test), then the tests. A test
    counts as failed when its build is broken.
    """
    broken = {
        name
        for name, targets in targets_of(tests).items()
        if not run_one(build(name, targets), report)
    }
    tests = [test for test in tests if test.suite != "build"]

    def run_or_fail(test):
        missing = broken.intersection(test.builds)
        if missing:
            report.add(
                test.suite, failed(test.name, f"needs the build {', '.join(sorted(missing))}"), 0
            )
        else:
            run_one(test, report)

    for test in tests:
        if test.alone:
            run_or_fail(test)
    # No context manager: its exit would wait for tests with further steps after a signal.
    pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
    pending = [pool.submit(run_or_fail, test) for test in tests if not test.alone]
    try:
        for one in pending:
            one.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
