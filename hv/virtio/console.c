/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c: the console device. console.h has the queues.
 */
#include "hv/virtio/console.h"
#include <lib/string.h>

#define CONSOLE_F_EMERG_WRITE BIT(2)
#define FIELD_EMERG	      8
#define FIELD_SIZE	      12

static struct virtio_console *console_of(struct virtio_device *device)
{
	return container_of(device, struct virtio_console, device);
}

bool virtio_console_is_open(const struct virtio_console *console)
{
	return console->device.status & VIRTIO_DRIVER_OK &&
	       console->device.queue[CONSOLE_RECEIVE].enabled;
}

bool virtio_console_has_room(const struct virtio_console *console)
{
	return console->count < CONSOLE_TYPED;
}

void virtio_console_type(struct virtio_console *console, u8 byte)
{
	if (!virtio_console_has_room(console))
		return;
	console->typed[(console->first + console->count++) % CONSOLE_TYPED] = byte;
}

static void console_take(struct virtio_console *console, unsigned bytes)
{
	console->first = (console->first + bytes) % CONSOLE_TYPED;
	console->count -= bytes;
}

/* The next buffer of the driver gets typed bytes up to the end of the ring: 1; no buffer: 0. */
static int console_receive(struct virtio_console *console)
{
	struct virtq *queue = &console->device.queue[CONSOLE_RECEIVE];
	const struct virtio_memory *memory = &console->device.memory;
	u64 bytes = MIN(console->count, CONSOLE_TYPED - console->first);
	u16 before = queue->next_avail;
	struct virtq_stream in;
	int err = virtq_pop(queue, memory, &console->buffer);

	if (err <= 0)
		return err;
	in = virtq_writable(&console->buffer);
	bytes = MIN(bytes, virtq_bytes(&console->buffer, in));
	err = virtq_put(&console->buffer, memory, &in, &console->typed[console->first], bytes);
	if (err && !virtio_may_pass(err))
		bytes = 0;
	if (!virtio_may_pass(err))
		err = virtq_push(queue, memory, console->buffer.head, (u32)bytes);
	if (virtio_may_pass(err))
		queue->next_avail = before;
	if (!err)
		console_take(console, (unsigned)bytes);
	return err ? err : 1;
}

static int console_end_chain(struct virtio_console *console)
{
	int err = virtq_push(&console->device.queue[CONSOLE_TRANSMIT], &console->device.memory,
			     console->chain.head, 0);

	if (!err)
		console->active = false;
	return err;
}

/* A piece of the chain under way; a place that is no RAM ends the chain. */
static int console_transmit_piece(struct virtio_console *console)
{
	u64 left = virtq_bytes(&console->chain, console->out);
	u64 bytes = MIN(left, (u64)CONSOLE_PIECE);
	char text[CONSOLE_PIECE];
	int err = virtq_get(&console->chain, &console->device.memory, &console->out, text, bytes);

	if (virtio_may_pass(err))
		return err;
	if (!err && bytes) { /* a chain may have no bytes */
		console->send(console->context, text, bytes);
		console->sent += bytes;
	}
	return err || left == bytes ? console_end_chain(console) : 0;
}

static int console_transmit(struct virtio_console *console)
{
	int err = 0;

	if (!console->active) {
		err = virtq_pop(&console->device.queue[CONSOLE_TRANSMIT], &console->device.memory,
				&console->chain);
		if (err <= 0)
			return err;
		console->active = true;
		console->out = virtq_readable(&console->chain);
	}
	err = console_transmit_piece(console);
	return err ? err : 1;
}

int virtio_console_run(struct virtio_device *device, unsigned number, unsigned *budget)
{
	struct virtio_console *console = console_of(device);

	while (*budget) {
		int err;

		*budget -= MIN(*budget, CONSOLE_COST);
		if (number == CONSOLE_RECEIVE && !console->count)
			return 0;
		err = number == CONSOLE_RECEIVE ? console_receive(console)
						: console_transmit(console);
		virtq_charge(&device->queue[number], budget);
		if (err <= 0)
			return err;
	}
	return 1;
}

void virtio_console_config_written(struct virtio_device *device, u32 offset)
{
	struct virtio_console *console = console_of(device);

	if (offset == FIELD_EMERG && virtio_accepted(device, CONSOLE_F_EMERG_WRITE))
		console->send(console->context, (const char *)&device->config[FIELD_EMERG], 1);
}

void virtio_console_reset(struct virtio_device *device)
{
	struct virtio_console *console = console_of(device);

	console->active = false;
	console->first = console->count = 0;
}

void virtio_console_init(struct virtio_console *console, const struct virtio_ops *ops)
{
	console->device.ops = ops;
	memset(&console->device.config_writable[FIELD_EMERG], 0xff, 4);
	virtio_init(&console->device, CONSOLE_QUEUES, CONSOLE_F_EMERG_WRITE, FIELD_SIZE);
}
