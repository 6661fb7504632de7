# SPDX-License-Identifier: Apache-2.0
"""
report: what a run leaves for its reader: lines for a terminal (lines.py), figures (figures.py), and
a page with both (page.py). All of it is made from the facts (facts.py).
"""
