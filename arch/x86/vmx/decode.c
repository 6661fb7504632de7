/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c: exit qualifications, bit by bit.
 */
#include "decode.h"
#include <asm/regs.h>

/* Contributory exceptions (SDM vol. 3A table 6-4); #PF is a class of its own. */
#define CONTRIBUTORY                                                                          \
	(BIT(VECTOR_DE) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | BIT(VECTOR_GP) | \
	 BIT(VECTOR_CP))

bool vmx_decode_cr(u64 qualification, struct hv_exit_cr *cr)
{
	unsigned type = qualification >> 4 & BITS(1, 0);

	cr->cr = qualification & BITS(3, 0);
	cr->write = type == 0;
	cr->gpr = qualification >> 8 & BITS(3, 0);
	cr->has_value = type == 0;
	cr->value = 0;
	return type == 0 ? cr->cr == 0 || cr->cr == 4 || cr->cr == 8 : type == 1 && cr->cr == 8;
}

/* B0-B3 say what hit this time; BD, BS and BT pile up until the guest clears them. */
u64 vmx_debug_status(u64 dr6, u64 qualification)
{
	return (dr6 & ~BITS(3, 0)) | (qualification & (BITS(3, 0) | BITS(14, 13)));
}

static bool contributory(unsigned vector)
{
	return CONTRIBUTORY >> vector & 1;
}

unsigned vmx_merge_exceptions(unsigned first, unsigned second)
{
	bool second_faults = contributory(second) || second == VECTOR_PF;

	if (first == VECTOR_DF && second_faults)
		return VMX_MERGED_TO_SHUTDOWN;
	if (contributory(first) && contributory(second))
		return VECTOR_DF;
	return first == VECTOR_PF && second_faults ? VECTOR_DF : second;
}
