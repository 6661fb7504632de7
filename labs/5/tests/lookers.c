/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookers.c: lab 5. A look against the ranges that other CPUs publish.
 */
#include "sim/mm_world.h"

#include "mm/space/space.h"

static void a_look_outside_of_every_range_succeeds_and_inside_fails(void **state)
{
	struct cow_look look;
	struct addrspace *as;

	world_begin(4, 4);
	as = world_space(32);
	assert_int_equal(addrspace_populate(as, world_range(0, 32)), 0);
	assert_int_equal(cow_protect(as, world_range(0, 32)), 0);
	as->protecting[0] = world_range(4, 3);
	as->protecting[2] = world_range(20, 1);
	as->protecting[3] = world_range(30, 2);
	for (u64 gfn = 0; gfn < 32; gfn++) {
		bool inside = (gfn >= 4 && gfn < 7) || gfn == 20 || gfn >= 30;

		assert_int_equal(cow_look(as, (struct gfn){gfn}, &look), inside ? ERR_BUSY : 0);
	}
	as->protecting[3].end.raw = 0;
	assert_int_equal(cow_look(as, (struct gfn){31}, &look), 0);
	as->protecting[0].end.raw = as->protecting[2].end.raw = 0;
	addrspace_destroy(as);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_look_outside_of_every_range_succeeds_and_inside_fails),
	};

	return cmocka_run_group_tests_name("lab5_lookers", tests, NULL, NULL);
}
