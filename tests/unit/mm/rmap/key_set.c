/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_set.c: sets of keys against an array of flags: every size, any order, without memory.
 */
#include "sim/mm_world.h"

#include "mm/rmap/key_set.h"

#define KEYS 3000u
#define MANY 100000u

static struct key_set set;
static bool is_in[KEYS];
static unsigned in;

static u64 key_of(unsigned i)
{
	return (1ull << 36) + i * 1000003ull;
}

static void begin(void)
{
	world_begin(1, 64);
	set.word = 0;
	in = 0;
	memset(is_in, 0, sizeof(is_in));
}

static void end(void)
{
	key_set_clear(&set);
	assert_int_equal(set.word, 0);
	assert_int_equal(key_sets_bytes(), 0);
	world_end();
}

static int add(unsigned i)
{
	int err = key_set_add(&set, key_of(i));

	is_in[i] |= !err;
	in += !err;
	return err;
}

static void take(unsigned i)
{
	key_set_remove(&set, key_of(i));
	is_in[i] = false;
	in--;
}

/* All keys from `least` on, in order, in pieces of an odd size. */
static void check_list(unsigned least)
{
	u64 keys[7], from = key_of(least);
	unsigned count, at = least;

	while ((count = key_set_list(&set, from, keys, ARRAY_SIZE(keys)))) {
		for (unsigned i = 0; i < count; i++, at++) {
			while (at < KEYS && !is_in[at])
				at++;
			assert_true(at < KEYS);
			assert_int_equal(keys[i], key_of(at));
		}
		from = keys[count - 1] + 1;
	}
	while (at < KEYS && !is_in[at])
		at++;
	assert_int_equal(at, KEYS);
}

/* A class is at most a quarter larger than the keys; blocks of a tree add less than a byte each. */
static void check(void)
{
	assert_int_equal(key_set_count(&set), in);
	check_list(0);
	check_list(KEYS / 2);
	assert_true(key_sets_bytes() <= 10 * in + (in > KEY_ARRAY_MAX / 2 ? in + 128 : 0));
}

static void a_set_holds_what_was_added_and_not_removed(void **state)
{
	struct sim_random random = sim_random_start(0x6b657973);

	begin();
	for (unsigned n = 0; n < 60000; n++) {
		/* Few keys for a while, then more and more, then few again. */
		unsigned most = 4u << (n / 2000 % 10), i = (unsigned)sim_below(&random, KEYS);

		i = MIN(i % most, KEYS - 1);
		if (is_in[i])
			take(i);
		else
			assert_int_equal(add(i), 0);
		if (n % 97 == 0)
			check();
	}
	end();
}

/* Upwards, downwards, and out again from either end and from the middle. */
static void order_makes_no_difference(void **state)
{
	for (unsigned way = 0; way < 4; way++) {
		begin();
		for (unsigned i = 0; i < KEYS; i++) {
			assert_int_equal(add(way & 1 ? i : KEYS - 1 - i), 0);
			if (i % 61 == 0)
				check();
		}
		if (way & 1) /* 127 of 127: blocks that grew in order are full */
			assert_true(key_sets_bytes() <= 8 * KEYS + KEYS / 2);
		for (unsigned i = 0; i < KEYS; i++) {
			unsigned middle = (KEYS / 2 + i) % KEYS;

			take(way & 2 ? middle : i);
			if (i % 61 == 0)
				check();
		}
		end();
	}
}

static void blocks_that_lose_most_keys_join(void **state)
{
	begin();
	for (unsigned i = 0; i < KEYS; i++)
		assert_int_equal(add(i), 0);
	for (unsigned i = 0; i < KEYS; i++) {
		if (i % 60)
			take(i);
	}
	check();
	assert_true(key_sets_bytes() <= 10 * in);
	end();
}

static void an_addition_without_memory_changes_nothing(void **state)
{
	unsigned refused = 0;

	begin();
	for (unsigned i = 0; i < 600; i++) {
		unsigned key = i * 7 % 600;
		int err;

		sim_fail_frame_alloc(1, ~0ull >> 1);
		err = add(key);
		sim_fail_frame_alloc(0, 0);
		refused += err != 0;
		if (err) {
			check();
			assert_int_equal(add(key), 0);
		}
	}
	check();
	assert_true(refused > 8);
	sim_fail_frame_alloc(1, ~0ull >> 1);
	while (in) {
		take((unsigned)((key_set_least(&set) - (1ull << 36)) / 1000003));
		assert_int_equal(key_set_count(&set), in);
		check_list(0);
	}
	sim_fail_frame_alloc(0, 0);
	end();
}

static void a_key_that_is_not_there_cannot_be_removed(void **state)
{
	begin();
	assert_int_equal(add(1), 0);
	assert_int_equal(add(3), 0);
	sim_panics(key_set_remove(&set, key_of(2)), "CHECK");
	sim_panics(key_set_remove(&set, key_of(9)), "CHECK");
	end();
}

static void a_hundred_thousand_keys_take_ten_bytes_each(void **state)
{
	begin();
	for (u64 i = 0; i < MANY; i++)
		assert_int_equal(key_set_add(&set, (1ull << 36) + i * 7919 % MANY), 0);
	assert_int_equal(key_set_count(&set), MANY);
	assert_true(key_sets_bytes() <= 10ull * MANY);
	for (u64 i = 0; i < MANY; i++)
		key_set_remove(&set, (1ull << 36) + i * 104729 % MANY);
	assert_int_equal(key_set_count(&set), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_holds_what_was_added_and_not_removed),
		cmocka_unit_test(order_makes_no_difference),
		cmocka_unit_test(blocks_that_lose_most_keys_join),
		cmocka_unit_test(an_addition_without_memory_changes_nothing),
		cmocka_unit_test(a_key_that_is_not_there_cannot_be_removed),
		cmocka_unit_test(a_hundred_thousand_keys_take_ten_bytes_each),
	};

	return cmocka_run_group_tests_name("key_set", tests, NULL, NULL);
}
