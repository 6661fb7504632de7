/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.c: a guest's advice for ranges of its own memory, as madvise() takes it.
 *
 * Why it is kept for each page and not in regions: a guest may mark any pattern, every second page
 * even. As regions that would slow each look-up down; as a reason in the page's metadata it is
 * free, and a chunk that is UNMERGEABLE as a whole is not visited.
 *
 *     UNMERGEABLE                                   a visitor on another CPU
 *     -----------                                   ------------------------
 *                                                   has read the page
 *     metadata: EXCLUDED
 *     out of the index                              shares it, or adds it to the index: not if EXCLUDED, under the lock
 *     quiesce                                       has left; every later visit sees EXCLUDED
 *     break what is shared
 *
 * ADVICE-1  When UNMERGEABLE has succeeded, the page is private and stays so until its guest says
 *           MERGEABLE.
 * ADVICE-2  A hint changes when a page is visited, never what is compared before it is merged.
 */
#include "mm/merge/private.h"
#include <lib/error.h>

/* The live region of `as` around gfn, or NULL; *any: `as` has a region at all. */
static struct merge_region *advice_region(const struct addrspace *as, struct gfn gfn, bool *any)
{
	struct merge_region *region;

	spin_lock(&merge_world.lock);
	*any = merge_first_region(as) != NULL;
	region = merge_region_around(as, gfn);
	if (region && region->dead)
		region = NULL;
	spin_unlock(&merge_world.lock);
	return region;
}

/* Is every page of the range in a region? *first is the region around its start. */
static int advice_check(const struct addrspace *as, struct gfn_range range,
			struct merge_region **first)
{
	bool any;

	if (range.start.raw >= range.end.raw)
		return ERR_INVALID;
	*first = NULL;
	for (struct gfn at = range.start; at.raw < range.end.raw;) {
		struct merge_region *region = advice_region(as, at, &any);

		if (!region)
			return any ? ERR_RANGE : ERR_PERMISSION;
		*first = *first ? *first : region;
		at = region->range.end;
	}
	return 0;
}

bool merge_region_at(const struct addrspace *as, struct gfn gfn, struct gfn_range *out)
{
	struct merge_region *region;

	spin_lock(&merge_world.lock);
	region = merge_first_region(as);
	while (region && region->as == as && region->range.end.raw <= gfn.raw)
		region = RB_NEXT(merge_spaces, , region);
	if (region && region->as == as)
		*out = region->range;
	else
		region = NULL;
	spin_unlock(&merge_world.lock);
	return region;
}

static void advise_mergeable(const struct merge_ref *ref)
{
	(void)merge_change_reason(ref, BIT(MERGE_EXCLUDED), MERGE_NEW, ~PAGE_INDEXED, 0);
}

static void advise_unmergeable(const struct merge_ref *ref)
{
	(void)merge_change_reason(ref, ~0u, MERGE_EXCLUDED, 0, 0);
	unstable_remove(ref);
}

static void advise_likely(const struct merge_ref *ref)
{
	const u32 from = BIT(MERGE_NEW) | BIT(MERGE_VOLATILE) | BIT(MERGE_CANDIDATE);

	(void)merge_change_reason(ref, from, MERGE_HINTED, PAGE_PATIENCE, 0);
}

static void advise_volatile(const struct merge_ref *ref)
{
	const u32 from = BIT(MERGE_NEW) | BIT(MERGE_VOLATILE) | BIT(MERGE_CANDIDATE) |
			 BIT(MERGE_UNIQUE) | BIT(MERGE_HINTED) | BIT(MERGE_LARGE);

	if (merge_change_reason(ref, from, MERGE_VOLATILE, PAGE_PATIENCE, PAGE_PATIENCE_MOST))
		unstable_remove(ref);
}

static int advice_unshare(const struct merge_ref *first, u64 count)
{
	struct merge_ref ref = *first;
	int err = 0;

	if (!IS_ENABLED(CONFIG_BREAK_MERGE_QUIESCE))
		merge_quiesce();
	for (; !err && count; count--, ref.gfn.raw++, ref.page++)
		err = merge_unshare(&ref);
	return err;
}

/* Within a chunk, which has metadata. */
static int advice_apply(const struct merge_ref *first, u64 count, enum merge_advice advice)
{
	static void (*const advise[MERGE_ADVICES])(const struct merge_ref *) = {
		[MERGE_ADVICE_MERGEABLE] = advise_mergeable,
		[MERGE_ADVICE_UNMERGEABLE] = advise_unmergeable,
		[MERGE_ADVICE_LIKELY] = advise_likely,
		[MERGE_ADVICE_VOLATILE] = advise_volatile,
	};
	struct merge_ref ref = *first;

	for (u64 i = 0; i < count; i++, ref.gfn.raw++, ref.page++)
		advise[advice](&ref);
	return advice == MERGE_ADVICE_UNMERGEABLE ? advice_unshare(first, count) : 0;
}

int merge_advise(struct addrspace *as, struct gfn_range range, enum merge_advice advice, u64 *done)
{
	struct merge_region *region;
	struct merge_ref ref;
	u64 count;
	u32 chunk;
	int err = advice < MERGE_ADVICES ? advice_check(as, range, &region) : ERR_INVALID;

	if (err)
		return err;
	chunk = merge_chunk_of(region, range.start);
	count = MIN(merge_chunk_range(region, chunk).end.raw, range.end.raw) - range.start.raw;
	err = merge_make_metadata(region, chunk);
	if (err)
		return err;
	ref = merge_ref(region, range.start);
	err = advice_apply(&ref, count, advice);
	if (advice == MERGE_ADVICE_LIKELY)
		ck_pr_store_64(&merge_world.quiet, 0);
	if (!err)
		*done = count;
	return err;
}
