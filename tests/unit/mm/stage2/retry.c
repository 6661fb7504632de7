/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.c: a fault ends though another CPU undoes each of its tries (FAULT-3).
 */
#include "sim/mm_world.h"

#include "mm/space/space.h"

static struct addrspace *as;
static struct stage2 *s2;
static unsigned undone;

/* CPU 1 discards the page between its resolution and its installation. */
static void discard(const char *name)
{
	if (strcmp(name, "fault: resolved") != 0)
		return;
	sim_on_race_point = NULL;
	sim_set_cpu(1);
	assert_int_equal(addrspace_clear(as, world_range(3, 1), 0), 0);
	sim_set_cpu(0);
	sim_on_race_point = discard;
	undone++;
}

static void fault_beside_it(enum retry_mode retry, unsigned tries)
{
	world_begin(2, 8);
	as = world_space(16);
	s2 = world_stage2(as);
	addrspace_set_retry(as, retry);
	undone = 0;
	sim_on_race_point = discard;
	assert_int_equal(fault_handle(s2, (struct gpa){3 << PAGE_SHIFT}, HV_WRITE), FAULT_RACED);
	sim_on_race_point = NULL;
	assert_int_equal(undone, tries);
	assert_int_equal(fault_handle(s2, (struct gpa){3 << PAGE_SHIFT}, HV_WRITE), FAULT_MAPPED);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/* FAULT-3 */
static void a_fault_retried_in_place_gives_up_after_its_tries(void **state)
{
	fault_beside_it(RETRY_INPLACE, SPACE_TRIES);
}

static void a_fault_that_reenters_tries_once(void **state)
{
	fault_beside_it(RETRY_REENTER, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_retried_in_place_gives_up_after_its_tries),
		cmocka_unit_test(a_fault_that_reenters_tries_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
