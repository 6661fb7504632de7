#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
cppcheck.py: cppcheck's warnings, portability and performance notes, on every C file of the build.

It reads the build's own compile_commands.json, so that it sees the same macros as the compiler.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree

# A freestanding program: nothing calls its entry points, and structures are laid out for the
# hardware, and symbols of the linker script are the ends of one array. It does not see what inline
# assembly writes (legacyUninitvar), nor what a loop or a callee fills in (uninitvar,
# uninitStructMember; gcc and ASan look for those). Of a MIN() of unsigned values it takes one for
# negative (invalidFunctionArg).
SUPPRESS = [
    "missingIncludeSystem",
    "missingInclude",
    "unmatchedSuppression",
    "unusedStructMember",
    "unusedFunction",
    "comparePointers",
    "legacyUninitvar",
    "uninitvar",
    "uninitStructMember",
    "invalidFunctionArg:*/hv/load/bzimage.c",
]


def main():
    with open(os.path.join(tree.ROOT, "build", "compile_commands.json"), encoding="utf-8") as file:
        commands = [row for row in json.load(file) if row["file"].endswith(".c")]
    with tempfile.TemporaryDirectory(prefix="samepage-cppcheck-") as folder:
        project = os.path.join(folder, "compile_commands.json")
        with open(project, "w", encoding="utf-8") as out:
            json.dump(commands, out)
        done = subprocess.run(
            [
                "cppcheck",
                f"--project={project}",
                "--enable=warning,portability,performance",
                "--inline-suppr",
                "--quiet",
                f"--library={os.path.join(tree.ROOT, 'tests', 'checks', 'samepage.cfg')}",
                "-j2",
                "--std=c11",
                "-D__attribute__(x)=",
                "-DRB_PROTOTYPE_STATIC(name, type, field, cmp)=",
                "-DRB_GENERATE_STATIC(name, type, field, cmp)=",
                "-DRB_PROTOTYPE(name, type, field, cmp)=",
                "-DRB_GENERATE(name, type, field, cmp)=",
                "-DTRACE(...)=",
                "-DRB_FOREACH(x, name, head)=while (x)",
                "-DNODES_FOREACH_HEAD(number, nodes)=while (nodes)",
                "--error-exitcode=1",
                "--template={file}:{line}: {severity}: {id}: {message}",
                *[f"--suppress={name}" for name in SUPPRESS],
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    sys.exit(tree.verdict((done.stderr or done.stdout).splitlines()) if done.returncode else 0)


if __name__ == "__main__":
    main()
