/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apic_regs.h: the local APIC's registers (SDM vol. 3A, table 11-1), for the files that drive it.
 */
#ifndef SAMEPAGE_ASM_APIC_REGS_H
#define SAMEPAGE_ASM_APIC_REGS_H

#include <lib/types.h>

enum apic_register {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ICR_LOW = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

#define LVT_MASKED	 BIT(16)
#define LVT_TSC_DEADLINE BIT(18)

#define APIC_BASE_ENABLE  BIT(11)
#define APIC_BASE_X2APIC  BIT(10)
#define APIC_BASE_ADDRESS BITS(51, 12)

u32 apic_read(unsigned offset);
void apic_write(unsigned offset, u32 value);

#endif
