# SPDX-License-Identifier: Apache-2.0
"""
command.py: ./run as a whole, from its words to its status, its last line and its results folder.
"""
import json
import os
import re
import resource
import subprocess
import sys
import tempfile

from runner import core

RUN = os.path.join(core.ROOT, "run")
# ./run with a results folder of the test's own: other tests run beside it.
DRIVE = """
import sys
sys.path.insert(0, "scripts")
import results, run
results.RESULTS = sys.argv.pop(1)
results.LATEST = results.RESULTS + "/latest"
sys.exit(run.main())
"""
FILES = {"control.jsonl", "data", "log.txt", "manifest.json", "report.html", "series.jsonl",
         "statistics.json"}
# Figures that the log's level changes: lines cost time, and are counted.
OF_LOG = re.compile(r"log\.lines|time|uptime|ticks|used|stolen|channel\.|\.vcpu\.|scan|passes|"
                    r"slices|turns|free|cached|hypervisor|machine\.boot\.")


class Wrong(Exception):
    """A run is not what it should be."""


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def run(*words, where=None, **options):
    """
    (status, stdout, stderr) of ./run, never with a traceback. `where`: the folder of its results.
    """
    start = [sys.executable, "-c", DRIVE, where] if where else [RUN]
    done = subprocess.run([*start, *words], cwd=core.ROOT, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=300 * core.SLOW, check=False, **options)
    expect("Traceback" not in done.stderr + done.stdout, done.stderr[-3000:] + done.stdout[-3000:])
    return done.returncode, done.stdout, done.stderr


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def check_folder(folder, manifest):
    """A results folder says what made it."""
    missing = FILES - set(os.listdir(folder))
    expect(not missing, f"{folder} lacks {missing}")
    link = os.path.join(os.path.dirname(folder), "latest")
    expect(os.path.realpath(link) == os.path.realpath(folder), "latest leads elsewhere")
    for name in ("command", "revision", "dirty", "tools", "kconfig", "machine", "guests", "seeds",
                 "hypervisor", "ending", "reasons", "host"):
        expect(name in manifest, f"the manifest lacks {name}")
    for name in ("compiler", "qemu", "kernel"):
        expect(manifest["tools"][name], f"the manifest has no version of {name}")
    expect(manifest["seeds"] == {"qemu": "1"}, f"seeds: {manifest['seeds']}")
    expect(manifest["hypervisor"]["policy"] and manifest["hypervisor"]["engine"], "no policy")
    expect(manifest["kconfig"]["values"] and "differs" in manifest["kconfig"], "no configuration")


def settled(stats):
    return {name: value for name, value in stats.items() if not OF_LOG.search(name)}


def same_results(where):
    """A silent log and --quiet change no result; --json is alone on stdout."""
    words = ["--icount", "--machine", "qemu-tcg", "--guest", "hello", "--json"]
    status, out, error = run(*words, where=where)
    expect(status == 0 and last_line(error) == "samepage: ok", f"status {status}: {error}")
    expect("in force: policy " in error, f"no banner: {error}")
    loud = json.loads(out)
    with open(os.path.join(loud["folder"], "manifest.json"), encoding="utf-8") as file:
        check_folder(loud["folder"], json.load(file))
    status, out, error = run(*words, "--quiet", "--cmdline", "log=error", where=where)
    expect((status, error) == (0, "samepage: ok\n"), f"--quiet: status {status}: {error}")
    silent = json.loads(out)
    expect(silent["folder"] != loud["folder"], "two runs in one folder")
    first, second = settled(loud["stats"]), settled(silent["stats"])
    expect(len(first) > 50 and first.get("vm.hello.exits.hypercall"), f"figures: {first}")
    different = {name for name in {*first, *second} if first.get(name) != second.get(name)}
    expect(not different, f"log=error changes {sorted(different)}")
    for name in ("vms", "reasons"):
        ends = [json.loads(json.dumps(each[name])) for each in (loud, silent)]
        for end in ends[0], ends[1]:
            for vm in end.values() if isinstance(end, dict) else ():
                vm.pop("t_ns", None)
        expect(ends[0] == ends[1], f"{name}: {ends}")


# A guest each that says so, ends badly, is not started; and the reason in the last line.
BAD_GUESTS = [
    ("build/guest/hello.elf:name=files memory=16M arg=work: FILES DIFFER", "files printed: "),
    ("build/guest/hello.elf:name=kernel memory=16M arg=Kernel panic - not syncing: VFS",
     "kernel printed: "),
    ("build/guest/hostile.elf:name=triple test_calls=yes memory=16M arg=triple",
     "triple ended with: triple fault"),
    ("README.md:name=text memory=16M", "text was not started"),
]


def failures(where):
    """The status is 1, and the last line has every reason."""
    words = [word for guest, _ in BAD_GUESTS for word in ("--guest", guest)]
    status, out, error = run("--machine", "qemu-tcg", "--cpus", "1", "-q", "--cmdline",
                             "sample=60000", *words, where=where)
    line = last_line(out)
    expect(status == 1 and line.startswith("samepage: failed: "), f"status {status}: {out}{error}")
    for _, reason in BAD_GUESTS:
        expect(reason in line, f"no '{reason}' in: {line}")


# Emulators in front of PATH: one that ends at once, and one that prints and ends.
NO_START = "#!/bin/sh\necho cannot start >&2\nexit 1\n"
PRINTS = """#!/bin/sh
for word in "$@"; do case $word in file:*) echo hello >"${word#file:}"; esac; done
sleep 1
"""


def with_emulator(text, *words, **options):
    with tempfile.TemporaryDirectory(prefix="samepage-bin-") as folder:
        path = os.path.join(folder, "qemu-system-x86_64")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, 0o755)
        environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}")
        return run("--machine", "qemu-tcg", "--guest", "hello", *words, env=environment, **options)


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def no_start(where):
    """A run that does not start changes no results; a full disk ends one with words."""
    status, out, error = with_emulator(PRINTS, where=where)
    expect(status == 1 and "there was no audit" in last_line(out), f"{status}: {out}{error}")
    before = os.readlink(os.path.join(where, "latest")), sorted(os.listdir(where))
    status, out, error = with_emulator(NO_START, where=where)
    expect(status == 1 and last_line(out).startswith("samepage: failed: "), f"{status}: {out}")
    expect("the machine printed nothing" in error and "cannot start" in error, error)
    after = os.readlink(os.path.join(where, "latest")), sorted(os.listdir(where))
    expect(before == after, f"the results were {before}, and are {after}")
    status, out, error = with_emulator(PRINTS, where=where, preexec_fn=small_files)
    expect(status == 1 and "File too large" in last_line(error), f"{status}: {out}{error}")


def manners(_):
    """bash completes; the manual page is made; --version."""
    status, out, _ = run("completion")
    expect(status == 0 and "complete " in out and " run" in out, f"completion: {out}")
    line = "./run --machine boch"
    environment = dict(os.environ, _ARGCOMPLETE="1", COMP_LINE=line, COMP_POINT=str(len(line)),
                       _ARGCOMPLETE_IFS="\n", _ARGCOMPLETE_SUPPRESS_SPACE="1")
    done = subprocess.run(["sh", "-c", f"exec 8>&1 9>/dev/null; exec {RUN}"], cwd=core.ROOT,
                          env=environment, capture_output=True, text=True, check=False)
    expect("bochs-haswell" in done.stdout.splitlines(), f"completed: {done.stdout}{done.stderr}")
    status, out, error = run("man")
    expect(status == 0, f"man: {out}{error}")
    with open(os.path.join(core.ROOT, "build", "samepage-run.1"), encoding="utf-8") as page:
        text = page.read()
    expect(".TH" in text and "bench" in text, "the manual page")
    status, out, _ = run("--version")
    expect(status == 0 and out.startswith("Samepage "), f"--version: {out}")


CASES = {
    "same-results": (same_results, ("qemu", "report")),
    "failures": (failures, ("qemu", "report")),
    "no-start": (no_start, ("qemu", "report")),
    "manners": (manners, ("completion", "man")),
}


def tests():
    def test(case):
        name, (function, _) = f"run/{case}", CASES[case]
        try:
            with tempfile.TemporaryDirectory(prefix="samepage-results-") as where:
                function(where)
        except (Wrong, subprocess.TimeoutExpired, ValueError) as error:
            return core.failed(name, str(error))
        return core.passed(name)
    return [core.Test(f"run/{case}", lambda case=case: test(case), {"default": core.ALL}, packages)
            for case, (_, packages) in CASES.items()]
