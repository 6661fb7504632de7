/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c: exit qualifications, bit by bit.
 */
#include "decode.h"
#include <asm/regs.h>

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
