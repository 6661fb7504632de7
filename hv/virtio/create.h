/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.h: devices of a VM on the machine.
 */
#ifndef SAMEPAGE_HV_VIRTIO_CREATE_H
#define SAMEPAGE_HV_VIRTIO_CREATE_H

#include "hv/virtio/blk.h"
#include "hv/virtio/device.h"

struct vm;

/* Guest memory and a slot for a device that is initialized. ERR_NO_MEMORY, ERR_RANGE: nothing. */
int virtio_attach(struct vm *vm, struct virtio_device *device) __must_check;

/* One device each, by the VM's configuration; ERR_NO_MEMORY, ERR_RANGE. The VM's end frees it. */
int virtio_add_console(struct vm *vm) __must_check;
int virtio_add_net(struct vm *vm) __must_check;
int virtio_add_balloon(struct vm *vm) __must_check;

/* What a disk of this image passes on to mm, by the VM's configuration. */
struct blk_hints virtio_disk_hints(const struct vm *vm, const void *image);

#endif
