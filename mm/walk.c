/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: the walk itself, lookups, and the stores every change is made of.
 *
 * Why one walk: what differs between formats is data, what differs between operations is a visitor
 * (walk_change.c, walk_shape.c), so atomicity and edge cases are right or wrong in one place. The
 * invariants are in walk.h.
 *
 * Recursion: walk_slots calls itself once a level, so at most four deep.
 */
#include "walk_internal.h"

#include <lib/error.h>
#include <lib/log.h>

struct walk {
	struct pgtable *table;
	unsigned flags;
	pgtable_visitor visitor;
	void *argument;
};

int pgtable_init(struct pgtable *table, const struct pgtable_format *format,
		 const struct pgtable_memory *memory)
{
	struct hpa root;
	int err = memory->alloc(memory->context, &root);

	if (err)
		return err;
	*table = (struct pgtable){.format = format, .memory = memory, .root = root, .tables = 1};
	return 0;
}

void pgtable_fini(struct pgtable *table)
{
	pgtable_free_tables(table, table->root, table->format->levels - 1u);
	CHECK(table->tables == 0);
	table->root.raw = 0;
}

bool pgtable_swap(struct pgtable *table, pte_t *slot, pte_t old, pte_t value)
{
	const struct pgtable_memory *memory = table->memory;

	if (memory->swap)
		return memory->swap(memory->context, slot, old, value);
	return __atomic_compare_exchange_n(slot, &old, value, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

pte_t pgtable_exchange(struct pgtable *table, pte_t *slot, pte_t value)
{
	pte_t old;

	do
		old = pte_load(slot);
	while (!pgtable_swap(table, slot, old, value));
	return old;
}

enum visit_flags pgtable_kind(const struct pgtable *table, pte_t pte, unsigned level)
{
	if (!pte_present(table->format, pte, level))
		return VISIT_ABSENT;
	return pte_leaf(table->format, pte, level) ? VISIT_LEAF : VISIT_TABLE_BEFORE;
}

/* Is `address` one that the format translates? */
static bool address_valid(const struct pgtable_format *format, u64 address)
{
	unsigned above = 64u - format->address_bits;

	if (format->sign_extended)
		return (u64)((s64)(address << above) >> above) == address;
	return (address << above) >> above == address;
}

bool pgtable_range_valid(const struct pgtable *table, u64 start, u64 end)
{
	const struct pgtable_format *format = table->format;
	u64 last = end - PAGE_SIZE;

	if (!IS_ALIGNED(start, PAGE_SIZE) || !IS_ALIGNED(end, PAGE_SIZE) || start >= end)
		return false;
	/* Both ends on one side of the hole between the canonical halves. */
	return address_valid(format, start) && address_valid(format, last) &&
	       !((start ^ last) >> 63);
}

static int visit_slot(const struct walk *walk, struct pgtable_visit *visit);

static int walk_slots(const struct walk *walk, struct hpa page, unsigned level, u64 start, u64 end)
{
	pte_t *slots = table_slots(walk->table, page);
	u64 size = LEVEL_SIZE(level);

	while (start < end) {
		u64 address = ALIGN_DOWN(start, size);
		/* Compared by their last bytes, because the top slot ends where 64 bits do. */
		u64 next = address + (size - 1) < end - 1 ? address + size : end;
		struct pgtable_visit visit = {
			.address = address,
			.start = start,
			.end = next,
			.slot = &slots[(start >> LEVEL_SHIFT(level)) % PGTABLE_ENTRIES],
			.level = (u8)level,
		};
		int err = visit_slot(walk, &visit);

		if (err)
			return err;
		start = next;
	}
	return 0;
}

static int show(const struct walk *walk, struct pgtable_visit *visit, enum visit_flags kind)
{
	visit->kind = (u8)kind;
	return walk->flags & kind ? walk->visitor(walk->table, visit, walk->argument) : 0;
}

static int visit_slot(const struct walk *walk, struct pgtable_visit *visit)
{
	int err;

	visit->pte = pte_load(visit->slot);
	err = show(walk, visit, pgtable_kind(walk->table, visit->pte, visit->level));
	if (err)
		return err == VISIT_SKIP ? 0 : err;
	visit->pte = pte_load(visit->slot);
	if (pgtable_kind(walk->table, visit->pte, visit->level) != VISIT_TABLE_BEFORE)
		return 0;
	err = walk_slots(walk, visit_table(walk->table, visit), visit->level - 1u, visit->start,
			 visit->end);
	return err ? err : show(walk, visit, VISIT_TABLE_AFTER);
}

int pgtable_walk(struct pgtable *table, u64 start, u64 end, unsigned flags, pgtable_visitor visitor,
		 void *argument)
{
	struct walk walk = {table, flags, visitor, argument};

	if (!pgtable_range_valid(table, start, end))
		return ERR_INVALID;
	return walk_slots(&walk, table->root, table->format->levels - 1u, start, end);
}

void pgtable_lookup_level(struct pgtable *table, u64 address, unsigned level,
			  struct pgtable_visit *visit)
{
	const struct pgtable_format *format = table->format;
	struct hpa page = table->root;
	unsigned at = format->levels;
	enum visit_flags kind = VISIT_ABSENT;
	pte_t *slot = NULL;
	pte_t pte = 0;

	if (likely(address_valid(format, address)))
		do {
			at--;
			slot = table_slots(table, page) +
			       (address >> LEVEL_SHIFT(at)) % PGTABLE_ENTRIES;
			pte = pte_load(slot);
			kind = pgtable_kind(table, pte, at);
			page = pte_table(format, pte, at);
		} while (kind == VISIT_TABLE_BEFORE && at > level);
	visit->address = ALIGN_DOWN(address, LEVEL_SIZE(at));
	visit->start = visit->address;
	visit->end = visit->address + LEVEL_SIZE(at);
	visit->pte = pte;
	visit->slot = slot;
	visit->level = (u8)at;
	visit->kind = (u8)kind;
}

void pgtable_lookup(struct pgtable *table, u64 address, struct pgtable_visit *visit)
{
	pgtable_lookup_level(table, address, 0, visit);
}
