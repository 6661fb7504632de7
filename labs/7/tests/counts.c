/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counts.c: lab 7. The cost of merges and breaks under the policy `mine` and under `bracket`, in
 * exits of the guest, flushes and callbacks.
 *
 *     PAGES pages are merged; the guest reads all; every second one is broken by a write; the guest
 *     reads all
 */
#include "sim/mm_world.h"

#include <mm/guest_cache.h>

#include "mm/stage2/private.h"

#define PAGES 64

struct cost {
	u64 after_merge, breaks, after_break, callbacks, flushes;
};

static struct stage2 *s2;

static u64 exits_of_reading(void)
{
	u64 value, before = guest_counters.exits;

	for (u64 gfn = 0; gfn < PAGES; gfn++)
		assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	return guest_counters.exits - before;
}

static void share_all(struct addrspace *as)
{
	u64 gfns[PAGES];

	for (u64 gfn = 0; gfn < PAGES; gfn++)
		gfns[gfn] = gfn;
	world_share(as, gfns, PAGES, 7);
	addrspace_settle(as);
}

static struct cost measure(const char *name, enum retry_mode retry, unsigned devices)
{
	const struct notifier_policy *policy = notifier_policy_find(name, strlen(name));
	struct guest_cache *cache[2];
	struct cost cost = {0};
	struct stage2_stats stats;
	struct addrspace *as;
	u64 exits;

	assert_non_null(policy);
	world_begin(2, 8);
	as = world_space(PAGES);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	addrspace_set_retry(as, retry);
	s2 = world_stage2(as);
	for (unsigned i = 0; i < devices; i++)
		assert_int_equal(guest_cache_create(as, &cache[i]), 0);
	for (u64 gfn = 0; gfn < PAGES; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, 7), FAULT_MAPPED);
	share_all(as);
	cost.after_merge = exits_of_reading();
	exits = guest_counters.exits;
	for (u64 gfn = 0; gfn < PAGES; gfn += 2)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, 8), FAULT_MAPPED);
	cost.breaks = guest_counters.exits - exits;
	cost.after_break = exits_of_reading();
	guest_out();
	cost.callbacks = notifier_callbacks(addrspace_notifier(as));
	stage2_stats(s2, &stats);
	cost.flushes = stats.flushes;
	for (unsigned i = 0; i < devices; i++)
		guest_cache_destroy(cache[i]);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
	print_message("# %s, %u device models: %llu exits after the merge, %llu of breaks, %llu "
		      "after them, %llu callbacks, %llu flushes\n",
		      name, devices, (unsigned long long)cost.after_merge,
		      (unsigned long long)cost.breaks, (unsigned long long)cost.after_break,
		      (unsigned long long)cost.callbacks, (unsigned long long)cost.flushes);
	return cost;
}

static void a_page_is_read_after_its_merge_without_an_exit(void **state)
{
	for (unsigned devices = 0; devices < 3; devices++) {
		assert_int_equal(measure("mine", RETRY_INPLACE, devices).after_merge, 0);
		assert_int_equal(measure("bracket", RETRY_INPLACE, devices).after_merge, PAGES);
	}
}

static void a_break_costs_one_exit_and_the_read_after_it_none(void **state)
{
	for (unsigned devices = 0; devices < 3; devices++)
		for (unsigned inplace = 0; inplace < 2; inplace++) {
			struct cost cost =
				measure("mine", inplace ? RETRY_INPLACE : RETRY_REENTER, devices);

			assert_int_equal(cost.breaks, PAGES / 2);
			assert_int_equal(cost.after_break, 0);
		}
}

static void it_calls_less_often_than_bracket(void **state)
{
	for (unsigned devices = 0; devices < 3; devices++) {
		u64 mine = measure("mine", RETRY_INPLACE, devices).callbacks;
		u64 bracket = measure("bracket", RETRY_INPLACE, devices).callbacks;

		if (mine >= bracket)
			fail_msg("%llu callbacks of mine, %llu of bracket, beside %u device models",
				 (unsigned long long)mine, (unsigned long long)bracket, devices);
	}
}

/* One more is that for the merges' deferred frees. */
static void it_flushes_at_most_once_more_than_bracket(void **state)
{
	for (unsigned devices = 0; devices < 3; devices++) {
		u64 mine = measure("mine", RETRY_INPLACE, devices).flushes;
		u64 bracket = measure("bracket", RETRY_INPLACE, devices).flushes;

		if (mine > bracket + 1)
			fail_msg("%llu flushes of mine, %llu of bracket, beside %u device models",
				 (unsigned long long)mine, (unsigned long long)bracket, devices);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_read_after_its_merge_without_an_exit),
		cmocka_unit_test(a_break_costs_one_exit_and_the_read_after_it_none),
		cmocka_unit_test(it_calls_less_often_than_bracket),
		cmocka_unit_test(it_flushes_at_most_once_more_than_bracket),
	};

	return cmocka_run_group_tests_name("lab7_counts", tests, NULL, NULL);
}
