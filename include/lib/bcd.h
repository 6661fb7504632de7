/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bcd.h: binary-coded decimal, four bits a digit, as counters and clocks of the PC hold it.
 */
#ifndef SAMEPAGE_LIB_BCD_H
#define SAMEPAGE_LIB_BCD_H

#include <lib/types.h>

/* The last four digits of `n`. */
static inline u16 bcd_encode(u32 n)
{
	return (u16)(n / 1000 % 10 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

static inline u32 bcd_decode(u16 bcd)
{
	return (bcd >> 12) * 1000u + (bcd >> 8 & 15) * 100u + (bcd >> 4 & 15) * 10u + (bcd & 15);
}

#endif
