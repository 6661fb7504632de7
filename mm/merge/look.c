/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c: one page is visited at once, before the scanner comes by: I/O hints (Miller et al., "XLH:
 * More Effective Memory Deduplication Scanners Through Cross-layer Hints", USENIX ATC 2013).
 *
 * Why: what a disk read has filled is likely to be in other guests' page caches, and often gone
 * before a pass of the scanner has looked at it twice. The caller has seen the page being filled,
 * so its first look counts as the second.
 *
 *     merge_look                            scanner
 *     ----------                            -------
 *     takes the chunk, as a visit does      passes over a chunk that is taken
 *     reason HINTED, merge_visit()
 *     releases it
 *
 * Where the scanner is in the chunk already the page stays HINTED, and is looked up at its next
 * visit.
 */
#include "mm/merge/private.h"

/* The live region around gfn, held by a visit, which `taken` says has the chunk to itself. */
static struct merge_region *look_begin(const struct addrspace *as, struct gfn gfn, bool *taken)
{
	struct merge_region *region;

	spin_lock(&merge_world.lock);
	region = merge_region_around(as, gfn);
	if (region && region->dead)
		region = NULL;
	if (region) {
		u32 *mine = &region->chunk[merge_chunk_of(region, gfn)].taken;

		quiesce_enter(&merge_world.visits, arch_cpu_id());
		*taken = ck_pr_cas_32(mine, 0, 1);
	}
	spin_unlock(&merge_world.lock);
	return region;
}

static void look_end(struct merge_region *region, u32 chunk, bool taken)
{
	if (taken) {
		ck_pr_fence_release();
		ck_pr_store_32(&region->chunk[chunk].taken, 0);
	}
	quiesce_leave(&merge_world.visits, arch_cpu_id());
}

/* Every reason but EXCLUDED: the content is another one than that which the reason is about. */
static void look_visit(const struct merge_ref *ref, bool taken)
{
	const u32 from = ~(u32)BIT(MERGE_EXCLUDED);
	const struct merge_next page = {.ref = *ref, .slot = merge_slot(ref), .dirty = true};

	if (taken)
		merge_large_begin(ref->region, merge_chunk_of(ref->region, ref->gfn));
	if (merge_change_reason(ref, from, MERGE_HINTED, PAGE_PATIENCE, 0) && taken)
		merge_visit(&page);
}

void merge_look(struct addrspace *as, struct gfn gfn)
{
	bool taken = false;
	struct merge_region *region = look_begin(as, gfn, &taken);
	struct merge_ref ref;
	u32 chunk;

	if (!region)
		return;
	chunk = merge_chunk_of(region, gfn);
	if (!merge_make_metadata(region, chunk)) {
		ref = merge_ref(region, gfn);
		look_visit(&ref, taken);
		addrspace_try_settle(as);
	}
	if (!taken)
		ck_pr_store_64(&merge_world.quiet, 0);
	look_end(region, chunk, taken);
}
