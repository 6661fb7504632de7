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
 *
 * A content of 64 lines would fill the CPU's buffers of misses. It is prefetched by the hash of the
 * page before it, a line for each line.
 *
 * A search that finds nothing needs no visit. It is one that reads tags and no content, so all of a
 * batch end under the hold of the lock under which they are prefetched: the pages are in the index
 * before the first visit of their batch.
 */
#include "mm/merge/private.h"
#include <lib/race.h>
#include <mm/frame.h>
#include <trace/trace.h>

void merge_prefetch_frame(struct mfn mfn)
{
	__builtin_prefetch(frame_record(mfn), 1);
	__builtin_prefetch(merge_content(mfn));
}

/* Of a page that will be merged both frames are read, and their records change. */
static void prefetch_own(ppte_t pte)
{
	if (ppte_state(pte) == PPTE_PRIVATE)
		merge_prefetch_frame(ppte_mfn(pte));
}

/* All of the page's visit: it is still what it was for the batch, and nothing else has the tag. */
static bool add_unseen(struct merge_domain *domain, const struct merge_next *page, ppte_t pte,
		       u32 place)
{
	if (page_reason(page->ref.page) != MERGE_CANDIDATE || !cow_protectable(pte))
		return false;
	RACE_POINT("merge: unseen");
	TRACE(merge_look, page->ref.region->as->id, .gfn = page->ref.gfn.raw,
	      .mfn = ppte_mfn(pte).raw, .reason = MERGE_CANDIDATE, .dirty = false);
	if (merge_mark_indexed(&page->ref, MERGE_UNIQUE))
		domain->engine->unstable_put(domain, place, merge_number(&page->ref));
	return true;
}

/* Secure mode and large leaves have visits of their own kind. */
static u32 prefetch_searches(const struct merge_batch *batch)
{
	const struct merge_ref *first = &batch->page[0].ref;
	struct merge_domain *domain = first->region->domain;
	bool adds = !domain->limits.secure && !merge_is_large(first);
	u32 over = 0, place;

	domain->engine->prefetch(domain, batch->tag, batch->searches);
	for (u32 left = batch->searches; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		ppte_t pte = merge_load(batch->page[i].slot);

		if (!domain->engine->unseen(domain, batch->tag[i], &place))
			prefetch_own(pte);
		else if (adds && add_unseen(domain, &batch->page[i], pte, place))
			over |= BIT(i);
	}
	return over;
}

/* A page's content, which is about to be read, to where the visit before it finds it. */
static bool name_content(const ppte_t *slot, const void **out)
{
	ppte_t pte = merge_load(slot);

	if (ppte_state(pte) != PPTE_PRIVATE)
		return false;
	*out = merge_content(ppte_mfn(pte));
	return true;
}

/*
 * Pages that will be hashed: each is read line by line while the one before it is. Behind the last
 * of a full batch the page after it in the chunk is likely to begin the next batch.
 */
static void prefetch_reads(struct merge_batch *batch)
{
	const struct merge_next *last = &batch->page[MERGE_BATCH - 1];
	const void *none, **ahead = &none;

	for (u32 left = (u32)(BIT(batch->count) - 1) & ~batch->searches; left; left &= left - 1) {
		struct merge_next *page = &batch->page[__builtin_ctz(left)];

		if (name_content(page->slot, ahead))
			ahead = &page->ahead;
	}
	if (ahead == &last->ahead && (last->ref.gfn.raw + 1) % MERGE_CHUNK)
		(void)name_content(last->slot + 1, ahead);
}

u32 merge_prefetch(struct merge_batch *batch)
{
	struct merge_domain *domain = batch->page[0].ref.region->domain;
	u32 over = 0;

	prefetch_reads(batch);
	if (!batch->searches)
		return 0;
	spin_lock(&domain->lock);
	if (domain->engine->prefetch)
		over = prefetch_searches(batch);
	spin_unlock(&domain->lock);
	return over;
}
