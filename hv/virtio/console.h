/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h: the console device (OASIS virtio 1.2, 5.3), one port: hvc0 in Linux.
 *
 *     queue 0  typed bytes, from a ring of CONSOLE_TYPED to the driver's buffers
 *     queue 1  output, CONSOLE_PIECE bytes at a time, to `send`
 *     emerg_wr one byte of output by a register, for a driver without queues
 *
 * Invariants:
 * CONSOLE-DEV-1  typed bytes reach the driver in order, each once; what finds no room is refused
 *                (virtio_console_has_room) and not lost.
 *
 * Locking: pci.lock.
 */
#ifndef SAMEPAGE_HV_VIRTIO_CONSOLE_H
#define SAMEPAGE_HV_VIRTIO_CONSOLE_H

#include "hv/virtio/device.h"

#define CONSOLE_TYPED 64u
#define CONSOLE_PIECE 16u /* a real UART takes over a millisecond for it */
#define CONSOLE_COST  4u  /* units for a piece */

enum console_queue { CONSOLE_RECEIVE, CONSOLE_TRANSMIT, CONSOLE_QUEUES };

struct virtio_console {
	struct virtio_device device;
	void (*send)(void *context, const char *text, size_t len); /* [I] */
	void *context;						   /* [I] */
	u8 typed[CONSOLE_TYPED];
	unsigned first, count; /* of `typed` */
	bool active;	       /* `chain` is under way, up to `out` */
	struct virtq_stream out;
	struct virtq_chain chain;
	struct virtq_chain buffer; /* of the receive queue */
	u64 sent;
};

/* Everything but the memory and the bus; send and context are set. `ops` destroys. */
void virtio_console_init(struct virtio_console *console, const struct virtio_ops *ops);

/* Lock held. A driver uses the device; a typed byte finds room; takes one. */
bool virtio_console_is_open(const struct virtio_console *console);
bool virtio_console_has_room(const struct virtio_console *console);
void virtio_console_type(struct virtio_console *console, u8 byte);

/* virtio_ops. */
int virtio_console_run(struct virtio_device *device, unsigned queue, unsigned *budget);
void virtio_console_config_written(struct virtio_device *device, u32 offset);
void virtio_console_reset(struct virtio_device *device);

#endif
