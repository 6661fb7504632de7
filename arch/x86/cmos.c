/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmos.c: the date, from the MC146818 clock that every PC has (Motorola data sheet ADI-1023).
 *
 * The registers change once a second, one after another; they are read until two readings agree
 * with no update in between. A machine without the chip reads all ones, which is no date.
 */
#include <arch/cpu.h>
#include <asm/io.h>
#include <lib/date.h>
#include <lib/string.h>

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

enum cmos_reg { SECONDS = 0, MINUTES = 2, HOURS = 4, DAY = 7, MONTH = 8, YEAR = 9, CENTURY = 0x32 };
enum { REG_A = 10, REG_B = 11, A_UPDATE = 0x80, B_BINARY = 4, B_24_HOURS = 2, HOURS_PM = 0x80 };

#define TRIES	      100000
#define FIRST_SECONDS 1704067200ull /* 2024-01-01 00:00:00 UTC, for a machine without a date */

static u8 read_register(u8 reg)
{
	io_write8(CMOS_INDEX, reg);
	return io_read8(CMOS_DATA);
}

static unsigned cmos_decode(u8 value, u8 format)
{
	return format & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static unsigned read_hours(u8 format)
{
	u8 value = read_register(HOURS);

	if (format & B_24_HOURS)
		return cmos_decode(value, format);
	return cmos_decode(value & (u8)~HOURS_PM, format) % 12 + (value & HOURS_PM ? 12 : 0);
}

static void read_date(struct date *date)
{
	u8 format = read_register(REG_B);

	*date = (struct date){
		.seconds = cmos_decode(read_register(SECONDS), format),
		.minutes = cmos_decode(read_register(MINUTES), format),
		.hours = read_hours(format),
		.day = cmos_decode(read_register(DAY), format),
		.month = cmos_decode(read_register(MONTH), format),
		.year = cmos_decode(read_register(CENTURY), format) * 100 +
			cmos_decode(read_register(YEAR), format),
	};
}

static bool cmos_is_sane(const struct date *date)
{
	return date->year >= 1970 && date->year < 9999 && date->month - 1 < 12 &&
	       date->day - 1 < 31 && date->hours < 24 && date->minutes < 60 && date->seconds < 60;
}

u64 arch_wall_seconds(void)
{
	struct date date, again;

	for (unsigned i = 0; i < TRIES; i++) {
		if (read_register(REG_A) & A_UPDATE)
			continue;
		read_date(&date);
		read_date(&again);
		if (memcmp(&date, &again, sizeof(date)) == 0)
			return cmos_is_sane(&date) ? date_to_seconds(&date) : FIRST_SECONDS;
	}
	return FIRST_SECONDS;
}
