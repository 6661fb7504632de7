/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pit.c: the 8254 against its data sheet (PIT-1 to PIT-3).
 */
#include <hv/pit.h>
#include "sim/sim.h"

static struct pit with_channel_0(u8 command, u16 count, u64 now)
{
	struct pit pit;

	pit_init(&pit);
	pit_write(&pit, 0x43, command, now);
	pit_write(&pit, 0x40, count & 0xff, now);
	pit_write(&pit, 0x40, count >> 8, now);
	return pit;
}

static u16 read_latched(struct pit *pit, u64 now)
{
	u8 low;

	pit_write(pit, 0x43, 0x00, now);
	low = pit_read(pit, 0x40, now + 5);
	return low | pit_read(pit, 0x40, now + 9) << 8;
}

static void a_rate_generator_rises_once_a_period(void **state)
{
	struct pit pit = with_channel_0(0x34, 1000, 50);

	assert_int_equal(pit_next_rise(&pit, 50), 1050);
	assert_int_equal(pit_next_rise(&pit, 1049), 1050);
	assert_int_equal(pit_next_rise(&pit, 1050), 2050);
	assert_false(pit_output(&pit, 0, 1049));
	assert_true(pit_output(&pit, 0, 1050));
	assert_true(pit_output(&pit, 0, 1048));
}

static void a_square_wave_is_high_for_half_a_period(void **state)
{
	struct pit pit = with_channel_0(0x36, 101, 0);

	assert_true(pit_output(&pit, 0, 50));
	assert_false(pit_output(&pit, 0, 51));
	assert_false(pit_output(&pit, 0, 100));
	assert_true(pit_output(&pit, 0, 101));
}

static void a_one_shot_rises_once(void **state)
{
	struct pit pit = with_channel_0(0x30, 300, 10);

	assert_false(pit_output(&pit, 0, 309));
	assert_true(pit_output(&pit, 0, 310));
	assert_int_equal(pit_next_rise(&pit, 10), 310);
	assert_int_equal(pit_next_rise(&pit, 310), PIT_NEVER);
}

static void nothing_rises_before_a_count_is_loaded(void **state)
{
	struct pit pit;

	pit_init(&pit);
	assert_int_equal(pit_next_rise(&pit, 0), PIT_NEVER);
	pit_write(&pit, 0x43, 0x34, 0);
	pit_write(&pit, 0x40, 0x10, 0); /* only the low byte of two */
	assert_int_equal(pit_next_rise(&pit, 0), PIT_NEVER);
}

static void a_latched_count_does_not_move_between_its_bytes(void **state)
{
	struct pit pit = with_channel_0(0x34, 0x1000, 0);

	assert_int_equal(read_latched(&pit, 0x234), 0x1000 - 0x234);
	assert_int_equal(read_latched(&pit, 0x334), 0x1000 - 0x334);
}

static void zero_counts_sixty_four_thousand(void **state)
{
	struct pit pit = with_channel_0(0x34, 0, 0);

	assert_int_equal(pit_next_rise(&pit, 0), 0x10000);
}

static void bcd_counts_in_decimal(void **state)
{
	struct pit pit = with_channel_0(0x35, 0x1234, 0);

	assert_int_equal(pit_next_rise(&pit, 0), 1234);
	assert_int_equal(read_latched(&pit, 34), 0x1200);
}

static void read_back_gives_mode_and_output(void **state)
{
	struct pit pit = with_channel_0(0x34, 1000, 0);

	pit_write(&pit, 0x43, 0xe2, 10); /* status of channel 0 */
	assert_int_equal(pit_read(&pit, 0x40, 10), 0x80 | 0x30 | 2 << 1);
}

/*
 * What Linux does to calibrate the TSC: mode 0 on channel 2, gate by port 0x61, wait for its
 * output.
 */
static void channel_2_counts_while_its_gate_is_high(void **state)
{
	struct pit pit;

	pit_init(&pit);
	pit_write(&pit, 0x61, 0x01, 0);
	pit_write(&pit, 0x43, 0xb0, 0);
	pit_write(&pit, 0x42, 100, 0);
	pit_write(&pit, 0x42, 0, 0);
	assert_false(pit_read(&pit, 0x61, 99) & 0x20);
	pit_write(&pit, 0x61, 0x00, 40);
	assert_false(pit_read(&pit, 0x61, 500) & 0x20);
	pit_write(&pit, 0x61, 0x01, 1000);
	assert_false(pit_read(&pit, 0x61, 1059) & 0x20);
	assert_true(pit_read(&pit, 0x61, 1060) & 0x20);
}

static void every_rise_is_one(void **state)
{
	struct sim_random random = sim_random_start(1);

	for (unsigned i = 0; i < 20000; i++) {
		static const u8 commands[] = {0x30, 0x34, 0x36, 0x38};
		u8 command = commands[sim_below(&random, 4)];
		u64 start = sim_below(&random, 1 << 20);
		struct pit pit = with_channel_0(command, 2 + sim_below(&random, 5000), start);
		u64 now = start + sim_below(&random, 20000), rise = pit_next_rise(&pit, now);

		if (rise == PIT_NEVER)
			continue;
		assert_true(rise > now);
		assert_true(pit_output(&pit, 0, rise));
		assert_false(pit_output(&pit, 0, rise - 1));
	}
}

/* PIT-3 */
static void rises_are_counted_as_they_come(void **state)
{
	static const u8 commands[] = {0x30, 0x32, 0x34, 0x36, 0x38};
	struct sim_random random = sim_random_start(2);

	for (unsigned i = 0; i < 2000; i++) {
		u8 command = commands[sim_below(&random, ARRAY_SIZE(commands))];
		u64 start = sim_below(&random, 1 << 20);
		struct pit pit = with_channel_0(command, 2 + sim_below(&random, 5000), start);
		u64 after = start + sim_below(&random, 20000);
		u64 now = after + sim_below(&random, 60000), count = 0;

		for (u64 rise = pit_next_rise(&pit, after); rise <= now;
		     rise = pit_next_rise(&pit, rise))
			count++;
		assert_int_equal(pit_rises(&pit, after, now), count);
	}
}

/* PIT-4: 120 clocks are more than 100 us; whole periods of the chip's lie between two rises. */
static void rises_come_each_100_us_at_most(void **state)
{
	static const struct {
		unsigned count, between;
	} rows[] = {{2, 120}, {60, 120}, {118, 236}, {119, 238}, {120, 120}, {1193, 1193}};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pit pit = with_channel_0(0x34, rows[i].count, 1000);
		u64 first = pit_next_rise(&pit, 1000);

		assert_int_equal(first, 1000 + rows[i].between);
		assert_int_equal(pit_next_rise(&pit, first), first + rows[i].between);
		assert_int_equal(pit_rises(&pit, 1000, 1000 + 10 * rows[i].between), 10);
	}
}

static void a_write_says_whether_channel_0_was_programmed(void **state)
{
	struct pit pit;

	pit_init(&pit);
	assert_true(pit_write(&pit, 0x43, 0x34, 0));
	assert_false(pit_write(&pit, 0x40, 1, 0)); /* the first byte of two */
	assert_true(pit_write(&pit, 0x40, 1, 0));
	assert_false(pit_write(&pit, 0x43, 0x00, 0)); /* latch */
	assert_false(pit_write(&pit, 0x43, 0xc2, 0)); /* read back */
	assert_false(pit_write(&pit, 0x43, 0xb0, 0)); /* channel 2 */
	assert_false(pit_write(&pit, 0x42, 1, 0));
	assert_false(pit_write(&pit, 0x42, 1, 0));
	assert_false(pit_write(&pit, 0x61, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_generator_rises_once_a_period),
		cmocka_unit_test(a_square_wave_is_high_for_half_a_period),
		cmocka_unit_test(a_one_shot_rises_once),
		cmocka_unit_test(nothing_rises_before_a_count_is_loaded),
		cmocka_unit_test(a_latched_count_does_not_move_between_its_bytes),
		cmocka_unit_test(zero_counts_sixty_four_thousand),
		cmocka_unit_test(bcd_counts_in_decimal),
		cmocka_unit_test(read_back_gives_mode_and_output),
		cmocka_unit_test(channel_2_counts_while_its_gate_is_high),
		cmocka_unit_test(every_rise_is_one),
		cmocka_unit_test(rises_are_counted_as_they_come),
		cmocka_unit_test(rises_come_each_100_us_at_most),
		cmocka_unit_test(a_write_says_whether_channel_0_was_programmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
