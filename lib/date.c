/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.c: the calendar, by eras of 400 years that begin in March: a leap day is then the last of
 * its year, and the days before a month are a straight line.
 */
#include <lib/date.h>

void date_from_seconds(u64 seconds, struct date *out)
{
	u64 days = seconds / 86400 + 719468, era = days / 146097, in_era = days % 146097;
	u64 year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	u64 in_year = in_era - (365 * year + year / 4 - year / 100),
	    march = (5 * in_year + 2) / 153;

	out->day = in_year - (153 * march + 2) / 5 + 1;
	out->month = march < 10 ? march + 3 : march - 9;
	out->year = year + era * 400 + (out->month <= 2);
	out->hours = seconds / 3600 % 24;
	out->minutes = seconds / 60 % 60;
	out->seconds = seconds % 60;
	out->weekday = (seconds / 86400 + 4) % 7 + 1;
}

u64 date_to_seconds(const struct date *date)
{
	u64 year = date->year - (date->month <= 2), era = year / 400, in_era = year % 400;
	u64 march = date->month > 2 ? date->month - 3 : date->month + 9;
	u64 in_year = (153 * march + 2) / 5 + date->day - 1;
	u64 days = era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;

	return days * 86400 + date->hours * 3600 + date->minutes * 60 + date->seconds;
}
