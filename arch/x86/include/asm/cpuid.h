/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid.h: the CPUID instruction.
 */
#ifndef SAMEPAGE_ASM_CPUID_H
#define SAMEPAGE_ASM_CPUID_H

#include <lib/types.h>

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

/* Does the CPU have this leaf? Leaves come in ranges, each of which says its last in EAX of its
 * first. */
static inline bool cpuid_has_leaf(u32 leaf)
{
	struct cpuid_regs r = cpuid(leaf & 0xffff0000, 0);

	return r.eax >= leaf && (r.eax & 0xffff0000) == (leaf & 0xffff0000);
}

#endif
