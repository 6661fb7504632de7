/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h: the content of a VM's disk: an image that is never written, and the blocks that this VM
 * has written over it.
 *
 *     top[block / 512] --> table of 512 words:  0       the image's block
 *          NULL: all 0                          1       zeroes
 *                                               a | 2   a frame of this disk at a
 *
 * Several disks share an image. A block is a page; its frame is FRAME_HYPERVISOR, counted in
 * `frames`, and freed when the block is zeroed or the disk ends.
 *
 * Invariants:
 * DISK-1  the image is only read.
 * DISK-2  a new frame has the block's content before any of it is reachable: no reader sees what
 *         the frame held before.
 *
 * The caller's lock guards a disk.
 */
#ifndef SAMEPAGE_HV_VIRTIO_DISK_H
#define SAMEPAGE_HV_VIRTIO_DISK_H

#include <arch/addr.h>
#include <lib/types.h>

#define DISK_SECTOR	   512u
#define DISK_BLOCK	   PAGE_SIZE
#define DISK_BLOCK_SECTORS (DISK_BLOCK / DISK_SECTOR)

struct disk {
	const u8 *image; /* [I] */
	u64 bytes;	 /* [I] whole sectors */
	u64 **top;	 /* [I] the pointer */
	u64 frames;	 /* of written blocks */
	u64 tables;	 /* frames of tables */
};

/* Of `bytes` bytes, cut to sectors. ERR_NO_MEMORY; ERR_RANGE: no sector, or over DISK_BYTES_MAX. */
#define DISK_BYTES_MAX (1ull << 40)
int disk_init(struct disk *disk, const void *image, u64 bytes) __must_check;
void disk_fini(struct disk *disk);

/* Is the block still the image's? The last one may be a part of one. */
bool disk_is_image(const struct disk *disk, u64 block);

/* The content of the block; NULL: zeroes. Valid up to the disk's end, until the block changes. */
const u8 *disk_block(const struct disk *disk, u64 block);

/*
 * The block's frame for writing. `fresh`: the block has none yet; then the frame has the old
 * content, and disk_block() does not show it before disk_keep(). ERR_NO_MEMORY: nothing changed.
 */
struct disk_page {
	u8 *bytes;
	bool fresh;
};
int disk_own(struct disk *disk, u64 block, struct disk_page *out) __must_check;
void disk_keep(struct disk *disk, u64 block, const struct disk_page *page);
/* Gives a fresh frame back instead. */
void disk_drop(struct disk *disk, const struct disk_page *page);

/* The block reads zero; its frame is free. ERR_NO_MEMORY: nothing changed. */
int disk_zero(struct disk *disk, u64 block) __must_check;

#endif
