/* SPDX-License-Identifier: Apache-2.0 */
/*
 * populate.c: absent gfns get zeroed private frames.
 *
 * Nobody can have cached an absent gfn, so populating tells nobody: it has no event.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <mm/cow.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <lib/race.h>
#include "mm/space/space.h"

#define MAX_LEVEL 2 /* 1 GiB: the largest leaf any format has */

/* A new page counts as written: whoever clears soft-dirty has not seen it yet. */
static ppte_t fresh_pte(const struct slot *slot, struct mfn mfn)
{
	u64 flags = PPTE_SOFT_DIRTY | (slot->kind == SLOT_ROM ? 0 : PPTE_WRITE);

	return ppte_make(PPTE_PRIVATE, mfn, flags);
}

/* Takes `mfn` over and sets *used when gfn was absent. as->lock is held. */
LOCK_UNCHECKED static int back_locked(struct addrspace *as, struct gfn gfn, struct mfn mfn,
				      bool *used)
{
	const struct slot *slot = space_slot(as, gfn);
	ppte_t *place;
	int err;

	if (!slot)
		return ERR_RANGE;
	err = primary_make(&as->primary, gfn, &place);
	if (err || ppte_state(*place) != PPTE_ABSENT)
		return err;
	rmap_first(mfn, as->id, gfn);
	primary_store(&as->primary, gfn, place, fresh_pte(slot, mfn));
	*used = true;
	return 0;
}

int space_back(struct addrspace *as, struct gfn gfn)
{
	bool used = false;
	struct mfn mfn;
	int err = frame_alloc(0, FRAME_GUEST, FRAME_ZERO, &mfn);

	if (err)
		return err;
	RACE_POINT("back: allocated");
	spin_lock(&as->lock);
	err = back_locked(as, gfn, mfn, &used);
	spin_unlock(&as->lock);
	if (!used)
		frame_free(mfn, 0);
	return err;
}

/* Is nothing of the range backed? */
static bool is_absent(struct addrspace *as, struct gfn_range range)
{
	struct gfn gfn = range.start;
	bool absent = true;
	ppte_t *slot;

	spin_lock(&as->lock);
	for (; absent && (slot = primary_next(&as->primary, &gfn, range.end)); gfn.raw++)
		absent = !*slot;
	spin_unlock(&as->lock);
	return absent;
}

/* The largest block at gfn that could be backed by contiguous frames now. */
static unsigned block_level(struct addrspace *as, struct gfn gfn, struct gfn end)
{
	unsigned level = MAX_LEVEL;

	for (; level; level--)
		if (IS_ALIGNED(gfn.raw, LEVEL_FRAMES(level)) &&
		    gfn.raw + LEVEL_FRAMES(level) <= end.raw &&
		    is_absent(as, gfn_range(gfn, LEVEL_FRAMES(level))))
			break;
	return level;
}

/* Backs up to one leaf page of gfns; what another CPU backed meanwhile keeps its own frame. */
static int back_run(struct addrspace *as, struct gfn gfn, struct mfn mfn)
{
	int err = 0;

	spin_lock(&as->lock);
	for (u64 i = 0; i < LEVEL_FRAMES(1); i++) {
		bool used = false;

		if (!err)
			err = back_locked(as, gfn_add(gfn, i), mfn_add(mfn, i), &used);
		if (!used)
			frame_free(mfn_add(mfn, i), 0);
	}
	if (!err)
		primary_mark_uniform(&as->primary, gfn);
	spin_unlock(&as->lock);
	return err;
}

static int back_block(struct addrspace *as, struct gfn gfn, unsigned level)
{
	struct mfn mfn;
	int err = frame_alloc(LEVEL_BITS * level, FRAME_GUEST, FRAME_ZERO, &mfn);

	if (err)
		return err;
	for (u64 i = 0; i < LEVEL_FRAMES(level); i += LEVEL_FRAMES(1)) {
		if (!err)
			err = back_run(as, gfn_add(gfn, i), mfn_add(mfn, i));
		else
			frame_free(mfn_add(mfn, i), LEVEL_BITS);
	}
	return err;
}

/*
 * Backs what is at gfn and goes on to what follows; a block too large for what is free is tried
 * smaller.
 */
static int populate_step(struct addrspace *as, struct gfn *gfn, struct gfn end)
{
	unsigned level = 0;
	int err = 0;

	if (IS_ALIGNED(gfn->raw, LEVEL_FRAMES(1)))
		level = block_level(as, *gfn, end);
	for (; level; level--) {
		err = back_block(as, *gfn, level);
		if (!err)
			break;
	}
	if (!level && !primary_load(&as->primary, *gfn))
		err = space_back(as, *gfn);
	gfn->raw += LEVEL_FRAMES(level);
	return err;
}

int addrspace_populate(struct addrspace *as, struct gfn_range range)
{
	int err = space_check(as, range);

	for (struct gfn gfn = range.start; !err && gfn.raw < range.end.raw;)
		err = populate_step(as, &gfn, range.end);
	return err;
}

/* A write is about to come: whoever looked at the guarded page must notice. LOCK_MMU. */
static int unprotect(struct addrspace *as, struct gfn gfn, ppte_t *slot)
{
	if (*slot & PPTE_BUSY)
		return ERR_BUSY;
	primary_store(&as->primary, gfn, slot,
		      (*slot & ~(PPTE_WP | PPTE_GENERATION)) | ppte_next_generation(*slot) |
			      PPTE_SOFT_DIRTY);
	return 0;
}

int space_unprotect(struct addrspace *as, struct gfn gfn)
{
	ppte_t *slot = primary_find(&as->primary, gfn);
	int err = 0;

	spin_lock(&as->lock);
	if (slot && ppte_state(*slot) == PPTE_PRIVATE)
		err = unprotect(as, gfn, slot);
	spin_unlock(&as->lock);
	return err;
}

int space_make_writable(struct addrspace *as, struct gfn gfn)
{
	bool shared = false;
	ppte_t *slot;
	int err = 0;

	spin_lock(&as->lock);
	slot = primary_find(&as->primary, gfn);
	if (slot && ppte_state(*slot) == PPTE_PRIVATE)
		err = *slot & PPTE_WRITE ? unprotect(as, gfn, slot) : ERR_PERMISSION;
	else if (slot && ppte_state(*slot) == PPTE_MMIO)
		err = *slot & PPTE_WRITE ? 0 : ERR_PERMISSION;
	else
		shared = slot && *slot;
	spin_unlock(&as->lock);
	return shared ? cow_break(as, gfn) : err;
}
