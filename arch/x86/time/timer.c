/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c: the local APIC's timer as an alarm clock (SDM vol. 3A, 11.5.4).
 *
 * With TSC deadline the alarm is one MSR write. Else the timer counts down at a rate of its own,
 * measured against the TSC once; an interrupt that comes early, by that rate's error or because 32
 * bits reach no further, arms the rest. The clock also identifies an interrupt that was pending
 * when another deadline was armed.
 */
#define LOG_THIS LOG_CPU

#include <arch/cpu.h>
#include <asm/apic.h>
#include <asm/apic_regs.h>
#include <asm/cpuid.h>
#include <asm/insn.h>
#include <asm/irq.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/time.h>
#include <lib/log.h>

#define DIVIDE_BY_1 0xb
#define MEASURE	    1000000 /* counts: 1 ms at 1 GHz, 40 ms at 25 MHz */
#define ROUNDS	    100000000
#define RATIO_SHIFT 32

/* [I] after apic_timer_init() */
static bool has_deadline;
static u64 counts_per_tick; /* fixed point, RATIO_SHIFT binary places */

static struct time_bounds count_down(void)
{
	u64 before, started, last;

	before = tsc_read();
	apic_write(APIC_TIMER_INITIAL, MEASURE);
	last = started = tsc_read();
	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 now = tsc_read();
		bool over = apic_read(APIC_TIMER_CURRENT) == 0;

		if (over && i)
			return (struct time_bounds){last - started, tsc_read() - before};
		if (over)
			break;
		last = now; /* read before it was found running: it was running then */
	}
	return TIME_UNKNOWN;
}

void apic_timer_init(void)
{
	u64 ticks;

	has_deadline = cpuid_has(CPUID_TSC_DEADLINE);
	if (has_deadline) {
		log_info("timer: TSC deadline");
		return;
	}
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	ticks = time_measure(count_down);
	if (!ticks)
		panic("the local APIC's timer does not count");
	counts_per_tick = ((u64)MEASURE << RATIO_SHIFT) / ticks;
	log_info("timer: APIC at %lu MHz", arch_ticks_per_second() / ticks * MEASURE / 1000000);
}

static void start_count(u64 deadline)
{
	u64 now = tsc_read();
	u64 ticks = deadline > now ? deadline - now : 0;
	u64 counts = MIN(ticks, (u64)UINT32_MAX) * counts_per_tick >> RATIO_SHIFT;

	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, (u32)MAX(MIN(counts, (u64)UINT32_MAX), 1ull));
}

void apic_timer_interrupt(void)
{
	struct percpu *cpu = percpu();

	if (tsc_read() >= cpu->timer_deadline)
		cpu->timer_deadline = TICK_NEVER;
	else if (!has_deadline && cpu->timer_deadline != TICK_NEVER)
		start_count(cpu->timer_deadline);
}

void apic_timer_arm(u64 deadline)
{
	struct percpu *cpu = percpu();

	cpu->timer_deadline = deadline;
	if (!has_deadline) {
		start_count(deadline);
		return;
	}
	apic_write(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
	/* The LVT write must reach the APIC before the deadline (SDM vol. 3A, 11.5.4.1). */
	asm volatile("mfence" : : : "memory");
	wrmsr(MSR_TSC_DEADLINE, MAX(deadline, 1ull)); /* 0 disarms */
}

void apic_timer_disarm(void)
{
	struct percpu *cpu = percpu();

	cpu->timer_deadline = TICK_NEVER;
	if (has_deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else
		apic_write(APIC_TIMER_INITIAL, 0);
}

void arch_alarm(u64 deadline)
{
	apic_timer_arm(deadline);
}
