/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dma.h: a device's accessor to the memory of its VM.
 */
#ifndef SAMEPAGE_HV_VIRTIO_DMA_H
#define SAMEPAGE_HV_VIRTIO_DMA_H

#include "hv/virtio/memory.h"

struct addrspace;

/* ERR_NO_MEMORY. destroy: nothing is mapped. */
int virtio_dma_create(struct addrspace *as, struct virtio_memory *out) __must_check;
void virtio_dma_destroy(struct virtio_memory *memory);

#endif
