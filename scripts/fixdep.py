#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
fixdep.py: runs a compiler, then makes its object depend on just the Kconfig symbols that its
sources name.

Why: every file is compiled with -include autoconf.h, so by the compiler's own word every object
depends on every option. This takes autoconf.h out of the depfile and puts in include/config/NAME.h
for each CONFIG_NAME that occurs in the source or in a header it reads; kconfig-conf touches those
files when, and only when, the value changes.

Usage: fixdep.py CONFIG_DIR COMPILER ARGUMENT...     (CMake's RULE_LAUNCH_COMPILE)
"""
import os
import re
import subprocess
import sys

SYMBOL = re.compile(rb"\bCONFIG_([A-Z0-9_]+)")


def symbols_of(path):
    """The Kconfig symbols a file names. System headers name none."""
    if path.startswith("/usr/"):
        return set()
    with open(path, "rb") as source:
        return {name.decode() for name in SYMBOL.findall(source.read())}


def marker(config, symbol):
    """
    The file kconfig-conf touches when the symbol changes: NAME_PART becomes name/part.h. A new one
    is made old.
    """
    path = os.path.join(config, symbol.lower().replace("_", "/") + ".h")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "a", encoding="utf-8").close()
        os.utime(path, (0, 0))
    return path


def rewrite(depfile, config):
    """Replaces the dependency on autoconf.h by one on each symbol that is named."""
    with open(depfile, encoding="utf-8") as rule:
        target, _, names = rule.read().replace("\\\n", " ").partition(":")
    paths = [name.replace("\\ ", " ") for name in re.findall(r"(?:\\ |\S)+", names)]
    sources = [path for path in paths if not path.endswith("/generated/autoconf.h")]
    symbols = sorted(set().union(*map(symbols_of, sources)))
    with open(depfile, "w", encoding="utf-8") as rule:
        rule.write(
            f"{target}: "
            + " \\\n ".join(
                path.replace(" ", "\\ ")
                for path in sources + [marker(config, symbol) for symbol in symbols]
            )
            + "\n"
        )


def main():
    config, command = sys.argv[1], sys.argv[2:]
    status = subprocess.call(command)
    if status == 0 and "-MF" in command:
        rewrite(command[command.index("-MF") + 1], config)
    sys.exit(status)


if __name__ == "__main__":
    main()
