/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.c: lab 7. Random operations of two address spaces under the policy `mine`, against an array
 * that says what each page must hold (sim/space_model.h).
 */
#include "sim/space_model.h"

#define OPERATIONS 12000

static const struct notifier_policy *mine(void)
{
	const struct notifier_policy *policy = notifier_policy_find("mine", 4);

	assert_non_null(policy);
	return policy;
}

static void run(enum retry_mode retry, u64 seed)
{
	raise_scene(mine(), retry, seed);
	for (unsigned i = 1; i <= OPERATIONS; i++) {
		struct op op = choose();

		finish(&op, perform(&op));
		check_some();
		if (i % 100 == 0)
			check_all();
	}
	strike_scene();
}

static void a_page_reads_as_last_written(void **state)
{
	struct sim_random seeds = sim_random_start(0x6c616237);

	run(RETRY_INPLACE, sim_random(&seeds));
	run(RETRY_REENTER, sim_random(&seeds));
}

/* To `mine` and back from it between operations, in the middle of things. */
static void the_policy_may_change_at_any_time(void **state)
{
	struct sim_random seeds = sim_random_start(0x6c616238);

	raise_scene(mine(), RETRY_INPLACE, sim_random(&seeds));
	for (unsigned i = 1; i <= OPERATIONS; i++) {
		const struct notifier_policy *policy =
			sim_once_in(&seeds, 2) ? mine() : notifier_policy_find("masked", 6);
		struct op op = choose();

		if (sim_once_in(&seeds, 10))
			assert_int_equal(addrspace_set_policy(scene.as[op.space], policy), 0);
		finish(&op, perform(&op));
		check_some();
		if (i % 100 == 0)
			check_all();
	}
	strike_scene();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_reads_as_last_written),
		cmocka_unit_test(the_policy_may_change_at_any_time),
	};

	return cmocka_run_group_tests_name("lab7_pages", tests, NULL, NULL);
}
