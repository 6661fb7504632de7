# SPDX-License-Identifier: Apache-2.0
"""
frontier.py: kind = "break-even": what a policy saves against `base`, in percent of the cost.

The cost of a point is a sum of its measures, each times a weight. `cost` has sets of weights by
name, such as the cost of an exit of a CPU generation: {"2006" = {faults = 1500, instructions = 1}}.
Above 0 the policy pays. A colour for each set; a dash for each policy, or for each set if there is
one policy.
"""
from experiments import rows as of_rows


def cost_of(row, weights):
    """The cost of a row, or None where a measure has no value."""
    values = [row.get(name) for name in weights]
    if None in values:
        return None
    return sum(value * weight for value, weight in zip(values, weights.values()))


def saved(figure, rows):
    """{(policy, set): {x: percent}}."""
    x, series, base = figure["x"], figure["series"], figure["base"]
    found = {}
    for name, weights in figure["cost"].items():
        costs = {}
        for row in rows:
            cost = cost_of(row, weights)
            if cost is not None:
                costs[row[series], row[x]] = cost
        for (policy, place), cost in costs.items():
            reference = costs.get((base, place))
            if policy != base and reference:
                line = found.setdefault((policy, name), {})
                line[place] = 100 * (reference - cost) / reference
    return found


def draw(axes, figure, rows, colours, dashes):
    lines = saved(figure, rows)
    sets = list(figure["cost"])
    policies = list(dict.fromkeys(policy for policy, _ in lines))
    for (policy, name), line in lines.items():
        places = of_rows.order(line)
        alone = len(policies) == 1
        label = name if alone else f"{policy}, {name}"
        dash = sets.index(name) if alone else policies.index(policy)
        axes.plot([float(place) for place in places], [line[place] for place in places],
                  label=label, color=colours[sets.index(name) % len(colours)], marker="o",
                  markersize=3.5, linestyle=dashes[dash % len(dashes)],
                  linewidth=1.4)
    axes.axhline(0, color="#1c1c1c", linewidth=0.8)
    axes.set_xlabel(figure.get("xlabel", figure["x"]))
    axes.set_ylabel(figure.get("ylabel", f"saved against {figure['base']} (%)"))
    axes.grid(axis="y", linewidth=0.6)
