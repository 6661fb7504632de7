/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cr.c: control registers.
 *
 * A guest owns every bit of CR0 and CR4 that cannot hurt the host, so CR0.PG, PE,
 * TS, CR4.PAE and CR3 change without an exit and the CPU itself loads PDPTEs, sets EFER.LMA and
 * flushes. An exit comes only when an owned bit (CR0_OWNED, CR4_OWNED, or one that guests may not
 * have) would differ from the read shadow. Such a write is checked here and its owned bits are put
 * into the shadow; then the guest runs the same instruction again, which does all the rest in
 * hardware. So LMSW and CLTS never exit, and PDPTEs are read in software for a
 * task switch alone.
 */
#include "vmx.h"
#include <asm/guest.h>
#include <asm/regs.h>
#include <lib/error.h>

static bool cr4_valid(u64 value)
{
	return !(value & ~(CR4_GUEST & vmx_caps.cr4_fixed1));
}

int vmx_write_cr(struct arch_vcpu *vcpu, unsigned cr, u64 value)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before;

	if (!(cr == 0 && guest_cr0_valid(value)) && !(cr == 4 && cr4_valid(value)))
		return ERR_INVALID;
	before = vmx_borrow(v);
	if (cr == 0)
		vmcs_write(VMCS_CR0_READ_SHADOW, value & CR0_OWNED);
	else
		vmcs_write(VMCS_CR4_READ_SHADOW, value & CR4_OWNED);
	vmx_return(v, before);
	return 0;
}
