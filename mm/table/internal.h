/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h: shared by the files of the walker: entries, and the reserve of tables.
 */
#ifndef SAMEPAGE_MM_TABLE_INTERNAL_H
#define SAMEPAGE_MM_TABLE_INTERNAL_H

#include <arch/cpu.h>
#include <ck_pr.h>
#include <mm/walk.h>

/*
 * Acquire: pairs with the barrier of the swap in pgtable_swap(): a reader that sees a table linked
 * sees it filled (WALK-4).
 */
static inline pte_t pte_load(const pte_t *slot)
{
	pte_t pte = ck_pr_load_64(slot);

	ck_pr_fence_acquire();
	return pte;
}

static inline pte_t *table_slots(const struct pgtable *table, struct hpa page)
{
	const struct pgtable_memory *memory = table->memory;

	return memory->virt ? memory->virt(memory->context, page) : arch_hpa_to_virt(page);
}

/* The table a visited slot names. */
static inline struct hpa visit_table(const struct pgtable *table, const struct pgtable_visit *visit)
{
	return pte_table(table->format, visit->pte, visit->level);
}

/* Does the walk's range include all that the slot covers? */
static inline bool visit_whole(const struct pgtable_visit *visit)
{
	return visit->end - visit->start == LEVEL_SIZE(visit->level);
}

/* The bits of a leaf that mean PT_ACCESSED, PT_DIRTY or both. */
static inline pte_t level_bits(const struct pgtable_format *format, unsigned level, unsigned attr)
{
	return (attr & PT_ACCESSED ? format->level[level].accessed : 0) |
	       (attr & PT_DIRTY ? format->level[level].dirty : 0);
}

bool pgtable_range_valid(const struct pgtable *table, u64 start, u64 end);

/* What a slot holds: VISIT_ABSENT, VISIT_LEAF or VISIT_TABLE. */
static inline enum visit_flags pgtable_kind(const struct pgtable *table, pte_t pte, unsigned level)
{
	if (!pte_present(table->format, pte, level))
		return VISIT_ABSENT;
	return pte_leaf(table->format, pte, level) ? VISIT_LEAF : VISIT_TABLE;
}

/*
 * Tables set aside before a change, chained through their first words. fill: n tables, or
 * ERR_NO_MEMORY and none. The operation takes exactly as many as it has reserved.
 */
struct pgtable_reserve {
	struct hpa first;
	u64 count;
};
int reserve_fill(struct pgtable *table, struct pgtable_reserve *reserve, u64 count) __must_check;
struct hpa reserve_take(struct pgtable *table, struct pgtable_reserve *reserve);

/*
 * Puts a table from the reserve into a slot that is absent or a leaf; the new entries read as the
 * slot did. A visitor returns 0 after it, so that the walk descends into the table.
 */
void pgtable_plant(struct pgtable *table, const struct pgtable_visit *visit,
		   struct pgtable_reserve *reserve);

/* Frees an unlinked table of `level` and all below. */
void pgtable_free_tables(struct pgtable *table, struct hpa page, unsigned level);

#endif
