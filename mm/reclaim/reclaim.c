/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.c: write-protect, keep the content, free the frame.
 *
 *     CPU 1: reclaims gfn 5                     CPU 2: writes to gfn 5
 *     ---------------------                     ----------------------
 *     write-protect, flush; look: generation n
 *     compress: token
 *                                               faults, is writable again: n + 1; writes
 *     begin RECLAIM: all invalidate, flush
 *     lock; the PTE has generation n + 1: the page stays
 *     free the token
 *
 * The page comes back by space_resolve() (mm/space/resolve.c).
 */
#define LOG_THIS LOG_MM

#include <mm/reclaim.h>
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/cow.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <lib/race.h>
#include <trace/trace.h>
#include "mm/store/store.h"
#include "mm/space/update.h"

#define KEPT_FLAGS (PPTE_WRITE | PPTE_SOFT_DIRTY)

static struct reclaim_stats stats; /* [a]; kept, bytes, restored: the store's */

struct kept_page {
	struct gfn gfn;
	struct cow_look look;
	u64 token;
};

/* Pages with their content kept, their frames about to be freed; ascending gfns. */
struct batch {
	unsigned count;
	struct kept_page page[UPDATE_BATCH];
};

/*
 * Keeps the content of a write-protected range's pages. *next: the end, or the page for which there
 * was no memory.
 */
static void keep_pages(struct addrspace *as, struct gfn_range range, struct batch *batch,
		       struct gfn *next)
{
	int err = 0;

	batch->count = 0;
	for (*next = range.start; next->raw < range.end.raw; next->raw++) {
		struct kept_page *page = &batch->page[batch->count];

		page->gfn = *next;
		if (cow_look(as, *next, &page->look))
			continue;
		err = store_put(arch_hpa_to_virt(mfn_to_hpa(page->look.mfn)), &page->token);
		if (err == ERR_NO_MEMORY)
			return;
		ck_pr_add_64(&stats.incompressible, err != 0);
		batch->count += !err;
	}
}

/* Replaces the frame by the token, unless the page was written since. */
static bool swap_page(struct update *update, const struct kept_page *page)
{
	struct addrspace *as = update->as;
	ppte_t *slot = primary_find(&as->primary, page->gfn);

	if (!slot || !ppte_unchanged(*slot, page->look.pte)) {
		store_drop(page->token);
		return false;
	}
	rmap_remove(page->look.mfn, as->id, page->gfn);
	update_set(update, page->gfn, slot,
		   ppte_make_reclaimed(page->token,
				       (*slot & KEPT_FLAGS) | ppte_next_generation(*slot)));
	TRACE(reclaim, as->id, .gfn = page->gfn.raw, .mfn = page->look.mfn.raw,
	      .token = page->token);
	return true;
}

static int swap_batch(struct addrspace *as, const struct batch *batch, u64 *done)
{
	const struct kept_page *first = &batch->page[0], *last = &batch->page[batch->count - 1];
	struct gfn_range range = {first->gfn, gfn_add(last->gfn, 1)};
	struct update update;
	int err = update_begin(&update, as, EVENT_RECLAIM, range, 0);
	u64 swapped = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		bool went = !err && swap_page(&update, &batch->page[i]);

		if (err)
			store_drop(batch->page[i].token);
		swapped += went;
		ck_pr_add_64(&stats.zeroes, went && !batch->page[i].token);
	}
	if (err)
		return err;
	update_end(&update);
	ck_pr_add_64(&stats.reclaimed, swapped);
	ck_pr_add_64(&stats.lost_races, batch->count - swapped);
	*done += swapped;
	return 0;
}

/*
 * One write-protection, one RECLAIM. Keeping the pages may have used the store's reserve; their
 * frames refill it.
 */
static int reclaim_batch(struct addrspace *as, struct gfn_range range, struct gfn *next, u64 *done)
{
	struct batch batch;
	int err = cow_protect(as, range);

	if (err)
		return err;
	keep_pages(as, range, &batch, next);
	RACE_POINT("reclaim: kept");
	if (!batch.count)
		return next->raw < range.end.raw ? ERR_NO_MEMORY : 0;
	err = swap_batch(as, &batch, done);
	(void)store_reserve(); /* if it fails, the next reclaim tries again */
	return err;
}

int addrspace_reclaim(struct addrspace *as, struct gfn_range range, u64 *done)
{
	int err = space_check(as, range);

	*done = 0;
	while (!err && range.start.raw < range.end.raw) {
		u64 frames = MIN(gfn_range_frames(range), (u64)UPDATE_BATCH);

		err = reclaim_batch(as, gfn_range(range.start, frames), &range.start, done);
	}
	return err;
}

static bool may_go(ppte_t pte)
{
	return ppte_state(pte) == PPTE_PRIVATE && !(pte & PPTE_PINNED);
}

/*
 * The next private page at or after the hand, which moves past it. *looks goes down by the pages
 * passed over. False: the hand has reached the end, and starts anew; or *looks is 0.
 */
static bool next_page(struct addrspace *as, struct gfn *gfn, unsigned *looks)
{
	const struct gfn end = {GFN_END};
	ppte_t *slot;

	spin_lock(&as->lock);
	do {
		*gfn = as->hand;
		slot = primary_next(&as->primary, gfn, end);
		as->hand.raw = slot ? gfn->raw + 1 : 0;
	} while (slot && !may_go(*slot) && --*looks > 0);
	spin_unlock(&as->lock);
	return slot && *looks > 0;
}

static bool is_cold(struct addrspace *as, struct gfn gfn)
{
	bool young = true;

	return !addrspace_age(as, gfn_range(gfn, 1), &young) && !young;
}

/* Reclaims a run of cold pages and empties it. */
static u64 finish_run(struct addrspace *as, struct gfn_range *run)
{
	u64 done = 0;

	if (run->start.raw < run->end.raw && addrspace_reclaim(as, *run, &done))
		log_debug("reclaim: %s: stopped early", as->name);
	run->start = run->end;
	return done;
}

/* Neighbours are reclaimed together, which saves notifications and flushes. */
u64 reclaim_cold(struct addrspace *as, u64 pages)
{
	struct gfn_range run = {{0}, {0}};
	u64 done = 0;

	for (unsigned looks = RECLAIM_LOOKS; done + gfn_range_frames(run) < pages && looks > 0;
	     looks--) {
		struct gfn gfn;

		if (!next_page(as, &gfn, &looks))
			break;
		if (!is_cold(as, gfn))
			continue;
		if (gfn.raw != run.end.raw || run.start.raw == run.end.raw) {
			done += finish_run(as, &run);
			run = gfn_range(gfn, 0);
		}
		run.end.raw++;
	}
	return done + finish_run(as, &run);
}

int reclaim_init(void)
{
	return store_reserve();
}

void reclaim_fini(void)
{
	store_unreserve();
}

void reclaim_stats(struct reclaim_stats *out)
{
	struct store_stats kept;

	store_stats(&kept);
	*out = (struct reclaim_stats){
		.reclaimed = ck_pr_load_64(&stats.reclaimed),
		.zeroes = ck_pr_load_64(&stats.zeroes),
		.restored = kept.taken,
		.incompressible = ck_pr_load_64(&stats.incompressible),
		.lost_races = ck_pr_load_64(&stats.lost_races),
		.kept = kept.pages,
		.bytes = kept.bytes,
	};
}
