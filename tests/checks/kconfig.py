#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
kconfig.py: every option of Kconfig has a help text, every option is used by a source, and every
CONFIG_ word of a source is an option.
"""
import os
import re
import sys

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
)
import tree


def main():
    text = tree.text("Kconfig")
    blocks = re.findall(r"^config (\w+)\n((?:\t.*\n|\n(?=\t))+)", text, re.M)
    options = {name: block for name, block in blocks}
    members = set()
    for choice in re.findall(r"^choice\n(.*?)^endchoice", text, re.M | re.S):
        members |= set(re.findall(r"^config (\w+)$", choice, re.M))
    complaints = [f"Kconfig: {name} has no help" for name in options if "\thelp\n" not in options[name]]
    used = set()
    for file in tree.files(".c", ".h", ".S", "CMakeLists.txt", ".cmake"):
        used |= set(re.findall(r"\bCONFIG_([A-Z0-9_]+)\b", tree.text(file)))
    dependent = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", " ".join(re.findall(r"depends on .*|default .*", text))))
    for name in sorted(options.keys() - used - dependent - members):
        complaints.append(f"Kconfig: {name} is used nowhere")
    for name in sorted(used - options.keys() - {"X"}):
        complaints.append(f"CONFIG_{name} is used, and Kconfig has no such option")
    return tree.verdict(complaints)


if __name__ == "__main__":
    sys.exit(main())
