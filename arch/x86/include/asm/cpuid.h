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

/*
 * A feature as one number, so that it can be a constant and an argument: leaf, subleaf, register
 * and bit packed (SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E). For the features that the
 * hypervisor itself uses.
 */
enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

#define CPUID_FEATURE(leaf, subleaf, reg, bit) \
	((u64)(leaf) << 32 | (subleaf) << 16 | (reg) << 8 | (bit))

#define CPUID_VMX	    CPUID_FEATURE(1, 0, CPUID_ECX, 5)
#define CPUID_X2APIC	    CPUID_FEATURE(1, 0, CPUID_ECX, 21)
#define CPUID_TSC_DEADLINE  CPUID_FEATURE(1, 0, CPUID_ECX, 24)
#define CPUID_RDRAND	    CPUID_FEATURE(1, 0, CPUID_ECX, 30)
#define CPUID_HYPERVISOR    CPUID_FEATURE(1, 0, CPUID_ECX, 31)
#define CPUID_APIC	    CPUID_FEATURE(1, 0, CPUID_EDX, 9)
#define CPUID_PGE	    CPUID_FEATURE(1, 0, CPUID_EDX, 13)
#define CPUID_XSAVE	    CPUID_FEATURE(1, 0, CPUID_ECX, 26)
#define CPUID_FXSR	    CPUID_FEATURE(1, 0, CPUID_EDX, 24)
#define CPUID_SMEP	    CPUID_FEATURE(7, 0, CPUID_EBX, 7)
#define CPUID_ERMS	    CPUID_FEATURE(7, 0, CPUID_EBX, 9)
#define CPUID_SMAP	    CPUID_FEATURE(7, 0, CPUID_EBX, 20)
#define CPUID_UMIP	    CPUID_FEATURE(7, 0, CPUID_ECX, 2)
#define CPUID_NX	    CPUID_FEATURE(0x80000001, 0, CPUID_EDX, 20)
#define CPUID_PAGE_1G	    CPUID_FEATURE(0x80000001, 0, CPUID_EDX, 26)
#define CPUID_RDTSCP	    CPUID_FEATURE(0x80000001, 0, CPUID_EDX, 27)
#define CPUID_IBPB	    CPUID_FEATURE(7, 0, CPUID_EDX, 26)
#define CPUID_IBPB_AMD	    CPUID_FEATURE(0x80000008, 0, CPUID_EBX, 12)
#define CPUID_INVARIANT_TSC CPUID_FEATURE(0x80000007, 0, CPUID_EDX, 8)

/* Does this CPU have the feature? False when it has not even the leaf. */
static inline bool cpuid_has(u64 feature)
{
	u32 leaf = (u32)(feature >> 32);
	struct cpuid_regs r;
	u32 value[4];

	if (!cpuid_has_leaf(leaf))
		return false;
	r = cpuid(leaf, feature >> 16 & 0xffff);
	value[CPUID_EAX] = r.eax;
	value[CPUID_EBX] = r.ebx;
	value[CPUID_ECX] = r.ecx;
	value[CPUID_EDX] = r.edx;
	return value[feature >> 8 & 3] >> (feature & 31) & 1;
}

#endif
