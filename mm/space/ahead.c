/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c: breaks of sharing ahead of a guest that writes page after page.
 *
 * A break costs its copy and a fault, and where the machine is itself emulated or nested, the fault
 * is the larger part. A guest that takes memory again which it had freed, or copies a file, writes
 * the pages in the order of their addresses. So the fault that continues such a stream (stream.c)
 * breaks the pages of its window too, with one notification and one flush.
 *
 * It is an attempt: without memory to spare, or if a subscriber refuses, the pages stay as they
 * are. A page that is broken ahead counts as written; if it is not, a later pass merges it again.
 *
 * Invariants:
 * AHEAD-1  A fault breaks streams.most pages at most, its own among them.
 * AHEAD-2  A page that is not shared, or that its guest may not write, stays as it is, and no fault
 *          fails because a page ahead of it cannot be broken.
 *
 * Locking: LOCK_MMU for the pages.
 */
#include <mm/cow.h>
#include <lib/race.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <trace/trace.h>
#include "mm/space/update.h"

#define SPARE_ORDER 9 /* a free block of 2 MiB: memory is not short */

_Static_assert(SPACE_AHEAD_MAX <= UPDATE_BATCH, "a window is one batch");

/* pte: as it was when its frame was held; fresh: its copy, `used` once the page has it. */
struct ahead_page {
	struct gfn gfn;
	ppte_t *slot;
	ppte_t pte;
	struct mfn fresh;
	bool used;
};

struct ahead_pages {
	struct addrspace *as;
	unsigned count;
	struct ahead_page page[SPACE_AHEAD_MAX];
};

void addrspace_set_ahead(struct addrspace *as, unsigned most)
{
	space_stream_set(&as->ahead.streams, most);
}

u64 addrspace_breaks(const struct addrspace *as, u64 *ahead)
{
	u64 calls = ck_pr_load_64(&as->ahead.calls);

	*ahead = ck_pr_load_64(&as->ahead.broken);
	return notifier_events(&as->notifier, EVENT_COW_BREAK) - calls + *ahead;
}

/* The pages that a write would break, each with its frame held, so that it cannot change or go. */
static void hold_pages(struct ahead_pages *all, struct gfn_range window)
{
	struct addrspace *as = all->as;
	ppte_t *slot = primary_find(&as->primary, window.start); /* of one leaf page: STREAM-1 */
	struct gfn gfn = window.start;

	spin_lock(&as->lock);
	for (; slot && gfn.raw < window.end.raw; gfn.raw++, slot++) {
		if (!ppte_shared(*slot) || !(*slot & PPTE_WRITE))
			continue;
		if (ppte_state(*slot) == PPTE_SHARED)
			frame_get(ppte_mfn(*slot));
		all->page[all->count++] = (struct ahead_page){gfn, slot, *slot};
	}
	spin_unlock(&as->lock);
}

static void release_page(const struct ahead_page *page)
{
	if (ppte_state(page->pte) == PPTE_SHARED && frame_put(ppte_mfn(page->pte)))
		frame_free(ppte_mfn(page->pte), 0);
}

/* Copies as many as there are frames for; the others are let go. */
static void copy_pages(struct ahead_pages *all)
{
	unsigned copied = 0;

	while (copied < all->count && !space_copy(all->page[copied].pte, &all->page[copied].fresh))
		copied++;
	for (unsigned i = copied; i < all->count; i++)
		release_page(&all->page[i]);
	all->count = copied;
}

static void swap_page(struct update *update, struct ahead_page *page)
{
	struct addrspace *as = update->as;

	page->used = ppte_unchanged(*page->slot, page->pte);
	if (page->used) {
		space_swap_copy(update, page->gfn, page->slot, page->pte, page->fresh);
		ck_pr_store_64(&as->ahead.broken, as->ahead.broken + 1);
	}
	TRACE(cow_break, as->id, .gfn = page->gfn.raw, .old = ppte_mfn(page->pte).raw,
	      .mfn = page->fresh.raw, .zero = ppte_state(page->pte) == PPTE_ZERO,
	      .used = page->used);
}

static void install_pages(struct ahead_pages *all)
{
	struct gfn first = all->page[0].gfn, last = all->page[all->count - 1].gfn;
	struct addrspace *as = all->as;
	struct update update;

	if (update_begin(&update, as, EVENT_COW_BREAK, gfn_range(first, last.raw - first.raw + 1),
			 0))
		return;
	ck_pr_store_64(&as->ahead.calls, as->ahead.calls + 1);
	for (unsigned i = 0; i < all->count; i++)
		swap_page(&update, &all->page[i]);
	update_end(&update);
}

static void break_pages(struct addrspace *as, struct gfn_range window)
{
	struct ahead_pages all;

	all.as = as;
	all.count = 0;
	hold_pages(&all, window);
	copy_pages(&all);
	if (!all.count)
		return;
	RACE_POINT("ahead: copied");
	install_pages(&all);
	for (unsigned i = 0; i < all.count; i++) {
		if (!all.page[i].used)
			frame_free(all.page[i].fresh, 0);
		release_page(&all.page[i]);
	}
}

bool space_may_spare(void)
{
	return frame_has_block(SPARE_ORDER);
}

void space_break_window(struct addrspace *as, struct gfn gfn)
{
	struct gfn_range window = space_stream_window(&as->ahead.streams, gfn);

	if (gfn_range_frames(window) && space_may_spare())
		break_pages(as, window);
}
