/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.c: the MC146818A clock. rtc.h has the contract.
 *
 * The time registers are computed at each read, so that nothing runs in between. No interrupt line
 * is connected: Linux reads the time once at boot and keeps its own; register C reports the flags
 * to a guest that polls.
 *
 * RTC-1 While the guest holds register B's SET bit the time registers are plain RAM; clearing it
 *       sets the clock.
 */
#include <hv/rtc.h>
#include <lib/bcd.h>
#include <lib/date.h>

enum rtc_reg {
	SECONDS,
	SECONDS_ALARM,
	MINUTES,
	MINUTES_ALARM,
	HOURS,
	HOURS_ALARM,
	WEEKDAY,
	DAY,
	MONTH,
	YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D,
	CENTURY = 0x32
};

#define A_UPDATE      0x80
#define A_DIVIDER     0x26 /* 32.768 kHz, 1024 Hz: what a BIOS leaves */
#define B_SET	      0x80
#define B_BINARY      0x04
#define B_24_HOURS    0x02
#define C_UPDATE      0x10
#define D_VALID	      0x80
#define SECOND	      1000000ull
#define UPDATE_LENGTH 244ull /* microseconds before the second in which the flag is up */

void rtc_init(struct rtc *rtc)
{
	*rtc = (struct rtc){0};
	rtc->ram[REG_A] = A_DIVIDER;
	rtc->ram[REG_B] = B_24_HOURS;
	rtc->ram[REG_D] = D_VALID;
}

static u8 clock_encode(const struct rtc *rtc, unsigned n)
{
	return rtc->ram[REG_B] & B_BINARY ? n : (u8)bcd_encode(n);
}

static unsigned clock_decode(const struct rtc *rtc, u8 value)
{
	return rtc->ram[REG_B] & B_BINARY ? value : bcd_decode(value);
}

static u8 encode_hours(const struct rtc *rtc, unsigned hours)
{
	if (rtc->ram[REG_B] & B_24_HOURS)
		return clock_encode(rtc, hours);
	return clock_encode(rtc, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? 0x80 : 0);
}

static unsigned decode_hours(const struct rtc *rtc, u8 value)
{
	if (rtc->ram[REG_B] & B_24_HOURS)
		return clock_decode(rtc, value);
	return clock_decode(rtc, value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
}

/* Copies the running time into the registers. */
static void latch_time(struct rtc *rtc, u64 now)
{
	struct date date;

	date_from_seconds(now / SECOND + rtc->offset, &date);
	rtc->ram[SECONDS] = clock_encode(rtc, date.seconds);
	rtc->ram[MINUTES] = clock_encode(rtc, date.minutes);
	rtc->ram[HOURS] = encode_hours(rtc, date.hours);
	rtc->ram[WEEKDAY] = date.weekday;
	rtc->ram[DAY] = clock_encode(rtc, date.day);
	rtc->ram[MONTH] = clock_encode(rtc, date.month);
	rtc->ram[YEAR] = clock_encode(rtc, date.year % 100);
	rtc->ram[CENTURY] = clock_encode(rtc, date.year / 100);
}

/* The registers become the running time. */
static void set_time(struct rtc *rtc, u64 now)
{
	struct date date = {
		.year = clock_decode(rtc, rtc->ram[CENTURY]) * 100 +
			clock_decode(rtc, rtc->ram[YEAR]),
		.month = clock_decode(rtc, rtc->ram[MONTH]),
		.day = clock_decode(rtc, rtc->ram[DAY]),
		.hours = decode_hours(rtc, rtc->ram[HOURS]),
		.minutes = clock_decode(rtc, rtc->ram[MINUTES]),
		.seconds = clock_decode(rtc, rtc->ram[SECONDS]),
	};

	if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31)
		return; /* no date: the clock goes on as it was */
	rtc->offset = (s64)(date_to_seconds(&date) - now / SECOND);
}

static bool is_time(unsigned reg)
{
	return reg == CENTURY ||
	       (reg <= YEAR && reg != SECONDS_ALARM && reg != MINUTES_ALARM && reg != HOURS_ALARM);
}

static u8 read_flags(struct rtc *rtc, u64 now)
{
	bool updated = now / SECOND != rtc->last_flags / SECOND;

	rtc->last_flags = now;
	return updated ? C_UPDATE : 0;
}

u8 rtc_read(struct rtc *rtc, u16 port, u64 now)
{
	bool running = !(rtc->ram[REG_B] & B_SET);

	if (port == 0x70)
		return 0xff;
	if (is_time(rtc->index) && running)
		latch_time(rtc, now);
	if (rtc->index == REG_A)
		return rtc->ram[REG_A] |
		       (running && now % SECOND >= SECOND - UPDATE_LENGTH ? A_UPDATE : 0);
	if (rtc->index == REG_C)
		return read_flags(rtc, now);
	return rtc->ram[rtc->index];
}

void rtc_write(struct rtc *rtc, u16 port, u8 value, u64 now)
{
	bool was_set = rtc->ram[REG_B] & B_SET;

	if (port == 0x70) {
		rtc->index = value & (RTC_RAM - 1);
		return;
	}
	if (rtc->index == REG_C || rtc->index == REG_D)
		return;
	if (is_time(rtc->index) && !was_set)
		latch_time(rtc, now);
	if (rtc->index == REG_B && value & B_SET && !was_set)
		latch_time(rtc, now);
	rtc->ram[rtc->index] = rtc->index == REG_A ? value & ~A_UPDATE : value;
	if (rtc->index == REG_B ? was_set && !(value & B_SET) : is_time(rtc->index) && !was_set)
		set_time(rtc, now);
}
