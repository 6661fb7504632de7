/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.c: split and collapse: operations that change the table's shape and not what it reads as.
 *
 *     [ 2 MiB leaf  A D ]  --split-->     [ table ] -> [ 4 KiB leaf  A D ] x 512
 *                          <--collapse--               contiguous, alike but for A and D
 */
#include "mm/table/internal.h"

#include <lib/error.h>
#include <lib/log.h>

int pgtable_split(struct pgtable *table, u64 address, unsigned level)
{
	struct pgtable_reserve reserve;
	struct pgtable_visit visit;
	int err;

	pgtable_lookup(table, address, &visit);
	if (visit.kind != VISIT_LEAF)
		return ERR_NOT_FOUND;
	err = reserve_fill(table, &reserve, visit.level > level ? visit.level - level : 0);
	while (!err && visit.level > level) {
		pgtable_plant(table, &visit, &reserve);
		pgtable_lookup(table, address, &visit);
	}
	return err;
}

/* What the leaves below a slot have in common, as found so far. */
struct likeness {
	struct hpa next; /* where the next leaf must map to */
	unsigned attr;	 /* without A and D */
	unsigned seen;	 /* A and D, or-ed */
};

static bool leaf_continues(const struct pgtable_format *format, pte_t pte, unsigned level,
			   struct likeness *like)
{
	unsigned attr = format->attr(pte, level);

	if (pte_addr(format, pte, level).raw != like->next.raw)
		return false;
	if ((attr & ~(PT_ACCESSED | PT_DIRTY)) != like->attr)
		return false;
	like->seen |= attr & (PT_ACCESSED | PT_DIRTY);
	like->next.raw += LEVEL_SIZE(level);
	return true;
}

static bool table_alike(struct pgtable *table, struct hpa page, unsigned level,
			struct likeness *like)
{
	const pte_t *slots = table_slots(table, page);

	for (unsigned i = 0; i < PGTABLE_ENTRIES; i++) {
		pte_t pte = pte_load(&slots[i]);
		enum visit_flags kind = pgtable_kind(table, pte, level);

		if (kind == VISIT_ABSENT)
			return false;
		if (kind == VISIT_LEAF && !leaf_continues(table->format, pte, level, like))
			return false;
		if (kind == VISIT_TABLE &&
		    !table_alike(table, pte_table(table->format, pte, level), level - 1, like))
			return false;
	}
	return true;
}

int pgtable_collapse(struct pgtable *table, u64 address, unsigned level)
{
	const struct pgtable_format *format = table->format;
	struct pgtable_visit slot, first;
	struct likeness like;
	struct hpa base;

	if (level == 0 || level > format->max_leaf_level)
		return ERR_INVALID;
	pgtable_lookup_level(table, address, level, &slot);
	if (slot.level != level || slot.kind != VISIT_TABLE)
		return slot.level == level && slot.kind == VISIT_LEAF ? 0 : ERR_INVALID;
	pgtable_lookup(table, slot.address, &first);
	if (first.kind != VISIT_LEAF)
		return ERR_INVALID;
	base = pte_addr(format, first.pte, first.level);
	like.next = base;
	like.attr = format->attr(first.pte, first.level) & ~(unsigned)(PT_ACCESSED | PT_DIRTY);
	like.seen = like.attr & PT_WRITE ? PT_DIRTY : 0;
	if (!IS_ALIGNED(base.raw, LEVEL_SIZE(level)) ||
	    !table_alike(table, visit_table(table, &slot), level - 1, &like))
		return ERR_INVALID;
	pgtable_exchange(table, slot.slot, format->make_leaf(base, level, like.attr | like.seen));
	pgtable_free_tables(table, visit_table(table, &slot), level - 1);
	return 0;
}
