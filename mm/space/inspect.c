/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c: what an address space has, for people and for statistics.
 *
 * The walk reads PTEs without a lock: a place that was found stays. A frame may be freed, or
 * reused, between the PTE and the count of its users; the sum is then wrong by less than a page.
 */
#include <mm/inspect.h>
#include <lib/error.h>
#include <mm/rmap.h>
#include "mm/space/space.h"

static const char *const states[PPTE_STATE + 1] = {
	[PPTE_ABSENT] = "absent", [PPTE_PRIVATE] = "private",	  [PPTE_SHARED] = "shared",
	[PPTE_ZERO] = "zero",	  [PPTE_RECLAIMED] = "reclaimed", [PPTE_MMIO] = "device",
};

/* A private frame that is not in the rmap, as a shared one without, has one user all the same. */
static u64 users_of(ppte_t pte)
{
	return ppte_state(pte) == PPTE_MMIO ? 1 : MAX(rmap_count(ppte_mfn(pte)), 1ull);
}

int inspect_page(struct addrspace *as, struct gfn gfn, struct page_view *out)
{
	bool in_slot;
	ppte_t pte;

	if (!gfn_valid(gfn))
		return ERR_RANGE;
	spin_lock(&as->lock);
	in_slot = space_slot(as, gfn) != NULL;
	spin_unlock(&as->lock);
	if (!in_slot)
		return ERR_RANGE;
	pte = primary_load(&as->primary, gfn);
	*out = (struct page_view){
		.state = states[ppte_state(pte)],
		.mfn = ppte_mfn(pte),
		.has_frame = ppte_backed(pte),
		.writable = pte & PPTE_WRITE,
		.write_protected = pte & PPTE_WP,
		.soft_dirty = pte & PPTE_SOFT_DIRTY,
		.young = pte & PPTE_YOUNG,
		.pinned = pte & PPTE_PINNED,
		.busy = pte & PPTE_BUSY,
	};
	if (ppte_state(pte) == PPTE_ZERO)
		out->users = primary_count(&as->primary, PPTE_ZERO);
	else if (out->has_frame)
		out->users = users_of(pte);
	return 0;
}

bool inspect_slot(struct addrspace *as, unsigned number, struct gfn_range *range,
		  enum slot_kind *kind)
{
	bool found;

	spin_lock(&as->lock);
	found = number < as->slot_count;
	if (found) {
		*range = as->slots[number].range;
		*kind = as->slots[number].kind;
	}
	spin_unlock(&as->lock);
	return found;
}

static void share_add(struct share_count *sum, ppte_t pte)
{
	u64 part = PAGE_SIZE;

	if (!ppte_backed(pte) || ppte_state(pte) == PPTE_MMIO)
		return;
	if (ppte_state(pte) == PPTE_ZERO)
		part = 0;
	else if (ppte_state(pte) == PPTE_SHARED)
		part = PAGE_SIZE / users_of(pte);
	sum->resident += PAGE_SIZE;
	sum->part += part;
	sum->saved += PAGE_SIZE - part;
}

bool inspect_share(struct addrspace *as, struct gfn *gfn, u64 budget, struct share_count *sum)
{
	const struct gfn end = {GFN_END};
	const ppte_t *slot = NULL;
	u64 count;

	while (budget && (slot = primary_run(&as->primary, gfn, end, &count))) {
		count = MIN(count, budget);
		for (u64 i = 0; i < count; i++)
			share_add(sum, ck_pr_load_64(&slot[i]));
		gfn->raw += count;
		budget -= count;
	}
	return slot != NULL;
}
