/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty_tracker.h: remembers what was written since its own last look, though others clear
 * soft-dirty in between.
 *
 * Why: soft-dirty is one bit for all who use it. A snapshot or a migration that looks rarely loses
 * what a dirty log that looks often has cleared. The tracker is a subscriber that wants to hear
 * just that: SOFT_DIRTY, as a change, so that it knows exactly which bits go, and CLEAR, because a
 * page that became zeroes was written too. All else passes it by.
 *
 * Invariants:
 * TRACKER-1  A page written or cleared since the last take is in the next one.
 */
#ifndef SAMEPAGE_MM_DIRTY_TRACKER_H
#define SAMEPAGE_MM_DIRTY_TRACKER_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;
struct dirty_tracker;

/* ERR_INVALID (empty, or more than DIRTY_TRACKER_MAX gfns), ERR_NO_MEMORY. */
#define DIRTY_TRACKER_MAX (1ull << 24)
int dirty_tracker_create(struct addrspace *as, struct gfn_range range,
			 struct dirty_tracker **out) __must_check;
void dirty_tracker_destroy(struct dirty_tracker *tracker);

/*
 * Sets bit i of `bitmap` when gfn start + i was written since the last take, and forgets it; what
 * is soft-dirty still will be told again. `bitmap` has room for the range, in whole words. Takes
 * LOCK_MMU.
 */
void dirty_tracker_take(struct dirty_tracker *tracker, u64 *bitmap);

/* How many gfns are in its own memory now. */
u64 dirty_tracker_count(struct dirty_tracker *tracker);

#endif
