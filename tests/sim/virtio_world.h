/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_world.h: a guest's driver of a virtio device, over an array as guest memory.
 *
 * The driver's side of a split queue is written from the specification alone; it shares no code
 * with hv/virtio/ring.c. Registers are reached as the bus reaches them.
 */
#ifndef SAMEPAGE_TESTS_SIM_VIRTIO_WORLD_H
#define SAMEPAGE_TESTS_SIM_VIRTIO_WORLD_H

#include "hv/virtio/device.h"

#define DRIVER_RAM	   (1ull << 20)
#define DRIVER_QUEUE	   16u
#define DRIVER_BASE	   0x1000ull /* of queue 0's areas; those of queue n follow */
#define DRIVER_QUEUE_BYTES 0x3000ull

enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4 };

/* Guest memory; one map in driver_fail_every fails with ERR_NO_MEMORY, by chance; 0: none. */
extern u8 driver_ram[];
extern unsigned driver_fail_every, driver_maps, driver_mapped;
extern const struct virtio_memory driver_memory;

/* Messages sent, and the last one's data; changes of the wire. */
extern unsigned driver_messages, driver_wires;
extern u32 driver_data;

struct driver {
	struct virtio_device *device;
	unsigned number; /* of the queue */
	u64 base, desc, avail, used;
	u16 next_desc, avail_idx, seen_used;
	unsigned size;
};

/* Power-on: bus mastering and BARs on. */
void driver_attach(struct driver *driver, struct virtio_device *device);

u32 driver_read(struct driver *driver, u32 offset, unsigned size);
void driver_write(struct driver *driver, u32 offset, unsigned size, u32 value);
u32 driver_config_read(struct driver *driver, unsigned reg, unsigned size);
void driver_config_write(struct driver *driver, unsigned reg, unsigned size, u32 value);

/* Negotiates `features`, places queue 0 with `size` entries, DRIVER_OK. msix: vector 1 for it. */
void driver_start(struct driver *driver, u64 features, unsigned size, bool msix);

/* Another queue of a device that was started, with vector `number` + 1. */
void driver_add_queue(const struct driver *first, unsigned number, struct driver *out);

/* Fields of the rings. */
void driver_put(u64 at, unsigned size, u64 value);
u64 driver_get(u64 at, unsigned size);
void driver_desc(u64 table, unsigned index, u64 addr, u32 len, u16 flags, u16 next);

/* One entry more in the available ring, with this head. */
void driver_offer(struct driver *driver, u16 head);

/*
 * Offers a chain of all descriptors, none of which has a byte, `chains` times and notifies; how
 * many pieces of work that were.
 */
unsigned driver_crowd(struct driver *driver, u16 flags, unsigned chains);
#define DRIVER_CROWD_PIECES(chains) ((chains)*VIRTQ_SIZE_MAX / (VIRTIO_BUDGET * VIRTQ_UNIT))

/* Notifies the queue, and does the device's work until none is left; how many pieces that were. */
unsigned driver_kick(struct driver *driver);
unsigned driver_work(struct driver *driver);

/* The used entries that are new. */
unsigned driver_used(struct driver *driver);

#endif
