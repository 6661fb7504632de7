/* SPDX-License-Identifier: Apache-2.0 */
/*
 * populate.c: absent gfns get zeroed private frames.
 *
 * Nobody can have cached an absent gfn, so populating tells nobody: it has no event.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>
#include "space.h"

/* A new page counts as written: whoever clears soft-dirty has not seen it yet. */
static ppte_t fresh_pte(const struct slot *slot, struct mfn mfn)
{
	u64 flags = PPTE_SOFT_DIRTY | (slot->kind == SLOT_ROM ? 0 : PPTE_WRITE);

	return ppte_make(PPTE_PRIVATE, mfn, flags);
}

/* Takes `mfn` over and sets *used when gfn was absent. */
static int back_locked(struct addrspace *as, struct gfn gfn, struct mfn mfn, bool *used)
{
	const struct slot *slot = space_slot(as, gfn);
	ppte_t *place;
	int err;

	if (!slot)
		return ERR_RANGE;
	err = primary_make(&as->primary, gfn, &place);
	if (err || ppte_state(*place) != PPTE_ABSENT)
		return err;
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
	spin_lock(&as->lock);
	err = back_locked(as, gfn, mfn, &used);
	spin_unlock(&as->lock);
	if (!used)
		frame_free(mfn, 0);
	return err;
}

int addrspace_populate(struct addrspace *as, struct gfn_range range)
{
	int err;

	spin_lock(&as->lock);
	err = space_check_range(as, range);
	spin_unlock(&as->lock);
	for (struct gfn gfn = range.start; !err && gfn.raw < range.end.raw; gfn.raw++)
		if (ppte_state(primary_load(&as->primary, gfn)) == PPTE_ABSENT)
			err = space_back(as, gfn);
	return err;
}

/* Gives write permission back to a private page that was guarded or watched. *slot is backed. */
static int lift_guard(struct addrspace *as, struct gfn gfn, ppte_t *slot)
{
	if (!(*slot & PPTE_WRITE))
		return ERR_PERMISSION;
	primary_store(&as->primary, gfn, slot, (*slot & ~PPTE_GUARD) | PPTE_SOFT_DIRTY);
	return 0;
}

int space_make_writable(struct addrspace *as, struct gfn gfn)
{
	ppte_t *slot;
	int err = 0;

	spin_lock(&as->lock);
	slot = primary_find(&as->primary, gfn);
	if (slot && ppte_state(*slot) == PPTE_PRIVATE)
		err = lift_guard(as, gfn, slot);
	spin_unlock(&as->lock);
	return err;
}
