/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty_tracker.c: a subscriber that wants SOFT_DIRTY and CLEAR only.
 *
 * Under a policy that hands no change for SOFT_DIRTY it is told by start, which says only that some
 * bits of the range will go: then it takes every backed page of the range for written, as whoever
 * drops what it knew must.
 */
#include <mm/dirty_tracker.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include "mm/frame/pool.h"
#include "mm/space/space.h"

#define WORD_BITS 64

/* bitmap	[m] written, but perhaps not soft-dirty any more */
struct dirty_tracker {
	struct addrspace *as;
	struct subscription sub;
	u64 *bitmap;
	unsigned order;
};

static struct pool trackers = POOL_INITIALIZER(sizeof(struct dirty_tracker), "dirty trackers");

static struct dirty_tracker *tracker_of(struct subscription *sub)
{
	return container_of(sub, struct dirty_tracker, sub);
}

static void set(struct dirty_tracker *tracker, u64 *bitmap, struct gfn gfn)
{
	u64 bit = gfn.raw - tracker->sub.range.start.raw;

	if (gfn_in_range(gfn, tracker->sub.range))
		bitmap[bit / WORD_BITS] |= BIT(bit % WORD_BITS);
}

static int tracker_start(struct subscription *sub, const struct notify_range *range)
{
	struct dirty_tracker *tracker = tracker_of(sub);
	struct gfn gfn = range->range.start;
	ppte_t *slot;

	if (range->event != EVENT_SOFT_DIRTY && range->event != EVENT_CLEAR)
		return 0;
	spin_lock(&tracker->as->lock);
	for (; (slot = primary_next(&tracker->as->primary, &gfn, range->range.end)); gfn.raw++)
		if (*slot)
			set(tracker, tracker->bitmap, gfn);
	spin_unlock(&tracker->as->lock);
	return 0;
}

/* Exactly the gfns whose soft-dirty goes. */
static void tracker_change(struct subscription *sub, const struct notify_change *change)
{
	struct dirty_tracker *tracker = tracker_of(sub);

	if (change->range->event != EVENT_SOFT_DIRTY)
		return;
	for (unsigned i = 0; i < change->count; i++)
		set(tracker, tracker->bitmap, change->changes[i].gfn);
}

static const struct subscriber_ops tracker_ops = {
	.name = "dirty_tracker",
	.start = tracker_start,
	.change = tracker_change,
};

static u64 bitmap_bytes(struct gfn_range range)
{
	return ALIGN_UP(gfn_range_frames(range), WORD_BITS) / 8;
}

static int alloc_bitmap(struct dirty_tracker *tracker, struct gfn_range range)
{
	void *memory;
	int err;

	tracker->order = page_order(bitmap_bytes(range));
	err = page_alloc(tracker->order, &memory);
	if (!err)
		tracker->bitmap = memory;
	return err;
}

static void free_tracker(struct dirty_tracker *tracker)
{
	if (tracker->bitmap)
		page_free(tracker->bitmap, tracker->order);
	pool_free(&trackers, tracker);
}

int dirty_tracker_create(struct addrspace *as, struct gfn_range range, struct dirty_tracker **out)
{
	struct dirty_tracker *tracker;
	void *memory;
	int err;

	if (range.start.raw >= range.end.raw || gfn_range_frames(range) > DIRTY_TRACKER_MAX)
		return ERR_INVALID;
	err = pool_alloc(&trackers, &memory);
	if (err)
		return err;
	tracker = memory;
	tracker->as = as;
	tracker->sub.ops = &tracker_ops;
	tracker->sub.range = range;
	tracker->sub.change_events = BIT(EVENT_SOFT_DIRTY);
	tracker->sub.invalidate_events = BIT(EVENT_CLEAR);
	err = alloc_bitmap(tracker, range);
	if (!err)
		err = notifier_subscribe(&as->notifier, &tracker->sub);
	if (err) {
		free_tracker(tracker);
		return err;
	}
	*out = tracker;
	return 0;
}

void dirty_tracker_destroy(struct dirty_tracker *tracker)
{
	CHECK(!notifier_unsubscribe(&tracker->as->notifier, &tracker->sub));
	free_tracker(tracker);
}

void dirty_tracker_take(struct dirty_tracker *tracker, u64 *bitmap)
{
	struct gfn_range range = tracker->sub.range;
	struct gfn gfn = range.start;
	ppte_t *slot;

	spin_lock(&tracker->as->lock);
	memcpy(bitmap, tracker->bitmap, bitmap_bytes(range));
	memset(tracker->bitmap, 0, bitmap_bytes(range));
	for (; (slot = primary_next(&tracker->as->primary, &gfn, range.end)); gfn.raw++)
		if (ppte_has_content(*slot) && (*slot & PPTE_SOFT_DIRTY))
			set(tracker, bitmap, gfn);
	spin_unlock(&tracker->as->lock);
}

u64 dirty_tracker_count(struct dirty_tracker *tracker)
{
	u64 count = 0;

	spin_lock(&tracker->as->lock);
	for (u64 i = 0; i < bitmap_bytes(tracker->sub.range) / sizeof(u64); i++)
		for (u64 word = tracker->bitmap[i]; word; word &= word - 1)
			count++;
	spin_unlock(&tracker->as->lock);
	return count;
}
