/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.c: tables as pages: reserved before a change, planted during it, freed after it.
 *
 * Why a reserve: a change must not fail half-way (WALK-5), so all tables it needs are allocated
 * before its first store. The counts are exact: the caller serializes changes, and the CPU alters A
 * and D only.
 */
#include "mm/table/internal.h"

#include <lib/error.h>
#include <lib/log.h>

static void table_free(struct pgtable *table, struct hpa page)
{
	table->memory->free(table->memory->context, page);
	table->tables--;
}

struct hpa reserve_take(struct pgtable *table, struct pgtable_reserve *reserve)
{
	struct hpa page = reserve->first;
	pte_t *words = table_slots(table, page);

	CHECK(reserve->count > 0);
	reserve->first.raw = words[0];
	reserve->count--;
	words[0] = 0;
	return page;
}

/* Releases the rest of a reserve. */
static void reserve_cancel(struct pgtable *table, struct pgtable_reserve *reserve)
{
	const struct pgtable_memory *memory = table->memory;

	while (reserve->count > 0) {
		struct hpa page = reserve_take(table, reserve);

		if (memory->cancel)
			memory->cancel(memory->context, page);
		else
			memory->free(memory->context, page);
		table->tables--;
	}
}

int reserve_fill(struct pgtable *table, struct pgtable_reserve *reserve, u64 count)
{
	*reserve = (struct pgtable_reserve){{0}, 0};
	while (reserve->count < count) {
		struct hpa page;
		int err = table->memory->alloc(table->memory->context, &page);

		if (err) {
			reserve_cancel(table, reserve);
			return err;
		}
		table_slots(table, page)[0] = reserve->first.raw;
		reserve->first = page;
		reserve->count++;
		table->tables++;
	}
	return 0;
}

static void fresh_store(struct pgtable *table, pte_t *slot, pte_t value)
{
	if (table->memory->store)
		table->memory->store(table->memory->context, slot, value);
	else
		*slot = value;
}

/* Fills a table that is not linked yet with the pieces of `leaf`, of the level above (FORMAT-3). */
static void fill_with_pieces(struct pgtable *table, pte_t *slots, pte_t leaf, unsigned level)
{
	const struct pgtable_format *format = table->format;
	struct hpa addr = pte_addr(format, leaf, level);
	pte_t piece = format->make_leaf(addr, level - 1, format->attr(leaf, level));

	for (unsigned i = 0; i < PGTABLE_ENTRIES; i++)
		fresh_store(table, &slots[i], piece + i * LEVEL_SIZE(level - 1));
}

void pgtable_plant(struct pgtable *table, const struct pgtable_visit *visit,
		   struct pgtable_reserve *reserve)
{
	struct hpa page = reserve_take(table, reserve);
	pte_t entry = table->format->make_table(page, visit->level);
	pte_t old;

	/*
	 * Again whenever the CPU has set A or D in the leaf meanwhile: the pieces inherit them
	 * (WALK-6).
	 */
	do {
		old = pte_load(visit->slot);
		if (pte_present(table->format, old, visit->level))
			fill_with_pieces(table, table_slots(table, page), old, visit->level);
	} while (!pgtable_swap(table, visit->slot, old, entry));
}

void pgtable_free_tables(struct pgtable *table, struct hpa page, unsigned level)
{
	const struct pgtable_format *format = table->format;
	const pte_t *slots = table_slots(table, page);

	for (unsigned i = 0; level > 0 && i < PGTABLE_ENTRIES; i++)
		if (pgtable_kind(table, slots[i], level) == VISIT_TABLE)
			pgtable_free_tables(table, pte_table(format, slots[i], level), level - 1);
	table_free(table, page);
}
