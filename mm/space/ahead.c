/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c: breaks of sharing ahead of a guest that writes page after page.
 *
 * A break costs its copy and a fault, and where the machine is itself emulated or nested, the fault
 * is the larger part. A guest that takes memory again which it had freed, or copies a file, writes
 * the pages in the order of their addresses. So the fault that continues such a stream breaks the
 * pages behind it too, twice as many each time, with one notification and one flush.
 *
 *     fault at          100 | 101 . | 103 . . . | 107 . . .      where the last window ended
 *     broken with it      0     1       3           7            up to ahead.most - 1
 *
 * It is an attempt: without memory to spare, or if a subscriber refuses, the pages stay as they
 * are. A page that is broken ahead counts as written; if it is not, a later pass merges it again.
 *
 * Invariants:
 * AHEAD-1  A fault breaks ahead.most pages at most, its own among them.
 * AHEAD-2  A page that is not shared, or that its guest may not write, stays as it is, and no fault
 *          fails because a page ahead of it cannot be broken.
 *
 * Locking: LOCK_MMU for the pages. A stream is one word without a lock: two vCPUs that replace the
 * same one lose one of two windows.
 */
#include <mm/cow.h>
#include <lib/race.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <trace/trace.h>
#include "mm/space/update.h"

#define SPARE_ORDER 9 /* a free block of 2 MiB: memory is not short */
#define WINDOW_BITS 8

_Static_assert(SPACE_AHEAD_MAX < BIT(WINDOW_BITS), "a window is part of a stream's word");
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
	ck_pr_store_32(&as->ahead.most, MIN(most, SPACE_AHEAD_MAX));
}

u64 addrspace_breaks(const struct addrspace *as, u64 *ahead)
{
	u64 calls = ck_pr_load_64(&as->ahead.calls);

	*ahead = ck_pr_load_64(&as->ahead.broken);
	return notifier_events(&as->notifier, EVENT_COW_BREAK) - calls + *ahead;
}

/*
 * Does the stream, which is 0 before the first, go on at gfn? The last window may have ended in
 * pages that were not shared.
 */
static bool stream_continues(u64 stream, struct gfn gfn)
{
	u64 next = stream >> WINDOW_BITS, window = stream & (BIT(WINDOW_BITS) - 1);

	return stream && gfn.raw >= next && gfn.raw - next <= window + 1;
}

/* Pages to break after gfn. Its stream goes on behind them; a new stream replaces another one. */
static u64 stream_window(struct space_ahead *ahead, struct gfn gfn, u64 most)
{
	u64 window = 0, stream;
	unsigned i = 0;

	while (i < SPACE_STREAMS && !stream_continues(ck_pr_load_64(&ahead->stream[i]), gfn))
		i++;
	if (i < SPACE_STREAMS) {
		stream = ck_pr_load_64(&ahead->stream[i]);
		window = MIN((stream & (BIT(WINDOW_BITS) - 1)) * 2 + 1, most - 1);
	} else {
		i = ck_pr_faa_32(&ahead->oldest, 1) % SPACE_STREAMS;
	}
	ck_pr_store_64(&ahead->stream[i], (gfn.raw + 1 + window) << WINDOW_BITS | window);
	return window;
}

/* The pages that a write would break, each with its frame held, so that it cannot change or go. */
static void hold_pages(struct ahead_pages *all, struct gfn_range window)
{
	struct addrspace *as = all->as;
	struct gfn gfn = window.start;
	ppte_t *slot;

	spin_lock(&as->lock);
	for (; (slot = primary_next(&as->primary, &gfn, window.end)); gfn.raw++) {
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
	struct ahead_pages all = {.as = as};

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

void space_break_ahead(struct addrspace *as, struct gfn gfn)
{
	u64 most = ck_pr_load_32(&as->ahead.most), window;

	if (most < 2)
		return;
	window = stream_window(&as->ahead, gfn, most);
	window = MIN(window, GFN_END - 1 - gfn.raw);
	if (window && frame_largest() >= SPARE_ORDER)
		break_pages(as, gfn_range(gfn_add(gfn, 1), window));
}
