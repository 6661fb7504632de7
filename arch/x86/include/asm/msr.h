/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr.h: model-specific registers: their indexes, the bits this project uses, and reading and
 * writing them.
 *
 * rdmsr and wrmsr are for registers that CPUID promises. The _safe pair survives the #GP of one
 * that is not there (Bochs' ryzen raises it for VM_CR): the trap handler looks the faulting
 * instruction up in the .extable section.
 */
#ifndef SAMEPAGE_ASM_MSR_H
#define SAMEPAGE_ASM_MSR_H

#include <asm/extable.h>
#include <lib/types.h>

enum msr_index {
	MSR_TSC = 0x10,
	MSR_APIC_BASE = 0x1b,
	MSR_FEATURE_CONTROL = 0x3a,
	MSR_TSC_ADJUST = 0x3b,
	MSR_SPEC_CTRL = 0x48,
	MSR_PRED_CMD = 0x49,
	MSR_BIOS_SIGN_ID = 0x8b,
	MSR_MTRR_CAP = 0xfe,
	MSR_ARCH_CAPABILITIES = 0x10a,
	MSR_SYSENTER_CS = 0x174,
	MSR_SYSENTER_ESP = 0x175,
	MSR_SYSENTER_EIP = 0x176,
	MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_DEBUGCTL = 0x1d9,
	MSR_PAT = 0x277,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MSR_VMX_BASIC = 0x480, /* .. 0x491: the VMX capability MSRs, named in arch/x86/vmx */
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC_BASE = 0x800,
	MSR_XSS = 0xda0,
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_CSTAR = 0xc0000083,
	MSR_SFMASK = 0xc0000084,
	MSR_FS_BASE = 0xc0000100,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
	MSR_TSC_AUX = 0xc0000103,
	MSR_AMD_TSC_RATIO = 0xc0000104,
	MSR_AMD_HWCR = 0xc0010015,
	MSR_AMD_VM_CR = 0xc0010114,
	MSR_AMD_IGNNE = 0xc0010115,
	MSR_AMD_VM_HSAVE_PA = 0xc0010117,
};

/* The PAT at reset, SDM vol. 3A 12.12.4, APM vol. 2 7.8.2. */
#define PAT_RESET 0x0007040600070406ull

static inline u64 rdmsr(u32 index)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 index, u64 value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

/* False when the register raised #GP; *value is then untouched. */
static inline bool rdmsr_safe(u32 index, u64 *value)
{
	u32 low = 0, high = 0;
	u8 fault = 1;

	asm volatile("1:	rdmsr\n"
		     "	movb	$0, %[fault]\n"
		     "2:\n" EXTABLE("1b", "2b")
		     : "=a"(low), "=d"(high), [fault] "+r"(fault)
		     : "c"(index));
	if (!fault)
		*value = (u64)high << 32 | low;
	return !fault;
}

static inline bool wrmsr_safe(u32 index, u64 value)
{
	u8 fault = 1;

	asm volatile("1:	wrmsr\n"
		     "	movb	$0, %[fault]\n"
		     "2:\n" EXTABLE("1b", "2b")
		     : [fault] "+r"(fault)
		     : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory");
	return !fault;
}

#endif
