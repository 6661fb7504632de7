/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h: a split virtqueue, the device's side (OASIS virtio 1.2, 2.7).
 *
 *     descriptor table     driver area (available)        device area (used)
 *     addr len flags next  flags idx ring[] used_event    flags idx ring{id len}[] avail_event
 *
 *     driver: descriptors, ring[idx], idx++, notify      virtq_pop: idx, ring, descriptors -> chain
 *     interrupt <-- virtq_needs_interrupt <-- virtq_push: ring{head, len}, idx++
 *
 * Pure code over struct virtio_memory. The driver is not trusted and may change the ring at any
 * moment.
 *
 * Invariants:
 * VIRTQ-1  each field is read once for a pop; what is checked is what is used.
 * VIRTQ-2  a pop takes at most size + 1 descriptors: a loop is malformed, not endless.
 * VIRTQ-3  a chain's segments neither wrap nor have a readable one behind a writable one.
 * VIRTQ-4  after an error that may pass (memory.h) the queue is as before the call.
 * VIRTQ-5  descriptors cost a device's budget, whatever the bytes behind them.
 *
 * The caller's lock guards a queue.
 */
#ifndef SAMEPAGE_HV_VIRTIO_RING_H
#define SAMEPAGE_HV_VIRTIO_RING_H

#include "hv/virtio/memory.h"

#define VIRTQ_SIZE_MAX 128u
#define VIRTQ_UNIT     16u /* descriptors that cost as much as the copy of a page */

struct virtq_segment {
	u64 gpa;
	u32 len;
};

/* The request of one available entry: segments the device reads, then those it writes. */
struct virtq_chain {
	u16 head, readable, count;
	struct virtq_segment segment[VIRTQ_SIZE_MAX];
};

/* A place in the readable or writable bytes of a chain. */
struct virtq_stream {
	u16 segment, end;
	u32 offset;
};

/*
 * size, vector, desc, driver, device: as the driver has set them.
 * next_avail, next_used: indexes of the next entries; signalled_used: next_used of the last time
 * that interrupts were considered. cost: units of the chains popped since virtq_charge().
 */
struct virtq {
	u64 desc, driver, device;
	u16 size, vector;
	bool enabled, event_index, indirect;
	u16 next_avail, next_used, signalled_used, cost;
};

/* Alignment, wrap and size of a queue that the driver enables; false: it must not be used. */
bool virtq_is_valid(const struct virtq *queue) __must_check;

/*
 * The next chain: 1; 0 when the ring is empty, and then the driver notifies for the next entry;
 * ERR_FORMAT when the ring is malformed; an error of the memory.
 */
int virtq_pop(struct virtq *queue, const struct virtio_memory *memory,
	      struct virtq_chain *chain) __must_check;

/*
 * VIRTQ-5: takes the cost of long chains from a device's budget. One unit is left of what is there,
 * for the chain itself.
 */
static inline void virtq_charge(struct virtq *queue, unsigned *budget)
{
	*budget -= MIN(*budget ? *budget - 1 : 0, (unsigned)queue->cost);
	queue->cost = 0;
}

/* Gives a chain back, with `len` bytes written into it. */
int virtq_push(struct virtq *queue, const struct virtio_memory *memory, u16 head,
	       u32 len) __must_check;

/*
 * The same in two steps, for chains that must appear together: entry `ahead` behind the last one,
 * then `count` of them.
 */
int virtq_fill(const struct virtq *queue, const struct virtio_memory *memory, u16 ahead, u16 head,
	       u32 len) __must_check;
int virtq_publish(struct virtq *queue, const struct virtio_memory *memory, u16 count) __must_check;

/* *needed: the driver expects an interrupt for what was pushed since the last call. */
int virtq_needs_interrupt(struct virtq *queue, const struct virtio_memory *memory,
			  bool *needed) __must_check;

/* The readable or the writable bytes of a chain from the first on, and how many those are. */
struct virtq_stream virtq_readable(const struct virtq_chain *chain);
struct virtq_stream virtq_writable(const struct virtq_chain *chain);
u64 virtq_bytes(const struct virtq_chain *chain, struct virtq_stream stream);

/* The next piece of a stream in one page, at most `max` bytes of it; 0 bytes: the end. */
size_t virtq_piece(const struct virtq_chain *chain, const struct virtq_stream *stream, size_t max,
		   u64 *gpa);
void virtq_advance(const struct virtq_chain *chain, struct virtq_stream *stream, size_t bytes);

/*
 * Copies `len` bytes at the stream's place, which moves behind them unless there is an error.
 * ERR_FORMAT: the stream is shorter.
 */
int virtq_get(const struct virtq_chain *chain, const struct virtio_memory *memory,
	      struct virtq_stream *stream, void *to, size_t len) __must_check;
int virtq_put(const struct virtq_chain *chain, const struct virtio_memory *memory,
	      struct virtq_stream *stream, const void *from, size_t len) __must_check;

#endif
