/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.c: lab 6. The one hold of the domain's lock in merge_search(): three VMs with a page of one
 * content each, two CPUs that scan, and a switch point before each lock besides those of the code.
 * A page that a search misses and that misses the next search is left over for ever.
 */
#include "sim/explore.h"
#include "sim/merge_check.h"

#include <mm/rmap.h>

#define VMS 3

static const struct merge_engine *engine;
static struct addrspace *as[VMS];
static struct stage2 *s2[VMS];

/* Each page was read once: its next visit searches. */
static void setup(void *world)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	assert_int_equal(merge_configure(engine, &limits), 0);
	for (unsigned vm = 0; vm < VMS; vm++) {
		as[vm] = world_space(1);
		s2[vm] = world_stage2(as[vm]);
		assert_int_equal(merge_add(as[vm], world_range(0, 1), 0), 0);
		assert_int_equal(guest_write(s2[vm], 0, 77), FAULT_MAPPED);
	}
	guest_out();
	(void)merge_scan(VMS);
}

static void scanner(void *world)
{
	(void)merge_scan(VMS);
}

static void check(void *world)
{
	(void)merge_scan(VMS);
	(void)merge_scan(VMS);
	for (unsigned vm = 1; vm < VMS; vm++)
		if (world_mfn(as[vm], 0) != world_mfn(as[0], 0))
			fail_msg("the page of VM %u is left over, in the schedule%s", vm,
				 sched_trace());
	assert_int_equal(rmap_count((struct mfn){world_mfn(as[0], 0)}), VMS);
	check_audit();
	for (unsigned vm = 0; vm < VMS; vm++) {
		merge_remove_all(as[vm]);
		stage2_destroy(s2[vm]);
		addrspace_destroy(as[vm]);
	}
}

static void of_pages_visited_at_once_none_is_left_over(void **state)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {scanner, scanner},
						.check = check,
						.preemptions = 2,
						.at_locks = true};

	for (unsigned e = 0; e < merge_engines(); e++) {
		u64 schedules;

		engine = merge_engine_at(e);
		world_begin(2, 16);
		schedules = sched_explore(&scenario);
		world_end();
		print_message("# %llu schedules\n", (unsigned long long)schedules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_pages_visited_at_once_none_is_left_over),
	};

	return cmocka_run_group_tests_name("lab6_order", tests, NULL, NULL);
}
