/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.h: the MC146818A clock and its RAM (Motorola data sheet ADI-1023), as the PC has it at ports
 * 0x70 and 0x71.
 *
 * A model without surroundings: time is a parameter, in microseconds since 1970, and never goes
 * back. The caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_RTC_H
#define SAMEPAGE_HV_RTC_H

#include <lib/types.h>

#define RTC_RAM	  128
#define RTC_NEVER (~0ull)

struct rtc {
	u8 index;
	u8 ram[RTC_RAM];
	s64 offset; /* seconds that the guest's clock is ahead of `now` */
	u64 seen;   /* up to when register C's flags are counted */
};

void rtc_init(struct rtc *rtc, u64 now);

/* Ports 0x70 and 0x71. */
u8 rtc_read(struct rtc *rtc, u16 port, u64 now);
void rtc_write(struct rtc *rtc, u16 port, u8 value, u64 now);

/* Sets the flags of what has happened by `now`. */
void rtc_run(struct rtc *rtc, u64 now);

/* The interrupt line: high from an enabled event until register C is read. */
bool rtc_irq(const struct rtc *rtc);

/*
 * After rtc_run(): when the line rises next, or RTC_NEVER. A line that is high rises no more, so an
 * interrupt that nothing ends costs nothing.
 */
u64 rtc_due(const struct rtc *rtc);

#endif
