/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.c: the same content in other frames: migration of one page, collapse of a block.
 *
 * Both write-protect the page everywhere, flush, copy, and exchange the frame if the page is still
 * write-protected in the same generation. A write in between starts a new generation: the exchange
 * is not done, the caller gets ERR_BUSY, and the write stays in the frame in use (COW-2).
 */
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/cow.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include "mm/frame/pool.h"
#include <lib/race.h>
#include "mm/space/update.h"

static void copy_frame(struct mfn to, struct mfn from)
{
	arch_page_copy(arch_hpa_to_virt(mfn_to_hpa(to)), arch_hpa_to_virt(mfn_to_hpa(from)));
}

/* The reference that frame_alloc() gave `fresh` becomes the PTE's. `also`: marks to set. */
static void swap_frame(struct update *update, struct gfn gfn, ppte_t *slot, struct mfn fresh,
		       u64 also)
{
	u16 id = update->as->id;
	u64 flags = *slot & ~(PPTE_STATE | PPTE_MFN | PPTE_WP | PPTE_GENERATION);

	rmap_remove(ppte_mfn(*slot), id, gfn);
	rmap_first(fresh, id, gfn);
	update_set(update, gfn, slot,
		   ppte_make(PPTE_PRIVATE, fresh, flags | also | ppte_next_generation(*slot)));
}

static int swap_protected(struct addrspace *as, struct gfn gfn, const struct cow_look *look,
			  struct mfn fresh)
{
	struct update update;
	int err = update_begin(&update, as, EVENT_MIGRATE, gfn_range(gfn, 1), 0);
	ppte_t *slot;

	if (err)
		return err;
	slot = primary_find(&as->primary, gfn);
	if (slot && ppte_unchanged(*slot, look->pte))
		swap_frame(&update, gfn, slot, fresh, 0);
	else
		err = ERR_BUSY;
	update_end(&update);
	return err;
}

int addrspace_migrate(struct addrspace *as, struct gfn gfn)
{
	struct cow_look look;
	struct mfn fresh;
	int err = frame_alloc(0, FRAME_GUEST, 0, &fresh);

	if (err)
		return err;
	err = cow_protect(as, gfn_range(gfn, 1));
	if (!err)
		err = cow_look(as, gfn, &look);
	if (!err) {
		copy_frame(fresh, look.mfn);
		RACE_POINT("migrate: copied");
		err = swap_protected(as, gfn, &look, fresh);
	}
	if (err)
		frame_free(fresh, 0);
	return err;
}

/*
 * Copies every page of the block, and notes in seen[] what its PTE was; ERR_BUSY when one cannot be
 * moved.
 */
static int copy_block(struct addrspace *as, struct gfn first, struct mfn to, ppte_t *seen)
{
	int err = 0;

	for (u64 i = 0; !err && i < LEVEL_FRAMES(1); i++) {
		struct cow_look look;

		err = cow_look(as, gfn_add(first, i), &look);
		if (err)
			break;
		copy_frame(mfn_add(to, i), look.mfn);
		seen[i] = look.pte;
	}
	return err;
}

/*
 * Unless large leaves may stay large while writes are logged, the PTEs of a uniform block agree in
 * soft-dirty: if one page is, all become so.
 */
static u64 common_dirty(const struct addrspace *as, const ppte_t *slots)
{
	bool may_differ = as->dirty_coarse && as->dirty_mode != DIRTY_WRITE_PROTECT;
	u64 any = 0;

	for (u64 i = 0; !may_differ && i < LEVEL_FRAMES(1); i++)
		any |= slots[i] & PPTE_SOFT_DIRTY;
	return any;
}

/* All 512 or none. */
static int swap_block(struct addrspace *as, struct gfn first, struct mfn to, const ppte_t *seen)
{
	struct update update;
	int err = update_begin(&update, as, EVENT_COLLAPSE, gfn_range(first, LEVEL_FRAMES(1)), 0);
	ppte_t *slots;
	u64 dirty;

	if (err)
		return err;
	slots = primary_find(&as->primary, first);
	for (u64 i = 0; !err && i < LEVEL_FRAMES(1); i++)
		if (!slots || !ppte_unchanged(slots[i], seen[i]))
			err = ERR_BUSY;
	if (!err) {
		dirty = common_dirty(as, slots);
		for (u64 i = 0; i < LEVEL_FRAMES(1); i++)
			swap_frame(&update, gfn_add(first, i), &slots[i], mfn_add(to, i), dirty);
	}
	update_end(&update);
	return err;
}

static bool mark_if_uniform(struct addrspace *as, struct gfn gfn)
{
	bool uniform = false;

	spin_lock(&as->lock);
	if (primary_find(&as->primary, gfn)) {
		primary_mark_uniform(&as->primary, gfn);
		uniform = primary_uniform(&as->primary, gfn, 1);
	}
	spin_unlock(&as->lock);
	return uniform;
}

/* Contiguous already: small leaves go, so that the next fault maps a large one. */
static int join_leaves(struct addrspace *as, struct gfn first)
{
	struct update update;
	int err = update_begin(&update, as, EVENT_COLLAPSE, gfn_range(first, LEVEL_FRAMES(1)), 0);

	if (!err)
		update_end(&update);
	return err;
}

static int collapse_into(struct addrspace *as, struct gfn first, struct mfn to)
{
	void *seen;
	int err = page_alloc(0, &seen);

	if (err)
		return err;
	err = cow_protect(as, gfn_range(first, LEVEL_FRAMES(1)));
	if (!err)
		err = copy_block(as, first, to, seen);
	if (!err) {
		RACE_POINT("collapse: copied");
		err = swap_block(as, first, to, seen);
	}
	page_free(seen, 0);
	return err;
}

int addrspace_collapse(struct addrspace *as, struct gfn gfn)
{
	struct gfn first = {ALIGN_DOWN(gfn.raw, LEVEL_FRAMES(1))};
	struct mfn to;
	int err = space_check(as, gfn_range(first, LEVEL_FRAMES(1)));

	if (err)
		return err;
	if (mark_if_uniform(as, first))
		return join_leaves(as, first);
	err = frame_alloc(LEVEL_BITS, FRAME_GUEST, 0, &to);
	if (err)
		return err;
	err = collapse_into(as, first, to);
	if (err)
		frame_free(to, LEVEL_BITS);
	else if (!mark_if_uniform(as, first))
		err = ERR_BUSY;
	return err;
}
