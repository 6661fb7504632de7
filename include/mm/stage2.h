/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage2.h: a secondary MMU in the CPU's own format, derived lazily from an address space.
 */
#ifndef SAMEPAGE_MM_STAGE2_H
#define SAMEPAGE_MM_STAGE2_H

#include <arch/addr.h>
#include <arch/pgtable.h>
#include <lib/types.h>
#include <mm/fault.h>
#include <mm/notifier.h>

struct addrspace;
struct stage2;

/* A secondary MMU of this address space in the back end's format. ERR_NO_MEMORY. */
int stage2_create(struct addrspace *as, const struct pgtable_format *format,
		  struct stage2 **out) __must_check;
/* No CPU is inside it any more. */
void stage2_destroy(struct stage2 *s2);
struct hpa stage2_root(const struct stage2 *s2);

/*
 * An address space may have several stage 2s, its views: same frames, different rights. In this one
 * the range allows at most `rights` (PT_RWX bits; PT_RWX ends the limit of exactly that range); a
 * fault beyond is FAULT_DENIED, and hv may switch the vCPU to another view. What is mapped is
 * dropped and comes back by faults. ERR_INVALID: empty, wraps, overlaps another limit, or rights
 * the format cannot express; ERR_NO_MEMORY: more than 8. Takes LOCK_MMU.
 */
int stage2_view_restrict(struct stage2 *s2, struct gfn_range range, unsigned rights) __must_check;

/*
 * The entries of a page-modification log (SDM vol. 3C, 28.3.6): these pages become soft-dirty. Bits
 * 11:0 are ignored. Takes LOCK_MMU.
 */
void dirty_log_pml(struct stage2 *s2, const struct gpa *written, unsigned count);

/* Counters since its creation. */
struct stage2_stats {
	u64 faults, retries_reentered, retries_inplace;
	u64 drops, changed, moot, established;
	u64 ahead; /* pages mapped by the fault of another */
	u64 flushes, kicks, flushes_put_off, flushes_avoided;
	u64 outcome[FAULT_OUTCOMES]; /* of faults */
	u64 cause[EVENTS]; /* faults by the event that took the leaf or the right to write */
	u64 checks_avoided,
		checks_guessed; /* false retries that one number for all would have made; guesses */
	u64 tables;
};
void stage2_stats(struct stage2 *s2, struct stage2_stats *out);

#endif
