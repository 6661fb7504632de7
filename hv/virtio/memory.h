/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h: guest memory as a device sees it: one page at a time, through an accessor.
 *
 * Why an accessor: rings and devices are the same source on the machine, over the VM's guest cache
 * (dma.c), and in a fuzzer, over an array.
 *
 * map gives a pointer to [gpa, gpa + len), which lies in one page; unmap must follow before the
 * next map and before any call into mm. ERR_NO_MEMORY and ERR_BUSY may pass: nothing has happened,
 * and the caller tries again later. Other errors are the guest's: no RAM there, or ROM.
 */
#ifndef SAMEPAGE_HV_VIRTIO_MEMORY_H
#define SAMEPAGE_HV_VIRTIO_MEMORY_H

#include <arch/addr.h>
#include <lib/error.h>
#include <lib/types.h>

struct virtio_memory {
	int (*map)(void *context, struct gpa gpa, size_t len, bool write, void **out);
	void (*unmap)(void *context, struct gpa gpa);
	void *context;
};

static inline bool virtio_may_pass(int err)
{
	return err == ERR_NO_MEMORY || err == ERR_BUSY;
}

/* The bytes of [gpa, gpa + len) in its first page. */
static inline size_t virtio_piece(u64 gpa, size_t len)
{
	return MIN(len, (size_t)(PAGE_SIZE - page_offset(gpa)));
}

/* Copies; after an error a part may have been. */
int virtio_read(const struct virtio_memory *memory, u64 gpa, void *to, size_t len) __must_check;
int virtio_write(const struct virtio_memory *memory, u64 gpa, const void *from,
		 size_t len) __must_check;

/* One aligned load or store of a ring's 16-bit field. */
int virtio_load16(const struct virtio_memory *memory, u64 gpa, u16 *out) __must_check;
int virtio_store16(const struct virtio_memory *memory, u64 gpa, u16 value) __must_check;

#endif
