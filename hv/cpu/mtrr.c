/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mtrr.c: the memory type range registers (SDM vol. 3A, 11.11). Pure.
 *
 *     FEh              MTRRCAP: fixed-range registers, no variable ones
 *     250h             FIX64K_00000
 *     258h, 259h       FIX16K_80000, FIX16K_A0000
 *     268h to 26Fh     FIX4K_C0000 to FIX4K_F8000
 *     2FFh             DEF_TYPE
 *
 * Firmware and kernels save and restore them without a look at CPUID, which hides them. They keep
 * what a guest writes and have no other effect: RAM is write-back (arch/x86/pgtable/ept.c).
 */
#include <hv/mtrr.h>

#define CAP_FIXED      BIT(8)
#define DEFAULT_FIXED  BIT(10)
#define DEFAULT_ON     BIT(11)
#define TYPE_MASK      0xffull
#define TYPE_WRITEBACK 6
#define FIXED_BYTES    8

/* As a BIOS leaves them: on, write-back. */
void mtrr_init(struct mtrrs *mtrrs)
{
	*mtrrs = (struct mtrrs){.default_type = DEFAULT_ON | TYPE_WRITEBACK};
}

/* The place of a register in struct mtrrs; NULL: there is none of that index. */
static u64 *mtrr_find(struct mtrrs *mtrrs, u32 index)
{
	if (index == MTRR_DEFAULT_TYPE)
		return &mtrrs->default_type;
	if (index == 0x250)
		return &mtrrs->fixed[0];
	if (index == 0x258 || index == 0x259)
		return &mtrrs->fixed[1 + index - 0x258];
	if (index >= 0x268 && index <= 0x26f)
		return &mtrrs->fixed[3 + index - 0x268];
	return NULL;
}

static bool is_type(u64 type)
{
	return type <= TYPE_WRITEBACK && type != 2 && type != 3;
}

static bool is_valid(u32 index, u64 value)
{
	if (index == MTRR_DEFAULT_TYPE)
		return !(value & ~(TYPE_MASK | DEFAULT_FIXED | DEFAULT_ON)) &&
		       is_type(value & TYPE_MASK);
	for (unsigned i = 0; i < FIXED_BYTES; i++) {
		if (!is_type(value >> (8 * i) & TYPE_MASK))
			return false;
	}
	return true;
}

bool mtrr_read(struct mtrrs *mtrrs, u32 index, u64 *value)
{
	const u64 *place = mtrr_find(mtrrs, index);

	if (place)
		*value = *place;
	else if (index == MTRR_CAP)
		*value = CAP_FIXED;
	return place || index == MTRR_CAP;
}

bool mtrr_write(struct mtrrs *mtrrs, u32 index, u64 value)
{
	u64 *place = mtrr_find(mtrrs, index);

	if (!place || !is_valid(index, value))
		return false;
	*place = value;
	return true;
}
