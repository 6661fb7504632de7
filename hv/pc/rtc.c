/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.c: the MC146818A clock. rtc.h has the contract.
 *
 *     second     |       |       |       |       |     update ended, and the alarm if it matches
 *     2 to 8192 Hz | | | | | | | | | | | | | | | |     periodic
 *
 * Nothing runs between two accesses: the time registers are computed when they are read, and the
 * flags of register C when they are read or when the line may have risen. The events of a kind that
 * happen before register C is read are one flag, as in the chip, so a guest that is away loses
 * interrupts.
 *
 * Invariants:
 * RTC-1 While the guest holds register B's SET bit the time registers are plain RAM and no update
 *       or alarm happens; clearing it sets the clock.
 * RTC-2 A flag rises once for all events in (seen, now], and `seen` becomes `now`: no event is
 *       counted twice, none is missed. The line is high while a flag and its enable bit are set.
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
#define A_RATE	      0x0f
#define A_DIVIDER     0x26 /* 32.768 kHz, 1024 Hz: what a BIOS leaves */
#define B_SET	      0x80
#define B_BINARY      0x04
#define B_24_HOURS    0x02
#define C_IRQ	      0x80
#define C_PERIODIC    0x40 /* these three have the places of their enable bits in register B */
#define C_ALARM	      0x20
#define C_UPDATE      0x10
#define C_EVENTS      (C_PERIODIC | C_ALARM | C_UPDATE)
#define D_VALID	      0x80
#define ALARM_ANY     0xc0 /* an alarm register with both bits set matches every value */
#define SECOND	      1000000ull
#define DAY_SECONDS   86400ull
#define CRYSTAL_HZ    32768ull
#define UPDATE_LENGTH 244ull /* microseconds before the second in which the flag is up */

void rtc_init(struct rtc *rtc, u64 now)
{
	*rtc = (struct rtc){.seen = now};
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

static bool updates(const struct rtc *rtc)
{
	return !(rtc->ram[REG_B] & B_SET);
}

/* Clocks of the crystal from one periodic event to the next; 0: none. Table 5 of the data sheet. */
static u64 period_clocks(const struct rtc *rtc)
{
	unsigned rate = rtc->ram[REG_A] & A_RATE;

	return rate == 0 ? 0 : 1ull << (rate < 3 ? rate + 6 : rate - 1);
}

static u64 crystal_clocks(u64 time)
{
	return time / SECOND * CRYSTAL_HZ + time % SECOND * CRYSTAL_HZ / SECOND;
}

/* The first microsecond at which crystal_clocks() is at least `clocks`. */
static u64 crystal_time(u64 clocks)
{
	return clocks / CRYSTAL_HZ * SECOND +
	       (clocks % CRYSTAL_HZ * SECOND + CRYSTAL_HZ - 1) / CRYSTAL_HZ;
}

static u64 next_period(const struct rtc *rtc)
{
	u64 period = period_clocks(rtc);

	return period ? crystal_time((crystal_clocks(rtc->seen) / period + 1) * period) : RTC_NEVER;
}

static u64 next_update(const struct rtc *rtc)
{
	return updates(rtc) ? (rtc->seen / SECOND + 1) * SECOND : RTC_NEVER;
}

static bool alarm_matches(const struct rtc *rtc, enum rtc_reg reg, u8 value)
{
	return (rtc->ram[reg] & ALARM_ANY) == ALARM_ANY || rtc->ram[reg] == value;
}

/*
 * Seconds from `time`, of the guest's day, to the first that the alarm may match: 0 when it does;
 * else to the next hour, minute or second, whichever is the first unit that does not match.
 */
static u64 alarm_distance(const struct rtc *rtc, u64 time)
{
	unsigned hours = (unsigned)(time / 3600 % 24), minutes = (unsigned)(time / 60 % 60);

	if (!alarm_matches(rtc, HOURS_ALARM, encode_hours(rtc, hours)))
		return 3600 - time % 3600;
	if (!alarm_matches(rtc, MINUTES_ALARM, clock_encode(rtc, minutes)))
		return 60 - time % 60;
	return !alarm_matches(rtc, SECONDS_ALARM, clock_encode(rtc, (unsigned)(time % 60)));
}

/* The search has 24 + 60 + 60 steps or so: whole hours and minutes are skipped. */
static u64 next_alarm(const struct rtc *rtc)
{
	u64 start = rtc->seen / SECOND + 1, at = start, distance;

	if (!updates(rtc))
		return RTC_NEVER;
	while ((distance = alarm_distance(rtc, at + rtc->offset)) != 0) {
		at += distance;
		if (at - start > DAY_SECONDS)
			return RTC_NEVER; /* no time of day: it never matches */
	}
	return at * SECOND;
}

void rtc_run(struct rtc *rtc, u64 now)
{
	u8 flags = rtc->ram[REG_C];

	if (now <= rtc->seen)
		return;
	if (next_period(rtc) <= now)
		flags |= C_PERIODIC;
	if (next_update(rtc) <= now)
		flags |= C_UPDATE;
	if (!(flags & C_ALARM) && next_update(rtc) <= now && next_alarm(rtc) <= now)
		flags |= C_ALARM;
	rtc->ram[REG_C] = flags;
	rtc->seen = now;
}

bool rtc_irq(const struct rtc *rtc)
{
	return rtc->ram[REG_B] & rtc->ram[REG_C] & C_EVENTS;
}

u64 rtc_due(const struct rtc *rtc)
{
	u8 enabled = rtc->ram[REG_B] & C_EVENTS;
	u64 due = RTC_NEVER;

	if (rtc_irq(rtc))
		return RTC_NEVER;
	if (enabled & C_PERIODIC)
		due = MIN(due, next_period(rtc));
	if (enabled & C_UPDATE)
		due = MIN(due, next_update(rtc));
	if (enabled & C_ALARM)
		due = MIN(due, next_alarm(rtc));
	return due;
}

/* A read of register C ends the interrupt. */
static u8 read_flags(struct rtc *rtc, u64 now)
{
	u8 flags;

	rtc_run(rtc, now);
	flags = rtc->ram[REG_C] | (rtc_irq(rtc) ? C_IRQ : 0);
	rtc->ram[REG_C] = 0;
	return flags;
}

u8 rtc_read(struct rtc *rtc, u16 port, u64 now)
{
	if (port == 0x70)
		return 0xff;
	if (is_time(rtc->index) && updates(rtc))
		latch_time(rtc, now);
	if (rtc->index == REG_A)
		return rtc->ram[REG_A] |
		       (updates(rtc) && now % SECOND >= SECOND - UPDATE_LENGTH ? A_UPDATE : 0);
	if (rtc->index == REG_C)
		return read_flags(rtc, now);
	return rtc->ram[rtc->index];
}

/* SET rising clears the update interrupt's enable bit; falling, it sets the clock. */
static void write_control(struct rtc *rtc, u8 value, u64 now)
{
	bool was_set = !updates(rtc), set = value & B_SET;

	if (set && !was_set) {
		latch_time(rtc, now);
		value &= ~C_UPDATE;
	}
	rtc->ram[REG_B] = value;
	if (was_set && !set)
		set_time(rtc, now);
}

/* What happened before the write is counted by the old registers. */
void rtc_write(struct rtc *rtc, u16 port, u8 value, u64 now)
{
	bool sets_clock = is_time(rtc->index) && updates(rtc);

	if (port == 0x70) {
		rtc->index = value & (RTC_RAM - 1);
		return;
	}
	if (rtc->index == REG_C || rtc->index == REG_D)
		return;
	rtc_run(rtc, now);
	if (rtc->index == REG_B) {
		write_control(rtc, value, now);
		return;
	}
	if (sets_clock)
		latch_time(rtc, now);
	rtc->ram[rtc->index] = rtc->index == REG_A ? value & ~A_UPDATE : value;
	if (sets_clock)
		set_time(rtc, now);
}
