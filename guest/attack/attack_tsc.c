/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_tsc.c: timers of the local APIC against a TSC that was set back, or far ahead, and a spin:
 * a deadline of the guest that has no host tick, or one in the past, must not keep the CPU.
 *
 *     ahead       the TSC just below 2^64, a periodic timer of one tick
 *     one_shot    a count instead of a TSC deadline
 */
#include <guest.h>

enum {
	MSR_TSC = 0x10,
	MSR_APIC_BASE = 0x1b,
	MSR_TSC_DEADLINE = 0x6e0,
	X2APIC_SVR = 0x80f,
	X2APIC_LVT_TIMER = 0x832,
	X2APIC_INITIAL = 0x838,
	X2APIC_DIVIDE = 0x83e,
};

#define LVT_MASKED   (1u << 16)
#define LVT_PERIODIC (1u << 17)
#define LVT_DEADLINE (2u << 17)

static void arm(u32 lvt, u32 divide, u32 count)
{
	wrmsr(X2APIC_DIVIDE, divide);
	wrmsr(X2APIC_LVT_TIMER, lvt | LVT_MASKED | 40);
	wrmsr(X2APIC_INITIAL, count);
}

void guest_main(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(10));
	wrmsr(X2APIC_SVR, 0x1ff);
	wrmsr(MSR_TSC, option("ahead") ? -1000ul : 0);
	if (option("ahead")) {
		arm(LVT_PERIODIC, 0xb, 1);
	} else if (option("one_shot")) {
		arm(0, 0xa, ~0u);
	} else {
		arm(LVT_DEADLINE, 0xb, 0);
		wrmsr(MSR_TSC_DEADLINE, 1ul << 62);
	}
	print("spins\n");
	for (;;)
		asm volatile("" : : : "memory");
}
