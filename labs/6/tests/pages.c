/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.c: lab 6. Passes of the scanner over known contents, with the exact number of frames and
 * references; and a guest that writes to a page while it is merged, in every interleaving with
 * three preemptions.
 */
#include "sim/explore.h"
#include "sim/merge_check.h"

#include <mm/audit.h>
#include <mm/rmap.h>

#include "mm/merge/private.h"

#define PAGES 64

static struct addrspace *as;
static struct stage2 *s2;

static void begin_with(const struct merge_engine *engine)
{
	assert_int_equal(merge_configure(engine, &(struct merge_limits){.cap = 256, .zero = true}),
			 0);
	as = world_space(PAGES);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
}

static void end(void)
{
	guest_out();
	addrspace_settle(as);
	check_audit();
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	check_audit();
}

static void pass(unsigned times)
{
	while (times--)
		assert_int_equal(merge_scan(PAGES), PAGES);
	addrspace_settle(as);
}

static void pages_of_zeroes_are_backed_by_the_frame_of_zeroes(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		u64 value;

		world_begin(1, 16);
		begin_with(merge_engine_at(e));
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			fill_page(as, gfn, gfn % 2 ? gfn : 0);
		pass(2);
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			assert_int_equal(merge_reason(as, (struct gfn){gfn}) == MERGE_ZERO,
					 gfn % 2 == 0);
		assert_int_equal(guest_write(s2, 4 * PAGE_SIZE, 9), FAULT_MAPPED);
		assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
		assert_int_equal(value, 0);
		end();
		world_end();
	}
}

/* Eight contents, eight pages of each. */
static void what_is_the_same_ends_in_one_frame_with_exact_references(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		world_begin(1, 16);
		begin_with(merge_engine_at(e));
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			fill_page(as, gfn, 1 + gfn % 8);
		pass(3);
		for (u64 gfn = 0; gfn < PAGES; gfn++) {
			struct mfn mfn = {world_mfn(as, gfn)};

			assert_int_equal(mfn.raw, world_mfn(as, gfn % 8));
			assert_int_equal(rmap_count(mfn), PAGES / 8);
			assert_int_equal(frame_refs(mfn), PAGES / 8 + 1); /* the index's */
			assert_int_equal(merge_reason(as, (struct gfn){gfn}), MERGE_SHARED);
		}
		end();
		world_end();
	}
}

static const struct merge_engine *engine;

/* Pages 5 and 6 are alike and were looked at once; page 7 is zero since. */
static void setup(void *world)
{
	u64 value;

	begin_with(engine);
	for (u64 gfn = 0; gfn < PAGES; gfn++)
		fill_page(as, gfn, gfn == 5 || gfn == 6 ? 77 : 1000 + gfn);
	pass(1);
	fill_page(as, 7, 0);
	sim_set_cpu(1);
	assert_int_equal(guest_read(s2, 5 * PAGE_SIZE, &value), FAULT_MAPPED);
	sim_set_cpu(0);
}

static void scanner(void *world)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(merge_scan(PAGES), PAGES);
}

static void writer(void *world)
{
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE, 5), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 7 * PAGE_SIZE + 8, 7), FAULT_MAPPED);
	guest_out();
}

static void read_is(u64 gpa, u64 expected)
{
	u64 value;

	assert_int_equal(guest_read(s2, gpa, &value), FAULT_MAPPED);
	if (value != expected)
		fail_msg("0x%llx reads %llu, not %llu, in the schedule%s", (unsigned long long)gpa,
			 (unsigned long long)value, (unsigned long long)expected, sched_trace());
}

static u64 merged_often;

static void check(void *world)
{
	read_is(5 * PAGE_SIZE, 5);
	read_is(5 * PAGE_SIZE + 8, 77);
	read_is(6 * PAGE_SIZE, 77);
	read_is(7 * PAGE_SIZE, 0);
	read_is(7 * PAGE_SIZE + 8, 7);
	fill_page(as, 20, 0);
	fill_page(as, 21, 0);
	guest_out();
	pass(3);
	merged_often += merge_reason(as, (struct gfn){20}) == MERGE_ZERO;
	end();
}

static void a_page_written_during_its_merge_stays_what_was_written(void **state)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {scanner, writer},
						.check = check,
						.preemptions = 2,
						.limit = 3000};

	merged_often = 0;
	for (unsigned e = 0; e < merge_engines(); e++) {
		engine = merge_engine_at(e);
		world_begin(2, 16);
		sched_explore(&scenario);
		world_end();
	}
	assert_true(merged_often > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_zeroes_are_backed_by_the_frame_of_zeroes),
		cmocka_unit_test(what_is_the_same_ends_in_one_frame_with_exact_references),
		cmocka_unit_test(a_page_written_during_its_merge_stays_what_was_written),
	};

	return cmocka_run_group_tests_name("lab6_pages", tests, NULL, NULL);
}
