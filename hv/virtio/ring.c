/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c: split virtqueues. ring.h has the picture and the invariants.
 *
 *     driver                              device
 *     ------                              ------
 *     avail.ring[i] = head                load avail.idx
 *     write barrier                       read barrier
 *     avail.idx = i + 1                   load avail.ring[i], descriptors
 *
 *     avail.idx = i + 1                   avail_event = next_avail
 *     full barrier                        full barrier
 *     load avail_event: notify?           load avail.idx again: empty?
 *
 * The second pair is Dekker's: one of the two sees the other's store, so no entry stays unseen. The
 * same holds for used.idx and used_event with the roles changed.
 */
#include "hv/virtio/ring.h"
#include <ck_pr.h>
#include <lib/string.h>

enum descriptor_flags { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };

struct descriptor {
	u64 addr;
	u32 len;
	u16 flags, next;
};
_Static_assert(sizeof(struct descriptor) == 16, "virtio 1.2, 2.7.5");

struct used_element {
	u32 id, len;
};

/* Places of the fields (2.7.6, 2.7.8); `flags` is first in both areas. */
#define AREA_INDEX 2
#define AREA_RING  4

static u64 avail_entry(const struct virtq *queue, u16 index)
{
	return queue->driver + AREA_RING + 2ull * (index % queue->size);
}

static u64 used_event(const struct virtq *queue)
{
	return queue->driver + AREA_RING + 2ull * queue->size;
}

static u64 used_entry(const struct virtq *queue, u16 index)
{
	return queue->device + AREA_RING + sizeof(struct used_element) * (index % queue->size);
}

static u64 avail_event(const struct virtq *queue)
{
	return queue->device + AREA_RING + sizeof(struct used_element) * queue->size;
}

static bool area_is_valid(u64 at, u64 size, u64 alignment)
{
	return IS_ALIGNED(at, alignment) && at + size > at;
}

bool virtq_is_valid(const struct virtq *queue)
{
	u64 size = queue->size;

	return size && size <= VIRTQ_SIZE_MAX && !(size & (size - 1)) &&
	       area_is_valid(queue->desc, 16 * size, 16) &&
	       area_is_valid(queue->driver, 6 + 2 * size, 2) &&
	       area_is_valid(queue->device, 6 + 8 * size, 4);
}

/* VIRTQ-3. */
static int add_segment(struct virtq_chain *chain, const struct descriptor *desc)
{
	bool writable = desc->flags & DESC_WRITE;

	if (chain->count == VIRTQ_SIZE_MAX || desc->addr + desc->len < desc->addr)
		return ERR_FORMAT;
	if (!writable && chain->readable != chain->count)
		return ERR_FORMAT;
	chain->segment[chain->count++] = (struct virtq_segment){desc->addr, desc->len};
	chain->readable += !writable;
	return 0;
}

/* The table that descriptors are read from: the queue's, then an indirect one. */
struct table {
	u64 at;
	u32 entries;
	bool indirect;
};

static int enter_indirect(const struct virtq *queue, struct table *table,
			  const struct descriptor *desc)
{
	u32 entries = desc->len / sizeof(*desc);

	if (!queue->indirect || table->indirect || desc->flags & DESC_NEXT ||
	    desc->len % sizeof(*desc) || !entries || desc->addr + desc->len < desc->addr)
		return ERR_FORMAT;
	*table = (struct table){desc->addr, entries, true};
	return 0;
}

/* VIRTQ-1, VIRTQ-2. */
static int read_chain(const struct virtq *queue, const struct virtio_memory *memory,
		      struct virtq_chain *chain)
{
	struct table table = {queue->desc, queue->size, false};
	u32 index = chain->head;

	for (unsigned steps = 0; steps <= queue->size; steps++) {
		struct descriptor desc;
		int err;

		if (index >= table.entries)
			return ERR_FORMAT;
		err = virtio_read(memory, table.at + sizeof(desc) * index, &desc, sizeof(desc));
		if (err)
			return err;
		err = desc.flags & DESC_INDIRECT ? enter_indirect(queue, &table, &desc)
						 : add_segment(chain, &desc);
		if (err)
			return err;
		if (!(desc.flags & (DESC_NEXT | DESC_INDIRECT)))
			return 1;
		index = desc.flags & DESC_INDIRECT ? 0 : desc.next;
	}
	return ERR_FORMAT;
}

/* How many entries are available; more than the ring has are malformed. */
static int count_available(const struct virtq *queue, const struct virtio_memory *memory,
			   u16 *count)
{
	int err = virtio_load16(memory, queue->driver + AREA_INDEX, count);

	if (err)
		return err;
	*count = (u16)(*count - queue->next_avail);
	return *count > queue->size ? ERR_FORMAT : 0;
}

/* Without the event index the driver notifies for each entry: flags in the device area stay 0. */
static int arm(struct virtq *queue, const struct virtio_memory *memory, u16 *count)
{
	int err;

	if (!queue->event_index)
		return 0;
	err = virtio_store16(memory, avail_event(queue), queue->next_avail);
	if (err)
		return err;
	ck_pr_fence_memory();
	return count_available(queue, memory, count);
}

int virtq_pop(struct virtq *queue, const struct virtio_memory *memory, struct virtq_chain *chain)
{
	u16 count;
	int err = count_available(queue, memory, &count);

	if (!err && !count)
		err = arm(queue, memory, &count);
	if (err || !count)
		return err;
	ck_pr_fence_load();
	*chain = (struct virtq_chain){0};
	err = virtio_load16(memory, avail_entry(queue, queue->next_avail), &chain->head);
	if (err)
		return err;
	err = read_chain(queue, memory, chain);
	if (err > 0) {
		queue->next_avail++;
		queue->cost = (u16)(queue->cost + chain->count / VIRTQ_UNIT);
	}
	return err;
}

int virtq_fill(const struct virtq *queue, const struct virtio_memory *memory, u16 ahead, u16 head,
	       u32 len)
{
	const struct used_element element = {head, len};

	return virtio_write(memory, used_entry(queue, (u16)(queue->next_used + ahead)), &element,
			    sizeof(element));
}

int virtq_publish(struct virtq *queue, const struct virtio_memory *memory, u16 count)
{
	int err;

	ck_pr_fence_store();
	err = virtio_store16(memory, queue->device + AREA_INDEX, (u16)(queue->next_used + count));
	if (!err)
		queue->next_used = (u16)(queue->next_used + count);
	return err;
}

int virtq_push(struct virtq *queue, const struct virtio_memory *memory, u16 head, u32 len)
{
	int err = virtq_fill(queue, memory, 0, head, len);

	return err ? err : virtq_publish(queue, memory, 1);
}

int virtq_needs_interrupt(struct virtq *queue, const struct virtio_memory *memory, bool *needed)
{
	u16 old = queue->signalled_used, word;
	int err;

	*needed = false;
	if (old == queue->next_used)
		return 0;
	ck_pr_fence_memory();
	err = virtio_load16(memory, queue->event_index ? used_event(queue) : queue->driver, &word);
	if (err)
		return err;
	queue->signalled_used = queue->next_used;
	if (queue->event_index)
		*needed = (u16)(queue->next_used - word - 1) < (u16)(queue->next_used - old);
	else
		*needed = !(word & AVAIL_NO_INTERRUPT);
	return 0;
}

struct virtq_stream virtq_readable(const struct virtq_chain *chain)
{
	return (struct virtq_stream){.segment = 0, .end = chain->readable};
}

struct virtq_stream virtq_writable(const struct virtq_chain *chain)
{
	return (struct virtq_stream){.segment = chain->readable, .end = chain->count};
}

u64 virtq_bytes(const struct virtq_chain *chain, struct virtq_stream stream)
{
	u64 bytes = 0;

	for (unsigned i = stream.segment; i < stream.end; i++)
		bytes += chain->segment[i].len;
	return bytes - stream.offset;
}

size_t virtq_piece(const struct virtq_chain *chain, const struct virtq_stream *stream, size_t max,
		   u64 *gpa)
{
	const struct virtq_segment *segment;
	unsigned at = stream->segment;
	u32 offset = stream->offset;

	for (; at < stream->end && chain->segment[at].len == offset; at++)
		offset = 0;
	if (at >= stream->end)
		return 0;
	segment = &chain->segment[at];
	*gpa = segment->gpa + offset;
	return virtio_piece(*gpa, MIN(max, (size_t)segment->len - offset));
}

void virtq_advance(const struct virtq_chain *chain, struct virtq_stream *stream, size_t bytes)
{
	while (stream->segment < stream->end &&
	       bytes >= chain->segment[stream->segment].len - stream->offset) {
		bytes -= chain->segment[stream->segment].len - stream->offset;
		stream->segment++;
		stream->offset = 0;
	}
	stream->offset += (u32)bytes;
}

int virtq_get(const struct virtq_chain *chain, const struct virtio_memory *memory,
	      struct virtq_stream *stream, void *to, size_t len)
{
	struct virtq_stream at = *stream;
	char *out = to;
	u64 gpa;

	for (size_t bytes; len; len -= bytes, out += bytes) {
		int err;

		bytes = virtq_piece(chain, &at, len, &gpa);
		if (!bytes)
			return ERR_FORMAT;
		err = virtio_read(memory, gpa, out, bytes);
		if (err)
			return err;
		virtq_advance(chain, &at, bytes);
	}
	*stream = at;
	return 0;
}

int virtq_put(const struct virtq_chain *chain, const struct virtio_memory *memory,
	      struct virtq_stream *stream, const void *from, size_t len)
{
	struct virtq_stream at = *stream;
	const char *in = from;
	u64 gpa;

	for (size_t bytes; len; len -= bytes, in += bytes) {
		int err;

		bytes = virtq_piece(chain, &at, len, &gpa);
		if (!bytes)
			return ERR_FORMAT;
		err = virtio_write(memory, gpa, in, bytes);
		if (err)
			return err;
		virtq_advance(chain, &at, bytes);
	}
	*stream = at;
	return 0;
}
