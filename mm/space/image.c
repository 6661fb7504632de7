/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c: frames of boot modules behind primary PTEs. image.h has the idea.
 */
#include <mm/image.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <trace/trace.h>
#include "mm/space/update.h"
#include "mm/store/store.h"

int image_adopt(struct mfn first, u64 frames)
{
	int err = frame_adopt(first, frames);

	for (u64 i = 0; i < frames && !err; i++)
		rmap_count_only(mfn_add(first, i));
	return err;
}

int addrspace_add_image(struct addrspace *as, struct gfn_range range, struct mfn first)
{
	u64 frames = gfn_range_valid(range) ? gfn_range_frames(range) : 0;
	int err;

	for (u64 i = 0; i < frames; i++) {
		if (frame_kind(mfn_add(first, i)) != FRAME_IMAGE)
			return ERR_INVALID;
	}
	if (!frames)
		return ERR_INVALID;
	spin_lock(&as->lock);
	err = space_add_slot(as, &(struct slot){range, SLOT_RAM, first});
	spin_unlock(&as->lock);
	return err;
}

/* A user more of the frame. Users are counted only, so this allocates nothing. */
static void image_use(struct addrspace *as, struct gfn gfn, struct mfn mfn)
{
	CHECK(!rmap_add(mfn, as->id, gfn));
	frame_get(mfn);
}

static ppte_t image_pte(struct mfn mfn, u64 flags)
{
	return ppte_make(PPTE_SHARED, mfn, flags | PPTE_SOFT_DIRTY | PPTE_YOUNG);
}

int space_back_image(struct addrspace *as, struct space_page *page, bool *here)
{
	const struct slot *slot;
	struct mfn mfn;
	int err = 0;

	spin_lock(&as->lock);
	slot = space_slot(as, page->gfn);
	*here = slot && slot->image.raw;
	if (*here && !page->slot)
		err = primary_make(&as->primary, page->gfn, &page->slot);
	if (*here && !err && ppte_state(*page->slot) == PPTE_ABSENT) {
		mfn = mfn_add(slot->image, page->gfn.raw - slot->range.start.raw);
		image_use(as, page->gfn, mfn);
		primary_store(&as->primary, page->gfn, page->slot,
			      image_pte(mfn, (*page->slot & PPTE_WP ? 0 : PPTE_WRITE) |
						     (*page->slot & PPTE_GENERATION)));
	}
	spin_unlock(&as->lock);
	return err;
}

/* May a write of the guest replace the page? */
static int image_check(struct addrspace *as, struct gfn gfn, ppte_t was) LOCK_REQUIRES(&as->lock)
{
	const struct slot *slot = space_slot(as, gfn);

	if (!slot || slot->kind == SLOT_MMIO)
		return ERR_RANGE;
	if (slot->kind == SLOT_ROM)
		return ERR_PERMISSION;
	if (ppte_state(was) == PPTE_ABSENT)
		return was & PPTE_WP ? ERR_PERMISSION : 0;
	if (!(was & PPTE_WRITE))
		return ERR_PERMISSION;
	return was & (PPTE_PINNED | PPTE_BUSY) ? ERR_BUSY : 0;
}

/* No secondary has a translation of a page without a frame, so its PTE changes without an event. */
static void image_install(struct update *update, struct gfn gfn, ppte_t *slot, struct mfn mfn)
{
	struct addrspace *as = update->as;
	ppte_t was = *slot, pte = image_pte(mfn, PPTE_WRITE | ppte_next_generation(was));

	image_use(as, gfn, mfn);
	if (ppte_state(was) == PPTE_PRIVATE || ppte_state(was) == PPTE_SHARED)
		rmap_remove(ppte_mfn(was), as->id, gfn);
	if (ppte_backed(was))
		update_set(update, gfn, slot, pte);
	else
		primary_store(&as->primary, gfn, slot, pte);
	if (ppte_state(was) == PPTE_RECLAIMED)
		store_drop(ppte_token(was));
	TRACE(cow_share, as->id, .gfn = gfn.raw, .old = ppte_backed(was) ? ppte_mfn(was).raw : 0,
	      .mfn = mfn.raw);
}

/* Maps a page that has no frame; *done says whether it had none. */
static int image_map_unbacked(struct addrspace *as, struct gfn gfn, struct mfn mfn, bool *done)
{
	struct update update = {.as = as};
	ppte_t *slot;
	int err;

	spin_lock(&as->lock);
	err = image_check(as, gfn, 0);
	if (!err)
		err = primary_make(&as->primary, gfn, &slot);
	*done = !err && !ppte_backed(*slot);
	if (*done)
		err = image_check(as, gfn, *slot);
	if (*done && !err)
		image_install(&update, gfn, slot, mfn);
	spin_unlock(&as->lock);
	return err;
}

LOCK_UNCHECKED int addrspace_map_image(struct addrspace *as, struct gfn gfn, struct mfn mfn)
{
	struct update update;
	bool done = false;
	ppte_t *slot;
	int err;

	CHECK(frame_kind(mfn) == FRAME_IMAGE);
	err = gfn_valid(gfn) ? image_map_unbacked(as, gfn, mfn, &done) : ERR_RANGE;
	if (err || done)
		return err;
	err = update_begin(&update, as, EVENT_CLEAR, gfn_range(gfn, 1), 0);
	if (err)
		return err;
	slot = primary_find(&as->primary, gfn);
	err = image_check(as, gfn, *slot);
	if (!err && !(ppte_state(*slot) == PPTE_SHARED && ppte_mfn(*slot).raw == mfn.raw))
		image_install(&update, gfn, slot, mfn);
	update_end(&update);
	return err;
}
