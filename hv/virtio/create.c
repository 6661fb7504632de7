/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.c: the devices of a VM on the machine: memory, bus, end.
 */
#include <hv/virtio.h>
#include <arch/random.h>
#include <hv/memory.h>
#include <hv/pc.h>
#include <hv/vm.h>
#include "hv/virtio/blk.h"
#include "hv/virtio/create.h"
#include "hv/virtio/dma.h"
#include "hv/virtio/rng.h"
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_DEVICE

static void report_blk(const struct virtio_blk *blk)
{
	const struct blk_counters *counters = &blk->counters;

	log_info(
		"%s: disk %s: %lu requests, %lu errors, %lu KiB read, %lu pages mapped, %lu looked "
		"at, %lu KiB written, %lu KiB zeroed, %lu frames of its own, %lu resets needed",
		blk->device.pci.vm->config.name, blk->id, counters->requests, counters->errors,
		counters->read >> 10, counters->mapped, counters->looked, counters->written >> 10,
		counters->zeroed >> 10, blk->disk.frames + blk->disk.tables, blk->device.malformed);
}

int virtio_attach(struct vm *vm, struct virtio_device *device)
{
	int err = virtio_dma_create(vm->memory, &device->memory);

	if (err)
		return err;
	err = pci_attach(&vm->pc->pci, vm, &device->pci);
	if (err)
		virtio_dma_destroy(&device->memory);
	return err;
}

static void free_blk(struct virtio_blk *blk)
{
	disk_fini(&blk->disk);
	hv_free(blk, sizeof(*blk));
}

static void blk_destroy(struct virtio_device *device)
{
	struct virtio_blk *blk = container_of(device, struct virtio_blk, device);

	report_blk(blk);
	virtio_dma_destroy(&device->memory);
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
	err = disk_init(&blk->disk, image, bytes);
	if (!err) {
		blk->hints = virtio_disk_hints(vm, image);
		blk_init(blk, MIN(vm->config.vcpus, (unsigned)BLK_QUEUES_MAX), name, &blk_ops);
		err = virtio_attach(vm, &blk->device);
	}
	if (err)
		free_blk(blk);
	return err;
}

static void rng_destroy(struct virtio_device *device)
{
	struct virtio_rng *rng = container_of(device, struct virtio_rng, device);

	log_info("%s: rng: %lu requests, %lu bytes, %lu resets needed", device->pci.vm->config.name,
		 rng->requests, rng->bytes, device->malformed);
	virtio_dma_destroy(&device->memory);
	hv_free(rng, sizeof(*rng));
}

static const struct virtio_ops rng_ops = {
	.type = VIRTIO_RNG,
	.class = 0x100000,
	.run = rng_run,
	.destroy = rng_destroy,
};

static int add_rng(struct vm *vm)
{
	struct virtio_rng *rng = hv_alloc(sizeof(*rng));
	int err;

	if (!rng)
		return ERR_NO_MEMORY;
	rng_init(rng, arch_random, &rng_ops);
	err = virtio_attach(vm, &rng->device);
	if (err)
		hv_free(rng, sizeof(*rng));
	return err;
}

int virtio_add_devices(struct vm *vm)
{
	int err = vm->config.rng ? add_rng(vm) : 0;

	if (!err && vm->config.hvc)
		err = virtio_add_console(vm);
	if (!err && vm->config.net[0])
		err = virtio_add_net(vm);
	return !err && vm->config.has_balloon ? virtio_add_balloon(vm) : err;
}
