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

#include <lib/types.h>

struct stage2;

/*
 * The run loop's entry check: true when the caller must have the back end flush this CPU's
 * translations of `s2` before it enters. Called with interrupts off; followed by stage2_leave()
 * after the exit, before any lock is taken.
 */
bool stage2_enter(struct stage2 *s2) __must_check;
void stage2_leave(struct stage2 *s2);

/* Makes every CPU forget s2's translations, as above; returns when none holds one. May be called
 * under LOCK_MMU. */
void stage2_flush(struct stage2 *s2);

#endif
