/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users.c: lab 5. The users of a frame against an array of flags.
 */
#include "sim/mm_world.h"

#include <mm/rmap.h>

#define USERS	   40
#define OPERATIONS 20000

static struct mfn frame;
static bool is_user[USERS];

static void begin(void)
{
	world_begin(1, 4);
	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &frame), 0);
	memset(is_user, 0, sizeof(is_user));
}

/* Key i: two address spaces, and gfns that are far apart. */
static u16 space_of(unsigned i)
{
	return (u16)(1 + i % 2);
}

static struct gfn gfn_of(unsigned i)
{
	return (struct gfn){i / 2 * 1000003ull + 7};
}

static int add(unsigned i)
{
	int err = rmap_add(frame, space_of(i), gfn_of(i));

	is_user[i] = !err;
	return err;
}

static void leave(unsigned i)
{
	rmap_remove(frame, space_of(i), gfn_of(i));
	is_user[i] = false;
}

static void end(void)
{
	for (unsigned i = 0; i < USERS; i++)
		if (is_user[i])
			leave(i);
	assert_int_equal(rmap_count(frame), 0);
	assert_int_equal(rmap_bytes(), 0);
	frame_free(frame, 0);
	world_end();
}

/* In the order of the keys: space, then gfn. */
static void check(void)
{
	struct rmap_entry list[USERS + 1];
	unsigned count = rmap_list(frame, NULL, list, ARRAY_SIZE(list)), at = 0;

	for (unsigned space = 0; space < 2; space++)
		for (unsigned i = space; i < USERS; i += 2) {
			if (!is_user[i])
				continue;
			assert_true(at < count);
			assert_int_equal(list[at].space, space_of(i));
			assert_int_equal(list[at].gfn.raw, gfn_of(i).raw);
			at++;
		}
	assert_int_equal(at, count);
	assert_int_equal(rmap_count(frame), count);
	if (count <= 2)
		assert_int_equal(rmap_bytes(), 0);
}

static void two_users_stand_in_the_record_and_need_no_memory(void **state)
{
	begin();
	sim_fail_frame_alloc(1, 1000);
	for (unsigned first = 0; first < 4; first++)
		for (unsigned second = 0; second < 4; second++) {
			if (first == second)
				continue;
			assert_int_equal(add(first), 0);
			check();
			assert_int_equal(add(second), 0);
			check();
			leave(first);
			check();
			leave(second);
			check();
		}
	assert_int_equal(sim_frame_allocs(), 0);
	sim_fail_frame_alloc(0, 0);
	end();
}

static void any_coming_and_going_keeps_every_user_once(void **state)
{
	struct sim_random random = sim_random_start(0x6c616235);

	begin();
	for (unsigned n = 0; n < OPERATIONS; n++) {
		/* Few users for a while, then many. */
		unsigned i = (unsigned)sim_below(&random, n / 1000 % 2 ? USERS : 4);

		if (is_user[i])
			leave(i);
		else
			assert_int_equal(add(i), 0);
		check();
	}
	end();
}

static void a_user_without_memory_changes_nothing(void **state)
{
	unsigned refused = 0;

	begin();
	for (unsigned i = 0; i < USERS; i++) {
		int err;

		for (u64 nth = 1;; nth++) {
			u64 bytes = rmap_bytes();

			sim_fail_frame_alloc(nth, 1);
			err = add(i);
			if (!err)
				break;
			refused++;
			check();
			assert_int_equal(rmap_bytes(), bytes);
		}
		sim_fail_frame_alloc(0, 0);
		check();
	}
	assert_true(refused > 0);
	end();
}

static void counted_users_are_a_number(void **state)
{
	begin();
	rmap_count_only(frame);
	for (unsigned i = 0; i < USERS; i++)
		assert_int_equal(add(i), 0);
	assert_int_equal(rmap_count(frame), USERS);
	assert_int_equal(rmap_list(frame, NULL, NULL, 0), 0);
	assert_int_equal(rmap_bytes(), 0);
	for (unsigned i = 1; i < USERS; i++)
		leave(i);
	assert_int_equal(rmap_count(frame), 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_users_stand_in_the_record_and_need_no_memory),
		cmocka_unit_test(any_coming_and_going_keeps_every_user_once),
		cmocka_unit_test(a_user_without_memory_changes_nothing),
		cmocka_unit_test(counted_users_are_a_number),
	};

	return cmocka_run_group_tests_name("lab5_users", tests, NULL, NULL);
}
