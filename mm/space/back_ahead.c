/* SPDX-License-Identifier: Apache-2.0 */
/*
 * back_ahead.c: frames for absent pages ahead of a guest that touches page after page for the first
 * time.
 *
 * A first touch costs a zeroed frame and an exit, and where the machine is itself emulated or
 * nested, the exit is the larger part. A kernel that boots, or fills its page cache, goes through
 * its memory in sequence. So the fault that continues such a stream (stream.c) backs the pages of
 * its window too, and the stage 2 maps them (mm/stage2/ahead.c).
 *
 * It is an attempt: without memory to spare, or if another CPU is first, the pages stay as they
 * are. A page that is backed in vain reads as zero, so merging gives its frame back, and reclaim
 * finds it cold.
 *
 * Invariants:
 * AHEAD-3  A fault backs touch.most pages at most, its own among them.
 * AHEAD-4  Only a page that was never backed, of the slot of the fault, is backed: not one that the
 *          guest has given back (PPTE_GIVEN), one under a token, or one of an image or a device.
 *
 * Locking: LOCK_MMU for the pages.
 */
#include <lib/race.h>
#include <mm/frame.h>
#include "mm/space/space.h"

struct back_pages {
	unsigned count;
	struct space_page page[SPACE_AHEAD_MAX];
	struct mfn mfn[SPACE_AHEAD_MAX];
};

/* The part of the window in the slot of gfn, if that is RAM without an image. */
static struct gfn_range clip_to_slot(const struct addrspace *as, struct gfn gfn,
				     struct gfn_range window) LOCK_REQUIRES(&as->lock)
{
	const struct slot *slot = space_slot(as, gfn);

	if (!slot || slot->kind != SLOT_RAM || slot->image.raw)
		return (struct gfn_range){gfn, gfn};
	return (struct gfn_range){{MAX(window.start.raw, slot->range.start.raw)},
				  {MIN(window.end.raw, slot->range.end.raw)}};
}

/* Nothing has happened to it: it has no frame, right or mark. */
static bool never_backed(ppte_t pte)
{
	return !(pte & ~PPTE_GENERATION);
}

static struct gfn_range find_absent(struct addrspace *as, struct gfn gfn, struct gfn_range window,
				    struct back_pages *all)
{
	struct gfn at;
	ppte_t *slot;

	spin_lock(&as->lock);
	window = clip_to_slot(as, gfn, window);
	at = window.start;
	for (; (slot = primary_next(&as->primary, &at, window.end)); at.raw++)
		if (never_backed(*slot))
			all->page[all->count++] = (struct space_page){.gfn = at, .slot = slot};
	spin_unlock(&as->lock);
	return window;
}

static void alloc_frames(struct back_pages *all)
{
	unsigned got = 0;

	while (got < all->count && !frame_alloc(0, FRAME_GUEST, FRAME_ZERO, &all->mfn[got]))
		got++;
	all->count = got;
}

static void install_frames(struct addrspace *as, struct back_pages *all)
{
	bool used[SPACE_AHEAD_MAX] = {false};

	spin_lock(&as->lock);
	for (unsigned i = 0; i < all->count; i++)
		if (never_backed(*all->page[i].slot) &&
		    space_back(as, &all->page[i], all->mfn[i], &used[i]))
			break;
	spin_unlock(&as->lock);
	for (unsigned i = 0; i < all->count; i++)
		if (!used[i])
			frame_free(all->mfn[i], 0);
}

void addrspace_set_touch(struct addrspace *as, unsigned most)
{
	space_stream_set(&as->touch, most);
}

struct gfn_range space_back_ahead(struct addrspace *as, struct gfn gfn)
{
	struct gfn_range window = space_stream_window(&as->touch, gfn);
	struct back_pages all;

	if (!gfn_range_frames(window) || !space_may_spare())
		return window;
	all.count = 0;
	window = find_absent(as, gfn, window, &all);
	alloc_frames(&all);
	RACE_POINT("back ahead: allocated");
	install_frames(as, &all);
	return window;
}
