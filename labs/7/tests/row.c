/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row.c: lab 7. The policy `mine` is in the table, and is none of the others under another name.
 */
#include "sim/mm_world.h"

#include <mm/policy.h>

static const struct notifier_policy *mine(void)
{
	const struct notifier_policy *policy = notifier_policy_find("mine", 4);

	if (!policy)
		fail_msg("no row of mm/notify/policy.c is called mine");
	return policy;
}

static void the_policy_mine_is_a_row(void **state)
{
	const struct notifier_policy *policy = mine();

	assert_non_null(policy->idea);
	for (unsigned axis = 0; axis < POLICY_AXES; axis++)
		assert_non_null(policy_axis_word(axis, policy_axis_value(policy, axis)));
}

static void its_axes_are_those_of_no_other_row(void **state)
{
	const struct notifier_policy *a = mine();
	unsigned same;

	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		const struct notifier_policy *b = notifier_policy(i);

		same = 0;
		for (unsigned axis = 0; axis < POLICY_AXES; axis++)
			same += policy_axis_value(a, axis) == policy_axis_value(b, axis);
		if (a != b && same == POLICY_AXES)
			fail_msg("mine is %s", b->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_policy_mine_is_a_row),
		cmocka_unit_test(its_axes_are_those_of_no_other_row),
	};

	return cmocka_run_group_tests_name("lab7_row", tests, NULL, NULL);
}
