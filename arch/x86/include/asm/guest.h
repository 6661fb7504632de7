/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h: rules of a guest CPU that hold on both back ends: valid registers, exceptions, the state
 * after RESET.
 */
#ifndef SAMEPAGE_ASM_GUEST_H
#define SAMEPAGE_ASM_GUEST_H

#include <arch/regs.h>
#include <arch/virt.h>
#include <lib/types.h>

#define GUEST_LINEAR_BITS 48

/* Sign-extended from bit 47. */
static inline bool guest_canonical(u64 address)
{
	unsigned rest = 64 - GUEST_LINEAR_BITS;

	return (u64)((s64)(address << rest) >> rest) == address;
}

/* Reserved upper half, PG without PE, NW without CD (SDM vol. 3A 2.5). */
static inline bool guest_cr0_valid(u64 cr0)
{
	if (cr0 >> 32 || ((cr0 & CR0_PG) && !(cr0 & CR0_PE)))
		return false;
	return (cr0 & CR0_CD) || !(cr0 & CR0_NW);
}

/* No reserved memory type among the eight (SDM vol. 3A table 12-10, APM vol. 2 7.8.2). */
bool guest_pat_valid(u64 pat);

/* Does it push an error code in protected mode (SDM vol. 3A table 6-1)? Not #CP: no CET. */
bool guest_exception_has_error(unsigned vector);

/*
 * Is it a fault? Its saved image of RFLAGS has RF set, so that a breakpoint on the instruction does
 * not hit twice (SDM vol. 3B 18.3.1.1). #DB counts as a trap.
 */
bool guest_exception_is_fault(unsigned vector);

/*
 * The exception to deliver when `second` is raised in the delivery of `first` (SDM vol. 3A table
 * 6-5, APM vol. 2 8.2.9); GUEST_SHUTDOWN: none, the guest has shut down.
 */
#define GUEST_SHUTDOWN 32
unsigned guest_merge_exceptions(unsigned first, unsigned second);

/* DR0 to DR3 into the CPU and back. The hypervisor uses none. */
void guest_load_breakpoints(const u64 dr[4]);
void guest_save_breakpoints(u64 dr[4]);

/* SDM vol. 3A table 10-1, APM vol. 2 table 14-1: real mode at f000:fff0, caches off. */
extern const struct guest_state guest_reset_state;

#endif
