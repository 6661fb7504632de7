/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.c: the MC146818A clock against the host's calendar (RTC-1), and its interrupts against a step
 * of time (RTC-2).
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
		rtc_init(&rtc, 0);
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

	rtc_init(&rtc, 0);
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

	rtc_init(&rtc, 0);
	assert_int_equal(get(&rtc, 0x0a, 5 * SECOND), 0x26);
	assert_int_equal(get(&rtc, 0x0a, 6 * SECOND - 100), 0xa6);
	assert_int_equal(get(&rtc, 0x0d, 0), 0x80);
}

static void hours_can_be_twelve_and_binary(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc, 0);
	set(&rtc, 0x0b, 0x04, 0);
	assert_int_equal(get(&rtc, 4, 0), 12);			      /* midnight */
	assert_int_equal(get(&rtc, 4, 13 * 3600 * SECOND), 0x80 | 1); /* one in the afternoon */
}

#define UIE	 0x10
#define AIE	 0x20
#define PIE	 0x40
#define HOURS_24 0x02
#define START	 (1704067200ull * SECOND) /* 2024-01-01 00:00:00 */

/*
 * A guest's handler: from START to START + `length` it runs whenever the line is due, reads
 * register C and adds up how often each flag was set.
 */
struct counts {
	u64 update, alarm, periodic, interrupts;
};

static struct counts take_interrupts(struct rtc *rtc, u64 length)
{
	struct counts counts = {0};

	rtc_run(rtc, START);
	for (u64 due = rtc_due(rtc); due <= START + length; due = rtc_due(rtc)) {
		u8 flags;

		rtc_run(rtc, due - 1);
		assert_false(rtc_irq(rtc));
		rtc_run(rtc, due);
		assert_true(rtc_irq(rtc));
		assert_int_equal(rtc_due(rtc), RTC_NEVER);
		flags = get(rtc, 0x0c, due);
		assert_true(flags & 0x80);
		assert_false(rtc_irq(rtc));
		counts.update += flags >> 4 & 1;
		counts.alarm += flags >> 5 & 1;
		counts.periodic += flags >> 6 & 1;
		counts.interrupts++;
	}
	return counts;
}

static void set_alarm(struct rtc *rtc, u8 hours, u8 minutes, u8 seconds)
{
	set(rtc, 5, hours, START);
	set(rtc, 3, minutes, START);
	set(rtc, 1, seconds, START);
}

static void each_second_ends_an_update(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc, START);
	assert_int_equal(rtc_due(&rtc), RTC_NEVER);
	set(&rtc, 0x0b, HOURS_24 | UIE, START);
	assert_int_equal(take_interrupts(&rtc, 3600 * SECOND).update, 3600);
}

static void an_alarm_comes_when_the_time_matches(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc, START);
	set_alarm(&rtc, 0x13, 0x05, 0x59);
	set(&rtc, 0x0b, HOURS_24 | AIE, START);
	assert_int_equal(rtc_due(&rtc), START + (13 * 3600 + 5 * 60 + 59) * SECOND);
	assert_int_equal(take_interrupts(&rtc, 3 * 86400 * SECOND).alarm, 3);
}

static void an_alarm_may_leave_hours_and_minutes_open(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc, START);
	set(&rtc, 0x0b, HOURS_24 | AIE, START);
	set_alarm(&rtc, 0xc0, 0xff, 0x30);
	assert_int_equal(take_interrupts(&rtc, 3600 * SECOND).alarm, 60);
	set_alarm(&rtc, 0xc0, 0xff, 0xff);
	assert_int_equal(take_interrupts(&rtc, 60 * SECOND).alarm, 0); /* START is over */
	rtc_init(&rtc, START);
	set(&rtc, 0x0b, AIE, START); /* 12 hours */
	set_alarm(&rtc, 0x81, 0, 0);
	assert_int_equal(rtc_due(&rtc), START + 13 * 3600 * SECOND);
}

static void an_alarm_at_no_time_of_day_never_comes(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc, START);
	set(&rtc, 0x0b, HOURS_24 | AIE, START);
	set_alarm(&rtc, 0x23, 0x61, 0x10);
	assert_int_equal(rtc_due(&rtc), RTC_NEVER);
	set(&rtc, 0x0b, HOURS_24, START);
	rtc_run(&rtc, START + 2 * 86400 * SECOND);
	assert_int_equal(get(&rtc, 0x0c, START + 2 * 86400 * SECOND), 0x10 | PIE);
}

static void the_rate_sets_the_periodic_interrupt(void **state)
{
	static const unsigned hz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
					256, 128, 64,  32,   16,   8,	 4,    2};

	for (u8 rate = 0; rate < 16; rate++) {
		struct rtc rtc;

		rtc_init(&rtc, START);
		set(&rtc, 0x0a, 0x20 | rate, START);
		set(&rtc, 0x0b, HOURS_24 | PIE, START);
		assert_int_equal(take_interrupts(&rtc, 10 * SECOND).periodic, 10 * hz[rate]);
	}
}

/* RTC-2: what nothing reads is one flag, and the line rises once. */
static void interrupts_that_nothing_takes_are_one(void **state)
{
	struct rtc rtc;

	rtc_init(&rtc, START);
	set(&rtc, 0x0b, HOURS_24 | UIE | PIE, START);
	rtc_run(&rtc, START + 100 * SECOND);
	assert_int_equal(rtc_due(&rtc), RTC_NEVER);
	assert_int_equal(get(&rtc, 0x0c, START + 100 * SECOND), 0x80 | UIE | PIE);
	assert_int_equal(get(&rtc, 0x0c, START + 100 * SECOND), 0);
	assert_int_equal(rtc_due(&rtc), START + 100 * SECOND + 977);
}

/* RTC-1. */
static void setting_the_clock_holds_updates_and_alarms(void **state)
{
	struct rtc rtc;
	u64 now = START + 7200 * SECOND;

	rtc_init(&rtc, START);
	set_alarm(&rtc, 0xff, 0xff, 0xff);
	set(&rtc, 0x0b, HOURS_24 | UIE | AIE, START);
	set(&rtc, 0x0b, HOURS_24 | UIE | AIE | 0x80, START);
	assert_int_equal(rtc_due(&rtc), RTC_NEVER);
	assert_int_equal(get(&rtc, 0x0b, START), HOURS_24 | AIE | 0x80); /* SET clears UIE */
	assert_int_equal(get(&rtc, 0x0c, now) & (UIE | AIE), 0);
	set(&rtc, 0x0b, HOURS_24 | UIE, now);
	assert_int_equal(rtc_due(&rtc), now + SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_shows_the_date_the_calendar_shows),
		cmocka_unit_test(a_guest_sets_its_clock_and_it_goes_on_from_there),
		cmocka_unit_test(the_flag_says_when_an_update_is_in_progress),
		cmocka_unit_test(hours_can_be_twelve_and_binary),
		cmocka_unit_test(each_second_ends_an_update),
		cmocka_unit_test(an_alarm_comes_when_the_time_matches),
		cmocka_unit_test(an_alarm_may_leave_hours_and_minutes_open),
		cmocka_unit_test(an_alarm_at_no_time_of_day_never_comes),
		cmocka_unit_test(the_rate_sets_the_periodic_interrupt),
		cmocka_unit_test(interrupts_that_nothing_takes_are_one),
		cmocka_unit_test(setting_the_clock_holds_updates_and_alarms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
