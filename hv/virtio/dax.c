/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dax.c: images on the machine: their frames, a persistent-memory device over them, and the hints
 * that a disk gives to mm about what it reads.
 */
#include <hv/virtio.h>
#include <arch/cpu.h>
#include <hv/memory.h>
#include <hv/ram.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>
#include <mm/image.h>
#include <mm/merge.h>
#include "hv/virtio/blk.h"
#include "hv/virtio/create.h"
#include "hv/virtio/dma.h"
#include "hv/virtio/pmem.h"

#define LOG_THIS   LOG_DEVICE
#define PMEM_ALIGN (1ull << 30)
#define PMEM_STEP  (2ull << 20) /* the least that a guest's memory map can describe (Linux) */

static struct mfn first_frame(const void *image)
{
	return hpa_to_mfn(arch_virt_to_hpa(image));
}

static bool is_adopted(const void *image)
{
	return !page_offset((uintptr_t)image) && frame_kind(first_frame(image)) == FRAME_IMAGE;
}

int virtio_adopt_image(const void *image, u64 bytes)
{
	if (page_offset((uintptr_t)image))
		return ERR_INVALID;
	return image_adopt(first_frame(image), bytes >> PAGE_SHIFT);
}

/* --- Hints --------------------------------------------------------------------------------- */

static int map_block(struct virtio_blk *blk, struct gpa gpa, u64 block)
{
	return addrspace_map_image(blk->device.pci.vm->memory, gpa_to_gfn(gpa),
				   mfn_add(first_frame(blk->disk.image), block));
}

static void look_at_page(struct virtio_blk *blk, struct gpa gpa)
{
	merge_look(blk->device.pci.vm->memory, gpa_to_gfn(gpa));
}

struct blk_hints virtio_disk_hints(const struct vm *vm, const void *image)
{
	switch (vm->config.disk_hints) {
	case VM_HINTS_SCAN:
		return (struct blk_hints){.filled = look_at_page};
	case VM_HINTS_KNOWN:
		if (is_adopted(image))
			return (struct blk_hints){.map = map_block};
		log_warn("%s: disk_hints=known: the image does not begin at a page; no hints",
			 vm->config.name);
		return (struct blk_hints){NULL, NULL};
	default:
		return (struct blk_hints){NULL, NULL};
	}
}

/* --- Persistent memory --------------------------------------------------------------------- */

static void pmem_destroy(struct virtio_device *device)
{
	struct virtio_pmem *pmem = container_of(device, struct virtio_pmem, device);

	log_info("%s: pmem: %lu flushes, %lu refused, %lu resets needed",
		 device->pci.vm->config.name, pmem->flushes, pmem->refused, device->malformed);
	virtio_dma_destroy(&device->memory);
	hv_free(pmem, sizeof(*pmem));
}

static const struct virtio_ops pmem_ops = {
	.type = VIRTIO_PMEM,
	.class = 0x058000,
	.run = pmem_run,
	.destroy = pmem_destroy,
};

static struct gfn_range gfns_of(u64 start, u64 end)
{
	return (struct gfn_range){{start >> PAGE_SHIFT}, {end >> PAGE_SHIFT}};
}

/* The image's frames, and memory up to the end of the range. */
static int add_range(struct vm *vm, const void *image, u64 start, u64 bytes, u64 size)
{
	struct gfn_range range = gfns_of(start, start + bytes);
	int err = is_adopted(image) ? addrspace_add_image(vm->memory, range, first_frame(image))
				    : ERR_INVALID;

	if (!err && size > bytes)
		err = addrspace_add_slot(vm->memory, gfns_of(start + bytes, start + size),
					 SLOT_RAM);
	return err;
}

static bool is_addressable(const struct vm *vm, u64 end, unsigned bits)
{
	if (end <= BIT(bits))
		return true;
	log_error("%s: pmem=%s: its range ends at %lu MiB, above the %u address bits of this CPU",
		  vm->config.name, vm->config.pmem, end >> 20, bits);
	return false;
}

int virtio_add_pmem(struct vm *vm, const void *image, u64 bytes, unsigned address_bits)
{
	const u64 start = ALIGN_UP(MAX(ram_end(vm->config.memory), 4ull << 30), PMEM_ALIGN);
	const u64 whole = ALIGN_DOWN(bytes, PAGE_SIZE), size = ALIGN_UP(whole, PMEM_STEP);
	struct virtio_pmem *pmem;
	int err;

	if (!is_addressable(vm, start + size, address_bits))
		return ERR_UNSUPPORTED;
	err = add_range(vm, image, start, whole, size);
	if (err)
		return err;
	pmem = hv_alloc(sizeof(*pmem));
	if (!pmem)
		return ERR_NO_MEMORY;
	pmem_init(pmem, start, size, &pmem_ops);
	err = virtio_attach(vm, &pmem->device);
	if (err)
		hv_free(pmem, sizeof(*pmem));
	return err;
}
