/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.c: what a guest advises of its own pages (ADVICE-1, ADVICE-2), and engines that change while it
 * goes on.
 */
#include "sim/explore.h"
#include "sim/merge_check.h"

#include <lib/log.h>
#include <mm/audit.h>

#include "mm/merge/private.h"

#define PAGES 1100 /* three chunks, the last one short */
#define FIRST 100  /* and the first, too */

static const struct merge_limits limits = {.cap = 256, .zero = true};

static struct addrspace *as;
static u64 wrote[PAGES];

static void fill(u64 page, u64 value)
{
	fill_page(as, page, value);
	wrote[page] = value;
}

static void begin(const struct merge_engine *engine)
{
	world_begin(2, 64);
	assert_int_equal(merge_configure(engine, &limits), 0);
	as = world_space(PAGES);
	for (u64 page = 0; page < PAGES; page++)
		fill(page, 7);
}

static void end(void)
{
	struct audit_report report;

	for (u64 page = 0; page < PAGES; page++) {
		u64 first, last, at = page << PAGE_SHIFT;

		assert_int_equal(addrspace_read(as, (struct gpa){at}, &first, 8), 0);
		assert_int_equal(addrspace_read(as, (struct gpa){at + 4088}, &last, 8), 0);
		assert_true(first == wrote[page] && last == wrote[page]);
	}
	assert_int_equal(audit_space(as, &report), 0);
	merge_remove_all(as);
	assert_int_equal(audit_run(0, &report), 0);
	addrspace_destroy(as);
	world_end();
}

static void pass(unsigned times)
{
	while (times--)
		(void)merge_scan(PAGES - FIRST);
}

/* All of the range, piece by piece, as a guest does it. */
static int advice(u64 first, u64 frames, enum merge_advice what)
{
	struct gfn_range rest = world_range(first, frames);
	int err = 0;

	while (!err && rest.start.raw < rest.end.raw) {
		u64 done = 0;

		err = merge_advise(as, rest, what, &done);
		assert_true(err || (done > 0 && done <= MERGE_CHUNK));
		rest.start.raw += done;
	}
	return err;
}

static enum ppte_state state_of(u64 page)
{
	return ppte_state(primary_load(&as->primary, (struct gfn){page}));
}

static u64 count_state(u64 first, u64 frames, enum ppte_state state)
{
	u64 count = 0;

	for (u64 page = first; page < first + frames; page++)
		count += state_of(page) == state;
	return count;
}

/* ADVICE-1 */
static void an_excluded_page_is_private_until_it_is_allowed(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		begin(merge_engine_at(e));
		assert_int_equal(merge_add(as, world_range(FIRST, PAGES - FIRST), 0), 0);
		for (u64 page = 500; page < 510; page++)
			fill(page, 0);
		pass(3);
		assert_int_equal(count_state(FIRST, PAGES - FIRST, PPTE_PRIVATE), 0);
		assert_int_equal(count_state(FIRST, PAGES - FIRST, PPTE_ZERO), 10);
		assert_int_equal(advice(400, 300, MERGE_ADVICE_UNMERGEABLE), 0);
		assert_int_equal(count_state(400, 300, PPTE_PRIVATE), 300);
		pass(4);
		assert_int_equal(count_state(400, 300, PPTE_PRIVATE), 300);
		assert_int_equal(count_state(FIRST, PAGES - FIRST, PPTE_PRIVATE), 300);
		assert_int_equal(merge_reason(as, (struct gfn){400}), MERGE_EXCLUDED);
		assert_int_equal(merge_reason(as, (struct gfn){700}), MERGE_SHARED);
		assert_int_equal(advice(450, 50, MERGE_ADVICE_MERGEABLE), 0);
		pass(3);
		assert_int_equal(count_state(400, 300, PPTE_PRIVATE), 250);
		end();
	}
}

static void what_is_not_marked_is_not_looked_at(void **state)
{
	struct merge_stats before, after;

	begin(&merge_engine_hash);
	assert_int_equal(merge_add_marked(as, world_range(FIRST, PAGES - FIRST), 0), 0);
	merge_stats(&before);
	pass(3);
	merge_stats(&after);
	assert_int_equal(after.pages_read, before.pages_read);
	assert_int_equal(after.by_reason[MERGE_EXCLUDED], PAGES - FIRST);
	assert_int_equal(advice(600, 20, MERGE_ADVICE_MERGEABLE), 0);
	merge_stats(&before);
	pass(4);
	merge_stats(&after);
	assert_int_equal(count_state(FIRST, PAGES - FIRST, PPTE_SHARED), 20);
	assert_int_equal(after.by_reason[MERGE_SHARED], 20);
	assert_in_range(after.pages_read - before.pages_read, 20, 40);
	end();
}

/* ADVICE-2 */
static void hints_say_when_and_not_what(void **state)
{
	struct sim_random random = sim_random_start(51);

	for (unsigned e = 0; e < merge_engines(); e++) {
		begin(merge_engine_at(e));
		while (merge_passes() % 32 !=
		       1) /* a volatile page is looked at when this is a multiple */
			(void)merge_scan(1);
		assert_int_equal(merge_add(as, world_range(FIRST, PAGES - FIRST), 0), 0);
		assert_int_equal(advice(200, 2, MERGE_ADVICE_LIKELY), 0);
		assert_int_equal(advice(300, 2, MERGE_ADVICE_VOLATILE), 0);
		pass(1);
		assert_int_equal(state_of(200), PPTE_SHARED);
		assert_int_equal(merge_reason(as, (struct gfn){250}), MERGE_SHARED);
		assert_int_equal(state_of(300), PPTE_PRIVATE);
		pass(30);
		assert_int_equal(state_of(300), PPTE_PRIVATE);
		pass(4);
		assert_int_equal(state_of(300), PPTE_SHARED);
		for (unsigned i = 0; i < 2000; i++) {
			u64 page = FIRST + sim_below(&random, PAGES - FIRST);

			fill(page, sim_below(&random, 30));
			page = FIRST + sim_below(&random, PAGES - FIRST - 8);
			assert_int_equal(advice(page, 8, (enum merge_advice)sim_below(&random, 4)),
					 0);
			if (i % 50 == 0)
				pass(1);
		}
		end();
	}
}

static void an_invalid_advice_is_refused_and_nothing_happens(void **state)
{
	u64 done = 77;

	begin(&merge_engine_hash);
	assert_int_equal(merge_advise(as, world_range(FIRST, 1), MERGE_ADVICE_MERGEABLE, &done),
			 ERR_PERMISSION);
	assert_int_equal(merge_add(as, world_range(FIRST, PAGES - FIRST), 0), 0);
	assert_int_equal(merge_advise(as, world_range(FIRST, 1), MERGE_ADVICES, &done),
			 ERR_INVALID);
	assert_int_equal(merge_advise(as, world_range(FIRST, 0), MERGE_ADVICE_MERGEABLE, &done),
			 ERR_INVALID);
	assert_int_equal(
		merge_advise(as, world_range(FIRST - 1, 5), MERGE_ADVICE_UNMERGEABLE, &done),
		ERR_RANGE);
	assert_int_equal(
		merge_advise(as, world_range(PAGES - 600, 601), MERGE_ADVICE_UNMERGEABLE, &done),
		ERR_RANGE);
	assert_int_equal(merge_reason(as, (struct gfn){PAGES - 600}), MERGE_NEW);
	assert_int_equal(done, 77);
	end();
}

static void an_exclusion_without_memory_goes_on_later(void **state)
{
	int err = ERR_NO_MEMORY;
	u64 done = 0;

	begin(&merge_engine_hash);
	assert_int_equal(merge_add(as, world_range(FIRST, PAGES - FIRST), 0), 0);
	pass(3);
	sim_fail_frame_alloc(10, ~0ull >> 1);
	assert_int_equal(merge_advise(as, world_range(FIRST, 100), MERGE_ADVICE_UNMERGEABLE, &done),
			 err);
	sim_fail_frame_alloc(0, 0);
	assert_int_equal(done, 0);
	assert_true(count_state(FIRST, 100, PPTE_SHARED) > 0);
	assert_int_equal(advice(FIRST, 100, MERGE_ADVICE_UNMERGEABLE), 0);
	assert_int_equal(count_state(FIRST, 100, PPTE_PRIVATE), 100);
	end();
}

static void switching_the_engine_loses_nothing(void **state)
{
	struct sim_random random = sim_random_start(52);
	struct merge_stats before, after;

	begin(&merge_engine_hash);
	assert_int_equal(merge_switch(9, &merge_engine_tree), ERR_NOT_FOUND);
	assert_int_equal(merge_add(as, world_range(FIRST, PAGES - FIRST), 9), 0);
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned n = 0; n < 200; n++)
			fill(FIRST + sim_below(&random, PAGES - FIRST), sim_below(&random, 300));
		(void)merge_scan(1 + sim_below(&random, 3 * PAGES));
		merge_stats(&before);
		assert_int_equal(merge_switch(9, merge_engine_at(i % merge_engines())), 0);
		merge_stats(&after);
		assert_int_equal(after.pages_shared, before.pages_shared);
		assert_int_equal(after.pages_sharing, before.pages_sharing);
	}
	pass(34);
	merge_stats(&before);
	assert_int_equal(before.by_reason[MERGE_SHARED] + before.by_reason[MERGE_ZERO] +
				 before.by_reason[MERGE_UNIQUE],
			 PAGES - FIRST);
	assert_int_equal(merge_switch(9, &merge_engine_tree), 0);
	pass(3);
	merge_stats(&after);
	assert_int_equal(after.pages_shared, before.pages_shared);
	assert_int_equal(after.pages_unshared, before.pages_unshared);
	end();
}

static void a_switch_without_memory_changes_nothing(void **state)
{
	begin(&merge_engine_hash);
	for (u64 page = 0; page < PAGES; page++)
		fill(page, 1 + page % 700);
	assert_int_equal(merge_add(as, world_range(FIRST, PAGES - FIRST), 0), 0);
	pass(3);
	for (unsigned e = 0; e < merge_engines(); e++) {
		const struct merge_engine *to = merge_engine_at(e);
		u64 nth = 0;
		int err;

		do {
			sim_fail_frame_alloc(++nth, 1);
			err = merge_switch(0, to);
			sim_fail_frame_alloc(0, 0);
			assert_true(err == 0 || err == ERR_NO_MEMORY);
			pass(1);
		} while (err);
		assert_true(nth > 2);
	}
	end();
}

/* --- Interleavings --------------------------------------------------------------------------- */

static struct stage2 *s2;
static const struct merge_engine *first_engine;
static bool all_alike;
static u64 value_of(u64 page)
{
	return all_alike ? 9 : 9 + page;
}

static void setup(void *world)
{
	assert_int_equal(merge_configure(first_engine, &limits), 0);
	as = world_space(4);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, 4), 0), 0);
	for (u64 page = 0; page < 4; page++)
		assert_int_equal(guest_write(s2, page << PAGE_SHIFT, value_of(page)), FAULT_MAPPED);
	guest_out();
	(void)merge_scan(4);
}

static void scanner(void *world)
{
	(void)merge_scan(4);
}

static void excluder(void *world)
{
	u64 done;

	assert_int_equal(merge_advise(as, world_range(0, 2), MERGE_ADVICE_UNMERGEABLE, &done), 0);
	sched_point("excluded");
}

static void switcher(void *world)
{
	assert_int_equal(merge_switch(0, merge_engine_at((merge_engine_number(first_engine) + 1) %
							 merge_engines())),
			 0);
}

/* The last pages read as those `back` before them, and all else as it was written. */
static void finish(u64 back)
{
	struct audit_report report;
	u64 value;

	for (u64 page = 0; page < 4; page++) {
		assert_int_equal(guest_read(s2, page << PAGE_SHIFT, &value), FAULT_MAPPED);
		assert_int_equal(value, value_of(page < 2 ? page : page - back));
	}
	guest_out();
	assert_int_equal(audit_space(as, &report), 0);
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void check_private(void *world)
{
	for (u64 page = 0; page < 2; page++)
		if (state_of(page) != PPTE_PRIVATE)
			fail_msg("page %llu is shared after%s", (unsigned long long)page,
				 sched_trace());
	for (u64 page = 0; page < 2; page++) /* matches come too late */
		assert_int_equal(guest_write(s2, (page + 2) << PAGE_SHIFT, value_of(page)),
				 FAULT_MAPPED);
	guest_out();
	for (unsigned i = 0; i < 3; i++)
		(void)merge_scan(4);
	if (count_state(0, 2, PPTE_PRIVATE) != 2)
		fail_msg("found in the index after%s", sched_trace());
	finish(2);
}

static void check_merged(void *world)
{
	(void)merge_scan(4);
	(void)merge_scan(4);
	if (count_state(0, 4, PPTE_SHARED) != 4)
		fail_msg("%llu of 4 pages are shared after%s",
			 (unsigned long long)count_state(0, 4, PPTE_SHARED), sched_trace());
	finish(0);
}

static void explore(void (*other)(void *world), void (*check)(void *world))
{
	struct sched_scenario scenario = {.setup = setup,
					  .task = {scanner, other},
					  .check = check,
					  .preemptions = 2,
					  .limit = 3000};

	for (unsigned e = 0; e < merge_engines(); e++) {
		first_engine = merge_engine_at(e);
		world_begin(2, 16);
		sched_explore(&scenario);
		world_end();
	}
}

/* ADVICE-1 */
static void no_scanner_shares_what_was_excluded_under_its_hands(void **state)
{
	all_alike = true;
	explore(excluder, check_private);
	all_alike = false;
	explore(excluder, check_private);
}

static void no_scanner_is_lost_when_the_engine_changes(void **state)
{
	all_alike = true;
	explore(switcher, check_merged);
}

/*
 *     CPU 0: a guest's UNMERGEABLE              CPU 1: another VM ends
 *
 *     walks its domain's regions                frees its region
 */
static struct addrspace *ending;
static u32 ending_domain;

static void setup_ending(void *world)
{
	setup(world);
	ending = world_space(4);
	assert_int_equal(merge_add(ending, world_range(0, 4), ending_domain), 0);
	for (unsigned i = 0; i < 2; i++)
		(void)merge_scan(8);
}

static void end_vm(void *world)
{
	merge_remove_all(ending);
}

static void check_ended(void *world)
{
	addrspace_destroy(ending);
	for (u64 page = 0; page < 2; page++)
		assert_int_equal(state_of(page), PPTE_PRIVATE);
	finish(0);
}

static void advice_stands_the_end_of_another_vm(void **state)
{
	struct sched_scenario scenario = {.setup = setup_ending,
					  .task = {excluder, end_vm},
					  .check = check_ended,
					  .preemptions = 2,
					  .limit = 3000};

	for (unsigned i = 0; i < 2 * merge_engines(); i++) {
		first_engine = merge_engine_at(i / 2);
		ending_domain = i % 2;
		all_alike = false;
		world_begin(2, 16);
		sched_explore(&scenario);
		world_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_excluded_page_is_private_until_it_is_allowed),
		cmocka_unit_test(what_is_not_marked_is_not_looked_at),
		cmocka_unit_test(hints_say_when_and_not_what),
		cmocka_unit_test(an_invalid_advice_is_refused_and_nothing_happens),
		cmocka_unit_test(an_exclusion_without_memory_goes_on_later),
		cmocka_unit_test(switching_the_engine_loses_nothing),
		cmocka_unit_test(a_switch_without_memory_changes_nothing),
		cmocka_unit_test(no_scanner_shares_what_was_excluded_under_its_hands),
		cmocka_unit_test(advice_stands_the_end_of_another_vm),
		cmocka_unit_test(no_scanner_is_lost_when_the_engine_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
