/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlb.h: remote flushes of second-level translations, by generation.
 *
 * A CPU can hold translations of a stage 2 only while it is inside a guest that uses it, or until
 * it passes its next entry check, whichever is later. So a flush raises the stage 2's generation; a
 * CPU that is outside notices at its next entry and flushes itself, for free; only CPUs inside are
 * kicked, and waited for until they have left.
 *
 *     flusher                                CPU c
 *     -------                                -----
 *     change PTEs                            inside[c] = s2
 *     generation++                           full barrier (pairs with the flusher's)
 *     full barrier                           if seen[c] != generation: flush, seen[c] = generation
 *     for c with inside[c] == s2             enter guest ... exit
 *       and seen[c] != generation: kick c    inside[c] = NULL (release)
 *     wait until each has left or has seen
 *
 * A CPU takes no lock between its exit and `inside[c] = NULL`, so waiting under a lock cannot
 * deadlock.
 */
#ifndef SAMEPAGE_MM_TLB_H
#define SAMEPAGE_MM_TLB_H

#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/log.h>
#include <lib/types.h>

struct stage2;

/*
 * The head of struct stage2. generation: raised by each flush; seen: by CPU, the last generation
 * that it has flushed for. Both [a].
 */
struct stage2_tlb {
	u64 generation;
	u64 seen[ARCH_CPUS_MAX];
};

/* Which stage 2 each CPU is inside of; a cache line each, because each CPU writes its own at every
 * entry. [a] */
struct stage2_inside {
	struct stage2 *s2;
} __aligned(64);

extern struct stage2_inside stage2_inside[ARCH_CPUS_MAX];

/*
 * The run loop's entry check: true when the caller must have the back end flush this CPU's
 * translations of `s2` before it enters. Called with interrupts off; followed by stage2_leave()
 * after the exit, before any lock is taken. Inline: every exit pays for them.
 */
static __always_inline bool __must_check stage2_enter(struct stage2 *s2)
{
	struct stage2_tlb *tlb = (struct stage2_tlb *)s2;
	unsigned cpu = arch_cpu_id();
	u64 generation;

	ck_pr_store_ptr(&stage2_inside[cpu].s2, s2);
	ck_pr_fence_memory(); /* pairs with the faa in stage2_flush */
	generation = ck_pr_load_64(&tlb->generation);
	if (likely(tlb->seen[cpu] == generation))
		return false;
	ck_pr_store_64(&tlb->seen[cpu], generation);
	return true;
}

static __always_inline void stage2_leave(struct stage2 *s2)
{
	unsigned cpu = arch_cpu_id();

	DEBUG_CHECK(stage2_inside[cpu].s2 == s2);
	ck_pr_fence_release();
	ck_pr_store_ptr(&stage2_inside[cpu].s2, NULL);
}

/* Flushes s2's translations on every CPU; returns when none holds one. May hold LOCK_MMU. */
void stage2_flush(struct stage2 *s2);

#endif
