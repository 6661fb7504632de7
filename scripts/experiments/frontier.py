# SPDX-License-Identifier: Apache-2.0
"""
frontier.py: kind = "break-even": which policy is the cheapest at which rates.

A point has counts a cycle: exits and flushes of so many merges, reads after them, writes. With
`cost = {exits = "cost of an exit", flushes = ...}` ... the page of change-pte explains it.
"""


def draw(axes, figure, rows, colours, dashes):
    raise NotImplementedError
