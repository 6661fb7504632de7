/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.c: a guest that makes all its pages in each other's way: here every content has the same
 * hash.
 *
 * HASH-2: whatever guests write, a search takes a bounded time. What it costs is sharing, of those
 * pages; never a content.
 */
#include "sim/merge_check.h"

#include "mm/merge/content_hash.h"
#include "mm/merge/private.h"

#define PAGES	  2048u
#define STRANGERS 8 /* merge_hash.c's */

u64 __wrap_page_content_hash(const void *page);
u64 __wrap_page_content_hash(const void *page)
{
	return 0x5a5a5a;
}

static struct addrspace *as;
static struct stage2 *s2;
static u64 wrote[PAGES];

static void begin(void)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	world_begin(1, 64);
	assert_int_equal(merge_configure(&merge_engine_hash, &limits), 0);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
}

static void write_page(u64 page, u64 value)
{
	assert_int_equal(guest_write(s2, page << PAGE_SHIFT, value), FAULT_MAPPED);
	wrote[page] = value;
}

/*
 * A pass, in which no page costs more than its searches may: one among what is shared, one among
 * who waits, and the guards.
 */
static void bounded_pass(void)
{
	struct merge_stats before, after;

	guest_out();
	merge_stats(&before);
	assert_int_equal(merge_scan(PAGES), PAGES);
	merge_stats(&after);
	assert_true(after.compares - before.compares <= (2 * STRANGERS + 2) * PAGES);
}

static void end(void)
{
	for (u64 page = 0; page < PAGES; page++) {
		u64 value;

		assert_int_equal(guest_read(s2, page << PAGE_SHIFT, &value), FAULT_MAPPED);
		assert_int_equal(value, wrote[page]);
	}
	guest_out();
	check_audit();
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	check_audit();
	world_end();
}

static void a_search_among_strangers_with_one_tag_ends(void **state)
{
	begin();
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 1 + page);
	for (unsigned i = 0; i < 4; i++)
		bounded_pass();
	end();
}

/* Who made them strangers makes them twins: they are all called at once, and found. */
static void strangers_that_become_twins_are_merged(void **state)
{
	struct merge_stats stats;

	begin();
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 1 + page);
	bounded_pass();
	bounded_pass();
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 7);
	for (unsigned i = 0; i < 4; i++)
		bounded_pass();
	merge_stats(&stats);
	assert_int_equal(stats.pages_shared, PAGES / 256);
	assert_int_equal(stats.pages_sharing, PAGES - PAGES / 256);
	end();
}

static void random_writes_in_a_crowd_lose_nothing(void **state)
{
	struct sim_random random = sim_random_start(2017);

	begin();
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 1 + page);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = 0; i < 600; i++)
			write_page(sim_below(&random, PAGES), 1 + sim_below(&random, 40));
		bounded_pass();
		check_audit();
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_among_strangers_with_one_tag_ends),
		cmocka_unit_test(strangers_that_become_twins_are_merged),
		cmocka_unit_test(random_writes_in_a_crowd_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
