/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c: operations that take something away from gfns: backing, rights, the soft-dirty mark.
 * Each names its event.
 */
#include <arch/exit.h>
#include <lib/error.h>
#include <lib/log.h>
#include "mm/space/update.h"

/* What an operation does to a PTE; returns the new value, the old one for "leave it". */
typedef ppte_t (*pte_edit)(ppte_t pte);

static unsigned note_flags(unsigned flags)
{
	return flags & ADDRSPACE_NOBLOCK ? NOTIFY_NOBLOCK : 0;
}

/* An absent page is in no secondary, so its PTE changes without an event. */
static void edit_pte(struct update *update, struct gfn gfn, ppte_t *slot, ppte_t value)
{
	if (value == *slot)
		return;
	if (ppte_state(*slot) == PPTE_ABSENT)
		primary_store(&update->as->primary, gfn, slot, value);
	else
		update_set(update, gfn, slot, value);
}

/* Edits every PTE of the range that has a leaf page, in one operation. */
static int edit_checked(struct addrspace *as, enum notify_event event, struct gfn_range range,
			pte_edit edit)
{
	struct gfn gfn = range.start;
	struct update update;
	ppte_t *slot;
	int err = update_begin(&update, as, event, range, 0);

	if (err)
		return err;
	for (; (slot = primary_next(&as->primary, &gfn, range.end)); gfn.raw++) {
		edit_pte(&update, gfn, slot, edit(*slot));
		if (gfn.raw % UPDATE_PAUSE == UPDATE_PAUSE - 1)
			update_pause(&update);
	}
	update_end(&update);
	return 0;
}

static int edit_range(struct addrspace *as, enum notify_event event, struct gfn_range range,
		      pte_edit edit)
{
	int err = space_check(as, range);

	return err ? err : edit_checked(as, event, range, edit);
}

static int take_away(struct addrspace *as, enum notify_event event, struct gfn_range range,
		     unsigned flags)
{
	struct update update;
	int err = space_check(as, range);

	if (!err)
		err = update_begin(&update, as, event, range, note_flags(flags));
	if (err)
		return err;
	update_clear(&update, range, false);
	update_end(&update);
	return 0;
}

int addrspace_clear(struct addrspace *as, struct gfn_range range, unsigned flags)
{
	return take_away(as, EVENT_CLEAR, range, flags);
}

int addrspace_balloon(struct addrspace *as, struct gfn_range range, unsigned flags)
{
	return take_away(as, EVENT_BALLOON, range, flags);
}

/* A page that was given back stays so. */
static ppte_t forbid_write(ppte_t pte)
{
	return ppte_state(pte) == PPTE_ABSENT ? pte | PPTE_WP : pte & ~PPTE_WRITE;
}

static ppte_t permit_write(ppte_t pte)
{
	return ppte_state(pte) == PPTE_ABSENT ? pte & ~PPTE_WP : pte | PPTE_WRITE;
}

/* More rights send no event: a secondary that allows less gets a fault. */
static int allow_write(struct addrspace *as, struct gfn_range range)
{
	struct gfn gfn = range.start;
	ppte_t *slot;
	int err;

	spin_lock(&as->lock);
	err = space_check_range(as, range);
	for (; !err && (slot = primary_next(&as->primary, &gfn, range.end)); gfn.raw++)
		primary_store(&as->primary, gfn, slot, permit_write(*slot));
	spin_unlock(&as->lock);
	return err;
}

static int make_leaf_page(struct addrspace *as, struct gfn gfn)
{
	ppte_t *slot;
	int err;

	if (likely(primary_find(&as->primary, gfn)))
		return 0;
	spin_lock(&as->lock);
	err = primary_make(&as->primary, gfn, &slot);
	spin_unlock(&as->lock);
	return err;
}

/* Room for the right of pages that are absent. Those that are made stay when memory runs out. */
static int make_leaf_pages(struct addrspace *as, struct gfn_range range)
{
	int err = 0;

	for (struct gfn gfn = range.start; !err && gfn.raw < range.end.raw;
	     gfn.raw = ALIGN_DOWN(gfn.raw, LEVEL_FRAMES(1)) + LEVEL_FRAMES(1))
		err = make_leaf_page(as, gfn);
	return err;
}

int addrspace_protect(struct addrspace *as, struct gfn_range range, bool writable)
{
	int err;

	if (writable)
		return allow_write(as, range);
	err = space_check(as, range);
	if (!err)
		err = make_leaf_pages(as, range);
	if (err)
		return err;
	if (range.end.raw - range.start.raw == 1)
		return edit_checked(as, EVENT_PROTECT_PAGE, range, forbid_write);
	return edit_checked(as, EVENT_PROTECT_RANGE, range, forbid_write);
}

static ppte_t clear_dirty(ppte_t pte)
{
	return pte & ~PPTE_SOFT_DIRTY;
}

int addrspace_clear_soft_dirty(struct addrspace *as, struct gfn_range range)
{
	return edit_range(as, EVENT_SOFT_DIRTY, range, clear_dirty);
}

bool addrspace_is_soft_dirty(const struct addrspace *as, struct gfn gfn)
{
	ppte_t pte = gfn_valid(gfn) ? primary_load(&as->primary, gfn) : 0;

	return ppte_has_content(pte) && (pte & PPTE_SOFT_DIRTY);
}

static ppte_t same(ppte_t pte)
{
	return pte;
}

int addrspace_split(struct addrspace *as, struct gfn_range range)
{
	return edit_range(as, EVENT_SPLIT, range, same);
}

int addrspace_exclusive(struct addrspace *as, struct gfn gfn, const void *owner)
{
	struct update update;
	int err = space_check(as, gfn_range(gfn, 1));

	if (!err)
		err = update_begin_owned(&update, as, EVENT_EXCLUSIVE, gfn_range(gfn, 1), owner);
	if (err)
		return err;
	update_end(&update);
	return 0;
}

/* The primary's own young bits. LOCK_MMU. */
static bool take_young(struct addrspace *as, struct gfn_range range)
{
	struct gfn gfn = range.start;
	bool young = false;
	ppte_t *slot;

	for (; (slot = primary_next(&as->primary, &gfn, range.end)); gfn.raw++) {
		if (!(*slot & PPTE_YOUNG))
			continue;
		young = true;
		primary_store(&as->primary, gfn, slot, *slot & ~PPTE_YOUNG);
	}
	return young;
}

int addrspace_age(struct addrspace *as, struct gfn_range range, bool *young)
{
	int err = space_check(as, range);

	if (err)
		return err;
	if (notification_inside(&as->notifier))
		return ERR_REENTRANT;
	spin_lock(&as->lock);
	*young = notifier_young(&as->notifier, range, true); /* may mark pages young: first */
	*young |= take_young(as, range);
	spin_unlock(&as->lock);
	return 0;
}

/* A pinned page has a frame of its own and is not being changed. Each user is counted. */
static int pin_locked(struct addrspace *as, const struct space_page *page)
{
	ppte_t pte = *page->slot;

	if (ppte_state(pte) != PPTE_PRIVATE || (pte & (PPTE_WP | PPTE_BUSY)))
		return ERR_BUSY;
	if ((pte & PPTE_PINNED) && (pte & PPTE_PINS) == PPTE_PINS)
		return ERR_BUSY;
	pte = pte & PPTE_PINNED ? pte + PPTE_PIN : pte | PPTE_PINNED;
	primary_store(&as->primary, page->gfn, page->slot, pte);
	return 0;
}

int addrspace_pin(struct addrspace *as, struct gfn gfn)
{
	int err = space_check(as, gfn_range(gfn, 1));
	struct space_page page = {.gfn = gfn};

	if (!err)
		err = space_resolve(as, &page, HV_WRITE, NULL, NULL);
	if (err)
		return err;
	spin_lock(&as->lock);
	err = pin_locked(as, &page);
	spin_unlock(&as->lock);
	return err;
}

static ppte_t unpinned(ppte_t pte)
{
	return pte & PPTE_PINS ? pte - PPTE_PIN : pte & ~PPTE_PINNED;
}

void addrspace_unpin(struct addrspace *as, struct gfn gfn)
{
	ppte_t *slot;

	spin_lock(&as->lock);
	slot = gfn_valid(gfn) ? primary_find(&as->primary, gfn) : NULL;
	if (slot && (*slot & PPTE_PINNED))
		primary_store(&as->primary, gfn, slot, unpinned(*slot));
	spin_unlock(&as->lock);
}
