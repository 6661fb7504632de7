/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: who else has this content? And who waits to be asked.
 *
 * Why one hold of the lock: a page that waits is not looked at again before it is written. So
 * whoever looks must see either what is shared or who waits, and be seen itself by the next:
 *
 *     CPU 0: at a page                           CPU 1: at its twin
 *     ----------------                           ------------------
 *     lock: nobody; waits; unlock
 *                                                lock: takes it out; unlock
 *     at a third: nobody; waits
 *                                                offers the twin's frame; lock: it is shared; calls who waits
 *
 * MERGE-8 (merge.h) is this file's.
 */
#include <lib/error.h>
#include "mm/merge/private.h"

#define ASIDE 8 /* pages in large leaves that a search passes over */

/*
 * Who excludes the page says so first and looks for INDEXED then; here it is the other way round.
 * So either the exclusion is seen here, or INDEXED there, and then the page is taken out as soon as
 * the lock is free.
 *
 * A page whose place is too crowded is done with, too; only nobody finds it.
 */
void merge_wait_locked(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
		       enum merge_reason reason)
{
	struct merge_domain *domain = area->domain;
	struct merge_page *page = merge_note(area, gfn);
	u32 before = page_change(page, PAGE_INDEXED, PAGE_INDEXED);
	bool excluded = (before & PAGE_REASON) == MERGE_EXCLUDED;
	int err;

	if (excluded && !IS_ENABLED(CONFIG_BREAK_MERGE_EXCLUDED)) {
		(void)page_change(page, PAGE_INDEXED, 0);
		return; /* its guest may have allowed it again by now: then it is looked at like a new one */
	}
	err = domain->engine->waiting_add(domain, key, merge_number(area, gfn));
	if (err)
		(void)page_change(page, PAGE_INDEXED, 0);
	merge_set_reason(area, gfn, err == ERR_NO_MEMORY ? MERGE_NO_MEMORY : reason);
}

/* Under domain->lock. */
static void put_back(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct gfn gfn;
	struct merge_area *area = merge_area_of(domain, number, &gfn);

	if (domain->engine->waiting_add(domain, key, number))
		(void)page_change(merge_note(area, gfn), PAGE_INDEXED, 0);
}

/*
 * A page that waits and looks the same leaves the index. One whose large leaf is not worth
 * splitting stays, and learns that it has a partner: it is put aside and back, and stays INDEXED
 * all the time, so that who wants it out waits for the lock. NULL: there is none, or not among the
 * first ASIDE. Under domain->lock.
 */
static struct merge_area *take_waiting(struct merge_domain *domain, const struct merge_key *key,
				       struct gfn *gfn)
{
	struct merge_area *area = NULL;
	u32 number, aside[ASIDE];
	unsigned count = 0;

	while (count < ASIDE &&
	       (number = domain->engine->waiting_find(domain, key)) != MERGE_PAGE_NONE) {
		area = merge_area_of(domain, number, gfn);
		domain->engine->waiting_remove(domain, number);
		if (!merge_stays_large(area, *gfn)) {
			(void)page_change(merge_note(area, *gfn), PAGE_INDEXED, 0);
			break;
		}
		merge_large_credit(area, *gfn);
		aside[count++] = number;
		area = NULL;
	}
	while (count > 0)
		put_back(domain, key, aside[--count]);
	return area;
}

enum merge_found merge_search(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
			      struct merge_hit *hit)
{
	struct merge_domain *domain = area->domain;
	enum merge_found found = MERGE_FOUND_SHARED;

	spin_lock(&domain->lock);
	if (!stable_take(domain, key, &hit->shared)) {
		hit->area = take_waiting(domain, key, &hit->gfn);
		found = hit->area ? MERGE_FOUND_TWIN : MERGE_FOUND_NOBODY;
	}
	if (found == MERGE_FOUND_NOBODY)
		merge_wait_locked(area, gfn, key, MERGE_UNIQUE);
	spin_unlock(&domain->lock);
	if (found == MERGE_FOUND_TWIN)
		merge_large_open(hit->area, hit->gfn);
	return found;
}

void merge_call_waiting(struct merge_domain *domain, const struct merge_key *key)
{
	struct merge_area *area;
	struct gfn gfn;

	while ((area = take_waiting(domain, key, &gfn))) {
		(void)merge_change_reason(area, gfn, BIT(MERGE_UNIQUE) | BIT(MERGE_LARGE),
					  MERGE_WAITING, 0, 0);
		ck_pr_store_32(&area->chunk[merge_chunk_of(area, gfn)].judged, 0);
	}
}
