/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h: the entropy device (OASIS virtio 1.2, 5.4): one queue; its chains are filled with random
 * bytes.
 *
 * Invariants:
 * RNG-1  a request costs at most RNG_BYTES_MAX bytes of the source, whatever its length.
 */
#ifndef SAMEPAGE_HV_VIRTIO_RNG_H
#define SAMEPAGE_HV_VIRTIO_RNG_H

#include "hv/virtio/device.h"

#define RNG_BYTES_MAX 256u

struct virtio_rng {
	struct virtio_device device;
	u64 (*source)(void); /* [I] */
	u64 requests, bytes;
	struct virtq_chain chain;
};

/* Everything but the memory and the bus. `ops` destroys. */
void rng_init(struct virtio_rng *rng, u64 (*source)(void), const struct virtio_ops *ops);

/* virtio_ops.run of an entropy device. */
int rng_run(struct virtio_device *device, unsigned queue, unsigned *budget);

#endif
