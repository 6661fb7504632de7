/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_check.c: looks at everything the frame allocator keeps.
 */
#include "sim/frame_check.h"

static struct frame *record(u64 mfn)
{
	return frame_record((struct mfn){mfn});
}

static void check_block(u64 mfn, unsigned order, u64 previous)
{
	struct frame *buddy = record(mfn ^ (1ull << order));

	assert_true(IS_ALIGNED(mfn, 1ull << order)); /* BUDDY-1 */
	assert_int_equal(record(mfn)->order, order);
	assert_int_equal(record(mfn)->link, previous);
	for (u64 i = 0; i < 1ull << order; i++) {
		assert_int_equal(record(mfn + i)->kind, FRAME_FREE); /* BUDDY-2 */
		assert_int_equal(!!(record(mfn + i)->state & FRAME_IS_HEAD), i == 0);
	}
	if (order < FRAME_MAX_ORDER) /* BUDDY-3 */
		assert_false(buddy && (buddy->state & FRAME_IS_HEAD) && buddy->order == order);
}

struct frame_blocks frame_check_lists(void)
{
	struct frame_blocks blocks = {{0}};
	u64 frames = 0;

	for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++) {
		u64 previous = FRAME_NONE;

		for (u64 mfn = frame_buddy.heads[order]; mfn != FRAME_NONE;
		     mfn = record(mfn)->owner) {
			check_block(mfn, order, previous);
			blocks.count[order]++;
			frames += 1ull << order;
			previous = mfn;
		}
	}
	assert_int_equal(frames, frame_buddy.free); /* BUDDY-4 */
	return blocks;
}

void frame_check(void)
{
	u64 kinds[FRAME_KINDS] = {0};
	struct frame_stats stats;

	frame_check_lists();
	frame_stats(&stats);
	for (u64 mfn = 0; mfn < frame_map.sections << FRAME_SECTION_SHIFT; mfn++)
		if (record(mfn))
			kinds[record(mfn)->kind]++;
	kinds[FRAME_FREE] += frame_closed();
	assert_int_equal(stats.free, kinds[FRAME_FREE]);
	assert_int_equal(stats.hypervisor, kinds[FRAME_HYPERVISOR]);
	assert_int_equal(stats.table, kinds[FRAME_TABLE]);
	assert_int_equal(stats.guest, kinds[FRAME_GUEST]);
	assert_int_equal(stats.total, stats.free + stats.hypervisor + stats.table + stats.guest);
	assert_int_equal(stats.free,
			 frame_buddy.free + stats.cached + frame_closed()); /* FRAME-1 */
}
