/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c: random operations of address spaces, under every policy, against an array
 * that says what each page must hold; with and without allocations that fail.
 *
 * Two address spaces, each with an EPT and an NPT. Whatever happens to them (populate, clear,
 * protect, migrate, collapse, split, merge, break, age, reads and writes of the guest and of ours),
 * a page reads as what was last written to it, through the primary and through each leaf that maps
 * it; and the auditor finds nothing. An operation that ran out of memory has changed no content
 * (FAULT-2, COW-3) and left nothing for the auditor.
 */
#include "sim/mm_world.h"
#include "sim/space_model.h"

static void run(const struct notifier_policy *policy, enum retry_mode retry, unsigned operations,
		u64 seed)
{
	raise_scene(policy, retry, seed);
	for (unsigned i = 1; i <= operations; i++) {
		struct op op = choose();

		finish(&op, perform(&op));
		check_some();
		if (i % 100 == 0)
			check_all();
	}
	strike_scene();
}

/* Each operation again and again until none of its allocations fails. */
static void run_with_failures(const struct notifier_policy *policy, unsigned operations, u64 seed)
{
	raise_scene(policy, RETRY_INPLACE, seed);
	for (unsigned i = 1; i <= operations; i++) {
		struct op op = choose();

		for (u64 nth = 1;; nth++) {
			int err;

			sim_fail_frame_alloc(nth, 1);
			err = perform(&op);
			if (sim_frame_allocs() < nth || err != ERR_NO_MEMORY) {
				sim_fail_frame_alloc(0, 0);
				finish(&op, err);
				break;
			}
			sim_fail_frame_alloc(0, 0);
			scene.failures++;
			check_some();
			if (nth < 4)
				check_all();
		}
		if (i % 50 == 0)
			check_all();
	}
	strike_scene();
}

/* PRIMARY-2. */
static void a_page_reads_as_last_written_under_every_policy(void **state)
{
	struct sim_random seeds = sim_random_start(61);

	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		run(notifier_policy(i), RETRY_INPLACE, 20000, sim_random(&seeds));
		run(notifier_policy(i), RETRY_REENTER, 20000, sim_random(&seeds));
	}
}

static void run_point(const struct notifier_policy *point, unsigned number)
{
	if (!notifier_policy_refusal(point))
		run(point, number % 2 ? RETRY_INPLACE : RETRY_REENTER, 200, number + 1);
}

static void a_page_reads_as_last_written_at_each_point(void **state)
{
	(void)world_each_point(POLICY_EVENTS_NONE, run_point);
	(void)world_each_point(POLICY_EVENTS_PAGE, run_point);
	(void)world_each_point(POLICY_EVENTS_RANGE, run_point);
}

static void running_out_of_memory_anywhere_changes_no_page(void **state)
{
	struct sim_random seeds = sim_random_start(62);
	u64 failures = 0;

	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		run_with_failures(notifier_policy(i), 2000, sim_random(&seeds));
		failures += scene.failures;
	}
	printf("# %llu failed allocations\n", (unsigned long long)failures);
	assert_true(failures > 2000);
}

/* The policy is exchanged between operations, in the middle of things. */
static void the_policy_may_change_at_any_time(void **state)
{
	struct sim_random seeds = sim_random_start(63);

	raise_scene(notifier_policy(0), RETRY_INPLACE, sim_random(&seeds));
	for (unsigned i = 1; i <= 50000; i++) {
		struct op op = choose();

		if (sim_once_in(&seeds, 10))
			assert_int_equal(
				addrspace_set_policy(scene.as[op.space],
						     notifier_policy(sim_below(
							     &seeds, notifier_policy_count()))),
				0);
		finish(&op, perform(&op));
		check_some();
		if (i % 100 == 0)
			check_all();
	}
	strike_scene();
}

/* After the others: none of them was about nothing. */
static void every_kind_of_operation_has_succeeded_often(void **state)
{
	printf("# %llu pages merged\n", (unsigned long long)merged);
	assert_true(merged > 500);
	for (unsigned kind = 0; kind < OP_KINDS; kind++)
		if (done[kind] < 200)
			fail_msg("operation %u: %llu times", kind, (unsigned long long)done[kind]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_reads_as_last_written_under_every_policy),
		cmocka_unit_test(a_page_reads_as_last_written_at_each_point),
		cmocka_unit_test(running_out_of_memory_anywhere_changes_no_page),
		cmocka_unit_test(the_policy_may_change_at_any_time),
		cmocka_unit_test(every_kind_of_operation_has_succeeded_often),
	};

	return cmocka_run_group_tests_name("stage2_model", tests, NULL, NULL);
}
