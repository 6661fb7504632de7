/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.h: seconds since 1970 and the Gregorian calendar.
 */
#ifndef SAMEPAGE_LIB_DATE_H
#define SAMEPAGE_LIB_DATE_H

#include <lib/types.h>

/* month and day from 1; weekday 1 is Sunday. */
struct date {
	unsigned year, month, day, hours, minutes, seconds, weekday;
};

/*
 * Both pure, from 1970 on. A date's weekday is not looked at; a day that a month does not have
 * counts on into the next.
 */
void date_from_seconds(u64 seconds, struct date *out);
u64 date_to_seconds(const struct date *date);

#endif
