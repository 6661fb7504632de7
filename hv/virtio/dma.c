/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dma.c: guest memory of a device on the machine: a guest cache of its own (mm/guest_cache.h).
 *
 * The cache is a subscriber of the VM's notifier. So a write counts as the guest's: it breaks
 * sharing, sets soft-dirty and restores what was reclaimed; and a frame that is merged, migrated or
 * reclaimed is not replaced between map and unmap.
 */
#include "hv/virtio/dma.h"
#include <mm/guest_cache.h>

static int dma_map(void *context, struct gpa gpa, size_t len, bool write, void **out)
{
	return guest_cache_get(context, gpa, len, write, out);
}

static void dma_unmap(void *context, struct gpa gpa)
{
	guest_cache_put(context, gpa);
}

int virtio_dma_create(struct addrspace *as, struct virtio_memory *out)
{
	struct guest_cache *cache;
	int err = guest_cache_create(as, &cache);

	if (!err)
		*out = (struct virtio_memory){dma_map, dma_unmap, cache};
	return err;
}

void virtio_dma_destroy(struct virtio_memory *memory)
{
	guest_cache_destroy(memory->context);
}
