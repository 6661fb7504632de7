/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty_log.c: collects what was written, and starts anew. dirty_log.h has the modes.
 *
 *     collect                                     a vCPU
 *     -------                                     ------
 *     lock; D bits -> soft-dirty; any set?
 *     no: unlock, no event                        its write is in the next answer
 *     yes, in [first, last]: unlock
 *     SOFT_DIRTY of that range: start (drops)
 *     lock
 *     D bits -> soft-dirty of the primary
 *     soft-dirty -> bitmap, cleared               its write sets D, or faults and waits for the lock
 *     change: W or D taken away; flush            from here on a write sets soft-dirty again
 *     unlock
 *
 * Why it looks first: nine of the ten policies answer SOFT_DIRTY by dropping the range, so an
 * event for pages that were not written would cost the guest a fault for each of them.
 *
 * dirty_log_collect_open() waits for no CPU:
 *
 *     collect, n-th time                          a vCPU, inside all the time
 *     ------------------                          ---------------------------
 *                                                 writes: D
 *     D -> soft-dirty; D cleared; flush begun     writes by the old translation: no D
 *     answer: what was soft-dirty before
 *                                                 exit, entry check: flush
 *     n + 1-th: the flush has ended               from here on a write sets D
 *     soft-dirty -> answer, cleared
 *
 * So the page is soft-dirty, and is written through a translation without D at worst, until an
 * answer that comes after the flush. What is soft-dirty with D, a page that was just backed or is
 * written all the time, is named at once, too, or it would never be.
 *
 * A write through a translation that is older than the flush is in this answer or the next: its D
 * or its W is read after the flush of the operation that took it away.
 */
#include <mm/dirty_log.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include "mm/space/update.h"

#define WORD_BITS 64

/*
 * Clears soft-dirty in the update's range; what was set goes into `bitmap` (bit 0: `first`) or
 * NULL.
 */
static void take_dirty(struct update *update, struct gfn first, u64 *bitmap)
{
	struct gfn_range range = update->note.range.range;
	struct addrspace *as = update->as;
	struct gfn gfn = range.start;
	ppte_t *slot;
	u64 count;

	for (; (slot = primary_run(&as->primary, &gfn, range.end, &count)); gfn.raw += count)
		for (u64 i = 0, bit = gfn.raw - first.raw; i < count; i++, bit++) {
			if (!(slot[i] & PPTE_SOFT_DIRTY) || !ppte_has_content(slot[i]))
				continue;
			if (bitmap)
				bitmap[bit / WORD_BITS] |= BIT(bit % WORD_BITS);
			update_set(update, gfn_add(gfn, i), &slot[i], slot[i] & ~PPTE_SOFT_DIRTY);
		}
}

static bool is_written(ppte_t pte)
{
	return ppte_has_content(pte) && (pte & PPTE_SOFT_DIRTY);
}

/* Mostly no PTE is soft-dirty, so all are or-ed, without a branch for each. */
static bool any_dirty(const ppte_t *slot, u64 count)
{
	ppte_t all = 0;

	for (u64 i = 0; i < count; i++)
		all |= slot[i];
	return all & PPTE_SOFT_DIRTY;
}

/* The least range around all pages that were written; empty: none was. */
static struct gfn_range written_in(struct addrspace *as, struct gfn_range range)
{
	struct gfn_range written = {range.end, range.end};
	struct gfn gfn = range.start;
	ppte_t *slot;
	u64 count;

	spin_lock(&as->lock);
	notifier_dirty(&as->notifier, range, false);
	for (; (slot = primary_run(&as->primary, &gfn, range.end, &count)); gfn.raw += count)
		for (u64 i = any_dirty(slot, count) ? 0 : count; i < count; i++) {
			if (!is_written(slot[i]))
				continue;
			written.start.raw = MIN(written.start.raw, gfn.raw + i);
			written.end.raw = gfn.raw + i + 1;
		}
	spin_unlock(&as->lock);
	return written;
}

static int start_anew(struct addrspace *as, struct gfn_range range, struct gfn first, u64 *bitmap)
{
	struct update update;
	int err = update_begin(&update, as, EVENT_SOFT_DIRTY, range, 0);

	if (err)
		return err;
	notification_dirty(&update.note);
	take_dirty(&update, first, bitmap);
	update_end(&update);
	return 0;
}

/*
 * Leaves that were made for one mode are wrong in another: writable though their page is clean,
 * with a D that keeps the CPU from listing a write, or large though their pages differ. So their D
 * bits are gathered and they are dropped.
 */
static void set_mode(struct addrspace *as, enum dirty_mode mode, bool coarse)
{
	const struct gfn_range all = {{0}, {GFN_END}};
	bool drop;

	spin_lock(&as->lock);
	drop = as->dirty_mode != mode && as->dirty_mode != DIRTY_WRITE_PROTECT;
	drop |= as->dirty_coarse && !coarse;
	as->dirty_mode = mode;
	as->dirty_coarse = coarse;
	if (drop)
		notifier_dirty(&as->notifier, all, true);
	primary_ignore_soft_dirty(&as->primary, coarse && mode != DIRTY_WRITE_PROTECT);
	spin_unlock(&as->lock);
}

int dirty_log_start(struct addrspace *as, struct gfn_range range, enum dirty_mode mode)
{
	enum dirty_mode before = as->dirty_mode;
	int err;

	if (mode > DIRTY_PML)
		return ERR_INVALID;
	err = space_check(as, range);
	if (!err && notification_inside(&as->notifier))
		err = ERR_REENTRANT;
	if (err)
		return err;
	set_mode(as, mode, as->dirty_coarse);
	err = start_anew(as, range, range.start, NULL);
	if (err)
		set_mode(as, before, as->dirty_coarse);
	else
		as->dirty_on = true;
	return err;
}

void dirty_log_stop(struct addrspace *as)
{
	set_mode(as, DIRTY_WRITE_PROTECT, false);
	as->dirty_on = false;
}

void dirty_log_coarse(struct addrspace *as, bool coarse)
{
	set_mode(as, as->dirty_mode, coarse);
}

enum dirty_mode dirty_log_mode(const struct addrspace *as)
{
	return (enum dirty_mode)ck_pr_load_32((const u32 *)&as->dirty_mode);
}

int dirty_log_collect(struct addrspace *as, struct gfn_range range, u64 *bitmap)
{
	struct gfn_range written;
	int err = space_check(as, range);

	if (!err && notification_inside(&as->notifier))
		err = ERR_REENTRANT;
	if (err)
		return err;
	memset(bitmap, 0, ALIGN_UP(gfn_range_frames(range), WORD_BITS) / 8);
	written = written_in(as, range);
	return gfn_range_frames(written) ? start_anew(as, written, range.start, bitmap) : 0;
}

/* Sets the bits of the pages that are soft-dirty. */
static void find_dirty(struct addrspace *as, struct gfn_range range, u64 *bitmap)
{
	struct gfn gfn = range.start;
	ppte_t *slot;
	u64 count;

	for (; (slot = primary_run(&as->primary, &gfn, range.end, &count)); gfn.raw += count) {
		u64 bit = gfn.raw - range.start.raw;

		if (!any_dirty(slot, count))
			continue;
		for (u64 i = 0; i < count; i++, bit++)
			bitmap[bit / WORD_BITS] |= (u64)is_written(slot[i]) << bit % WORD_BITS;
	}
}

static bool has_dirty(struct addrspace *as, struct gfn_range range)
{
	struct gfn gfn = range.start;
	bool has = false;
	ppte_t *slot;
	u64 count;

	for (; !has && (slot = primary_run(&as->primary, &gfn, range.end, &count));
	     gfn.raw += count)
		for (u64 i = any_dirty(slot, count) ? 0 : count; i < count && !has; i++)
			has = is_written(slot[i]);
	return has;
}

/* The first step of collect_open(): whether a page was written at all. */
static bool look_open(struct addrspace *as, struct gfn_range range, u64 *before)
{
	bool any;

	spin_lock(&as->lock);
	find_dirty(as, range, before);
	notifier_dirty(&as->notifier, range, false);
	any = has_dirty(as, range);
	spin_unlock(&as->lock);
	return any;
}

/* Of what is answered and not open any more. No subscriber has to do with it. */
static void clear_soft_dirty(struct addrspace *as, struct gfn_range range,
			     const struct dirty_answer *answer)
{
	struct gfn gfn = range.start;
	ppte_t *slot;
	u64 count;

	for (; (slot = primary_run(&as->primary, &gfn, range.end, &count)); gfn.raw += count) {
		u64 bit = gfn.raw - range.start.raw;

		for (u64 i = 0; i < count; i++, bit++)
			if (answer->written[bit / WORD_BITS] & ~answer->open[bit / WORD_BITS] &
			    BIT(bit % WORD_BITS))
				primary_store(&as->primary, gfn_add(gfn, i), &slot[i],
					      slot[i] & ~PPTE_SOFT_DIRTY);
	}
}

/* `ended`: the flush of what was taken at the last collection has. */
static void fill_answer(struct dirty_answer *answer, const u64 *before, const u64 *now,
			bool ended_before, bool ended)
{
	for (unsigned i = 0; i < DIRTY_OPEN_MAX / WORD_BITS; i++) {
		answer->written[i] = ended ? now[i] : before[i] & now[i];
		answer->open[i] = ended ? 0 : answer->open[i] | (ended_before ? 0 : now[i]);
	}
}

/* An exact log splits the large leaves of what it names, with a flush. */
static bool can_collect_open(const struct addrspace *as)
{
	return as->dirty_coarse && dirty_log_mode(as) != DIRTY_WRITE_PROTECT;
}

/*
 * look_open() has gathered the D bits. One that was set since stays, and is gathered by the next
 * collection.
 */
static void collect_open(struct update *update, const u64 *before, struct dirty_answer *answer,
			 u64 *flush)
{
	struct gfn_range range = update->note.range.range;
	u64 now[DIRTY_OPEN_MAX / WORD_BITS] = {0}, last, any = 0;
	bool ended = *flush && notification_take_ended(&update->note, *flush);

	if (*flush && !ended)
		notification_take_hurry(&update->note, *flush);
	find_dirty(update->as, range, now);
	last = notification_take(&update->note, now, answer->open);
	for (unsigned i = 0; i < ARRAY_SIZE(now); i++)
		any |= answer->open[i];
	if (any || !*flush)
		*flush = MAX(last, 1ull);
	fill_answer(answer, before, now, ended, notification_take_ended(&update->note, *flush));
	clear_soft_dirty(update->as, range, answer);
}

int dirty_log_collect_open(struct addrspace *as, struct gfn_range range,
			   struct dirty_answer *answer, u64 *flush)
{
	u64 before[DIRTY_OPEN_MAX / WORD_BITS] = {0};
	struct update update;
	bool can;
	int err;

	memset(answer, 0, sizeof(*answer));
	if (gfn_range_frames(range) > DIRTY_OPEN_MAX)
		return ERR_INVALID;
	if (notification_inside(&as->notifier) || !can_collect_open(as) ||
	    !notifier_can_take(&as->notifier))
		return dirty_log_collect(as, range, answer->written);
	err = space_check(as, range);
	if (err || !look_open(as, range, before))
		return err;
	err = update_begin(&update, as, EVENT_SOFT_DIRTY, range, 0);
	if (err)
		return err;
	can = notification_can_take(&update.note) && can_collect_open(as);
	if (can)
		collect_open(&update, before, answer, flush);
	update_end(&update);
	return can ? 0 : dirty_log_collect(as, range, answer->written);
}

void space_mark(struct addrspace *as, struct gfn gfn, u64 frames, u64 flags)
{
	struct gfn end = gfn_add(gfn, frames);
	ppte_t *slot;

	for (; (slot = primary_next(&as->primary, &gfn, end)); gfn.raw++)
		if (ppte_has_content(*slot) && (*slot & flags) != flags)
			primary_store(&as->primary, gfn, slot, *slot | flags);
}
