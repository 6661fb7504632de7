/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peek.h: guest memory, read as the guest itself reads it: through a stage 2, without a lock.
 *
 * A pointer from stage2_peek() is one more cached translation of the stage 2, beside the CPU's TLB,
 * and follows the protocol of tlb.h: it is used inside the stage 2 alone, and only while the
 * generation is that from before the look-up.
 *
 *     CPU c                                  flusher
 *     -----                                  -------
 *     inside[c] = s2                         change PTEs
 *     full barrier                           generation++
 *     generation as before: read             full barrier
 *     inside[c] = NULL                       waits for c: inside, and behind
 *
 * Invariants:
 * PEEK-1  Between a stage2_peek_begin() that returned true and its stage2_peek_end(), the frame
 *         behind the pointer is the guest's page, or has that page's content.
 */
#ifndef SAMEPAGE_MM_PEEK_H
#define SAMEPAGE_MM_PEEK_H

#include <mm/tlb.h>

static __always_inline u64 stage2_peek_generation(const struct stage2 *s2)
{
	u64 generation = ck_pr_load_64(&((const struct stage2_tlb *)s2)->generation);

	ck_pr_fence_load(); /* pairs with stage2_flush_begin(): look-ups follow */
	return generation;
}

/* The byte at gpa, or NULL: the stage 2 maps no memory there that can be read. Takes LOCK_MMU. */
const void *stage2_peek(struct stage2 *s2, struct gpa gpa);

/*
 * False: pointers from `generation` may be old. Interrupts are off; no lock until the end. gate: of
 * this CPU.
 */
static __always_inline bool __must_check stage2_peek_begin(const struct stage2_gate *gate,
							   u64 generation)
{
	stage2_enter(gate); /* a full barrier, which pairs with the one of stage2_flush_begin() */
	if (likely(ck_pr_load_64(&((struct stage2_tlb *)gate->s2)->generation) == generation))
		return true;
	stage2_leave(gate);
	return false;
}

static __always_inline void stage2_peek_end(const struct stage2_gate *gate)
{
	stage2_leave(gate);
}

#endif
