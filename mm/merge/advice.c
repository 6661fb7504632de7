/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.c: what a guest wants of ranges of its own memory.
 *
 * Why a wish is a page's and not an area's: a guest may mark any pattern it likes, every second
 * page even. As areas that would run into the limit of areas, and each look-up would get slower; as
 * a reason in the page's note it costs nothing, and a chunk none of whose pages may be merged is
 * not looked at.
 *
 *     excludes a page                               a visitor on another CPU
 *     ---------------                               ------------------------
 *                                                   reads it, has it in hand
 *     note: EXCLUDED
 *     out of the index                              shares it, or puts it into the index: not if EXCLUDED, under the lock
 *     quiesce                                       has left; from now on all see EXCLUDED
 *     break what is shared
 *
 * WISH-1  When an exclusion has succeeded, the page is private and stays so until its guest allows
 *         merging again.
 * WISH-2  A hint changes when a page is looked at, never what is compared before it is merged.
 */
#include <lib/error.h>
#include "mm/merge/private.h"

/* The area around gfn that belongs to `as`; *any: there is one at all. */
static struct merge_area *area_around(const struct addrspace *as, struct gfn gfn, bool *any)
{
	struct merge_area *found = NULL;

	spin_lock(&merge_world.lock);
	for (unsigned i = 0; i < merge_world.top; i++) {
		struct merge_area *area = merge_area_at(i);

		if (!area || area->as != as || area->dead)
			continue;
		*any = true;
		if (gfn_in_range(gfn, area->range))
			found = area;
	}
	spin_unlock(&merge_world.lock);
	return found;
}

/* Is every page of the range in an area? *first is the area around its start. */
static int check_range(const struct addrspace *as, struct gfn_range range,
		       struct merge_area **first)
{
	bool any = false;

	if (range.start.raw >= range.end.raw)
		return ERR_INVALID;
	*first = NULL;
	for (struct gfn at = range.start; at.raw < range.end.raw;) {
		struct merge_area *area = area_around(as, at, &any);

		if (!area)
			return any ? ERR_RANGE : ERR_PERMISSION;
		*first = *first ? *first : area;
		at = area->range.end;
	}
	return 0;
}

static int exclude(struct merge_area *area, struct gfn_range range)
{
	int err = 0;

	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++) {
		(void)merge_change_reason(area, gfn, ~0u, MERGE_EXCLUDED, 0, 0);
		merge_forget_waiting(area, gfn);
	}
	if (!IS_ENABLED(CONFIG_BREAK_MERGE_QUIESCE))
		merge_quiesce();
	for (struct gfn gfn = range.start; !err && gfn.raw < range.end.raw; gfn.raw++)
		err = merge_unshare(area, gfn);
	return err;
}

static void allow(struct merge_area *area, struct gfn gfn)
{
	(void)merge_change_reason(area, gfn, BIT(MERGE_EXCLUDED), MERGE_NEW, ~PAGE_INDEXED, 0);
}

static void hint_likely(struct merge_area *area, struct gfn gfn)
{
	const u32 from = BIT(MERGE_NEW) | BIT(MERGE_VOLATILE) | BIT(MERGE_WAITING);

	(void)merge_change_reason(area, gfn, from, MERGE_HINTED, PAGE_PATIENCE, 0);
}

static void hint_volatile(struct merge_area *area, struct gfn gfn)
{
	const u32 from = BIT(MERGE_NEW) | BIT(MERGE_VOLATILE) | BIT(MERGE_WAITING) |
			 BIT(MERGE_UNIQUE) | BIT(MERGE_HINTED) | BIT(MERGE_LARGE);

	if (merge_change_reason(area, gfn, from, MERGE_VOLATILE, PAGE_PATIENCE, PAGE_PATIENCE_MOST))
		merge_forget_waiting(area, gfn);
}

static int apply(struct merge_area *area, struct gfn_range range, enum merge_wish wish)
{
	static void (*const each[])(struct merge_area *, struct gfn) = {
		[MERGE_WISH_ALLOW] = allow,
		[MERGE_WISH_LIKELY] = hint_likely,
		[MERGE_WISH_VOLATILE] = hint_volatile,
	};

	if (wish == MERGE_WISH_EXCLUDE)
		return exclude(area, range);
	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++)
		each[wish](area, gfn);
	return 0;
}

int merge_wish(struct addrspace *as, struct gfn_range range, enum merge_wish wish, u64 *done)
{
	struct merge_area *area;
	struct gfn_range piece;
	u32 chunk;
	int err = wish < MERGE_WISHES ? check_range(as, range, &area) : ERR_INVALID;

	if (err)
		return err;
	chunk = merge_chunk_of(area, range.start);
	piece = merge_chunk_range(area, chunk);
	piece.start = range.start;
	piece.end.raw = MIN(piece.end.raw, range.end.raw);
	err = merge_make_note(area, chunk);
	if (!err)
		err = apply(area, piece, wish);
	if (!err)
		*done = gfn_range_frames(piece);
	return err;
}
