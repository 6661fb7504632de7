/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate.c: the balloon of a VM on the machine: its pages are taken from the address space with
 * event BALLOON.
 */
#include <hv/memory.h>
#include <hv/pc.h>
#include <hv/virtio.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/addrspace.h>
#include "hv/virtio/balloon.h"
#include "hv/virtio/create.h"
#include "hv/virtio/dma.h"

#define LOG_THIS LOG_DEVICE

static int balloon_take(void *context, struct gfn_range range)
{
	return addrspace_balloon(context, range, 0);
}

static void balloon_destroy(struct virtio_device *device)
{
	struct virtio_balloon *balloon = container_of(device, struct virtio_balloon, device);
	const struct balloon_counters *counters = &balloon->counters;

	log_info("%s: balloon: %lu pages inflated, %lu deflated, %lu reported free, %lu refused, "
		 "%lu resets needed",
		 device->pci.vm->config.name, counters->inflated, counters->deflated,
		 counters->reported, counters->refused, device->malformed);
	if (balloon->stats_seen & BIT(BALLOON_S_TOTAL))
		log_info("%s: balloon: its driver's statistics: %lu KiB free of %lu KiB",
			 device->pci.vm->config.name, balloon->stat[BALLOON_S_FREE] >> 10,
			 balloon->stat[BALLOON_S_TOTAL] >> 10);
	virtio_dma_destroy(&device->memory);
	hv_free(balloon, sizeof(*balloon));
}

static const struct virtio_ops balloon_ops = {
	.type = VIRTIO_BALLOON,
	.class = 0x050000,
	.run = balloon_run,
	.reset = balloon_reset,
	.destroy = balloon_destroy,
};

int virtio_add_balloon(struct vm *vm)
{
	struct virtio_balloon *balloon = hv_alloc(sizeof(*balloon));
	int err;

	if (!balloon)
		return ERR_NO_MEMORY;
	balloon->take = balloon_take;
	balloon->context = vm->memory;
	balloon_init(balloon, (u32)(vm->config.balloon >> PAGE_SHIFT), &balloon_ops);
	err = virtio_attach(vm, &balloon->device);
	if (err)
		hv_free(balloon, sizeof(*balloon));
	return err;
}

static struct virtio_balloon *find_balloon(const struct vm *vm)
{
	for (unsigned i = 1; vm->pc && i < PCI_SLOTS && vm->pc->pci.function[i]; i++) {
		struct virtio_device *device = virtio_of(vm->pc->pci.function[i]);

		if (device->ops == &balloon_ops)
			return container_of(device, struct virtio_balloon, device);
	}
	return NULL;
}

int virtio_balloon_set(struct vm *vm, u64 pages)
{
	struct virtio_balloon *balloon = find_balloon(vm);

	if (!balloon)
		return ERR_NOT_FOUND;
	if (pages >= vm->config.memory >> PAGE_SHIFT)
		return ERR_RANGE;
	spin_lock(&balloon->device.pci.lock);
	balloon_set_target(balloon, (u32)pages);
	pci_unlock(&balloon->device.pci);
	return 0;
}

/* The statistics are the driver's last; new ones are requested. */
int virtio_balloon_look(struct vm *vm, struct virtio_balloon_look *out)
{
	struct virtio_balloon *balloon = find_balloon(vm);

	if (!balloon)
		return ERR_NOT_FOUND;
	spin_lock(&balloon->device.pci.lock);
	*out = (struct virtio_balloon_look){
		.target = balloon_target(balloon),
		.actual = balloon_actual(balloon),
		.inflated = balloon->counters.inflated,
		.reported = balloon->counters.reported,
		.seen = balloon->stats_seen,
	};
	_Static_assert(BALLOON_STATS == VIRTIO_BALLOON_STATS, "virtio.h");
	for (unsigned i = 0; i < BALLOON_STATS; i++)
		out->stat[i] = balloon->stat[i];
	balloon_request_stats(balloon);
	pci_unlock(&balloon->device.pci);
	pci_request_work(&balloon->device.pci, (u32)BITS(BALLOON_QUEUES - 1, 0));
	return 0;
}
