#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
results.py: docs/results.md and docs/figures/ are what scripts/results_page.py makes of the recorded
counts. Each folder of experiments/ is well formed and has a page with claim, method and answer.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import output
import tree
from experiments import points, spec

SECTIONS = ("## Claim", "## Method", "## How to read", "## Answer")


def complaints():
    for name in spec.names():
        try:
            found = spec.load(name)
            if not points.of(found, quick=True) and not found.long:
                yield f"experiments/{name}: [quick] leaves no point"
        except output.Stop as stop:
            yield from stop.args
            continue
        page = tree.text(f"experiments/{name}/README.md")
        yield from (f"experiments/{name}/README.md: no section {section}"
                    for section in SECTIONS if section not in page)


def main():
    found = list(complaints())
    script = os.path.join(tree.ROOT, "scripts", "results_page.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True,
                          check=False)
    found += [line for line in (done.stdout + done.stderr[-2000:]).splitlines() if line]
    if done.returncode and not found:
        found.append(f"results_page.py: status {done.returncode}")
    sys.exit(tree.verdict(found))


if __name__ == "__main__":
    main()
