/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pmem.h: a persistent-memory device (OASIS virtio 1.2, 5.19): a range of the guest's memory that
 * has an image's content. Reads and writes are plain accesses (mm/image.h); the one request is a
 * flush.
 */
#ifndef SAMEPAGE_HV_VIRTIO_PMEM_H
#define SAMEPAGE_HV_VIRTIO_PMEM_H

#include "hv/virtio/device.h"

enum pmem_request { PMEM_FLUSH = 0 };

struct virtio_pmem {
	struct virtio_device device;
	u64 flushes, refused;
	struct virtq_chain chain;
};

/* The range in the guest's map. Everything but the memory and the bus; `ops` destroys. */
void pmem_init(struct virtio_pmem *pmem, u64 start, u64 size, const struct virtio_ops *ops);

/* virtio_ops.run of a persistent-memory device. */
int pmem_run(struct virtio_device *device, unsigned queue, unsigned *budget);

#endif
