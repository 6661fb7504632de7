#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
python.py: no name in a Python file is undefined, and no import unused, says pyflakes; no module
of scripts/ or labs/ hides one of Python's own from those beside it.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import tree


def hidden_modules():
    """Programs of a folder import from it first."""
    return [f"{path}: hides Python's module of that name" for path in tree.files(".py")
            if os.path.dirname(path) in ("scripts", "labs")
            and os.path.splitext(os.path.basename(path))[0] in sys.stdlib_module_names]


def main():
    done = subprocess.run(
        ["pyflakes3", *tree.files(".py")],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.exit(tree.verdict([*(done.stdout + done.stderr).splitlines(), *hidden_modules()]))


if __name__ == "__main__":
    main()
