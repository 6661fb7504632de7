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

/* The devices that the VM's line names, but its disks. As above. */
int virtio_add_devices(struct vm *vm) __must_check;

/* A job (jobs.h): packets that wait for a full port longer than they may. */
bool virtio_poll(bool idle);
u64 virtio_alarm(void);

#endif
