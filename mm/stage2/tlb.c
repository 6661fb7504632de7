/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlb.c: remote flushes by generation. tlb.h draws the protocol.
 *
 * Invariants:
 * TLB-1  When stage2_flush() returns, no CPU uses a translation of s2 made from PTEs as they were
 *	  before the call.
 * TLB-2  A CPU that is not inside s2 is never kicked for it.
 * TLB-3  The flusher never waits for a CPU that waits for a lock: a CPU leaves before it takes one.
 */
#include <mm/tlb.h>
#include <arch/cpu.h>
#include <lib/log.h>
#include <trace/trace.h>
#include "mm/stage2/private.h"

struct stage2_inside stage2_inside[ARCH_CPUS_MAX];

_Static_assert(offsetof(struct stage2, tlb) == 0, "stage2_gate() finds it there");

/* Can `cpu` use a translation from before `generation`? */
static bool lags(struct stage2 *s2, unsigned cpu, u64 generation)
{
	return ck_pr_load_ptr(&stage2_inside[cpu].s2) == s2 &&
	       ck_pr_load_64(&s2->tlb.seen[cpu]) < generation;
}

void stage2_cpu_flushes(unsigned cpu, u64 *flushes, u64 *waited)
{
	*flushes = ck_pr_load_64(&stage2_inside[cpu].flushes);
	*waited = ck_pr_load_64(&stage2_inside[cpu].waited);
}

u64 stage2_flush_begin(struct stage2 *s2)
{
	ck_pr_inc_64(&s2->counters.flushes);
	arch_local_add_64(&stage2_inside[arch_cpu_id()].flushes, 1);
	/* A full barrier, which pairs with the one of stage2_enter(). */
	return ck_pr_faa_64(&s2->tlb.generation, 1) + 1;
}

bool stage2_flush_ended(struct stage2 *s2, u64 generation)
{
	unsigned cpus = arch_cpu_count();

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		if (lags(s2, cpu, generation))
			return false;
	return true;
}

static __cold void kick(struct stage2 *s2, unsigned cpu, u64 generation)
{
	ck_pr_inc_64(&s2->counters.kicks);
	arch_cpu_kick(cpu);
	TRACE(kick, s2->as->id, .generation = generation, .cpu = (u16)cpu);
}

void stage2_flush_hurry(struct stage2 *s2, u64 generation)
{
	unsigned cpus = arch_cpu_count();

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		if (lags(s2, cpu, generation))
			kick(s2, cpu, generation);
}

/* Kicks the CPUs from `cpu` on that lag, and waits for them. Returns how many. */
static __cold unsigned kick_and_wait(struct stage2 *s2, unsigned cpu, u64 generation)
{
	unsigned cpus = arch_cpu_count(), kicked = 0;

	for (; cpu < cpus; cpu++)
		if (lags(s2, cpu, generation)) {
			kick(s2, cpu, generation);
			kicked++;
		}
	for (cpu = 0; kicked && cpu < cpus; cpu++)
		while (lags(s2, cpu, generation))
			arch_cpu_relax();
	arch_local_add_64(&stage2_inside[arch_cpu_id()].waited, kicked);
	return kicked;
}

/* Waits until no CPU lags. Returns how many were kicked. */
static __always_inline unsigned await_all(struct stage2 *s2, u64 generation)
{
	unsigned cpus = arch_cpu_count();

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		if (unlikely(lags(s2, cpu, generation)))
			return kick_and_wait(s2, cpu, generation);
	return 0;
}

static __noinline void flush_traced(struct stage2 *s2)
{
	u64 begun = arch_ticks(), generation = stage2_flush_begin(s2);
	unsigned kicked = await_all(s2, generation);

	TRACE(flush, s2->as->id, .generation = generation, .waited = arch_ticks() - begun,
	      .kicks = (u16)kicked);
}

void stage2_flush(struct stage2 *s2)
{
	if (IS_ENABLED(CONFIG_BREAK_FLUSH))
		return;
	if (TRACE_ON(flush))
		flush_traced(s2);
	else
		(void)await_all(s2, stage2_flush_begin(s2));
}
