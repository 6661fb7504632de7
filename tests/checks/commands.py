#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
commands.py: ./run and ./test print their options and refuse what they cannot do. On a computer that
lacks packages they print the one command to give, or install them as root.

Three scripts in front of PATH play that computer: dpkg-query that finds no package, id that prints
the user, and apt-get that notes its arguments.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

REFUSED = [
    (["./run", "--cpus", "0"], "--cpus is at least 1"),
    (["./run", "--memory", "-5"], "--memory at least 32"),
    (["./run", "--machine", "pdp11"], "pdp11: there is qemu-tcg"),
    (["./run", "--machine", "boch"], "boch: did you mean bochs?"),
    (["./run", "--cmdline", "notifer=late"], "notifer: did you mean notifier?"),
    (["./run", "--cmdline", "notifier=lat"], "did you mean late?"),
    (["./run", "--cmdline", "log=inf"], "inf: did you mean info?"),
    (["./run", "--cmdline", "log='info"], "a quote is not closed"),
    (["./run", "--cmdline", "merge_cap"], "a value is missing"),
    (["./run", "--guest", "helo"], "helo: did you mean hello?"),
    (["./run", "--guest", "linux/clod:name=a"], "did you mean linux/cloud?"),
    (["./run", "--guest", "no/such/file:name=a"], "there is no such file"),
    (["./run", "--guest", "READM.md:name=a"], "did you mean README.md?"),
    (["./run", "--guest", "docs:name=a"], "a folder, not a file"),
    (["./run", "--guest", "README.md:nam=a"], "nam: did you mean name?"),
    (["./run", "--guest", "README.md:memory=16M"], "a VM needs name=NAME"),
    (["./run", "--guest", "README.md:name=a cpu=9"], "cpu=9: not CPUS"),
    (["./run", "--guest", "README.md:for=a"], "for=a: no guest has this name"),
    (["./run", "--guest", "hello", "--guest", "hello"], "two guests have this name"),
    (["./run", "--guest", "hello", "--console", "2"], "the guests are numbered 1 to 1"),
    (["./run", "bench", "nothing"], "choose from 'boot'"),
    (["./run", "nonsense"], "nonsense"),
    (["./run", "--icount", "--cpus", "2"], "--icount counts one CPU"),
    (["./run", "--guest", "no-such-guest"], "no-such-guest"),
    (["./run", "experiment", "chang-pte"], "did you mean change-pte?"),
    (["./run", "experiment"], "NAME, --all or --list is missing"),
    (["./run", "experiment", "engines", "--shard", "3/2"], "I/N, as in 1/4"),
    (["./run", "experiment", "work", "--only", "polcy=off"], "did you mean policy?"),
    (["./run", "experiment", "work", "--only", "policy=of"], "no point has it"),
    (["./run", "sweep", "notifer=late"], "did you mean notifier?"),
    (["./run", "sweep", "notifier=late", "--measure", "merge.mergd"], "did you mean merge.merged?"),
    (["./run", "sweep", "notifier"], "WORD=V1,V2"),
    (["./test", "no-such-test"], "no test is named like no-such-test"),
]


def run(*arguments, **options):
    done = subprocess.run(
        arguments,
        cwd=tree.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
        **options
    )
    return done.returncode, done.stdout


def check_refusals():
    complaints = []
    for arguments, words in REFUSED:
        status, output = run(*arguments)
        if status == 0 or words not in output:
            complaints.append(
                f"{' '.join(arguments)}: status {status}, and no '{words}' in: "
                + output.strip()[-400:]
            )
    for command in ("./run", "./test"):
        status, output = run(command, "--help")
        if status or "usage:" not in output:
            complaints.append(f"{command} --help: status {status}")
    return complaints


def check_streams():
    """A full disk and a closed pipe end a command without a traceback."""
    complaints = []
    for arguments in (["./run", "--help"], ["./test", "--list"]):
        reader, writer = os.pipe()
        os.close(reader)
        with open("/dev/full", "w", encoding="ascii") as full, os.fdopen(writer, "w") as closed:
            for stream, expected in ((full, 1), (closed, 141)):
                done = subprocess.run(arguments, cwd=tree.ROOT, stdin=subprocess.DEVNULL,
                                      stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
                if done.returncode != expected or "Traceback" in done.stderr:
                    complaints.append(f"{' '.join(arguments)}: status {done.returncode}, "
                                      f"not {expected}: {done.stderr}")
    return complaints


def on_a_bare_machine(user):
    """Runs packages.sh where nothing is installed: (status, output, the arguments of apt-get)."""
    with tempfile.TemporaryDirectory(prefix="samepage-bare-") as folder:
        noted = os.path.join(folder, "noted")
        # The first call fails, as it does where the lists of packages have never been fetched.
        scripts = {
            "dpkg-query": "exit 1",
            "id": f"echo {user}",
            "apt-get": f'echo "$@" >> {noted}; '
            f'[ "$1" = update ] || [ "$(grep -c install {noted})" -gt 1 ]',
        }
        for name, text in scripts.items():
            path = os.path.join(folder, name)
            with open(path, "w", encoding="ascii") as script:
                script.write(f"#!/bin/sh\n{text}\n")
            os.chmod(path, 0o755)
        status, output = run(
            "scripts/packages.sh",
            "base",
            "gcc",
            env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"),
        )
        calls = open(noted, encoding="utf-8").read() if os.path.exists(noted) else ""
    return status, output, calls


def check_purposes():
    """The purpose `all` has each of the others."""
    text = tree.text("scripts/packages.sh")
    every = set(re.search(r"^all='([^']*)'", text, re.M)[1].split())
    names = set(re.findall(r"^\t(\w+)\) echo ", text, re.M))
    return [f"packages.sh: all= and the purposes differ in {name}" for name in every ^ names]


def check_packages():
    complaints = []
    status, output, calls = on_a_bare_machine(1000)
    if (
        status == 0
        or calls
        or "sudo apt-get install -y" not in output
        or "kconfig-frontends-nox" not in output
    ):
        complaints.append(
            f"packages.sh without root: status {status}, apt-get got '{calls}', output: {output}"
        )
    status, output, calls = on_a_bare_machine(0)
    steps = [line.split()[0] for line in calls.splitlines()]
    if (
        status
        or steps != ["install", "update", "install"]
        or "installing" not in output
        or " gcc" not in calls
    ):
        complaints.append(
            f"packages.sh as root: status {status}, apt-get got '{calls}', output: {output}"
        )
    return complaints


if __name__ == "__main__":
    sys.exit(tree.verdict(check_refusals() + check_streams() + check_packages() +
                          check_purposes()))
