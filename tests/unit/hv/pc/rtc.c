/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.c: the MC146818A clock against the host's calendar (RTC-1).
 */
#include <hv/rtc.h>
#include <time.h>
#include "sim/sim.h"

#define SECOND 1000000ull

static u8 get(struct rtc *rtc, u8 reg, u64 now)
{
	rtc_write(rtc, 0x70, reg, now);
	return rtc_read(rtc, 0x71, now);
}

static void set(struct rtc *rtc, u8 reg, u8 value, u64 now)
{
	rtc_write(rtc, 0x70, reg, now);
	rtc_write(rtc, 0x71, value, now);
}

static unsigned bcd(u8 value)
{
	return (value >> 4) * 10u + (value & 15);
}

static void it_shows_the_date_the_calendar_shows(void **state)
{
	struct sim_random random = sim_random_start(1);

	for (unsigned i = 0; i < 5000; i++) {
		time_t when = sim_below(&random, 4102444800u); /* until 2100 */
		struct tm tm;
		struct rtc rtc;
		u64 now = when * SECOND;

		gmtime_r(&when, &tm);
		rtc_init(&rtc);
		assert_int_equal(bcd(get(&rtc, 0, now)), tm.tm_sec);
		assert_int_equal(bcd(get(&rtc, 2, now)), tm.tm_min);
		assert_int_equal(bcd(get(&rtc, 4, now)), tm.tm_hour);
		assert_int_equal(get(&rtc, 6, now), tm.tm_wday + 1);
		assert_int_equal(bcd(get(&rtc, 7, now)), tm.tm_mday);
		assert_int_equal(bcd(get(&rtc, 8, now)), tm.tm_mon + 1);
		assert_int_equal(bcd(get(&rtc, 9, now)), tm.tm_year % 100);
		assert_int_equal(bcd(get(&rtc, 0x32, now)), 19 + tm.tm_year / 100);
	}
}

static void a_guest_sets_its_clock_and_it_goes_on_from_there(void **state)
{
	struct rtc rtc;
	u64 now = 1704067200ull * SECOND;

	rtc_init(&rtc);
	set(&rtc, 0x0b, 0x82, now);
	set(&rtc, 4, 0x12, now);
	set(&rtc, 2, 0x34, now);
	assert_int_equal(get(&rtc, 2, now + 3600 * SECOND), 0x34); /* held while SET is up */
	set(&rtc, 0x0b, 0x02, now);
	assert_int_equal(get(&rtc, 4, now + 60 * SECOND), 0x12);
	assert_int_equal(get(&rtc, 2, now + 60 * SECOND), 0x35);
}

static void the_flag_says_when_an_update_is_in_progress(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc);
	assert_int_equal(get(&rtc, 0x0a, 5 * SECOND), 0x26);
	assert_int_equal(get(&rtc, 0x0a, 6 * SECOND - 100), 0xa6);
	assert_int_equal(get(&rtc, 0x0d, 0), 0x80);
}

static void hours_can_be_twelve_and_binary(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc);
	set(&rtc, 0x0b, 0x04, 0);
	assert_int_equal(get(&rtc, 4, 0), 12);			      /* midnight */
	assert_int_equal(get(&rtc, 4, 13 * 3600 * SECOND), 0x80 | 1); /* one in the afternoon */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_shows_the_date_the_calendar_shows),
		cmocka_unit_test(a_guest_sets_its_clock_and_it_goes_on_from_there),
		cmocka_unit_test(the_flag_says_when_an_update_is_in_progress),
		cmocka_unit_test(hours_can_be_twelve_and_binary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
