/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h: exit qualifications as pure functions (SDM 28.2.1).
 */
#ifndef SAMEPAGE_VMX_DECODE_H
#define SAMEPAGE_VMX_DECODE_H

#include <arch/exit.h>
#include <lib/types.h>

/* Table 28-5. Leaves `address` alone: it is in a field of its own. */
static inline void vmx_decode_io(u64 qualification, struct hv_exit_pio *pio)
{
	pio->size = (qualification & BITS(2, 0)) + 1;
	pio->in = qualification & BIT(3);
	pio->string = qualification & BIT(4);
	pio->port = qualification >> 16;
}

/*
 * Table 28-7. Leaves gpa alone. Bits 0-2 are the access, 3-5 what the entries on the way allowed, 7
 * says that there is a linear address, and 8 that the gpa is its own translation and not a guest
 * page table's. With A/D bits on, the CPU's walk of the guest's tables counts as a write too:
 * the manual sets bits 0 and 1 then, Bochs 2.7 only bit 1.
 */
static inline void vmx_decode_ept_violation(u64 qualification, struct hv_exit_stage2 *fault)
{
	fault->access = qualification & BITS(2, 0);
	fault->table_walk = false;
	if (unlikely((qualification & BITS(8, 7)) == BIT(7))) {
		fault->access |= HV_READ;
		fault->table_walk = true;
	}
}

/* Table 28-2. */
static inline void vmx_decode_task(u64 qualification, struct hv_exit_task *task)
{
	task->selector = (u16)qualification;
	task->source = qualification >> 30 & BITS(1, 0);
}

/* Table 28-3. False for CLTS and LMSW, which cannot exit (cr.c), and for other CRs. */
bool vmx_decode_cr(u64 qualification, struct hv_exit_cr *cr);

/* DR6 as #DB leaves it, from DR6 before and the qualification (table 28-1). */
u64 vmx_debug_status(u64 dr6, u64 qualification);

#endif
