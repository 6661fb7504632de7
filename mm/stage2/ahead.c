/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c: leaves ahead of a guest that touches page after page for the first time.
 *
 * The primary gives frames to the pages of the window (mm/space/back_ahead.c); this stage 2 maps
 * them in the exit of the fault. What has a frame already, such as a page that the hypervisor has
 * loaded, is mapped too.
 *
 * A and D stay clear: no access has been made. So a write is recorded as on any clean page, and AGE
 * and reclaim find the page cold.
 *
 * With READ_AS_WRITE a page that a fault would change first, such as a shared one, is left to its
 * fault.
 *
 * Locking: LOCK_MMU. A leaf is made from the PTE under the lock, but not while an invalidation of
 * its page runs: what that has dropped would come back, and stay when the page changes.
 */
#include "mm/stage2/private.h"

/* As of a fault: with D bits or PML a clean page is writable. */
static unsigned ahead_rights(const struct stage2 *s2, struct gfn gfn, ppte_t pte)
{
	ppte_t writable = s2->as->dirty_mode == DIRTY_WRITE_PROTECT ? 0 : PPTE_SOFT_DIRTY;

	return ppte_rights(pte | writable) & stage2_limit(s2, gfn);
}

/* Where the table is there. */
static void map_page_ahead(struct stage2 *s2, struct gfn gfn)
{
	ppte_t pte = primary_load(&s2->as->primary, gfn);
	unsigned attr = ahead_rights(s2, gfn, pte);
	u32 access = ck_pr_load_32(&s2->as->fault_access);
	struct pgtable_visit visit;
	pte_t leaf;

	if (!ppte_has_content(pte) || !space_allows(pte, access) || !attr)
		return;
	if (invalidate_running(&s2->log, gfn))
		return;
	stage2_lookup(s2, gfn, &visit);
	if (visit.kind != VISIT_ABSENT || visit.level)
		return;
	leaf = s2->table.format->make_leaf(mfn_to_hpa(ppte_mfn(pte)), 0, attr);
	if (pgtable_swap(&s2->table, visit.slot, visit.pte,
			 stage2_keep_cause(leaf, attr, visit.pte)))
		s2->counters.ahead++;
}

void stage2_map_ahead(struct stage2 *s2, struct gfn gfn)
{
	struct gfn_range window = space_back_ahead(s2->as, gfn);

	if (!gfn_range_frames(window))
		return;
	spin_lock(&s2->as->lock);
	for (gfn = window.start; gfn.raw < window.end.raw; gfn.raw++)
		map_page_ahead(s2, gfn);
	spin_unlock(&s2->as->lock);
}
