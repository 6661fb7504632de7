/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.c: a fault ends though another CPU undoes each of its tries (FAULT-3); the mode of a fault
 * that reads.
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

/* What reading a page that two gfns share leaves of the sharing. */
static void read_shared(enum read_mode mode, bool still_shared)
{
	const u64 gfns[] = {3, 4};
	u64 value;

	world_begin(1, 8);
	as = world_space(16);
	s2 = world_stage2(as);
	addrspace_set_read(as, mode);
	assert_int_equal(addrspace_read_mode(as), mode);
	world_share(as, gfns, 2, 7);
	assert_int_equal(guest_read(s2, 3 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 7);
	assert_int_equal(world_mfn(as, 3) == world_mfn(as, 4), still_shared);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void a_read_leaves_a_page_shared_unless_it_resolves_as_a_write(void **state)
{
	read_shared(READ_AS_READ, true);
	read_shared(READ_AS_WRITE, false);
}

static void a_page_that_may_not_be_written_is_read_in_either_mode(void **state)
{
	u64 value;

	world_begin(1, 8);
	as = world_space(16);
	s2 = world_stage2(as);
	addrspace_set_read(as, READ_AS_WRITE);
	assert_int_equal(addrspace_add_slot(as, world_range(16, 4), SLOT_ROM), 0);
	assert_int_equal(guest_read(s2, 16 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 16 * PAGE_SIZE, 1), FAULT_READ_ONLY);
	assert_int_equal(fault_handle(s2, (struct gpa){20 << PAGE_SHIFT}, HV_READ), FAULT_MMIO);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_retried_in_place_gives_up_after_its_tries),
		cmocka_unit_test(a_fault_that_reenters_tries_once),
		cmocka_unit_test(a_read_leaves_a_page_shared_unless_it_resolves_as_a_write),
		cmocka_unit_test(a_page_that_may_not_be_written_is_read_in_either_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
