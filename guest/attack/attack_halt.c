/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_halt.c: a guest that sleeps for moments. Each of its wake-ups makes the hypervisor switch
 * to it and back, and the guest beside it must have its share of the CPU all the same (RUN-5).
 *
 *     ticks=N     of the TSC, from one wake-up to the next
 *     measure     be the one beside it: do a fixed amount of work, and look how long it took; at
 *                 most times=N times as long as alone, in tenths
 */
#include <guest.h>
#include <x2apic.h>

#define VECTOR 40
#define WORK   1000000u

static u64 time_of(u64 work)
{
	u64 begun = rdtsc();

	for (u64 i = 0; i < work; i++)
		asm volatile("" : : : "memory");
	return rdtsc() - begun;
}

/* A short piece is done within a turn. */
static void measure(void)
{
	u64 pieces = option_number("pieces", 60), alone = ~0ul, all = 0, times;

	for (u64 i = 0; i < 20; i++) {
		u64 piece = time_of(WORK / 1000);

		alone = piece < alone ? piece : alone;
	}
	for (u64 i = 0; i < pieces; i++)
		all += time_of(WORK);
	times = all * 10 / (alone * 1000 * pieces);
	check(times <= option_number("times", 25), "its work takes %lu.%lu times as long as alone",
	      times / 10, times % 10);
}

void guest_main(void)
{
	if (option("measure")) {
		measure();
		return;
	}
	x2apic_enable();
	x2apic_timer(LVT_PERIODIC | VECTOR, DIVIDE_BY_1, (u32)option_number("ticks", 10000));
	print("sleeps\n");
	for (;;) {
		asm volatile("sti; hlt; cli" : : : "memory");
		wrmsr(X2APIC_EOI, 0);
	}
}
