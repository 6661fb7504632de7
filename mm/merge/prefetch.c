/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch.c: cache prefetches for the next visits, sixteen pages at a time.
 *
 * Why: a visit is a chain of loads, each of which names the place of the next, and nearly all miss
 * the caches, because the scanner comes to a page once in a long while:
 *
 *     primary PTE --> frame record, content
 *     tag of the page --> slot of the index --> another page's metadata --> its PTE --> its frame
 *                     --> bucket --> stable node --> its frame
 *
 * Page after page, the misses add up. A link at a time for sixteen pages, sixteen misses overlap.
 * All of it is a guess: what has changed before the visit costs one more miss.
 */
#include "mm/merge/private.h"
#include <mm/frame.h>

void merge_prefetch_frame(struct mfn mfn)
{
	__builtin_prefetch(frame_record(mfn), 1);
	__builtin_prefetch(merge_content(mfn));
}

/* Pages that will be merged: both frames of a pair are read, and their records change. */
static void prefetch_searches(const struct merge_domain *domain, const struct merge_batch *batch)
{
	u32 found = domain->engine->prefetch(domain, batch->tag, batch->searches);

	for (unsigned i = 0; found; i++, found >>= 1) {
		ppte_t pte = found & 1 ? merge_load(batch->page[i].slot) : 0;

		if (ppte_state(pte) == PPTE_PRIVATE)
			merge_prefetch_frame(ppte_mfn(pte));
	}
}

void merge_prefetch(const struct merge_batch *batch)
{
	struct merge_domain *domain = batch->page[0].ref.region->domain;

	for (unsigned i = 0; i < batch->count; i++) {
		ppte_t pte = batch->searches & BIT(i) ? 0 : merge_load(batch->page[i].slot);

		if (ppte_state(pte) == PPTE_PRIVATE)
			__builtin_prefetch(merge_content(ppte_mfn(pte)));
	}
	if (!batch->searches)
		return;
	spin_lock(&domain->lock);
	if (domain->engine->prefetch)
		prefetch_searches(domain, batch);
	spin_unlock(&domain->lock);
}
