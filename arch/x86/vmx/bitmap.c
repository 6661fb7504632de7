/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitmap.c: the MSR bitmap (SDM 25.6.9): four maps of 1 KiB in one page, a set bit exits.
 *
 *     0x000 read 0..1fff   0x400 read c0000000..c0001fff   0x800, 0xc00 the same for write
 *
 * An index outside both ranges always exits. Pure, so that a host test can count the holes.
 *
 * VMX-8  an MSR that the list does not name exits.
 */
#include "vmx.h"

#define MAP_BYTES   0x400
#define MAP_INDEXES (MAP_BYTES * 8)
#define HIGH_FIRST  0xc0000000u
#define WRITE_MAPS  0x800

static void clear_bit(u8 *map, u32 bit)
{
	map[bit / 8] &= ~(1u << bit % 8);
}

void vmx_msr_bitmap_allow(u8 *page, u32 index, bool read, bool write)
{
	if (index >= HIGH_FIRST) {
		index -= HIGH_FIRST;
		page += MAP_BYTES;
	}
	if (index >= MAP_INDEXES)
		return;
	if (read)
		clear_bit(page, index);
	if (write)
		clear_bit(page + WRITE_MAPS, index);
}

void vmx_msr_bitmap_build(u8 *page, const struct msr_passthrough *list)
{
	for (; list->index; list++)
		vmx_msr_bitmap_allow(page, list->index, list->read, list->write);
}
