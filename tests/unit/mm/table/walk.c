/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: the walker's promises one by one (mm/walk.h, WALK-1 to WALK-8), on EPT unless the
 * format matters.
 */
#include "sim/fake_format.h"
#include "sim/walk_world.h"

#define P   PAGE_SIZE
#define P2M LEVEL_SIZE(1)
#define P1G LEVEL_SIZE(2)
#define TOP (1ull << 48)

static struct world world;
static struct pgtable *const table = &world.table;

static int start_ept(void **state)
{
	world_init(&world, &ept_format, (struct sim_random){1});
	return 0;
}

static int start_host(void **state)
{
	world_init(&world, &host_format, (struct sim_random){1});
	return 0;
}

static int finish(void **state)
{
	world_fini(&world);
	return 0;
}

static int map(u64 start, u64 end, u64 to, unsigned attr, unsigned level)
{
	return world_map(&world, start, end, to, attr, level);
}

static struct pgtable_visit lookup(u64 address)
{
	struct pgtable_visit visit;

	pgtable_lookup(table, address, &visit);
	return visit;
}

static unsigned level_of(u64 address)
{
	return world_level(&world, address);
}

static unsigned attr_of(u64 address)
{
	return world_read(&world, address).attr;
}

static void a_map_uses_the_largest_leaves_that_both_addresses_allow(void **state)
{
	assert_int_equal(map(P1G - P2M - P, 2 * P1G + P2M + P, 3 * P1G - P2M - P, PT_RWX, 2), 0);
	assert_int_equal(level_of(P1G - P2M - P), 0);
	assert_int_equal(level_of(P1G - P2M), 1);
	assert_int_equal(level_of(P1G), 2);
	assert_int_equal(level_of(2 * P1G), 1);
	assert_int_equal(level_of(2 * P1G + P2M), 0);
	assert_int_equal(world_read(&world, P1G + 5 * P).hpa, 3 * P1G + 5 * P);
	assert_false(world_read(&world, P1G - P2M - 2 * P).mapped); /* WALK-7 */
	assert_false(world_read(&world, 2 * P1G + P2M + P).mapped);
}

static void a_map_out_of_step_uses_small_leaves_only(void **state)
{
	assert_int_equal(map(0, 2 * P2M, P2M + P, PT_RWX, 2), 0);
	assert_int_equal(level_of(0), 0);
	assert_int_equal(map(P1G, 2 * P1G, P1G + P2M, PT_RWX, 2), 0);
	assert_int_equal(level_of(P1G), 1);
}

static void a_map_uses_no_leaf_above_the_largest_level(void **state)
{
	assert_int_equal(map(0, P2M, 0, PT_RWX, 0), 0);
	assert_int_equal(level_of(0), 0);
	assert_int_equal(map(P1G, 2 * P1G, 0, PT_RWX, 1), 0);
	assert_int_equal(level_of(P1G), 1);
}

static void the_first_and_the_last_page_of_the_addresses_can_be_mapped(void **state)
{
	assert_int_equal(map(0, P, 7 * P, PT_RWX, 2), 0);
	assert_int_equal(map(TOP - P, TOP, 9 * P, PT_RWX, 2), 0);
	assert_int_equal(world_read(&world, 0).hpa, 7 * P);
	assert_int_equal(world_read(&world, TOP - P).hpa, 9 * P);
}

static void every_operation_refuses_a_malformed_range_and_stores_nothing(void **state)
{
	static const struct {
		u64 start, end;
	} bad[] = {
		{0, 0},
		{P, P},
		{2 * P, P},
		{1, P},
		{0, P + 8},
		{TOP, TOP + P},
		{TOP - P, TOP + P},
		{0, ~0ull - P + 1},
		{-P, 0},
		{~0ull - P + 1, P},
	};

	assert_int_equal(map(0, P, 0, PT_RWX, 0), 0);
	world.stores = world.allocs = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		u64 start = bad[i].start, end = bad[i].end;

		assert_int_equal(map(start, end, 0, PT_RWX, 2), ERR_INVALID);
		assert_int_equal(pgtable_unmap(table, start, end), ERR_INVALID);
		assert_int_equal(pgtable_protect(table, start, end, PT_READ), ERR_INVALID);
		assert_int_equal(pgtable_harvest(table, start, end, PT_DIRTY, NULL, NULL),
				 ERR_INVALID);
		assert_int_equal(pgtable_walk(table, start, end, 0, NULL, NULL), ERR_INVALID);
	}
	assert_int_equal(world.stores + world.allocs, 0);
}

static void a_map_refuses_what_the_format_cannot_express(void **state)
{
	world.stores = world.allocs = 0;
	assert_int_equal(map(0, P, 8, PT_RWX, 0), ERR_INVALID);
	assert_int_equal(map(0, P, BIT(52), PT_RWX, 0), ERR_INVALID);
	assert_int_equal(map(0, 2 * P, BIT(52) - P, PT_RWX, 0), ERR_INVALID);
	assert_int_equal(map(0, P, 0, PT_WRITE, 0), ERR_INVALID);
	assert_int_equal(map(0, P, 0, 0, 0), ERR_INVALID);
	assert_int_equal(map(0, P, 0, PT_RWX | PT_GLOBAL, 0), ERR_INVALID);
	assert_int_equal(map(0, P, 0, PT_RWX, 3), ERR_INVALID);
	assert_int_equal(pgtable_protect(table, 0, P, PT_WRITE), ERR_INVALID);
	assert_int_equal(pgtable_protect(table, 0, P, PT_READ | PT_DIRTY), ERR_INVALID);
	assert_int_equal(pgtable_harvest(table, 0, P, PT_WRITE, NULL, NULL), ERR_INVALID);
	assert_int_equal(world.stores + world.allocs, 0);
	assert_int_equal(map(0, P, BIT(52) - P, PT_RWX, 0), 0);
}

static void host_tables_translate_both_canonical_halves_and_no_hole(void **state)
{
	u64 low_end = 1ull << 47, high = -low_end;

	assert_int_equal(map(high, high + P2M, P2M, PT_READ, 2), 0);
	assert_int_equal(map(0xffffffff80000000, 0xffffffff80200000, 2 * P2M, PT_READ | PT_EXEC, 2),
			 0);
	assert_int_equal(map(low_end - P, low_end, P, PT_READ, 2), 0);
	assert_int_equal(world_read(&world, high + 5 * P).hpa, P2M + 5 * P);
	assert_int_equal(lookup(0xffffffff80000000).address, 0xffffffff80000000);
	assert_int_equal(map(low_end, low_end + P, 0, PT_READ, 2), ERR_INVALID);
	assert_int_equal(map(low_end - P, high + P, 0, PT_READ, 2), ERR_INVALID);
	assert_int_equal(map(high - P, high + P, 0, PT_READ, 2), ERR_INVALID);
	assert_int_equal(pgtable_unmap(table, low_end - P, high + P), ERR_INVALID);
}

static void a_lookup_outside_the_addresses_finds_no_slot(void **state)
{
	assert_int_equal(map(0, P, 0, PT_RWX, 0), 0);
	assert_null(lookup(TOP).slot);
	assert_int_equal(lookup(TOP).kind, VISIT_ABSENT);
	assert_null(lookup(~0ull).slot);
}

static void a_lookup_stops_at_the_absent_slot_and_says_its_level(void **state)
{
	assert_int_equal(lookup(5 * P).level, 3);
	assert_int_equal(map(0, P, 0, PT_RWX, 0), 0);
	assert_int_equal(lookup(5 * P).level, 0);
	assert_int_equal(lookup(P2M).level, 1);
	assert_int_equal(lookup(P1G + 1).level, 2);
	assert_int_equal(lookup(P1G + 1).address, P1G);
	assert_int_equal(lookup(P1G + 1).end, 2 * P1G);
}

static void a_lookup_can_stop_at_a_table(void **state)
{
	struct pgtable_visit visit;

	assert_int_equal(map(P2M, P2M + P, 0, PT_RWX, 0), 0);
	pgtable_lookup_level(table, P2M + 3 * P, 1, &visit);
	assert_int_equal(visit.kind, VISIT_TABLE);
	assert_int_equal(visit.level, 1);
	assert_int_equal(visit.address, P2M);
}

/* The case nearly every fault is: nothing allocated, nothing counted, one store. */
static void mapping_a_page_with_a_table_is_one_store(void **state)
{
	assert_int_equal(map(0, P, 0, PT_RWX, 0), 0);
	world.stores = world.allocs = 0;
	assert_int_equal(map(P, 2 * P, P, PT_RWX, 0), 0);
	assert_int_equal(map(P, 2 * P, 9 * P, PT_READ, 0), 0);
	assert_int_equal(world.stores, 2);
	assert_int_equal(world.allocs, 0);
}

/* The tables set aside are chained through their first words: nothing of that may stay in them. */
static void a_fresh_table_holds_nothing_but_what_was_mapped(void **state)
{
	u64 address = LEVEL_SIZE(3) + P1G + P2M + P;

	assert_int_equal(map(address, address + P, 0, PT_RWX, 0), 0);
	for (unsigned level = 0; level < 3; level++) {
		struct pgtable_visit visit = lookup(address);

		pgtable_lookup_level(table, address, level, &visit);
		assert_int_equal(visit.slot[-1], 0);
	}
}

static void replacing_512_small_leaves_by_a_large_one_is_one_store_that_shows(void **state)
{
	assert_int_equal(map(0, P2M, 0, PT_RWX, 0), 0);
	world.memory.dropped = NULL;
	world.stores = 0;
	assert_int_equal(map(0, P2M, P1G, PT_RWX, 1), 0);
	assert_int_equal(world.stores, 1);
	assert_int_equal(level_of(0), 1);
	assert_int_equal(world.allocated, 3);
}

static void unmapping_frees_the_tables_that_served_only_the_range(void **state)
{
	assert_int_equal(map(P1G, 2 * P1G, 0, PT_RWX, 1), 0);
	assert_int_equal(map(2 * P1G, 2 * P1G + P2M, 0, PT_RWX, 0), 0);
	assert_int_equal(world.allocated, 5);
	assert_int_equal(pgtable_unmap(table, P1G, 2 * P1G), 0);
	assert_int_equal(world.allocated, 4);
	assert_int_equal(pgtable_unmap(table, 2 * P1G, 2 * P1G + P2M), 0);
	assert_int_equal(world.allocated, 3); /* the level-1 table served more than the range */
	assert_int_equal(pgtable_unmap(table, 0, TOP), 0);
	assert_int_equal(world.allocated, 1);
}

static void unmapping_a_page_of_a_large_leaf_keeps_the_rest(void **state)
{
	assert_int_equal(map(0, P1G, P1G, PT_RWX | PT_UNCACHED, 2), 0);
	assert_int_equal(pgtable_unmap(table, P2M + P, P2M + 2 * P), 0);
	assert_false(world_read(&world, P2M + P).mapped);
	assert_int_equal(world_read(&world, P2M).hpa, P1G + P2M);
	assert_int_equal(world_read(&world, P2M + 2 * P).hpa, P1G + P2M + 2 * P);
	assert_int_equal(attr_of(P2M), PT_RWX | PT_UNCACHED);
	assert_int_equal(level_of(0), 1);
	assert_int_equal(level_of(P2M), 0);
}

static void unmapping_what_is_not_mapped_stores_nothing(void **state)
{
	assert_int_equal(map(0, P, 0, PT_RWX, 0), 0);
	world.stores = world.allocs = 0;
	assert_int_equal(pgtable_unmap(table, P, 2 * P), 0);
	assert_int_equal(pgtable_unmap(table, 8 * P1G + P, 9 * P1G - P), 0);
	assert_int_equal(pgtable_protect(table, 8 * P1G + P, 9 * P1G - P, PT_READ), 0);
	assert_int_equal(world.stores + world.allocs, 0);
}

static void protecting_changes_rights_and_nothing_else(void **state)
{
	unsigned rest = PT_ACCESSED | PT_DIRTY | PT_UNCACHED;

	assert_int_equal(map(0, P2M, P2M, PT_RWX | rest, 1), 0);
	assert_int_equal(pgtable_protect(table, P, 3 * P, PT_READ), 0);
	assert_int_equal(attr_of(0), PT_RWX | rest);
	assert_int_equal(attr_of(P), PT_READ | rest);
	assert_int_equal(attr_of(2 * P), PT_READ | rest);
	assert_int_equal(attr_of(3 * P), PT_RWX | rest);
	assert_int_equal(world_read(&world, 2 * P).hpa, P2M + 2 * P);
}

static void protecting_with_the_same_rights_stores_nothing(void **state)
{
	assert_int_equal(map(0, 2 * P2M, 0, PT_READ, 1), 0);
	world.stores = 0;
	assert_int_equal(pgtable_protect(table, 0, 2 * P2M, PT_READ), 0);
	assert_int_equal(world.stores, 0);
}

static void splitting_keeps_rights_a_d_and_the_memory_type(void **state)
{
	unsigned attr = PT_READ | PT_WRITE | PT_ACCESSED | PT_DIRTY | PT_UNCACHED;

	assert_int_equal(map(P1G, 2 * P1G, 5 * P1G, attr, 2), 0);
	assert_int_equal(pgtable_split(table, P1G + P2M + P, 0), 0);
	assert_int_equal(level_of(P1G + P2M + P), 0);
	assert_int_equal(level_of(P1G), 1);
	assert_int_equal(attr_of(P1G + P2M + 511 * P), attr);
	assert_int_equal(attr_of(2 * P1G - P), attr);
	assert_int_equal(world_read(&world, 2 * P1G - P).hpa, 6 * P1G - P);
	assert_int_equal(pgtable_split(table, P1G, 1), 0); /* small enough already */
	assert_int_equal(pgtable_split(table, 0, 0), ERR_NOT_FOUND);
	assert_int_equal(pgtable_split(table, TOP, 0), ERR_NOT_FOUND);
}

static void collapsing_ors_a_and_d(void **state)
{
	assert_int_equal(map(0, P2M, P2M, PT_READ, 0), 0);
	assert_true(world_access(&world, 77 * P, false));
	assert_int_equal(pgtable_collapse(table, 5 * P, 1), 0);
	assert_int_equal(level_of(0), 1);
	assert_int_equal(attr_of(0), PT_READ | PT_ACCESSED);
	assert_int_equal(world.allocated, 3);
}

/* Until the flush a CPU may set D in the table just freed, so D is taken for set (WALK-6). */
static void a_joined_leaf_that_is_writable_counts_as_dirty(void **state)
{
	assert_int_equal(map(0, P2M, P2M, PT_RWX, 0), 0);
	assert_int_equal(pgtable_collapse(table, 0, 1), 0);
	assert_int_equal(attr_of(0), PT_RWX | PT_DIRTY);
}

static void collapsing_joins_leaves_of_different_sizes(void **state)
{
	assert_int_equal(map(0, P1G, P1G, PT_READ, 1), 0);
	assert_int_equal(pgtable_split(table, 3 * P2M, 0), 0);
	assert_int_equal(pgtable_collapse(table, 9 * P2M, 2), 0);
	assert_int_equal(level_of(0), 2);
	assert_int_equal(world_read(&world, P1G - P).hpa, 2 * P1G - P);
	assert_int_equal(world.allocated, 2);
}

static void collapse_refuses(u64 address, unsigned level)
{
	world.stores = 0;
	assert_int_equal(pgtable_collapse(table, address, level), ERR_INVALID);
	assert_int_equal(world.stores, 0);
}

static void collapsing_refuses_what_is_not_whole_contiguous_and_alike(void **state)
{
	assert_int_equal(map(0, P2M, P2M, PT_READ, 0), 0);
	assert_int_equal(map(9 * P, 10 * P, P1G, PT_READ, 0), 0); /* elsewhere */
	collapse_refuses(0, 1);
	assert_int_equal(map(9 * P, 10 * P, P2M + 9 * P, PT_RWX, 0), 0); /* other rights */
	collapse_refuses(0, 1);
	assert_int_equal(pgtable_unmap(table, 9 * P, 10 * P), 0); /* a hole */
	collapse_refuses(0, 1);
	assert_int_equal(map(9 * P, 10 * P, P2M + 9 * P, PT_READ, 0), 0);
	assert_int_equal(pgtable_unmap(table, 511 * P, P2M), 0); /* a hole at the end */
	collapse_refuses(0, 1);
	assert_int_equal(map(511 * P, P2M, P2M + 511 * P, PT_READ, 0), 0);
	assert_int_equal(pgtable_collapse(table, 0, 1), 0);

	assert_int_equal(map(P2M, 2 * P2M, P2M + P, PT_READ, 0), 0); /* not aligned */
	collapse_refuses(P2M, 1);
	collapse_refuses(0, 2);	  /* 2 MiB of 1 GiB */
	collapse_refuses(P1G, 1); /* no table there */
	collapse_refuses(0, 0);
	collapse_refuses(0, 3);
	collapse_refuses(TOP, 1);
}

static void collapsing_a_leaf_does_nothing(void **state)
{
	assert_int_equal(map(0, P2M, 0, PT_RWX, 1), 0);
	world.stores = 0;
	assert_int_equal(pgtable_collapse(table, P, 1), 0);
	assert_int_equal(world.stores, 0);
}

/*
 * With the fake format an entry read at a wrong level is no entry: each level must be used as such.
 */
static void the_walker_never_mixes_up_levels(void **state)
{
	world_fini(&world);
	world_init(&world, &fake_format, (struct sim_random){1});
	assert_int_equal(map(P1G - P, 2 * P1G + P2M, 3 * P1G - P, PT_RWX | PT_USER, 2), 0);
	assert_int_equal(level_of(P1G - P), 0);
	assert_int_equal(level_of(P1G), 2);
	assert_int_equal(level_of(2 * P1G), 1);
	assert_int_equal(pgtable_split(table, P1G, 0), 0);
	assert_int_equal(attr_of(P1G), PT_RWX | PT_USER);
	assert_int_equal(attr_of(2 * P1G - P), PT_RWX | PT_USER);
	assert_int_equal(pgtable_collapse(table, P1G, 2), 0);
	assert_int_equal(attr_of(P1G), PT_RWX | PT_USER | PT_DIRTY);
}

#define test_on(start, name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_on(start_ept, a_map_uses_the_largest_leaves_that_both_addresses_allow),
		test_on(start_ept, a_map_out_of_step_uses_small_leaves_only),
		test_on(start_ept, a_map_uses_no_leaf_above_the_largest_level),
		test_on(start_ept, the_first_and_the_last_page_of_the_addresses_can_be_mapped),
		test_on(start_ept, every_operation_refuses_a_malformed_range_and_stores_nothing),
		test_on(start_ept, a_map_refuses_what_the_format_cannot_express),
		test_on(start_host, host_tables_translate_both_canonical_halves_and_no_hole),
		test_on(start_ept, a_lookup_outside_the_addresses_finds_no_slot),
		test_on(start_ept, a_lookup_stops_at_the_absent_slot_and_says_its_level),
		test_on(start_ept, a_lookup_can_stop_at_a_table),
		test_on(start_ept, a_fresh_table_holds_nothing_but_what_was_mapped),
		test_on(start_ept, mapping_a_page_with_a_table_is_one_store),
		test_on(start_ept,
			replacing_512_small_leaves_by_a_large_one_is_one_store_that_shows),
		test_on(start_ept, unmapping_frees_the_tables_that_served_only_the_range),
		test_on(start_ept, unmapping_a_page_of_a_large_leaf_keeps_the_rest),
		test_on(start_ept, unmapping_what_is_not_mapped_stores_nothing),
		test_on(start_ept, protecting_changes_rights_and_nothing_else),
		test_on(start_ept, protecting_with_the_same_rights_stores_nothing),
		test_on(start_ept, splitting_keeps_rights_a_d_and_the_memory_type),
		test_on(start_ept, collapsing_ors_a_and_d),
		test_on(start_ept, a_joined_leaf_that_is_writable_counts_as_dirty),
		test_on(start_ept, collapsing_joins_leaves_of_different_sizes),
		test_on(start_ept, collapsing_refuses_what_is_not_whole_contiguous_and_alike),
		test_on(start_ept, collapsing_a_leaf_does_nothing),
		test_on(start_ept, the_walker_never_mixes_up_levels),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
