/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h: may a guest have this state? The rules of VM entry, and of the registers themselves.
 */
#ifndef SAMEPAGE_VMX_CHECK_H
#define SAMEPAGE_VMX_CHECK_H

#include <arch/regs.h>
#include <arch/virt.h>
#include <lib/types.h>

struct vmx_limits {
	u64 cr4_allowed;
	unsigned physical_bits; /* width of a guest-physical address */
};

/* Is `pdpte` in use? */
static inline bool vmx_has_pdptes(const struct guest_state *s)
{
	return s->cr0 & CR0_PG && s->cr4 & CR4_PAE && !(s->efer & EFER_LMA);
}

/* The name of the first rule that `s` breaks, NULL when it keeps them all. Pure. */
const char *vmx_check_state(const struct guest_state *s, const struct vmx_limits *limits);

#endif
