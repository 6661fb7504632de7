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

/*
 * What each CPU writes; a cache line each, because it writes s2 at every entry.
 *
 * s2		[a] the stage 2 that the CPU is inside of
 * flushes	[a] that the CPU sent, and how many other CPUs it waited for
 * taken	its own: the cause of the fault that it handles (mm/stage2/private.h)
 * breaks	its own: the stage 2 that it breaks a sharing for, in a fault; NULL: none, or that
 *		stage 2 has the leaf by now, and it allows every access
 */
struct stage2_inside {
	struct stage2 *s2;
	u64 flushes, waited, taken;
	struct stage2 *breaks;
} __aligned(64);

extern struct stage2_inside stage2_inside[ARCH_CPUS_MAX];

/* What a CPU's entry check reads and writes, found once a turn: every exit pays for the check. */
struct stage2_gate {
	struct stage2 *s2;
	struct stage2 **inside;
	u64 *seen;
};

static __always_inline struct stage2_gate stage2_gate(struct stage2 *s2)
{
	struct stage2_tlb *tlb = (struct stage2_tlb *)s2;
	unsigned cpu = arch_cpu_id();

	arch_guest_place((void **)&stage2_inside[cpu].s2);
	return (struct stage2_gate){s2, &stage2_inside[cpu].s2, &tlb->seen[cpu]};
}

/*
 * The entry check of the run loop, with interrupts off:
 *
 *     stage2_enter()        a full barrier, which pairs with the flusher's; kicks interrupt the CPU
 *     stage2_is_behind()    true: the back end flushes this CPU's translations before it enters
 *
 * stage2_leave() follows, after the exit and before any lock is taken.
 */
static __always_inline void stage2_enter(const struct stage2_gate *gate)
{
	arch_guest_enter((void **)gate->inside, gate->s2);
}

static __always_inline bool __must_check stage2_is_behind(const struct stage2_gate *gate)
{
	const struct stage2_tlb *tlb = (const struct stage2_tlb *)gate->s2;
	u64 generation = ck_pr_load_64(&tlb->generation);

	if (likely(*gate->seen == generation))
		return false;
	ck_pr_store_64(gate->seen, generation);
	return true;
}

static __always_inline void stage2_leave(const struct stage2_gate *gate)
{
	DEBUG_CHECK(*gate->inside == gate->s2);
	ck_pr_fence_release();
	arch_guest_leave((void **)gate->inside);
}

/*
 * Begins a flush: a CPU outside flushes itself at its next entry, one inside is neither kicked nor
 * waited for. Returns the generation. stage2_flush_ended: has each CPU left or seen it?
 * stage2_flush_hurry: kicks those that have not; one that never exits by itself would keep it open.
 */
u64 stage2_flush_begin(struct stage2 *s2);
bool stage2_flush_ended(struct stage2 *s2, u64 generation);
void stage2_flush_hurry(struct stage2 *s2, u64 generation);

/* The flushes that a CPU has sent, and the CPUs that it waited for. Any context. */
void stage2_cpu_flushes(unsigned cpu, u64 *flushes, u64 *waited);

/* Flushes s2's translations on every CPU; returns when none holds one. May hold LOCK_MMU. */
void stage2_flush(struct stage2 *s2);

#endif
