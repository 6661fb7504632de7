/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.h: frees the frames of pages that are not in use, and keeps their content compressed.
 *
 *     private --addrspace_reclaim()--> reclaimed: no frame, a token --next access--> private again
 *
 * VMs may have more memory together than the machine. When frames run out, a page that was not
 * accessed for a while can do without one; a page of zeroes costs nothing to keep, others half of
 * their size at most.
 *
 * Invariants:
 * RECLAIM-1  A page reads after it has come back as it read before it went, and keeps its right to
 *            write and its soft-dirty mark.
 * RECLAIM-2  A write during a reclaim is never lost: the page stays.
 * RECLAIM-3  Each reclaimed PTE owns its token: the store keeps as many pages as there are such
 *            PTEs (but for zeroes).
 */
#ifndef SAMEPAGE_MM_RECLAIM_H
#define SAMEPAGE_MM_RECLAIM_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;

/*
 * Frees the frames of the range's private pages; *done is how many. Passed over: pages that are
 * not private, are pinned, are being changed, were written meanwhile, or do not compress.
 * ERR_NO_MEMORY: a page could not be kept, and the call ended there; ERR_INVALID, ERR_RANGE,
 * ERR_REENTRANT: no effect.
 * Events PROTECT_PAGE or PROTECT_RANGE, and RECLAIM, for 32 pages at a time. Takes LOCK_MMU,
 * LOCK_STORE.
 */
int addrspace_reclaim(struct addrspace *as, struct gfn_range range, u64 *done) __must_check;

/*
 * Reclaims about `pages` pages that were not accessed since the hand last passed them: it goes
 * round the address space as in a clock, and an accessed page has until the next round. Ends with
 * the round, or after RECLAIM_LOOKS pages of any state, since the caller handles a fault; the next
 * call goes on from there. Returns how many.
 */
#define RECLAIM_LOOKS 2048u
u64 reclaim_cold(struct addrspace *as, u64 pages);

/*
 * Sets a few frames aside, so that pages can be kept when there is no free frame; frees them.
 */
int reclaim_init(void) __must_check;
void reclaim_fini(void);

/*
 * Since the start, over all address spaces. kept, bytes: what is kept now, pages of zeroes not
 * counted.
 */
struct reclaim_stats {
	u64 reclaimed, zeroes, restored;
	u64 incompressible, lost_races;
	u64 kept, bytes;
};
void reclaim_stats(struct reclaim_stats *out);

#endif
