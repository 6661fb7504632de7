/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch.c: what the next visits are going to read is asked for beforehand, for sixteen pages at
 * a time.
 *
 * Why: a visit is a chain of loads of which each names the next one's place, and nearly all of them
 * miss the caches, because the scanner comes to a page once in a long while:
 *
 *     primary PTE --> frame's record, content
 *     tag in the note --> slot of the index --> another page's note --> its PTE --> its frame
 *                     --> bucket --> node of a shared content --> its frame
 *
 * One page after another, that is the sum of the waits. A link at a time for sixteen pages, the
 * waits of sixteen overlap. Nothing here is more than a guess: what has changed when the visit
 * comes costs one more miss.
 */
#include <lib/lock.h>
#include <mm/frame.h>
#include "mm/merge/private.h"

#define STEPS 3

void merge_foresee_frame(struct mfn mfn)
{
	__builtin_prefetch(frame_record(mfn), 1);
	__builtin_prefetch(merge_content(mfn));
}

static void foresee_searches(const struct merge_domain *domain, const struct merge_handful *next,
			     unsigned step)
{
	for (unsigned i = 0; i < next->count; i++)
		if (next->page[i].search)
			domain->engine->foresee(domain, next->page[i].tag, step);
}

void merge_foresee(struct merge_area *area, const struct merge_handful *next)
{
	struct merge_domain *domain = area->domain;
	bool searches = false;

	for (unsigned i = 0; i < next->count; i++) {
		ppte_t pte = primary_load(&area->as->primary, next->page[i].gfn);

		if (ppte_state(pte) == PPTE_PRIVATE)
			merge_foresee_frame(ppte_mfn(pte));
		searches |= next->page[i].search;
	}
	if (!searches)
		return;
	spin_lock(&domain->lock);
	for (unsigned step = 0; domain->engine->foresee && step < STEPS; step++)
		foresee_searches(domain, next, step);
	spin_unlock(&domain->lock);
}
