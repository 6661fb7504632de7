/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.h: frames of pages that nobody touches, taken back while their content is kept
 * compressed.
 *
 *     private --addrspace_reclaim()--> reclaimed: no frame, a token --next touch--> private, the same content
 *
 * Why: VMs may be promised more memory than there is. When it runs out, a page that was not touched
 * for a while can do without its frame; a page of zeroes costs nothing to keep, others a half of
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
 * Takes the frames of the range's private pages; *done is how many. Passed over: what is not
 * private, is pinned, being changed, written meanwhile, or does not compress. ERR_NO_MEMORY: one
 * could not be kept, and that ended it; ERR_INVALID, ERR_RANGE, ERR_REENTRANT: nothing changed.
 * Events PROTECT_PAGE or PROTECT_RANGE, and RECLAIM, for 32 pages at a time. Takes LOCK_MMU,
 * LOCK_STORE.
 */
int addrspace_reclaim(struct addrspace *as, struct gfn_range range, u64 *done) __must_check;

/*
 * Reclaims about `want` pages that were not touched since it last came by, going round the address
 * space like the hand of a clock: a page that was touched gets until the next round. Ends with the
 * round, or after RECLAIM_LOOKS pages, of whatever state: whoever asked is in the middle of a
 * fault, and the next call goes on from there. Returns how many.
 */
#define RECLAIM_LOOKS 2048u
u64 reclaim_cold(struct addrspace *as, u64 want);

/*
 * Sets a few frames aside, so that there is room to reclaim in when there is no frame left; and
 * gives them back.
 */
int reclaim_init(void) __must_check;
void reclaim_fini(void);

/*
 * Since the start, over all address spaces; and what is kept now, in pages (without those of
 * zeroes) and bytes.
 */
struct reclaim_stats {
	u64 reclaimed, zeroes, restored;
	u64 incompressible, lost_races;
	u64 kept, bytes;
};
void reclaim_stats(struct reclaim_stats *out);

#endif
