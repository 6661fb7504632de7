/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c: a page that is looked at out of turn, for each engine: it is merged without a pass, by
 * the rules of every other visit (MERGE-1, MERGE-2, MERGE-7).
 */
#include "sim/explore.h"
#include "sim/merge_check.h"

#include "mm/merge/private.h"

#define PAGES 4
#define VMS   2

static struct addrspace *as[VMS];
static struct stage2 *s2[VMS];

static void make_vms(const struct merge_engine *engine, bool one_domain)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	assert_int_equal(merge_configure(engine, &limits), 0);
	for (unsigned vm = 0; vm < VMS; vm++) {
		as[vm] = world_space(PAGES);
		s2[vm] = world_stage2(as[vm]);
		assert_int_equal(merge_add(as[vm], world_range(0, PAGES), one_domain ? 1 : vm), 0);
	}
}

static void remove_vms(void)
{
	for (unsigned vm = 0; vm < VMS; vm++) {
		merge_remove_all(as[vm]);
		stage2_destroy(s2[vm]);
		addrspace_destroy(as[vm]);
	}
}

static void each_engine(void (*body)(void), bool one_domain)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		world_begin(2, 16);
		make_vms(merge_engine_at(e), one_domain);
		body();
		check_audit();
		remove_vms();
		world_end();
	}
}

static void look(unsigned vm, u64 page)
{
	merge_look(as[vm], (struct gfn){page});
}

static enum merge_reason reason(unsigned vm, u64 page)
{
	return merge_reason(as[vm], (struct gfn){page});
}

static bool is_shared(u64 page, u64 other)
{
	return world_mfn(as[0], page) == world_mfn(as[1], other);
}

static u64 reads(unsigned vm, u64 page)
{
	u64 value = 0;

	assert_int_equal(guest_read(s2[vm], page << PAGE_SHIFT, &value), FAULT_MAPPED);
	guest_out();
	return value;
}

static void match_body(void)
{
	fill_page(as[0], 1, 77);
	fill_page(as[1], 2, 77);
	look(0, 1);
	assert_int_equal(reason(0, 1), MERGE_UNIQUE);
	assert_false(is_shared(1, 2));
	look(1, 2);
	assert_true(is_shared(1, 2));
	assert_int_equal(reason(0, 1), MERGE_SHARED);
	assert_int_equal(reason(1, 2), MERGE_SHARED);
	fill_page(as[1], 3, 77);
	look(1, 3); /* the stable frame */
	assert_true(is_shared(1, 3));
	assert_int_equal(merge_passes(), 0);
	fill_page(as[0], 1, 78);
	assert_int_equal(reads(1, 2), 77);
	look(0, 1);
	assert_int_equal(reads(0, 1), 78);
}

static void two_pages_are_merged_without_a_pass(void **state)
{
	each_engine(match_body, true);
}

static void zero_body(void)
{
	fill_page(as[0], 1, 5);
	fill_page(as[0], 1, 0);
	look(0, 1);
	assert_int_equal(reason(0, 1), MERGE_ZERO);
}

static void a_page_of_zeroes_goes_to_the_frame_of_zeroes(void **state)
{
	each_engine(zero_body, true);
}

static void domain_body(void)
{
	fill_page(as[0], 1, 77);
	fill_page(as[1], 1, 77);
	look(0, 1);
	look(1, 1);
	assert_false(is_shared(1, 1));
}

static void domains_stay_apart(void **state)
{
	each_engine(domain_body, false);
}

static void refused_body(void)
{
	u64 done;

	fill_page(as[0], 1, 77);
	fill_page(as[1], 1, 77);
	look(0, PAGES); /* in no region */
	look(0, ~0ull >> 20);
	look(0, 0); /* absent */
	assert_int_equal(reason(0, 0), MERGE_ABSENT);
	assert_int_equal(merge_advise(as[1], world_range(1, 1), MERGE_ADVICE_UNMERGEABLE, &done),
			 0);
	look(0, 1);
	look(1, 1);
	assert_int_equal(reason(1, 1), MERGE_EXCLUDED);
	assert_false(is_shared(1, 1));
	assert_int_equal(addrspace_pin(as[1], (struct gfn){2}), 0);
	look(1, 2);
	assert_int_equal(reason(1, 2), MERGE_BUSY);
	addrspace_unpin(as[1], (struct gfn){2});
}

static void what_is_not_mergeable_stays(void **state)
{
	each_engine(refused_body, true);
}

/* Then the next pass looks it up, and not the one after. */
static void taken_body(void)
{
	struct merge_chunk *chunk = &merge_first_region(as[1])->chunk[0];

	fill_page(as[0], 1, 77);
	fill_page(as[1], 1, 77);
	look(0, 1);
	chunk->taken = 1;
	look(1, 1);
	assert_int_equal(chunk->taken, 1);
	assert_int_equal(reason(1, 1), MERGE_HINTED);
	assert_false(is_shared(1, 1));
	chunk->taken = 0;
	(void)merge_scan(VMS * PAGES);
	assert_true(is_shared(1, 1));
}

static void a_chunk_that_the_scanner_is_in_is_left_to_it(void **state)
{
	each_engine(taken_body, true);
}

static const char *at_point;

/* The other page's guest writes at that moment. */
static void write_at(const char *name)
{
	if (strcmp(name, at_point) != 0)
		return;
	sim_on_race_point = NULL;
	assert_int_equal(guest_write(s2[0], 1 << PAGE_SHIFT, 1234), FAULT_MAPPED);
	guest_out();
}

static void written_body(void)
{
	fill_page(as[0], 1, 77);
	fill_page(as[1], 1, 77);
	look(0, 1);
	sim_on_race_point = write_at;
	look(1, 1);
	sim_on_race_point = NULL;
	assert_int_equal(reads(0, 1), 1234);
	assert_int_equal(reads(1, 1), 77);
}

static void a_match_that_is_written_meanwhile_keeps_its_write(void **state)
{
	static const char *const points[] = {"merge: read", "merge: match taken", "merge: offered",
					     "merge: write-protected", "merge: compared"};

	for (unsigned i = 0; i < ARRAY_SIZE(points); i++) {
		at_point = points[i];
		each_engine(written_body, true);
	}
}

/* --- Against the scanner, in every interleaving -------------------------------------------- */

static void race_setup(void *world)
{
	make_vms(world, true);
	for (unsigned vm = 0; vm < VMS; vm++)
		fill_page(as[vm], 1, 77);
	guest_out();
	(void)merge_scan(VMS * PAGES);
}

static void race_scan(void *world)
{
	(void)merge_scan(VMS * PAGES);
}

static void race_look(void *world)
{
	look(1, 1);
	look(0, 1);
}

static void race_check(void *world)
{
	(void)merge_scan(VMS * PAGES);
	if (!is_shared(1, 1))
		fail_msg("not merged after%s", sched_trace());
	assert_int_equal(reads(0, 1), 77);
	assert_int_equal(reads(1, 1), 77);
	check_audit();
	remove_vms();
}

static void a_scanner_at_the_same_pages_merges_them_once(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		const struct sched_scenario scenario = {
			.setup = race_setup,
			.task = {race_scan, race_look},
			.check = race_check,
			.world = (void *)(uintptr_t)merge_engine_at(e),
			.preemptions = 2,
			.limit = 2000};

		world_begin(2, 16);
		sched_explore(&scenario);
		world_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_pages_are_merged_without_a_pass),
		cmocka_unit_test(a_page_of_zeroes_goes_to_the_frame_of_zeroes),
		cmocka_unit_test(domains_stay_apart),
		cmocka_unit_test(what_is_not_mergeable_stays),
		cmocka_unit_test(a_chunk_that_the_scanner_is_in_is_left_to_it),
		cmocka_unit_test(a_match_that_is_written_meanwhile_keeps_its_write),
		cmocka_unit_test(a_scanner_at_the_same_pages_merges_them_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
