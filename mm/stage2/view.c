/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c: limits on the rights of one view of an address space.
 *
 * Why: two stage 2s of one address space that differ in rights let a guest, or a monitor, execute
 * code that is not writable and write code that is not executable, by switching roots (EPTP
 * switching). Both subscribe to the same primary, so neither can be out of date.
 *
 * Invariants:
 * VIEW-1  A leaf of a view allows at most what its limit for the gfn says.
 */
#include <lib/error.h>
#include <lib/string.h>
#include <mm/tlb.h>
#include "mm/stage2/private.h"

unsigned stage2_view_limit(const struct stage2 *s2, struct gfn gfn)
{
	for (unsigned i = 0; i < s2->limit_count; i++)
		if (gfn_in_range(gfn, s2->limit[i].range))
			return s2->limit[i].rights;
	return PT_RWX;
}

/* Does a limit begin or end inside the block? */
static bool cuts(const struct stage2_limit *limit, struct gfn_range block)
{
	return gfn_ranges_overlap(limit->range, block) &&
	       (limit->range.start.raw > block.start.raw || limit->range.end.raw < block.end.raw);
}

unsigned stage2_view_level(const struct stage2 *s2, struct gfn gfn, unsigned level)
{
	for (unsigned i = 0; i < s2->limit_count && level;) {
		struct gfn start = {ALIGN_DOWN(gfn.raw, LEVEL_FRAMES(level))};

		if (cuts(&s2->limit[i], gfn_range(start, LEVEL_FRAMES(level)))) {
			level--;
			i = 0;
		} else {
			i++;
		}
	}
	return level;
}

/* The limit of exactly this range; limit_count when there is none. */
static unsigned find(const struct stage2 *s2, struct gfn_range range)
{
	unsigned i = 0;

	while (i < s2->limit_count && (s2->limit[i].range.start.raw != range.start.raw ||
				       s2->limit[i].range.end.raw != range.end.raw))
		i++;
	return i;
}

static int set_limit(struct stage2 *s2, struct gfn_range range, unsigned rights)
{
	unsigned place = find(s2, range);

	for (unsigned i = 0; i < s2->limit_count; i++)
		if (i != place && gfn_ranges_overlap(s2->limit[i].range, range))
			return ERR_INVALID;
	if (rights == PT_RWX) {
		if (place < s2->limit_count)
			s2->limit[place] = s2->limit[--s2->limit_count];
		return 0;
	}
	if (place == STAGE2_LIMITS)
		return ERR_NO_MEMORY;
	s2->limit[place] = (struct stage2_limit){range, rights};
	if (place == s2->limit_count)
		s2->limit_count++;
	return 0;
}

int stage2_view_restrict(struct stage2 *s2, struct gfn_range range, unsigned rights)
{
	int err;

	if (!gfn_range_valid(range) || (rights & ~PT_RWX) ||
	    (rights && !s2->table.format->valid_attr(rights)))
		return ERR_INVALID;
	spin_lock(&s2->as->lock);
	err = set_limit(s2, range, rights);
	if (!err) {
		stage2_drop(s2, range);
		stage2_flush_stale(s2);
	}
	spin_unlock(&s2->as->lock);
	return err;
}

static u64 all_faults(const struct stage2_counters *counters)
{
	u64 sum = 0;

	for (unsigned i = 0; i < FAULT_OUTCOMES; i++)
		sum += counters->faults[i];
	return sum;
}

void stage2_stats(struct stage2 *s2, struct stage2_stats *out)
{
	const struct stage2_counters *counters = &s2->counters;

	spin_lock(&s2->as->lock);
	*out = (struct stage2_stats){
		.faults = all_faults(counters),
		.retries_reentered = counters->faults[FAULT_RACED],
		.retries_inplace = counters->retries,
		.drops = counters->drops,
		.changed = counters->changed,
		.moot = counters->moot,
		.established = counters->established,
		.flushes = counters->flushes,
		.kicks = counters->kicks,
		.flushes_put_off = counters->put_off,
		.flushes_avoided = counters->put_off - MIN(counters->put_off, counters->synced),
		.ahead = counters->ahead,
		.checks_avoided = s2->log.counters.avoided,
		.checks_guessed = s2->log.counters.guessed,
		.tables = s2->table.tables,
	};
	memcpy(out->outcome, counters->faults, sizeof(out->outcome));
	memcpy(out->cause, counters->cause + 1, sizeof(out->cause));
	spin_unlock(&s2->as->lock);
}
