/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h: the driver's side of virtio over PCI (OASIS virtio 1.2, 4.1) for the test guests:
 * config space, registers, split queues. It polls; no interrupt is needed.
 */
#ifndef SAMEPAGE_GUEST_VIRTIO_H
#define SAMEPAGE_GUEST_VIRTIO_H

#include <guest.h>

enum { VIRTIO_NET = 1, VIRTIO_BLK, VIRTIO_CONSOLE, VIRTIO_RNG, VIRTIO_BALLOON, VIRTIO_PMEM = 27 };

/* Places in config space, BAR 0 and its common configuration. */
enum { PCI_ID = 0x00, PCI_COMMAND = 0x04, PCI_BAR0 = 0x10, PCI_BAR1 = 0x14, PCI_BAR4 = 0x20 };
enum { PCI_MEMORY = 2, PCI_MASTER = 4 };
enum { BAR_CONFIG = 0x2000, BAR_NOTIFY = 0x3000, BAR_SIZE = 0x4000 };
enum {
	FEATURE_SELECT = 0,
	FEATURE = 4,
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	QUEUES = 18,
	STATUS = 20,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_ENABLE = 28,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
};
enum { STATUS_FEATURES = 8 | 2 | 1, STATUS_RUNS = 15, STATUS_NEEDS_RESET = 64 };
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

#define VIRTIO_QUEUE_SIZE 128u

struct virtio_desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

struct virtio_ring {
	u16 flags, index;
	u16 entry[VIRTIO_QUEUE_SIZE], event;
};

struct virtio_used {
	u16 flags, index;
	struct {
		u32 id, len;
	} entry[VIRTIO_QUEUE_SIZE];
	u16 event;
};

/* The three areas of a queue of VIRTIO_QUEUE_SIZE entries, a page each. */
struct virtio_queue {
	struct virtio_desc desc[VIRTIO_QUEUE_SIZE] __attribute__((aligned(4096)));
	struct virtio_ring avail __attribute__((aligned(4096)));
	struct virtio_used used __attribute__((aligned(4096)));
};

struct virtio_device {
	unsigned slot, type, queues;
	u64 bar[2];
	u64 offered;
};

/* Config space, by `size` bytes at `reg`. */
u32 pci_read(unsigned slot, unsigned reg, unsigned size);
void pci_write(unsigned slot, unsigned reg, unsigned size, u32 value);

/* Register of BAR 0. */
u32 virtio_read(const struct virtio_device *device, u32 offset, unsigned size);
void virtio_write(const struct virtio_device *device, u32 offset, unsigned size, u64 value);

/* The device in a slot, with its BARs on; false: none of virtio. */
bool virtio_probe(unsigned slot, struct virtio_device *out);
/* The first one of a type. */
bool virtio_find(unsigned type, struct virtio_device *out);

/* Reset and negotiation of features, VERSION_1 among them; false: refused. */
bool virtio_negotiate(const struct virtio_device *device, u64 features);
void virtio_place_queue(const struct virtio_device *device, unsigned number, u64 desc, u64 driver,
			u64 device_area, unsigned size);
void virtio_add_queue(const struct virtio_device *device, unsigned number, struct virtio_queue *q);
void virtio_run(const struct virtio_device *device);
void virtio_notify(const struct virtio_device *device, unsigned number);

/* One more available entry; the driver notifies later. */
void virtio_offer(struct virtio_queue *q, u16 head);
/* Until `index` is the device's; false: not within the turns of a driver's patience. */
bool virtio_await(const struct virtio_queue *q, u16 index);

#endif
