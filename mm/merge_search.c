/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_search.c: who else has this content? And who waits to be asked.
 *
 * Why one hold of the lock: a page that waits is not looked at again before it is written. So whoever looks must see either
 * what is shared or who waits, and be seen itself by the next:
 *
 *     CPU 0: at a page                           CPU 1: at its twin
 *     ----------------                           ------------------
 *     lock: nobody; waits; unlock
 *                                                lock: takes it out; unlock
 *     at a third: nobody; waits
 *                                                offers the twin's frame; lock: it is shared; calls who waits
 *
 * MERGE-8  Of pages that read the same and stand still none is left over, whoever looks at which of them when.
 */
#include <arch/cpu.h>
#include <lib/error.h>
#include <mm/frame.h>
#include "merge_private.h"

#define ASIDE 8 /* pages in large leaves that a search passes over */

/* Under domain->lock. Who excludes the page has taken it out before, or does so behind us. */
static void wait_locked(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
			enum merge_reason reason)
{
	struct merge_domain *domain = area->domain;
	struct merge_page *page = merge_note(area, gfn);
	int err;

	if (page_reason(page) == MERGE_EXCLUDED && !IS_ENABLED(CONFIG_BREAK_MERGE_EXCLUDED))
		return;
	(void)page_change(page, PAGE_INDEXED, PAGE_INDEXED);
	err = domain->engine->waiting_add(domain, key, merge_number(area, gfn));
	if (err)
		(void)page_change(page, PAGE_INDEXED, 0);
	merge_set_reason(area, gfn, merge_reason_of(err, reason));
}

void merge_wait(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
		enum merge_reason reason)
{
	spin_lock(&area->domain->lock);
	wait_locked(area, gfn, key, reason);
	spin_unlock(&area->domain->lock);
}

/* Under domain->lock. */
static void put_back(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	struct gfn gfn;
	struct merge_area *area = merge_area_of(domain, number, &gfn);

	if (domain->engine->waiting_add(domain, key, number) == 0)
		(void)page_change(merge_note(area, gfn), PAGE_INDEXED, PAGE_INDEXED);
}

/*
 * A page that waits and looks the same leaves the index; NULL: there is none. One whose large leaf is not worth splitting
 * stays, and learns that it has a partner. Under domain->lock.
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
		(void)page_change(merge_note(area, *gfn), PAGE_INDEXED, 0);
		if (!merge_stays_large(area, *gfn))
			break;
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
		wait_locked(area, gfn, key, MERGE_UNIQUE);
	spin_unlock(&domain->lock);
	if (found == MERGE_FOUND_TWIN)
		merge_large_open(hit->area, hit->gfn);
	return found;
}

void merge_call_waiting(struct merge_domain *domain, const struct merge_key *key)
{
	struct merge_area *area;
	struct gfn gfn;

	while ((area = take_waiting(domain, key, &gfn)))
		(void)merge_change_reason(area, gfn, BIT(MERGE_UNIQUE) | BIT(MERGE_LARGE),
					  MERGE_WAITING, 0, 0);
}
