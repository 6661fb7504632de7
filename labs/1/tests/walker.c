/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walker.c: lab 1. Lookup and walk over tables that the test builds by itself: they need no map.
 */
#include "sim/fake_format.h"
#include "sim/walk_world.h"

#define P   PAGE_SIZE
#define P2M LEVEL_SIZE(1)
#define P1G LEVEL_SIZE(2)
#define TOP (1ull << 48)

static struct world world;
static struct pgtable *const table = &world.table;

static void begin(const struct pgtable_format *format)
{
	world_init(&world, format, (struct sim_random){1});
}

/* Links a new table into the slot of `level` for an address; returns the new table's slots. */
static pte_t *link_table(pte_t *slots, u64 address, unsigned level)
{
	struct hpa page;

	assert_int_equal(world.memory.alloc(&world, &page), 0);
	table->tables++;
	slots[(address >> LEVEL_SHIFT(level)) % PGTABLE_ENTRIES] =
		table->format->make_table(page, level);
	return (pte_t *)(uintptr_t)page.raw;
}

static void put_leaf(pte_t *slots, u64 address, unsigned level, u64 to)
{
	slots[(address >> LEVEL_SHIFT(level)) % PGTABLE_ENTRIES] =
		table->format->make_leaf((struct hpa){to}, level, PT_READ | PT_WRITE);
}

/*
 *     0               5 pages, in a table of level 0: page 3 is mapped
 *     P2M             a leaf of 2 MiB
 *     P1G             a leaf of 1 GiB
 */
static pte_t *build(const struct pgtable_format *format)
{
	pte_t *level3, *level2, *level1, *level0;

	begin(format);
	level3 = (pte_t *)(uintptr_t)table->root.raw;
	level2 = link_table(level3, 0, 3);
	level1 = link_table(level2, 0, 2);
	level0 = link_table(level1, 0, 1);
	put_leaf(level0, 3 * P, 0, 77 * P);
	put_leaf(level1, P2M, 1, 5 * P2M);
	put_leaf(level2, P1G, 2, 3 * P1G);
	return level1;
}

static void is_at(u64 address, unsigned level, enum visit_flags kind)
{
	struct pgtable_visit visit;

	pgtable_lookup(table, address, &visit);
	assert_int_equal(visit.level, level);
	assert_int_equal(visit.kind, kind);
	assert_int_equal(visit.address, ALIGN_DOWN(address, LEVEL_SIZE(level)));
	assert_int_equal(visit.start, visit.address);
	assert_int_equal(visit.end, visit.address + LEVEL_SIZE(level));
	assert_non_null(visit.slot);
	assert_int_equal(visit.pte, *visit.slot);
}

static void find_all(const struct pgtable_format *format)
{
	build(format);
	is_at(3 * P, 0, VISIT_LEAF);
	is_at(P2M + 9 * P, 1, VISIT_LEAF);
	is_at(P1G + 9 * P2M + P, 2, VISIT_LEAF);
	is_at(4 * P, 0, VISIT_ABSENT);
	is_at(2 * P2M, 1, VISIT_ABSENT);
	is_at(2 * P1G + P, 2, VISIT_ABSENT);
	is_at(512 * P1G, 3, VISIT_ABSENT);
	is_at(TOP / 2 - P, 3, VISIT_ABSENT);
	world_fini(&world);
}

static void a_lookup_finds_leaves_of_all_sizes_and_absent_slots_of_all_levels(void **state)
{
	find_all(&ept_format);
	find_all(&npt_format);
	find_all(&host_format);
}

/* The bits of an entry stand elsewhere at each level of the fake format. */
static void a_lookup_reads_each_entry_with_the_bits_of_its_level(void **state)
{
	find_all(&fake_format);
}

static void a_lookup_goes_no_deeper_than_its_level(void **state)
{
	struct pgtable_visit visit;

	build(&ept_format);
	for (unsigned level = 3; level > 0; level--) {
		pgtable_lookup_level(table, 3 * P, level, &visit);
		assert_int_equal(visit.kind, VISIT_TABLE);
		assert_int_equal(visit.level, level);
	}
	pgtable_lookup_level(table, P1G, 1, &visit);
	assert_int_equal(visit.kind, VISIT_LEAF);
	assert_int_equal(visit.level, 2);
	world_fini(&world);
}

struct trail {
	struct pgtable_visit step[64];
	unsigned count, skip_at, stop_at;
};

static int follow(struct pgtable *t, const struct pgtable_visit *visit, void *argument)
{
	struct trail *trail = argument;

	assert_true(trail->count < ARRAY_SIZE(trail->step));
	trail->step[trail->count++] = *visit;
	if (trail->count == trail->stop_at)
		return ERR_BUSY;
	return trail->count == trail->skip_at ? VISIT_SKIP : 0;
}

static void step_is(const struct trail *trail, unsigned i, unsigned level, u64 start, u64 end)
{
	assert_true(i < trail->count);
	assert_int_equal(trail->step[i].level, level);
	assert_int_equal(trail->step[i].start, start);
	assert_int_equal(trail->step[i].end, end);
	assert_int_equal(trail->step[i].address, ALIGN_DOWN(start, LEVEL_SIZE(level)));
}

#define ALL_KINDS (VISIT_LEAF | VISIT_ABSENT | VISIT_TABLE)

/* The part of a slot that is inside the range, in order, a table before what is in it. */
static void a_walk_visits_every_slot_once_in_order_cut_to_the_range(void **state)
{
	struct trail trail = {0};

	build(&ept_format);
	assert_int_equal(pgtable_walk(table, 510 * P, P2M + 2 * P, ALL_KINDS, follow, &trail), 0);
	assert_int_equal(trail.count, 6);
	step_is(&trail, 0, 3, 510 * P, P2M + 2 * P);
	step_is(&trail, 1, 2, 510 * P, P2M + 2 * P);
	step_is(&trail, 2, 1, 510 * P, P2M);
	step_is(&trail, 3, 0, 510 * P, 511 * P);
	step_is(&trail, 4, 0, 511 * P, P2M);
	step_is(&trail, 5, 1, P2M, P2M + 2 * P);
	assert_int_equal(trail.step[5].kind, VISIT_LEAF);
	world_fini(&world);
}

static void a_walk_shows_the_kinds_of_its_flags_and_descends_anyway(void **state)
{
	struct trail trail = {0};

	build(&ept_format);
	assert_int_equal(pgtable_walk(table, 0, 2 * P1G, VISIT_LEAF, follow, &trail), 0);
	assert_int_equal(trail.count, 3);
	step_is(&trail, 0, 0, 3 * P, 4 * P);
	step_is(&trail, 1, 1, P2M, 2 * P2M);
	step_is(&trail, 2, 2, P1G, 2 * P1G);
	world_fini(&world);
}

static void a_visitor_skips_a_table_or_ends_the_walk(void **state)
{
	struct trail trail = {.skip_at = 3};

	build(&ept_format);
	assert_int_equal(pgtable_walk(table, 0, 2 * P2M, ALL_KINDS, follow, &trail), 0);
	assert_int_equal(trail.count, 4);
	step_is(&trail, 3, 1, P2M, 2 * P2M);
	trail = (struct trail){.stop_at = 4};
	assert_int_equal(pgtable_walk(table, 0, 2 * P2M, ALL_KINDS, follow, &trail), ERR_BUSY);
	assert_int_equal(trail.count, 4);
	world_fini(&world);
}

static int link_at_level_1(struct pgtable *t, const struct pgtable_visit *visit, void *argument)
{
	unsigned *visits = argument;

	++*visits;
	if (visit->level == 1)
		link_table(visit->slot - (visit->address >> LEVEL_SHIFT(1)) % PGTABLE_ENTRIES,
			   visit->address, 1);
	return 0;
}

static void a_walk_enters_a_table_that_the_visitor_has_put_there(void **state)
{
	unsigned visits = 0;

	build(&ept_format);
	assert_int_equal(pgtable_walk(table, 3 * P2M + 4 * P, 3 * P2M + 6 * P, VISIT_ABSENT,
				      link_at_level_1, &visits),
			 0);
	assert_int_equal(visits, 3);
	world_fini(&world);
}

/* Ends in the last slots of the addresses, where the end of a slot is 0. */
static void a_walk_ends_where_the_addresses_do(void **state)
{
	struct trail trail = {0};

	begin(&host_format);
	assert_int_equal(pgtable_walk(table, -P1G, -P, ALL_KINDS, follow, &trail), 0);
	assert_int_equal(trail.count, 1);
	step_is(&trail, 0, 3, -P1G, -P);
	world_fini(&world);
	begin(&ept_format);
	trail = (struct trail){0};
	assert_int_equal(pgtable_walk(table, TOP - 1024 * P1G, TOP, ALL_KINDS, follow, &trail), 0);
	assert_int_equal(trail.count, 2);
	step_is(&trail, 1, 3, TOP - 512 * P1G, TOP);
	world_fini(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lookup_finds_leaves_of_all_sizes_and_absent_slots_of_all_levels),
		cmocka_unit_test(a_lookup_reads_each_entry_with_the_bits_of_its_level),
		cmocka_unit_test(a_lookup_goes_no_deeper_than_its_level),
		cmocka_unit_test(a_walk_visits_every_slot_once_in_order_cut_to_the_range),
		cmocka_unit_test(a_walk_shows_the_kinds_of_its_flags_and_descends_anyway),
		cmocka_unit_test(a_visitor_skips_a_table_or_ends_the_walk),
		cmocka_unit_test(a_walk_enters_a_table_that_the_visitor_has_put_there),
		cmocka_unit_test(a_walk_ends_where_the_addresses_do),
	};

	return cmocka_run_group_tests_name("lab1_walker", tests, NULL, NULL);
}
