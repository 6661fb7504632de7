/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h: virtio devices for a VM with a board. docs/virtio.md has the picture.
 */
#ifndef SAMEPAGE_HV_VIRTIO_H
#define SAMEPAGE_HV_VIRTIO_H

#include <lib/types.h>

struct vm;

/*
 * A disk with the content of an image, which stays where it is for the VM's life and is only read:
 * what the VM writes is its own. Before the VM runs. ERR_NO_MEMORY; ERR_RANGE: no sector, or no
 * free slot on the bus. The VM's end frees it.
 */
int virtio_add_disk(struct vm *vm, const char *name, const void *image, u64 bytes) __must_check;

/*
 * At boot: an image's whole pages get frame records, for persistent memory and for
 * disk_hints=known. ERR_INVALID: it does not begin at a page; errors of image_adopt().
 */
int virtio_adopt_image(const void *image, u64 bytes) __must_check;

/*
 * Persistent memory with the content of an adopted image, rounded down to whole pages, behind the
 * VM's memory. ERR_INVALID: not adopted; ERR_UNSUPPORTED: it ends above addresses of
 * address_bits, which is logged; and as above.
 */
int virtio_add_pmem(struct vm *vm, const void *image, u64 bytes,
		    unsigned address_bits) __must_check;

/* The devices that the VM's line names without an image. As above. */
int virtio_add_devices(struct vm *vm) __must_check;

/* A job (jobs.h): packets that wait for a full port longer than they may. */
bool virtio_poll(bool idle);
u64 virtio_alarm(void);

/*
 * A VM with a balloon, which is held: how many pages its guest is to give up, how many it has given
 * up, and its statistics (virtio 1.2, 5.5.6.3), of which `seen` has a bit for each that there is.
 * ERR_NOT_FOUND: no balloon; ERR_RANGE: more than its memory. Takes LOCK_PCI.
 */
#define VIRTIO_BALLOON_STATS 10
struct virtio_balloon_look {
	u64 target, actual, inflated, reported;
	u32 seen;
	u64 stat[VIRTIO_BALLOON_STATS];
};
int virtio_balloon_set(struct vm *vm, u64 pages) __must_check;
int virtio_balloon_look(struct vm *vm, struct virtio_balloon_look *out) __must_check;

#endif
