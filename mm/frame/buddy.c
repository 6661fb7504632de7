/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buddy.c: free blocks of 2^n frames, naturally aligned, each in the list of its order.
 *
 *     order 2   [0 1 2 3]      a block splits into two buddies, which differ in one bit;
 *     order 1   [0 1][2 3]     two free buddies of an order join again. Finding a buddy takes
 *     order 0   [0][1][2][3]   one exclusive-or and one load from its record.
 *
 * Invariants:
 *   BUDDY-1  a block in a list of order n starts at a multiple of 2^n; its first record, and no
 *            other, is FRAME_IS_HEAD
 *   BUDDY-2  blocks in lists do not overlap, and all their frames are FRAME_FREE
 *   BUDDY-3  no two buddies of one order are both in lists, except at the largest order
 *   BUDDY-4  `free` is the sum of all blocks in lists
 *
 * Locking: the caller holds frame_buddy.lock (LOCK_FRAME).
 */
#include "mm/frame/internal.h"
#include <lib/log.h>

struct frame_buddy frame_buddy;

static struct frame *buddy_record(u64 mfn)
{
	return frame_record((struct mfn){mfn});
}

void buddy_init(void)
{
	spin_init(&frame_buddy.lock, LOCK_FRAME, "frames");
	for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++)
		frame_buddy.heads[order] = FRAME_NONE;
	frame_buddy.free = 0;
}

static void block_list_add(u64 mfn, unsigned order)
{
	struct frame *frame = buddy_record(mfn);
	u64 next = frame_buddy.heads[order];

	frame->owner = next;
	frame->link = FRAME_NONE;
	frame->order = (u8)order;
	frame->state |= FRAME_IS_HEAD;
	if (next != FRAME_NONE)
		buddy_record(next)->link = mfn;
	frame_buddy.heads[order] = mfn;
}

static void block_list_remove(u64 mfn)
{
	struct frame *frame = buddy_record(mfn);

	if (frame->link != FRAME_NONE)
		buddy_record(frame->link)->owner = frame->owner;
	else
		frame_buddy.heads[frame->order] = frame->owner;
	if (frame->owner != FRAME_NONE)
		buddy_record(frame->owner)->link = frame->link;
	frame->state &= (u8)~FRAME_IS_HEAD;
}

/* The order of the smallest block in the lists of at least 2^order frames. */
static unsigned smallest_from(unsigned order)
{
	while (order <= FRAME_MAX_ORDER && frame_buddy.heads[order] == FRAME_NONE)
		order++;
	return order;
}

unsigned buddy_smallest(void)
{
	return smallest_from(0);
}

u64 buddy_take(unsigned order)
{
	unsigned from;
	u64 mfn;

	while ((from = smallest_from(order)) > FRAME_MAX_ORDER)
		if (!section_open())
			return FRAME_NONE;
	mfn = frame_buddy.heads[from];
	block_list_remove(mfn);
	/*
	 * Keep the lower half, so that memory fills from below and large blocks stay whole above.
	 */
	while (from > order) {
		from--;
		block_list_add(mfn + (1ull << from), from);
	}
	frame_buddy.free -= 1ull << order;
	return mfn;
}

static bool buddy_can_join(u64 mfn, unsigned order)
{
	const struct frame *frame = buddy_record(mfn);

	return frame && (frame->state & FRAME_IS_HEAD) && frame->order == order;
}

void buddy_put(u64 mfn, unsigned order)
{
	frame_buddy.free += 1ull << order;
	while (order < FRAME_MAX_ORDER && buddy_can_join(mfn ^ (1ull << order), order)) {
		block_list_remove(mfn ^ (1ull << order));
		mfn &= ~(1ull << order);
		order++;
	}
	block_list_add(mfn, order);
}
