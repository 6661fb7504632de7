/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols.c: looks functions up in the table that scripts/ksyms.py put into the image.
 */
#include <asm/symbols.h>
#include <asm/image.h>

/* Ascending offsets from IMAGE_BASE, and where each name starts. */
extern const u32 ksyms_count, ksyms_offsets[], ksyms_name_index[];
extern const char ksyms_names[];

const char *symbol_find(u64 address, u64 *offset)
{
	u32 low = 0, high = ksyms_count;

	if (address < (u64)image_text_start || address >= (u64)image_text_end)
		return NULL;
	/* Invariant: what lies below `low` starts at or before the address, what lies from `high`
	 * on after it. */
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (IMAGE_BASE + ksyms_offsets[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	*offset = address - IMAGE_BASE - ksyms_offsets[low - 1];
	return ksyms_names + ksyms_name_index[low - 1];
}
