/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c: map, unmap, protect and harvest: operations that change what addresses read as.
 *
 *     count    what is missing or in the way below each slot the operation touches; stores nothing
 *     reserve  that many tables, or ERR_NO_MEMORY and nothing is changed (WALK-5)
 *     commit   plant tables where needed, swap leaves; cannot fail
 *
 * One leaf in a slot that exists, the case of nearly every fault, needs no count: one lookup and
 * one swap.
 */
#include "mm/table/internal.h"

#include <lib/error.h>
#include <lib/log.h>

/*
 * One operation: its two visitors' argument.
 *
 * skew		map: output minus input address, as both must be aligned for a large leaf; 0 for others
 * max_level	largest leaf that the operation may make
 */
struct change {
	u64 skew;
	unsigned attr;
	unsigned max_level;
	u64 needed;
	struct pgtable_reserve reserve;
};

/* Can one leaf of `level` cover [start, end), which lies inside one slot of that level? */
static bool leaf_fits(const struct change *change, unsigned level, u64 start, u64 end)
{
	u64 size = LEVEL_SIZE(level);

	return level <= change->max_level && end - start == size && IS_ALIGNED(start, size) &&
	       IS_ALIGNED(change->skew, size);
}

/* Tables needed below a slot of `level` that has none, so that leaves cover just [start, end). */
static u64 tables_below(const struct change *change, unsigned level, u64 start, u64 end)
{
	u64 size = LEVEL_SIZE(level - 1);
	u64 tables = 1;

	while (level > 1 && start < end) {
		u64 address = ALIGN_DOWN(start, size);
		u64 next = address + (size - 1) < end - 1 ? address + size : end;

		if (!leaf_fits(change, level - 1, start, next))
			tables += tables_below(change, level - 1, start, next);
		start = next;
	}
	return tables;
}

static int change_run(struct pgtable *table, u64 start, u64 end, struct change *change,
		      pgtable_visitor count, pgtable_visitor commit)
{
	int err = pgtable_walk(table, start, end, VISIT_LEAF | VISIT_ABSENT | VISIT_TABLE, count,
			       change);

	if (!err)
		err = reserve_fill(table, &change->reserve, change->needed);
	if (err)
		return err;
	err = pgtable_walk(table, start, end, VISIT_LEAF | VISIT_ABSENT | VISIT_TABLE, commit,
			   change);
	CHECK(!err && change->reserve.count == 0);
	return 0;
}

static void report_dropped(struct pgtable *table, u64 address, unsigned level, pte_t leaf,
			   pte_t *slot)
{
	struct pgtable_visit visit = {
		.address = address,
		.start = address,
		.end = address + LEVEL_SIZE(level),
		.pte = leaf,
		.slot = slot,
		.level = (u8)level,
		.kind = VISIT_LEAF,
	};

	table->memory->dropped(table->memory->context, &visit);
}

/*
 * Reports the leaves of an unlinked table. A CPU that still walks it could set D after the leaf was
 * read, so each leaf is swapped out before it is reported.
 */
static void report_table(struct pgtable *table, u64 address, struct hpa page, unsigned level)
{
	pte_t *slots = table_slots(table, page);

	for (unsigned i = 0; i < PGTABLE_ENTRIES; i++) {
		u64 at = address + i * LEVEL_SIZE(level);
		pte_t pte = pte_load(&slots[i]);

		switch (pgtable_kind(table, pte, level)) {
		case VISIT_LEAF:
			pte = pgtable_exchange(table, &slots[i], 0);
			report_dropped(table, at, level, pte, NULL);
			break;
		case VISIT_TABLE:
			report_table(table, at, pte_table(table->format, pte, level), level - 1);
			break;
		default:
			break;
		}
	}
}

/* Puts `value` (a leaf, or 0) into a slot; reports and frees what was there. */
static void replace_slot(struct pgtable *table, const struct pgtable_visit *visit, pte_t value)
{
	unsigned level = visit->level;
	pte_t old = pgtable_exchange(table, visit->slot, value);
	enum visit_flags kind = pgtable_kind(table, old, level);

	if (kind == VISIT_LEAF && table->memory->dropped)
		report_dropped(table, visit->address, level, old, visit->slot);
	if (kind == VISIT_TABLE) {
		struct hpa page = pte_table(table->format, old, level);

		if (table->memory->dropped)
			report_table(table, visit->address, page, level - 1);
		pgtable_free_tables(table, page, level - 1);
	}
}

/* Is [start, end) one slot, which a lookup reaches without a table being missing or in the way? */
static bool exact_slot(struct pgtable *table, u64 start, u64 end, struct pgtable_visit *visit)
{
	pgtable_lookup(table, start, visit);
	return visit->slot && visit->address == start && visit_whole(visit) && end == visit->end;
}

static int map_count(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct change *change = argument;

	if (leaf_fits(change, visit->level, visit->start, visit->end))
		return VISIT_SKIP;
	if (visit->kind != VISIT_TABLE)
		change->needed += tables_below(change, visit->level, visit->start, visit->end);
	return 0;
}

static int map_commit(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct change *change = argument;

	if (leaf_fits(change, visit->level, visit->start, visit->end)) {
		struct hpa to = {visit->start + change->skew};

		replace_slot(table, visit,
			     table->format->make_leaf(to, visit->level, change->attr));
		return VISIT_SKIP;
	}
	if (visit->kind != VISIT_TABLE)
		pgtable_plant(table, visit, &change->reserve);
	return 0;
}

static bool output_valid(const struct pgtable_format *format, u64 start, u64 end, struct hpa to)
{
	u64 width = format->level[0].leaf_address | (PAGE_SIZE - 1);
	u64 size = end - start;

	return IS_ALIGNED(to.raw, PAGE_SIZE) && to.raw <= width && size - 1 <= width - to.raw;
}

int pgtable_map(struct pgtable *table, u64 start, u64 end, struct hpa to, unsigned attr,
		unsigned max_level)
{
	const struct pgtable_format *format = table->format;
	struct change change = {.skew = to.raw - start, .attr = attr, .max_level = max_level};
	struct pgtable_visit visit;

	if (!pgtable_range_valid(table, start, end) || !output_valid(format, start, end, to) ||
	    !format->valid_attr(attr) || max_level > format->max_leaf_level)
		return ERR_INVALID;
	if (exact_slot(table, start, end, &visit) && leaf_fits(&change, visit.level, start, end)) {
		replace_slot(table, &visit, format->make_leaf(to, visit.level, attr));
		return 0;
	}
	return change_run(table, start, end, &change, map_count, map_commit);
}

/* For unmap and protect: the tables that split a leaf which extends beyond the range. */
static int count_splits(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct change *change = argument;

	if (visit_whole(visit))
		return VISIT_SKIP;
	if (visit->kind == VISIT_LEAF)
		change->needed += tables_below(change, visit->level, visit->start, visit->end);
	return 0;
}

static int unmap_commit(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct change *change = argument;

	if (visit->kind == VISIT_ABSENT)
		return 0;
	if (visit_whole(visit)) {
		replace_slot(table, visit, 0);
		return VISIT_SKIP;
	}
	if (visit->kind == VISIT_LEAF)
		pgtable_plant(table, visit, &change->reserve);
	return 0;
}

int pgtable_unmap(struct pgtable *table, u64 start, u64 end)
{
	struct change change = {.max_level = table->format->max_leaf_level};
	struct pgtable_visit visit;

	if (!pgtable_range_valid(table, start, end))
		return ERR_INVALID;
	if (exact_slot(table, start, end, &visit)) {
		if (visit.kind == VISIT_LEAF)
			replace_slot(table, &visit, 0);
		return 0;
	}
	return change_run(table, start, end, &change, count_splits, unmap_commit);
}

static void protect_leaf(struct pgtable *table, const struct pgtable_visit *visit, unsigned rights)
{
	const struct pgtable_format *format = table->format;
	pte_t old, value;

	do {
		old = pte_load(visit->slot);
		value = format->make_leaf(pte_addr(format, old, visit->level), visit->level,
					  (format->attr(old, visit->level) & ~PT_RWX) | rights);
	} while (old != value && !pgtable_swap(table, visit->slot, old, value));
}

static int protect_commit(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	struct change *change = argument;

	if (visit->kind != VISIT_LEAF)
		return 0;
	if (visit_whole(visit))
		protect_leaf(table, visit, change->attr);
	else
		pgtable_plant(table, visit, &change->reserve);
	return 0;
}

int pgtable_protect(struct pgtable *table, u64 start, u64 end, unsigned attr)
{
	struct change change = {.attr = attr, .max_level = table->format->max_leaf_level};
	struct pgtable_visit visit;

	if (!pgtable_range_valid(table, start, end) || (attr & ~PT_RWX) ||
	    !table->format->valid_attr(attr))
		return ERR_INVALID;
	if (exact_slot(table, start, end, &visit)) {
		if (visit.kind == VISIT_LEAF)
			protect_leaf(table, &visit, attr);
		return 0;
	}
	return change_run(table, start, end, &change, count_splits, protect_commit);
}

struct harvest {
	unsigned attr;
	pgtable_visitor found;
	void *argument;
};

static int harvest_leaf(struct pgtable *table, const struct pgtable_visit *visit, void *argument)
{
	const struct harvest *harvest = argument;
	pte_t bits = level_bits(table->format, visit->level, harvest->attr);
	struct pgtable_visit seen = *visit;

	while ((seen.pte & bits) && !pgtable_swap(table, seen.slot, seen.pte, seen.pte & ~bits))
		seen.pte = pte_load(seen.slot);
	if (!(seen.pte & bits) || !harvest->found)
		return 0;
	return harvest->found(table, &seen, harvest->argument);
}

int pgtable_harvest(struct pgtable *table, u64 start, u64 end, unsigned attr, pgtable_visitor found,
		    void *argument)
{
	struct harvest harvest = {attr, found, argument};

	if (attr & ~(PT_ACCESSED | PT_DIRTY))
		return ERR_INVALID;
	return pgtable_walk(table, start, end, VISIT_LEAF, harvest_leaf, &harvest);
}
