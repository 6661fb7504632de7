/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.h: the MC146818A clock and its RAM (Motorola data sheet ADI-1023), as the PC has it at ports
 * 0x70 and 0x71.
 *
 * Time is a parameter: seconds since 1970 and, for the update flag and the periodic interrupt,
 * microseconds. The caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_RTC_H
#define SAMEPAGE_HV_RTC_H

#include <lib/types.h>

#define RTC_RAM 128

struct rtc {
	u8 index;
	u8 ram[RTC_RAM];
	s64 offset;	/* seconds the guest has set its clock ahead */
	u64 last_flags; /* microseconds when register C was last read */
};

void rtc_init(struct rtc *rtc);

/* Ports 0x70 and 0x71. `now` is microseconds since 1970. */
u8 rtc_read(struct rtc *rtc, u16 port, u64 now);
void rtc_write(struct rtc *rtc, u16 port, u8 value, u64 now);

#endif
