/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x2apic.h: the local APIC in x2APIC mode, where its registers are MSRs (SDM vol. 3A, 11.12), for
 * the test guests.
 */
#ifndef SAMEPAGE_GUEST_X2APIC_H
#define SAMEPAGE_GUEST_X2APIC_H

#include <guest.h>

#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_X2  BIT(10)
#define APIC_BASE_ON  BIT(11)

enum {
	X2APIC_FIRST = 0x800,
	X2APIC_TPR = 0x808,
	X2APIC_EOI = 0x80b,
	X2APIC_SVR = 0x80f,
	X2APIC_ICR = 0x830,
	X2APIC_LVT_TIMER = 0x832,
	X2APIC_INITIAL = 0x838,
	X2APIC_DIVIDE = 0x83e,
	X2APIC_SELF_IPI = 0x83f,
};

#define SVR_ENABLED  0x1ffu
#define DIVIDE_BY_1  0xbu
#define LVT_MASKED   (1u << 16)
#define LVT_PERIODIC (1u << 17)
#define LVT_DEADLINE (2u << 17)

/* x2APIC mode, and enabled by software. */
static inline void x2apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2);
	wrmsr(X2APIC_SVR, SVR_ENABLED);
}

/* lvt: mode and vector. A count of 0 stops it. */
static inline void x2apic_timer(u32 lvt, u32 divide, u32 count)
{
	wrmsr(X2APIC_DIVIDE, divide);
	wrmsr(X2APIC_LVT_TIMER, lvt);
	wrmsr(X2APIC_INITIAL, count);
}

#endif
