/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h: a virtio device over PCI (OASIS virtio 1.2, 4.1), the part that all devices share:
 * registers, negotiation, queues, interrupts.
 *
 *     BAR 0    0000 common configuration   1000 ISR   2000 the device's   3000 notifications
 *     BAR 1    MSI-X
 *
 * A device is a struct virtio_ops and bytes of configuration. It does its work in `run`, a piece at
 * a time; what is unfinished stays in its own state and goes on at the next call.
 *
 * Invariants:
 * VIRTIO-1  FEATURES_OK is set only for features that were offered, VERSION_1 among them.
 * VIRTIO-2  a queue is run only between DRIVER_OK and reset, enabled, with bus mastering on, and
 *           not after a malformed ring: then the device needs a reset, and says so.
 * VIRTIO-3  addresses and size of a queue do not change while it is enabled.
 *
 * Locking: pci.lock guards all of it.
 */
#ifndef SAMEPAGE_HV_VIRTIO_DEVICE_H
#define SAMEPAGE_HV_VIRTIO_DEVICE_H

#include <hv/pci.h>
#include "hv/virtio/memory.h"
#include "hv/virtio/ring.h"

#define VIRTIO_QUEUES_MAX 5
#define VIRTIO_CONFIG_MAX 64
#define VIRTIO_NO_VECTOR  0xffffu

enum virtio_type {
	VIRTIO_NET = 1,
	VIRTIO_BLK = 2,
	VIRTIO_CONSOLE = 3,
	VIRTIO_RNG = 4,
	VIRTIO_BALLOON = 5,
	VIRTIO_PMEM = 27,
};

enum virtio_bar_offset {
	VIRTIO_COMMON = 0x0000,
	VIRTIO_ISR = 0x1000,
	VIRTIO_CONFIG = 0x2000,
	VIRTIO_NOTIFY = 0x3000,
	VIRTIO_BAR_SIZE = 0x4000,
};
#define VIRTIO_NOTIFY_STEP 4 /* bytes from one queue's notification to the next's */

enum virtio_status {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX     BIT(29)
#define VIRTIO_F_VERSION_1     BIT(32)
#define VIRTIO_F_COMMON	       (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

/*
 * What one call of `run` may spend: a unit is about the copy of a page. BUDGET keeps a piece well
 * below a time slice, on an emulated CPU as well.
 */
#define VIRTIO_BUDGET 64

struct virtio_device;

/*
 * run: the work of a queue, at most *budget units, which it counts down. 0: the ring is empty; 1:
 * the budget is used up; ERR_NO_MEMORY, ERR_BUSY: goes on later; another error: the ring is
 * malformed.
 * config_written: the driver has written the device's configuration; may be NULL.
 * wake: no lock held; as pci_ops.wake, needed by a device that sets pci.others.
 * reset: the device drops what it has begun. destroy: frees it; the VM is gone.
 */
struct virtio_ops {
	enum virtio_type type;
	u32 class;
	int (*run)(struct virtio_device *device, unsigned queue, unsigned *budget);
	void (*config_written)(struct virtio_device *device, u32 offset);
	void (*wake)(struct virtio_device *device, u32 others);
	void (*reset)(struct virtio_device *device);
	void (*destroy)(struct virtio_device *device);
};

struct virtio_device {
	struct pci_function pci;
	const struct virtio_ops *ops; /* [I] */
	struct virtio_memory memory;  /* [I] */
	u64 offered;		      /* [I] features */
	unsigned queues;	      /* [I] */
	unsigned config_size;	      /* [I] */
	unsigned access;	      /* [I] place of the PCI configuration access capability */
	u8 config[VIRTIO_CONFIG_MAX]; /* the device's own */
	u8 config_writable[VIRTIO_CONFIG_MAX]; /* [I] bits that a driver may change */
	u64 accepted;			       /* features */
	u32 offered_select, accepted_select;
	u16 queue_select, config_vector;
	u8 status, isr, generation;
	u8 turn; /* the queue that is first in the next piece of work */
	struct virtq queue[VIRTIO_QUEUES_MAX];
	u64 malformed; /* times that it came to need a reset */
};

static inline struct virtio_device *virtio_of(struct pci_function *function)
{
	return container_of(function, struct virtio_device, pci);
}

static inline bool virtio_accepted(const struct virtio_device *device, u64 features)
{
	return (device->accepted & features) == features;
}

/*
 * Registers and capabilities of a device with `queues` queues, which offers `features` besides the
 * common ones. ops and memory are set. Before it is attached.
 */
void virtio_init(struct virtio_device *device, unsigned queues, u64 features, unsigned config_size);

/* Lock held. Fields of the device's configuration; changed: raises a configuration interrupt. */
void virtio_config_set(struct virtio_device *device, u32 offset, unsigned size, u64 value);
void virtio_config_changed(struct virtio_device *device);

#endif
