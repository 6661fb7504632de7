/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.c: the devices of a VM on the machine: memory, bus, end.
 */
#include <hv/virtio.h>
#include <hv/memory.h>
#include <hv/pc.h>
#include <hv/vm.h>
#include "hv/virtio/blk.h"
#include "hv/virtio/dma.h"
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_DEVICE

static void report_blk(const struct virtio_blk *blk)
{
	const struct blk_counters *counters = &blk->counters;

	log_info("%s: disk %s: %lu requests, %lu errors, %lu KiB read, %lu KiB written, %lu KiB "
		 "zeroed, %lu frames of its own, %lu resets needed",
		 blk->device.pci.vm->config.name, blk->id, counters->requests, counters->errors,
		 counters->read >> 10, counters->written >> 10, counters->zeroed >> 10,
		 blk->disk.frames + blk->disk.tables, blk->device.malformed);
}

static void free_blk(struct virtio_blk *blk)
{
	disk_fini(&blk->disk);
	if (blk->device.memory.context)
		virtio_dma_destroy(&blk->device.memory);
	hv_free(blk, sizeof(*blk));
}

static void blk_destroy(struct virtio_device *device)
{
	struct virtio_blk *blk = container_of(device, struct virtio_blk, device);

	report_blk(blk);
	free_blk(blk);
}

static const struct virtio_ops blk_ops = {
	.type = VIRTIO_BLK,
	.class = 0x010000,
	.run = blk_run,
	.reset = blk_reset,
	.destroy = blk_destroy,
};

int virtio_add_disk(struct vm *vm, const char *name, const void *image, u64 bytes)
{
	struct virtio_blk *blk = hv_alloc(sizeof(*blk));
	int err;

	if (!blk)
		return ERR_NO_MEMORY;
	err = virtio_dma_create(vm->memory, &blk->device.memory);
	if (!err)
		err = disk_init(&blk->disk, image, bytes);
	if (!err) {
		blk_init(blk, MIN(vm->config.vcpus, (unsigned)BLK_QUEUES_MAX), name, &blk_ops);
		err = pci_attach(&vm->pc->pci, vm, &blk->device.pci);
	}
	if (err)
		free_blk(blk);
	return err;
}
