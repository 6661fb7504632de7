# SPDX-License-Identifier: Apache-2.0
"""
benches: what ./run bench measures, a module each: a function of the results folder, by name.
"""
from benches.boot import boot
from benches.density import density
from benches.disks import disks
from benches.exits import exits
from benches.growth import growth
from benches.guest import guest
from benches.merge import merge
from benches.mm import mm
from benches.paths import paths
from benches.policies import policies
from benches.trace import trace
from benches.virtio import virtio
from benches.ways import ways

BENCHES = {"boot": boot, "density": density, "disks": disks, "exits": exits, "growth": growth,
           "guest": guest, "mm": mm, "merge": merge, "paths": paths, "policies": policies,
           "trace": trace, "virtio": virtio, "ways": ways}
