# SPDX-License-Identifier: Apache-2.0
"""
benches: what ./run bench measures, a module each: a function of the results folder, by name.
"""
from benches.exits import exits
from benches.merge import merge
from benches.mm import mm
from benches.paths import paths
from benches.policies import policies
from benches.trace import trace

BENCHES = {"exits": exits, "mm": mm, "merge": merge, "paths": paths, "policies": policies,
           "trace": trace}
