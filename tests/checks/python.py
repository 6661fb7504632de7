#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
python.py: no name in a Python file is undefined, and no import unused, says pyflakes.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree


def main():
    done = subprocess.run(
        ["pyflakes3", *tree.files(".py")],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.exit(tree.verdict((done.stdout + done.stderr).splitlines()))


if __name__ == "__main__":
    main()
