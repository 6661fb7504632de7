/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c: gathers the D bits of a stage 2 into soft-dirty of the primary, before a collection.
 *
 *     small leaf   D becomes soft-dirty of its page; it is cleared by the change of that page
 *     large leaf   D becomes soft-dirty of all its pages and is cleared here, with a flush
 *
 * Why a large leaf's D is not left for the changes of its pages: a write between two of them sets
 * it again, and it would not say of which page.
 */
#include <lib/log.h>
#include <mm/tlb.h>
#include <trace/trace.h>
#include "mm/stage2/private.h"

/*
 * taken	a large leaf lost its D: a CPU that caches it as dirty would not set it again
 * near		primary PTE of the last small leaf: the next one is mostly beside it
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

	spin_assert_held(&gathering->s2->as->lock);
	if (!(visit->pte & table->format->level[visit->level].dirty))
		return 0;
	if (visit->level)
		take_large(gathering, visit);
	else
		mark_small(gathering, gpa_to_gfn((struct gpa){visit->address}));
	return 0;
}

/*
 * With PML the log names each small leaf that got D, but one page of a large leaf: its D is read.
 */
static void gather_large(struct gathering *gathering, struct gfn_range range)
{
	struct stage2 *s2 = gathering->s2;
	struct gfn gfn = range.start;
	struct pgtable_visit visit;

	for (; primary_next(&s2->as->primary, &gfn, range.end); gfn.raw = visit.end >> PAGE_SHIFT) {
		visit.end = ALIGN_DOWN(gfn_to_gpa(gfn).raw, LEVEL_SIZE(1)) + LEVEL_SIZE(1);
		if (s2->as->dirty_coarse && !primary_uniform(&s2->as->primary, gfn, 1))
			continue;
		pgtable_lookup_level(&s2->table, gfn_to_gpa(gfn).raw, 1, &visit);
		if (visit.kind == VISIT_LEAF && visit.level)
			(void)gather(&s2->table, &visit, gathering);
	}
}

/* Few leaves have D; each other one is a load. */
static void gather_all(struct gathering *gathering, struct gfn_range range)
{
	u64 start = gfn_to_gpa(range.start).raw, end = gfn_to_gpa(range.end).raw;
	struct pgtable *table = &gathering->s2->table;

	CHECK(!pgtable_walk_having(table, start, end, PT_DIRTY, gather, gathering));
}

void stage2_dirty(struct subscription *sub, struct gfn_range range, bool drop)
{
	struct gathering gathering = {.s2 = stage2_of(sub)};
	struct stage2 *s2 = gathering.s2;

	if (s2->as->dirty_mode == DIRTY_BITS)
		gather_all(&gathering, range);
	else if (s2->as->dirty_mode == DIRTY_PML)
		gather_large(&gathering, range);
	if (drop)
		stage2_drop(s2, range);
	if (drop || gathering.taken)
		stage2_flush_stale(s2);
}

static bool take_one(struct stage2 *s2, struct gfn gfn, pte_t dirty)
{
	struct pgtable_visit visit;
	pte_t old;

	stage2_lookup(s2, gfn, &visit);
	if (visit.kind != VISIT_LEAF || visit.level || !(visit.pte & dirty))
		return false;
	for (old = visit.pte; !pgtable_swap(&s2->table, visit.slot, old, old & ~dirty);)
		old = ck_pr_load_64(visit.slot);
	return true;
}

/* Of the gfns from `first` on that have a bit in `written`. */
static u64 take_word(struct stage2 *s2, struct gfn first, u64 written)
{
	pte_t dirty = s2->table.format->level[0].dirty;
	u64 taken = 0;

	for (u64 left = written; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		taken |= (u64)take_one(s2, gfn_add(first, i), dirty) << i;
	}
	return taken;
}

/*
 * A CPU that caches the leaf as dirty writes on without setting D. The page is soft-dirty, and
 * stays so until the flush has ended: that marks it as writable in a TLB (notify.c).
 */
u64 stage2_take(struct subscription *sub, struct gfn_range range, const u64 *written, u64 *taken)
{
	struct stage2 *s2 = stage2_of(sub);
	u64 count = gfn_range_frames(range), any = 0;

	for (u64 i = 0; i < count; i += 64) {
		u64 word = take_word(s2, gfn_add(range.start, i), written[i / 64]);

		taken[i / 64] |= word;
		any |= word;
	}
	if (any) {
		s2->taken = stage2_flush_begin(s2);
		TRACE(flush, s2->as->id, .generation = s2->taken, .waited = 0, .kicks = 0);
	}
	return s2->taken;
}

bool stage2_take_ended(struct subscription *sub, u64 flush)
{
	return stage2_flush_ended(stage2_of(sub), flush);
}

/* A kicked CPU enters with all flushes begun until now, so one round serves them all. */
void stage2_take_hurry(struct subscription *sub, u64 flush)
{
	struct stage2 *s2 = stage2_of(sub);

	if (flush <= s2->hurried)
		return;
	s2->hurried = ck_pr_load_64(&s2->tlb.generation);
	stage2_flush_hurry(s2, flush);
}

void dirty_log_pml(struct stage2 *s2, const struct gpa *written, unsigned count)
{
	spin_lock(&s2->as->lock);
	for (unsigned i = 0; i < count; i++)
		if (gfn_valid(gpa_to_gfn(written[i])))
			space_mark(s2->as, gpa_to_gfn(written[i]), 1, PPTE_SOFT_DIRTY);
	spin_unlock(&s2->as->lock);
}
