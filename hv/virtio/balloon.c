/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon.c: the queues of the balloon. balloon.h has them.
 */
#include "hv/virtio/balloon.h"
#include <ck_pr.h>
#include <lib/string.h>

#define FIELD_TARGET 0
#define FIELD_ACTUAL 4
#define FIELD_SIZE   8
#define PFNS	     32u /* numbers read at once */
#define PFN_COST     8u	 /* pages of a run for a unit of the budget */
#define FREE_COST    64u /* of a free range */

struct __packed balloon_stat {
	u16 tag;
	u64 value;
};
_Static_assert(sizeof(struct balloon_stat) == 10, "virtio 1.2, 5.5.6.3");

enum balloon_role { ROLE_INFLATE, ROLE_DEFLATE, ROLE_STATS, ROLE_REPORTING, ROLE_NONE };

static struct virtio_balloon *balloon_of(struct virtio_device *device)
{
	return container_of(device, struct virtio_balloon, device);
}

/* A queue of a feature that was not accepted is not there, and the next has its number (5.5.2). */
static enum balloon_role role_of(const struct virtio_device *device, unsigned queue)
{
	bool stats = virtio_accepted(device, BALLOON_F_STATS);
	unsigned reporting = stats ? ROLE_REPORTING : ROLE_STATS;

	if (queue < ROLE_STATS)
		return (enum balloon_role)queue;
	if (stats && queue == ROLE_STATS)
		return ROLE_STATS;
	if (virtio_accepted(device, BALLOON_F_REPORTING) && queue == reporting)
		return ROLE_REPORTING;
	return ROLE_NONE;
}

/* The length of the run that `pfns` begins with: up, or, as Linux has them, down; its range. */
static unsigned find_run(const u32 *pfns, unsigned count, struct gfn_range *out)
{
	unsigned up = 1, down = 1;

	while (up < count && pfns[up] == pfns[0] + up)
		up++;
	while (down < count && pfns[0] >= down && pfns[down] == pfns[0] - down)
		down++;
	if (down > up)
		*out = gfn_range((struct gfn){pfns[0] - (down - 1)}, down);
	else
		*out = gfn_range((struct gfn){pfns[0]}, up);
	return MAX(up, down);
}

/* BALLOON-1. What is no RAM is refused page by page. */
static int take_run(struct virtio_balloon *balloon, const u32 *pfns, unsigned *count)
{
	struct gfn_range range;
	int err;

	*count = find_run(pfns, *count, &range);
	err = balloon->take(balloon->context, range);
	if (err && !virtio_may_pass(err) && *count > 1) {
		*count = 1;
		err = balloon->take(balloon->context, gfn_range((struct gfn){pfns[0]}, 1));
	}
	if (virtio_may_pass(err))
		return err;
	if (err)
		balloon->counters.refused++;
	else
		balloon->counters.inflated += *count;
	return 0;
}

/* A run of the chain's pages; 1: some are left; 0: none. */
static int inflate_piece(struct virtio_balloon *balloon, struct balloon_queue *queue,
			 unsigned *budget)
{
	u64 left = virtq_bytes(&queue->chain, queue->at) / sizeof(u32);
	struct virtq_stream at = queue->at;
	unsigned count = (unsigned)MIN(left, (u64)PFNS);
	u32 pfns[PFNS];
	int err;

	if (!count)
		return 0;
	err = virtq_get(&queue->chain, &balloon->device.memory, &at, pfns, count * sizeof(u32));
	if (!err)
		err = take_run(balloon, pfns, &count);
	if (virtio_may_pass(err))
		return err;
	if (err)
		return 0; /* the numbers are in no RAM */
	*budget -= MIN(*budget, count / PFN_COST);
	virtq_advance(&queue->chain, &queue->at, count * sizeof(u32));
	return 1;
}

/* A part of a free range; partial pages stay. Rounded up as a number: the address could wrap. */
static int report_piece(struct virtio_balloon *balloon, struct balloon_queue *queue,
			unsigned *budget)
{
	const struct virtq_segment *segment = &queue->chain.segment[queue->at.segment];
	u64 at, start, end, pages;
	int err;

	if (queue->at.segment >= queue->at.end)
		return 0;
	at = segment->gpa + queue->at.offset;
	start = (at >> PAGE_SHIFT) + (page_offset(at) != 0);
	end = (segment->gpa + segment->len) >> PAGE_SHIFT;
	pages = start < end ? MIN(end - start, (u64)BALLOON_PIECE) : 0;
	err = pages ? balloon->take(balloon->context, gfn_range((struct gfn){start}, pages)) : 0;
	if (virtio_may_pass(err))
		return err;
	*(err ? &balloon->counters.refused : &balloon->counters.reported) += pages;
	*budget -= MIN(*budget, (unsigned)pages / FREE_COST);
	end = pages == BALLOON_PIECE ? ((start + pages) << PAGE_SHIFT) - segment->gpa
				     : segment->len;
	virtq_advance(&queue->chain, &queue->at, end - queue->at.offset);
	return 1;
}

/* The driver's statistics; an unknown kind is skipped. */
static int read_stats(struct virtio_balloon *balloon, struct balloon_queue *queue)
{
	struct balloon_stat stat[BALLOON_STATS];
	u64 count = virtq_bytes(&queue->chain, queue->at) / sizeof(*stat);
	int err;

	count = MIN(count, (u64)BALLOON_STATS);
	err = virtq_get(&queue->chain, &balloon->device.memory, &queue->at, stat,
			count * sizeof(*stat));
	for (u64 i = 0; !err && i < count; i++) {
		if (stat[i].tag >= BALLOON_STATS)
			continue;
		balloon->stat[stat[i].tag] = stat[i].value;
		balloon->stats_seen |= (u32)BIT(stat[i].tag);
	}
	return virtio_may_pass(err) ? err : 0;
}

static int give_back(struct virtio_balloon *balloon, unsigned number)
{
	struct balloon_queue *queue = &balloon->queue[number];
	int err = virtq_push(&balloon->device.queue[number], &balloon->device.memory,
			     queue->chain.head, 0);

	if (!err)
		queue->active = false;
	return err ? err : 1;
}

static int next_chain(struct virtio_balloon *balloon, unsigned number, bool writable)
{
	struct balloon_queue *queue = &balloon->queue[number];
	int err = virtq_pop(&balloon->device.queue[number], &balloon->device.memory, &queue->chain);

	if (err <= 0)
		return err;
	queue->active = true;
	queue->at = writable ? virtq_writable(&queue->chain) : virtq_readable(&queue->chain);
	return 1;
}

/* The buffer stays with the device until it is to be filled anew. */
static int run_stats(struct virtio_balloon *balloon, unsigned number)
{
	struct balloon_queue *queue = &balloon->queue[number];
	struct virtq *ring = &balloon->device.queue[number];
	u16 before = ring->next_avail;
	int err;

	if (queue->active && !balloon->stats_due)
		return 0;
	if (queue->active) {
		err = give_back(balloon, number);
		balloon->stats_due &= err < 0;
		return err;
	}
	err = next_chain(balloon, number, false);
	if (err <= 0)
		return err;
	err = read_stats(balloon, queue);
	if (err) {
		ring->next_avail = before;
		queue->active = false;
	}
	return err ? err : 1;
}

/* A piece of a chain: 1; 0: the ring is empty. BALLOON-2. */
static int run_chain(struct virtio_balloon *balloon, unsigned number, enum balloon_role role,
		     unsigned *budget)
{
	struct balloon_queue *queue = &balloon->queue[number];
	int err = 0;

	if (!queue->active) {
		err = next_chain(balloon, number, role == ROLE_REPORTING);
		if (err <= 0)
			return err;
		if (role == ROLE_DEFLATE)
			balloon->counters.deflated +=
				virtq_bytes(&queue->chain, queue->at) / sizeof(u32);
	}
	if (role == ROLE_INFLATE)
		err = inflate_piece(balloon, queue, budget);
	else
		err = role == ROLE_REPORTING ? report_piece(balloon, queue, budget) : 0;
	return err ? err : give_back(balloon, number);
}

int balloon_run(struct virtio_device *device, unsigned number, unsigned *budget)
{
	struct virtio_balloon *balloon = balloon_of(device);
	enum balloon_role role = role_of(device, number);

	if (role == ROLE_NONE)
		return 0;
	while (*budget) {
		int err;

		--*budget;
		err = role == ROLE_STATS ? run_stats(balloon, number)
					 : run_chain(balloon, number, role, budget);
		virtq_charge(&device->queue[number], budget);
		if (err <= 0)
			return err;
	}
	return 1;
}

void balloon_reset(struct virtio_device *device)
{
	struct virtio_balloon *balloon = balloon_of(device);

	for (unsigned i = 0; i < BALLOON_QUEUES; i++)
		balloon->queue[i].active = false;
	balloon->stats_due = false;
	virtio_config_set(device, FIELD_ACTUAL, 4, 0);
}

void balloon_set_target(struct virtio_balloon *balloon, u32 pages)
{
	virtio_config_set(&balloon->device, FIELD_TARGET, 4, pages);
	virtio_config_changed(&balloon->device);
}

static u32 field(const struct virtio_balloon *balloon, unsigned offset)
{
	u32 value;

	memcpy(&value, &balloon->device.config[offset], sizeof(value));
	return value;
}

u32 balloon_target(const struct virtio_balloon *balloon)
{
	return field(balloon, FIELD_TARGET);
}

u32 balloon_actual(const struct virtio_balloon *balloon)
{
	return field(balloon, FIELD_ACTUAL);
}

void balloon_request_stats(struct virtio_balloon *balloon)
{
	balloon->stats_due = virtio_accepted(&balloon->device, BALLOON_F_STATS) &&
			     balloon->queue[ROLE_STATS].active;
}

void balloon_init(struct virtio_balloon *balloon, u32 target, const struct virtio_ops *ops)
{
	balloon->device.ops = ops;
	memset(&balloon->device.config_writable[FIELD_ACTUAL], 0xff, 4);
	virtio_init(&balloon->device, BALLOON_QUEUES,
		    BALLOON_F_STATS | BALLOON_F_DEFLATE_ON_OOM | BALLOON_F_REPORTING, FIELD_SIZE);
	virtio_config_set(&balloon->device, FIELD_TARGET, 4, target);
}
