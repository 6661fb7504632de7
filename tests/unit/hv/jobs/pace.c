/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c: the pause between two passes by what the last one saved and read.
 */
#include "sim/sim.h"

#include "hv/jobs/pace.h"

#define OWNED 65536

static u64 pause_after(u64 pause, u64 read_before, s64 saved, u64 read)
{
	struct pace pace = {.pause = pause, .read = read_before};

	pace_next(&pace, &(struct merge_work){.owned = OWNED, .read = read, .saved = saved});
	assert_int_equal(pace.read, read);
	return pace.pause;
}

static void a_pass_that_saves_a_64th_is_followed_by_the_shortest_pause(void **state)
{
	assert_int_equal(pause_after(PACE_LONGEST, 0, OWNED / 64, 0), PACE_SHORTEST);
	assert_int_equal(pause_after(PACE_SHORTEST, 0, OWNED, 0), PACE_SHORTEST);
	assert_int_equal(pause_after(320, 0, OWNED / 64 - 1, 0), 320);
}

static void a_pass_that_saves_less_than_a_512th_doubles_the_pause_up_to_the_longest(void **state)
{
	assert_int_equal(pause_after(80, 0, OWNED / 512, 0), 80);
	assert_int_equal(pause_after(80, 0, OWNED / 512 - 1, 0), 160);
	assert_int_equal(pause_after(80, 0, 0, 0), 160);
	assert_int_equal(pause_after(PACE_LONGEST, 0, 0, 0), PACE_LONGEST);
	assert_int_equal(pause_after(PACE_LONGEST - 1, 0, 0, 0), PACE_LONGEST);
}

/* More was broken than merged. */
static void a_loss_is_no_gain(void **state)
{
	assert_int_equal(pause_after(80, 0, -OWNED, 0), 160);
}

static void reads_that_rise_end_the_pause_and_steady_ones_do_not(void **state)
{
	assert_int_equal(pause_after(320, 0, 0, OWNED / 16), PACE_SHORTEST);
	assert_int_equal(pause_after(320, 0, 0, OWNED / 16 - 1), 640);
	assert_int_equal(pause_after(320, OWNED / 16, 0, OWNED / 8), PACE_SHORTEST);
	assert_int_equal(pause_after(320, OWNED / 16, 0, OWNED / 8 - 1), 640);
	assert_int_equal(pause_after(320, OWNED, 0, OWNED), 640);
}

/* No guest has a page: nothing is saved, and nothing read. */
static void nothing_owned_is_nothing_saved(void **state)
{
	struct pace pace = {.pause = PACE_SHORTEST};

	pace_next(&pace, &(struct merge_work){0});
	assert_int_equal(pace.pause, 2 * PACE_SHORTEST);
}

/* In 20 seconds; a fixed pause of 20 ms has 1,000. */
static void guests_that_stand_still_cost_few_passes(void **state)
{
	struct pace pace = {.pause = PACE_SHORTEST};
	unsigned passes = 0;

	for (u64 ms = 0; ms < 20000; ms += pace.pause, passes++)
		pace_next(&pace, &(struct merge_work){.owned = OWNED});
	assert_in_range(passes, 5, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pass_that_saves_a_64th_is_followed_by_the_shortest_pause),
		cmocka_unit_test(
			a_pass_that_saves_less_than_a_512th_doubles_the_pause_up_to_the_longest),
		cmocka_unit_test(a_loss_is_no_gain),
		cmocka_unit_test(reads_that_rise_end_the_pause_and_steady_ones_do_not),
		cmocka_unit_test(nothing_owned_is_nothing_saved),
		cmocka_unit_test(guests_that_stand_still_cost_few_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
