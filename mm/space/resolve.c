/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.c: brings a primary PTE to where it allows an access. One switch over its state.
 *
 *     state        a read              a write
 *     absent       zeroed frame        zeroed frame              or the image's, shared (image.h)
 *     reclaimed    content restored    content restored
 *     shared       allowed             copy-on-write break      if PPTE_WRITE, else ERR_PERMISSION
 *     zero         allowed             copy-on-write break      the same
 *     private      allowed             write protection lifted,
 *                                        soft-dirty set         the same; ERR_BUSY while it changes
 *     MMIO         allowed             allowed                  the same; ERR_RANGE with SPACE_OWN
 *
 * A step may allocate, copy or notify and takes LOCK_MMU by itself, so each is followed by another
 * load of the PTE. SPACE_OWN, a write of the hypervisor, ignores PPTE_WRITE.
 *
 * Backing and restoring a page send no event: no secondary holds a translation of a page without a
 * frame.
 *
 * Invariants:
 * RESOLVE-1  A page changes by at most one step at a time, under LOCK_MMU, from the state that the
 *            step is for; a step that finds another state changes nothing.
 * RESOLVE-2  A gfn without memory, such as a device's, takes no frame, even for a moment.
 */
#include <arch/cpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/race.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <trace/trace.h>
#include "mm/space/space.h"
#include "mm/store/store.h"

static bool may_write(ppte_t pte, unsigned access)
{
	return (pte & PPTE_WRITE) || (access & SPACE_OWN);
}

/* A new page counts as written: its content has not been seen by any collection. */
static ppte_t fresh_pte(const struct slot *slot, ppte_t was, struct mfn mfn)
{
	bool read_only = slot->kind == SLOT_ROM || (was & PPTE_WP);

	return ppte_make(PPTE_PRIVATE, mfn,
			 PPTE_SOFT_DIRTY | (read_only ? 0 : PPTE_WRITE) | (was & PPTE_GENERATION));
}

int space_back(struct addrspace *as, struct space_page *page, struct mfn mfn, bool *used)
{
	const struct slot *slot = space_slot(as, page->gfn);
	int err = 0;

	if (!slot)
		return ERR_RANGE;
	if (slot->image.raw)
		return ERR_INVALID;
	if (!page->slot)
		err = primary_make(&as->primary, page->gfn, &page->slot);
	if (err || ppte_state(*page->slot) != PPTE_ABSENT)
		return err;
	rmap_first(mfn, as->id, page->gfn);
	primary_store(&as->primary, page->gfn, page->slot, fresh_pte(slot, *page->slot, mfn));
	*used = true;
	return 0;
}

/* RESOLVE-2 */
static bool has_memory(struct addrspace *as, struct gfn gfn)
{
	bool found;

	spin_lock(&as->lock);
	found = space_slot(as, gfn) != NULL;
	spin_unlock(&as->lock);
	return found;
}

static __noinline int resolve_absent(struct addrspace *as, struct space_page *page)
{
	bool used = false, image = false;
	struct mfn mfn;
	int err = 0;

	if (!has_memory(as, page->gfn))
		return ERR_RANGE;
	if (unlikely(ck_pr_load_uint(&as->images)))
		err = space_back_image(as, page, &image);
	if (err || image)
		return err;
	err = frame_alloc(0, FRAME_GUEST, FRAME_ZERO, &mfn);
	if (err)
		return err;
	RACE_POINT("back: allocated");
	spin_lock(&as->lock);
	err = space_back(as, page, mfn, &used);
	spin_unlock(&as->lock);
	if (!used)
		frame_free(mfn, 0);
	return err;
}

/* The token belongs to the PTE, so the content is taken out of the store under LOCK_MMU. */
static void restore_locked(struct addrspace *as, const struct space_page *page, struct mfn mfn)
{
	ppte_t pte = *page->slot;
	u64 flags = pte & (PPTE_WRITE | PPTE_SOFT_DIRTY | PPTE_GENERATION);

	store_take(ppte_token(pte), arch_hpa_to_virt(mfn_to_hpa(mfn)));
	rmap_first(mfn, as->id, page->gfn);
	primary_store(&as->primary, page->gfn, page->slot,
		      ppte_make(PPTE_PRIVATE, mfn, flags | PPTE_YOUNG));
	TRACE(restore, as->id, .gfn = page->gfn.raw, .mfn = mfn.raw, .token = ppte_token(pte));
}

static int resolve_reclaimed(struct addrspace *as, const struct space_page *page)
{
	struct mfn mfn;
	bool used;
	int err = frame_alloc(0, FRAME_GUEST, 0, &mfn);

	if (err)
		return err;
	RACE_POINT("restore: allocated");
	spin_lock(&as->lock);
	used = ppte_state(*page->slot) == PPTE_RECLAIMED;
	if (used)
		restore_locked(as, page, mfn);
	spin_unlock(&as->lock);
	if (!used)
		frame_free(mfn, 0);
	return 0;
}

/* The next generation: a step that was given an older look at the page fails (COW-2). */
static int resolve_private(struct addrspace *as, const struct space_page *page, unsigned access)
{
	int err = 0;
	ppte_t pte;

	spin_lock(&as->lock);
	pte = *page->slot;
	if (ppte_state(pte) != PPTE_PRIVATE || space_allows(pte, access))
		err = 0;
	else if (!may_write(pte, access))
		err = ERR_PERMISSION;
	else if (pte & PPTE_BUSY)
		err = ERR_BUSY;
	else
		primary_store(&as->primary, page->gfn, page->slot,
			      (pte & ~(PPTE_WP | PPTE_GENERATION)) | ppte_next_generation(pte) |
				      PPTE_SOFT_DIRTY);
	spin_unlock(&as->lock);
	return err;
}

static int resolve_step(struct addrspace *as, struct space_page *page, unsigned access)
{
	switch (ppte_state(page->pte)) {
	case PPTE_ABSENT:
		return resolve_absent(as, page);
	case PPTE_RECLAIMED:
		return resolve_reclaimed(as, page);
	case PPTE_PRIVATE:
		return resolve_private(as, page, access);
	case PPTE_SHARED:
	case PPTE_ZERO:
		return may_write(page->pte, access) ? space_break(as, page) : ERR_PERMISSION;
	default:
		return access & SPACE_OWN ? ERR_RANGE : ERR_PERMISSION;
	}
}

int space_resolve(struct addrspace *as, struct space_page *page, unsigned access,
		  const struct invalidate_log *log, u64 *word)
{
	if (unlikely(!gfn_valid(page->gfn)))
		return ERR_RANGE;
	for (unsigned tries = 0; tries < SPACE_TRIES; tries++) {
		int err;

		if (space_look(as, page, access))
			return 0;
		err = resolve_step(as, page, access);
		if (err)
			return err;
		page->was = page->pte;
		if (log)
			*word = invalidate_read(log);
	}
	return ERR_BUSY; /* other CPUs change the page faster than it is resolved */
}
