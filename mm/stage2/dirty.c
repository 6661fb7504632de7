/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c: what a stage 2's D bits say goes into the primary, before somebody asks which pages were
 * written.
 *
 *     small leaf   D becomes soft-dirty of its page; it is cleared with the page's own change
 *     large leaf   D becomes soft-dirty of all its pages, asked about or not, and is cleared here, if it may stay large
 * 		    (dirty_log_coarse); else it is split by the first of its pages' changes
 *
 * Why a large leaf's D goes here and not with its pages' changes: between the changes of two of its
 * pages, a write to a third may set it anew, and then nobody could say whose it is.
 */
#include <lib/log.h>
#include <mm/tlb.h>
#include "mm/stage2/private.h"

/*
 * taken	a large leaf lost its D: CPUs that hold it as written would not set it again
 * near		the last small leaf's primary PTE: the next one's is mostly beside it
 */
struct gathering {
	struct stage2 *s2;
	bool taken;
	struct gfn near_gfn;
	ppte_t *near;
};

static ppte_t *find_near(struct gathering *gathering, struct gfn gfn)
{
	bool same_page = gathering->near && (gathering->near_gfn.raw ^ gfn.raw) < PGTABLE_ENTRIES;

	gathering->near = same_page ? gathering->near + (s64)(gfn.raw - gathering->near_gfn.raw)
				    : primary_find(&gathering->s2->as->primary, gfn);
	gathering->near_gfn = gfn;
	return gathering->near;
}

static void mark_small(struct gathering *gathering, struct gfn gfn)
{
	ppte_t *slot = find_near(gathering, gfn);

	spin_assert_held(&gathering->s2->as->lock);
	if (slot && !(*slot & PPTE_SOFT_DIRTY) && ppte_has_content(*slot))
		primary_store(&gathering->s2->as->primary, gfn, slot, *slot | PPTE_SOFT_DIRTY);
}

static void take_large(struct gathering *gathering, const struct pgtable_visit *visit)
{
	struct stage2 *s2 = gathering->s2;
	pte_t dirty = s2->table.format->level[visit->level].dirty, old = visit->pte;

	spin_assert_held(&s2->as->lock);
	while (!pgtable_swap(&s2->table, visit->slot, old, old & ~dirty))
		old = ck_pr_load_64(visit->slot);
	if (!IS_ENABLED(CONFIG_BREAK_LARGE_DIRTY))
		space_mark(s2->as, gpa_to_gfn((struct gpa){visit->address}),
			   LEVEL_FRAMES(visit->level), PPTE_SOFT_DIRTY);
	else
		space_mark(s2->as, gpa_to_gfn((struct gpa){visit->start}),
			   (visit->end - visit->start) >> PAGE_SHIFT, PPTE_SOFT_DIRTY);
	gathering->taken = s2->stale = true;
}

static int gather(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct gathering *gathering = argument;
	struct stage2 *s2 = gathering->s2;

	spin_assert_held(&s2->as->lock);
	if (!(visit->pte & table->format->level[visit->level].dirty))
		return 0;
	if (!visit->level)
		mark_small(gathering, gpa_to_gfn((struct gpa){visit->address}));
	else if (s2->as->dirty_coarse)
		take_large(gathering, visit);
	else
		space_mark(s2->as, gpa_to_gfn((struct gpa){visit->start}),
			   (visit->end - visit->start) >> PAGE_SHIFT, PPTE_SOFT_DIRTY);
	return 0;
}

/*
 * With PML a small leaf's D says nothing that the list did not; a large one's does, because the
 * list names one page of it.
 */
static void gather_large(struct gathering *gathering, struct gfn_range range)
{
	struct stage2 *s2 = gathering->s2;
	struct gfn gfn = range.start;
	struct pgtable_visit visit;

	for (; primary_next(&s2->as->primary, &gfn, range.end); gfn.raw = visit.end >> PAGE_SHIFT) {
		visit.end = ALIGN_DOWN(gfn_to_gpa(gfn).raw, LEVEL_SIZE(1)) + LEVEL_SIZE(1);
		if (!primary_uniform(&s2->as->primary, gfn, 1))
			continue;
		pgtable_lookup_level(&s2->table, gfn_to_gpa(gfn).raw, 1, &visit);
		if (visit.kind == VISIT_LEAF && visit.level)
			(void)gather(&s2->table, &visit, gathering);
	}
}

/* Most of the time nobody has written, and then a look at each entry is all it takes. */
static void gather_all(struct gathering *gathering, struct gfn_range range)
{
	u64 start = gfn_to_gpa(range.start).raw, end = gfn_to_gpa(range.end).raw;
	struct pgtable *table = &gathering->s2->table;

	if (pgtable_any(table, start, end, PT_DIRTY))
		CHECK(!pgtable_walk(table, start, end, VISIT_LEAF, gather, gathering));
}

void stage2_dirty(struct subscription *sub, struct gfn_range range, bool forget)
{
	struct gathering gathering = {.s2 = stage2_of(sub)};
	struct stage2 *s2 = gathering.s2;

	if (s2->as->dirty_mode == DIRTY_BITS)
		gather_all(&gathering, range);
	else if (s2->as->dirty_mode == DIRTY_PML && s2->as->dirty_coarse)
		gather_large(&gathering, range);
	if (forget)
		stage2_drop(s2, range);
	if (forget || gathering.taken)
		stage2_flush_stale(s2);
}

void dirty_log_pml(struct stage2 *s2, const struct gpa *written, unsigned count)
{
	spin_lock(&s2->as->lock);
	for (unsigned i = 0; i < count; i++)
		if (gfn_valid(gpa_to_gfn(written[i])))
			space_mark(s2->as, gpa_to_gfn(written[i]), 1, PPTE_SOFT_DIRTY);
	spin_unlock(&s2->as->lock);
}
