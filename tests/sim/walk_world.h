/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_world.h: a page table in memory that a test owns: it counts, fails allocations, sees every
 * store, and plays the CPU that sets A and D in between.
 *
 * A freed table stays readable until world_flush(), as on the machine, and is poisoned for ASan
 * after it: so a walk that still uses it is found.
 */
#ifndef SAMEPAGE_TESTS_SIM_WALK_WORLD_H
#define SAMEPAGE_TESTS_SIM_WALK_WORLD_H

#include "sim/sim.h"

#include <mm/walk.h>

/*
 * fail_at		the n-th allocation from now on fails; 0: none
 * allocs, stores	since the test last set them to 0
 * allocated		tables out: allocated and not freed
 * before_swap		called before each compare-and-swap: may change *slot as a CPU would
 * after_store		called after each store that took place: a compare-and-swap, or a plain one to a
 * 			table that must not be linked yet
 * on_dropped		what the walker reports as dropped
 */
struct world {
	struct pgtable table;
	struct pgtable_memory memory;
	struct sim_random random;
	u64 fail_at, allocs, stores, allocated;
	void (*before_swap)(struct world *world, pte_t *slot);
	void (*after_store)(struct world *world, bool swapped);
	void (*on_dropped)(struct world *world, const struct pgtable_visit *leaf);
	void *test; /* the hooks' own */
	pte_t **doomed;
	u64 doomed_count;
	pte_t *spare;
};

void world_init(struct world *world, const struct pgtable_format *format, struct sim_random random);

/* Frees the table and all memory; fails the test if the walker kept or lost a table (WALK-8). */
void world_fini(struct world *world);

/* The flush after which freed tables may be used again. */
void world_flush(struct world *world);

/* What an address reads as: not mapped, or an address and words. */
struct reading {
	bool mapped;
	u64 hpa;
	unsigned attr;
};
struct reading world_read(struct world *world, u64 address);

/* pgtable_map with plain numbers; the level of the leaf that must be at an address. */
int world_map(struct world *world, u64 start, u64 end, u64 to, unsigned attr, unsigned level);
unsigned world_level(struct world *world, u64 address);

/* The same translation, rights and memory type? A and D are not looked at. */
bool readings_agree(struct reading a, struct reading b);

/* A CPU's access through the table: sets A, and D for a write. False when it would fault. */
bool world_access(struct world *world, u64 address, bool write);

#endif
