/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: looking a content up in a domain: stable frames, then unstable pages.
 *
 * Why one hold of the lock: an unstable page is not visited again before it is written. So a
 * visitor must see either the stable frame or the unstable page, or be seen itself by the next:
 *
 *     CPU 0: at a page                           CPU 1: at its match
 *     ----------------                           -------------------
 *     lock: none found; unstable; unlock
 *                                                lock: takes it out; unlock
 *     at a third: none found; unstable
 *                                                offers the match's frame; lock: stable; calls the third
 *
 * MERGE-8 (merge.h) is this file's.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <lib/string.h>

#define ASIDE 8 /* pages in large leaves that a search passes over */
#define CALLS 4 /* unstable pages that are looked up again at once */

int unstable_compare(const struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct merge_ref ref = merge_ref_of(domain, number);
	struct mfn mfn;

	merge_count(compares, 1);
	return merge_frame(&ref, &mfn) ? memcmp(key->content, merge_content(mfn), PAGE_SIZE) : 1;
}

/*
 * A page that finds no place, because its neighbourhood is crowded, is settled too; no search finds
 * it.
 */
void unstable_add(const struct merge_ref *ref, const struct merge_key *key,
		  enum merge_reason reason)
{
	struct merge_domain *domain = ref->region->domain;
	int err;

	if (!merge_mark_indexed(ref, reason))
		return;
	err = domain->engine->unstable_add(domain, key, merge_number(ref));
	if (err)
		(void)page_change(ref->page, PAGE_INDEXED, 0);
	if (err == ERR_NO_MEMORY)
		merge_set_reason(ref, MERGE_NO_MEMORY);
}

void unstable_remove_indexed(const struct merge_ref *ref)
{
	struct merge_domain *domain = ref->region->domain;

	spin_lock(&domain->lock);
	if (page_change(ref->page, PAGE_INDEXED, 0) & PAGE_INDEXED)
		domain->engine->unstable_remove(domain, merge_number(ref));
	spin_unlock(&domain->lock);
}

/* A page that was put aside. Under domain->lock. */
static void index_put_back(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct merge_ref ref = merge_ref_of(domain, number);

	if (domain->engine->unstable_add(domain, key, number))
		(void)page_change(ref.page, PAGE_INDEXED, 0);
}

/*
 * An unstable page of this content leaves the index. One in a large leaf not worth splitting stays
 * and is credited with a partner: it is put aside and back, and stays INDEXED all the time,
 * so that a removal waits for the lock. False: there is none, or not among the first ASIDE. Under
 * domain->lock.
 */
static bool index_take_match(struct merge_domain *domain, const struct merge_key *key,
			     struct merge_ref *match)
{
	u32 number, aside[ASIDE];
	unsigned count = 0;
	bool found = false;

	while (!found && count < ASIDE &&
	       (number = domain->engine->unstable_find(domain, key)) != MERGE_PAGE_NONE) {
		*match = merge_ref_of(domain, number);
		domain->engine->unstable_remove(domain, number);
		found = !merge_stays_large(match);
		if (found) {
			(void)page_change(match->page, PAGE_INDEXED, 0);
		} else {
			merge_large_credit(match);
			aside[count++] = number;
		}
	}
	while (count > 0)
		index_put_back(domain, key, aside[--count]);
	return found;
}

enum merge_found merge_search(const struct merge_ref *ref, const struct merge_key *key,
			      struct merge_hit *hit)
{
	struct merge_domain *domain = ref->region->domain;
	enum merge_found found = MERGE_FOUND_SHARED;

	spin_lock(&domain->lock);
	if (!stable_take(domain, key, &hit->shared))
		found = index_take_match(domain, key, &hit->match) ? MERGE_FOUND_MATCH
								   : MERGE_FOUND_NONE;
	if (found == MERGE_FOUND_NONE)
		unstable_add(ref, key, MERGE_UNIQUE);
	spin_unlock(&domain->lock);
	if (found == MERGE_FOUND_MATCH && merge_is_large(&hit->match))
		merge_large_open(&hit->match);
	return found;
}

bool merge_search_stable_locked(const struct merge_ref *ref, const struct merge_key *key,
				struct mfn *shared)
{
	struct merge_domain *domain = ref->region->domain;
	bool found;

	spin_lock(&domain->lock);
	found = stable_take(domain, key, shared);
	spin_unlock(&domain->lock);
	return found;
}

/*
 * Mostly there is none, or one for each other CPU that scans. A guest can write the same to any
 * number of pages that are unstable, hence the bound.
 */
bool unstable_call(struct merge_domain *domain, const struct merge_key *key)
{
	struct merge_ref match;

	for (unsigned i = 0; i < CALLS || IS_ENABLED(CONFIG_BREAK_MERGE_CALLS); i++) {
		if (!index_take_match(domain, key, &match))
			return false;
		merge_retry(&match);
		ck_pr_store_32(&merge_chunk_at(&match)->assessed, 0);
	}
	return true;
}
