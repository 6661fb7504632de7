/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_tsc.c: timers of the local APIC against a TSC that was set back, or far ahead, and a spin:
 * a deadline of the guest that has no host tick, or one in the past, must not keep the CPU.
 *
 *     ahead       the TSC just below 2^64, a periodic timer of one tick
 *     one_shot    a count instead of a TSC deadline
 */
#include <guest.h>
#include <x2apic.h>

#define MSR_TSC		 0x10
#define MSR_TSC_DEADLINE 0x6e0

static void arm(u32 lvt, u32 divide, u32 count)
{
	x2apic_timer(lvt | LVT_MASKED | 40, divide, count);
}

void guest_main(void)
{
	x2apic_enable();
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
