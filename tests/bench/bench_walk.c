/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_walk.c: the walker alone, on an EPT.
 */
#include "bench_mm.h"

#include <mm/frame.h>
#include <mm/walk.h>

#define ROUNDS 256

static int table_alloc(void *context, struct hpa *table)
{
	struct mfn mfn;

	must(frame_alloc(0, FRAME_TABLE, FRAME_ZERO, &mfn));
	*table = mfn_to_hpa(mfn);
	return 0;
}

static void table_free(void *context, struct hpa table)
{
	frame_free(hpa_to_mfn(table), 0);
}

static const struct pgtable_memory memory = {.alloc = table_alloc, .free = table_free};
static struct pgtable table;

static void map_page(u64 page)
{
	must(pgtable_map(&table, page * PAGE_SIZE, (page + 1) * PAGE_SIZE,
			 (struct hpa){page * PAGE_SIZE}, PT_RWX, 0));
}

static void lookup_page(u64 page)
{
	struct pgtable_visit visit;

	pgtable_lookup(&table, page * PAGE_SIZE, &visit);
}

static void protect_page(u64 page)
{
	must(pgtable_protect(&table, page * PAGE_SIZE, (page + 1) * PAGE_SIZE, PT_READ));
}

static void unmap_page(u64 page)
{
	must(pgtable_unmap(&table, page * PAGE_SIZE, (page + 1) * PAGE_SIZE));
}

static void split_block(u64 block)
{
	must(pgtable_split(&table, block * LEVEL_SIZE(1), 0));
}

static void collapse_block(u64 block)
{
	must(pgtable_collapse(&table, block * LEVEL_SIZE(1), 1));
}

static void measure(const char *name, u64 first, u64 rounds, void (*operation)(u64 place))
{
	bench_begin();
	for (u64 i = first; i < first + rounds; i++) {
		bench_on();
		operation(i);
		bench_off();
	}
	bench_end(name, rounds);
}

void bench_walk(void)
{
	sim_boot(1, 64 * MIB);
	must(pgtable_init(&table, &ept_format, &memory));
	map_page(0);
	measure("walk_map_page", 1, ROUNDS, map_page);
	measure("walk_lookup", 1, ROUNDS, lookup_page);
	measure("walk_protect_page", 1, ROUNDS, protect_page);
	measure("walk_unmap_page", 1, ROUNDS, unmap_page);
	must(pgtable_map(&table, 0, 16 * LEVEL_SIZE(1), (struct hpa){0}, PT_RWX, 1));
	measure("walk_split_2m", 0, 16, split_block);
	measure("walk_collapse_2m", 0, 16, collapse_block);
	bench_begin();
	bench_on();
	must(pgtable_map(&table, GIB, GIB + 16 * LEVEL_SIZE(1), (struct hpa){0}, PT_RWX, 0));
	bench_off();
	bench_end("walk_map_range", 16 * PGTABLE_ENTRIES);
	pgtable_fini(&table);
}
