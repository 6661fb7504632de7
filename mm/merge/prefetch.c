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

#define STEPS 3

void merge_prefetch_frame(struct mfn mfn)
{
	__builtin_prefetch(frame_record(mfn), 1);
	__builtin_prefetch(merge_content(mfn));
}

static void prefetch_searches(const struct merge_domain *domain, const struct merge_batch *batch,
			      unsigned step)
{
	for (unsigned i = 0; i < batch->count; i++)
		if (batch->page[i].search)
			domain->engine->prefetch(domain, batch->page[i].tag, step);
}

void merge_prefetch(const struct merge_batch *batch)
{
	struct merge_region *region = batch->page[0].ref.region;
	struct merge_domain *domain = region->domain;
	bool searches = false;

	for (unsigned i = 0; i < batch->count; i++) {
		ppte_t pte = primary_load(&region->as->primary, batch->page[i].ref.gfn);

		if (ppte_state(pte) == PPTE_PRIVATE)
			merge_prefetch_frame(ppte_mfn(pte));
		searches |= batch->page[i].search;
	}
	if (!searches)
		return;
	spin_lock(&domain->lock);
	for (unsigned step = 0; domain->engine->prefetch && step < STEPS; step++)
		prefetch_searches(domain, batch, step);
	spin_unlock(&domain->lock);
}
