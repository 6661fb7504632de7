/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: the walk itself, lookups, and the stores every change is made of.
 *
 * Why one walk: the difference between formats is data, the difference between operations is a
 * visitor (change.c, shape.c), so atomicity and edge cases stand in one place. The invariants are
 * in walk.h.
 *
 * Recursion: walk_slots calls itself once a level, so at most four deep.
 */
#include "mm/table/internal.h"

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

/* Tries again when the CPU has set A or D between the load and the swap. */
pte_t pgtable_exchange(struct pgtable *table, pte_t *slot, pte_t value)
{
	pte_t old;

	do
		old = pte_load(slot);
	while (!pgtable_swap(table, slot, old, value));
	return old;
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

static int walk_slot(const struct walk *walk, struct pgtable_visit *visit);

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
		int err = walk_slot(walk, &visit);

		if (err)
			return err;
		start = next;
	}
	return 0;
}

static int visit_show(const struct walk *walk, struct pgtable_visit *visit, enum visit_flags kind)
{
	visit->kind = (u8)kind;
	return walk->flags & kind ? walk->visitor(walk->table, visit, walk->argument) : 0;
}

/* The slot is loaded again after the visit: the visitor may have linked or freed a table there. */
static int walk_slot(const struct walk *walk, struct pgtable_visit *visit)
{
	int err;

	visit->pte = pte_load(visit->slot);
	err = visit_show(walk, visit, pgtable_kind(walk->table, visit->pte, visit->level));
	if (err)
		return err == VISIT_SKIP ? 0 : err;
	visit->pte = pte_load(visit->slot);
	if (pgtable_kind(walk->table, visit->pte, visit->level) != VISIT_TABLE)
		return 0;
	return walk_slots(walk, visit_table(walk->table, visit), visit->level - 1u, visit->start,
			  visit->end);
}

int pgtable_walk(struct pgtable *table, u64 start, u64 end, unsigned flags, pgtable_visitor visitor,
		 void *argument)
{
	struct walk walk = {table, flags, visitor, argument};

	if (!pgtable_range_valid(table, start, end))
		return ERR_INVALID;
	return walk_slots(&walk, table->root, table->format->levels - 1u, start, end);
}

/*
 * A lookup of a valid address, on the path of every fault. `direct` is a constant at each place of
 * inlining, so that tables which are frames of the machine cost no call a level.
 */
static __always_inline void lookup_descend(const struct pgtable *table, u64 address, unsigned level,
					   struct pgtable_visit *visit, bool direct)
{
	const struct pgtable_format *format = table->format;
	const struct pgtable_memory *memory = table->memory;
	const struct pgtable_level *bits = &format->level[format->levels];
	unsigned shift = LEVEL_SHIFT(format->levels), last = LEVEL_SHIFT(level);
	enum visit_flags kind = VISIT_TABLE;
	struct hpa page = table->root;
	pte_t *slot, pte;

	for (;;) {
		slot = direct ? arch_hpa_to_virt(page) : memory->virt(memory->context, page);
		shift -= LEVEL_BITS;
		bits--;
		slot += (address >> shift) % PGTABLE_ENTRIES;
		pte = pte_load(slot);
		if (!(pte & bits->present)) {
			kind = VISIT_ABSENT;
			break;
		}
		if ((pte & bits->leaf_mask) == bits->leaf_value) {
			kind = VISIT_LEAF;
			break;
		}
		if (shift == last)
			break;
		page.raw = pte & bits->table_address;
	}
	visit->address = visit->start = ALIGN_DOWN(address, 1ull << shift);
	visit->end = visit->address + (1ull << shift);
	visit->pte = pte;
	visit->slot = slot;
	visit->level = (u8)(bits - format->level);
	visit->kind = (u8)kind;
}

/* An address that the format does not translate: as if the root's slot were absent. */
static __cold void lookup_nowhere(const struct pgtable *table, u64 address,
				  struct pgtable_visit *visit)
{
	unsigned level = table->format->levels;

	*visit = (struct pgtable_visit){
		.address = ALIGN_DOWN(address, LEVEL_SIZE(level)),
		.start = ALIGN_DOWN(address, LEVEL_SIZE(level)),
		.end = ALIGN_DOWN(address, LEVEL_SIZE(level)) + LEVEL_SIZE(level),
		.level = (u8)level,
		.kind = VISIT_ABSENT,
	};
}

/* Not inlined: the common lookup then has no call in it and saves no registers for one. */
static __attribute__((__noinline__)) void lookup_descend_virt(const struct pgtable *table,
							      u64 address, unsigned level,
							      struct pgtable_visit *visit)
{
	lookup_descend(table, address, level, visit, false);
}

void pgtable_lookup_level(struct pgtable *table, u64 address, unsigned level,
			  struct pgtable_visit *visit)
{
	if (unlikely(!address_valid(table->format, address)))
		lookup_nowhere(table, address, visit);
	else if (likely(!table->memory->virt))
		lookup_descend(table, address, level, visit, true);
	else
		lookup_descend_virt(table, address, level, visit);
}

void pgtable_lookup(struct pgtable *table, u64 address, struct pgtable_visit *visit)
{
	pgtable_lookup_level(table, address, 0, visit);
}

/* The entries [first, last] of the table that a slot names, or-ed. */
static pte_t table_bits(const struct pgtable *table, const struct pgtable_visit *slot, u64 first,
			u64 last)
{
	const pte_t *slots = table_slots(table, visit_table(table, slot));
	u64 end = last % PGTABLE_ENTRIES;
	pte_t all = 0;

	for (u64 i = first % PGTABLE_ENTRIES; i <= end; i++)
		all |= pte_load(&slots[i]);
	return all;
}

/* `at` is compared by its distance from start, because the top slot ends at 2^64, which is 0. */
bool pgtable_any(struct pgtable *table, u64 start, u64 end, unsigned attr)
{
	const struct pgtable_format *format = table->format;
	pte_t found = 0, bits;
	struct pgtable_visit visit;

	if (!pgtable_range_valid(table, start, end))
		return false;
	for (u64 at = start; !found && at - start < end - start; at = visit.end) {
		pgtable_lookup_level(table, at, 1, &visit);
		bits = level_bits(format, visit.kind == VISIT_LEAF ? visit.level : 0, attr);
		if (visit.kind == VISIT_LEAF)
			found = visit.pte & bits;
		else if (visit.kind == VISIT_TABLE)
			found = bits & table_bits(table, &visit, at >> PAGE_SHIFT,
						  MIN(visit.end - 1, end - 1) >> PAGE_SHIFT);
	}
	return found;
}

/* The leaves with any of `bits` among the pages [first, last], which are in the table of `up`. */
static int walk_table_having(const struct walk *walk, const struct pgtable_visit *up, u64 first,
			     u64 last, pte_t bits)
{
	pte_t *slot =
		table_slots(walk->table, visit_table(walk->table, up)) + first % PGTABLE_ENTRIES;
	int err = 0;

	for (u64 page = first; page <= last && !err; page++, slot++) {
		u64 address = page << PAGE_SHIFT;
		pte_t pte = pte_load(slot);

		if (unlikely(pte & bits) && pgtable_kind(walk->table, pte, 0) == VISIT_LEAF)
			err = walk->visitor(walk->table,
					    &(struct pgtable_visit){.address = address,
								    .start = address,
								    .end = address + PAGE_SIZE,
								    .slot = slot,
								    .pte = pte,
								    .kind = VISIT_LEAF},
					    walk->argument);
	}
	return err;
}

/* What is at `at`, up to `last`, the last byte of the range. Mostly no entry has any. */
static int walk_block_having(const struct walk *walk, const struct pgtable_visit *visit, u64 at,
			     u64 last, unsigned attr)
{
	const struct pgtable_format *format = walk->table->format;
	u64 first_page = at >> PAGE_SHIFT, last_page = last >> PAGE_SHIFT;
	struct pgtable_visit part = *visit;
	pte_t bits;

	if (visit->kind == VISIT_TABLE) {
		bits = level_bits(format, 0, attr) &
		       table_bits(walk->table, visit, first_page, last_page);
		return bits ? walk_table_having(walk, visit, first_page, last_page, bits) : 0;
	}
	if (visit->kind != VISIT_LEAF || !(visit->pte & level_bits(format, visit->level, attr)))
		return 0;
	part.start = at;
	part.end = last + 1;
	return walk->visitor(walk->table, &part, walk->argument);
}

int pgtable_walk_having(struct pgtable *table, u64 start, u64 end, unsigned attr,
			pgtable_visitor visitor, void *argument)
{
	const struct walk walk = {table, VISIT_LEAF, visitor, argument};
	struct pgtable_visit visit;
	int err = pgtable_range_valid(table, start, end) ? 0 : ERR_INVALID;

	for (u64 at = start; !err && at - start < end - start; at = visit.end) {
		pgtable_lookup_level(table, at, 1, &visit);
		err = walk_block_having(&walk, &visit, at, MIN(visit.end - 1, end - 1), attr);
	}
	return err;
}
