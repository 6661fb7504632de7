/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h: tables of firmware as bytes: their fields, and the sum that has to be 0.
 */
#ifndef SAMEPAGE_SIM_BYTES_H
#define SAMEPAGE_SIM_BYTES_H

#include <lib/string.h>
#include <lib/types.h>

/* A field of at most eight bytes, the lowest first. */
static inline u64 get(const u8 *from, unsigned size)
{
	u64 value = 0;

	memcpy(&value, from, size);
	return value;
}

static inline u8 sum(const u8 *from, size_t size)
{
	u8 total = 0;

	for (size_t i = 0; i < size; i++)
		total += from[i];
	return total;
}

#endif
