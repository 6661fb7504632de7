/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty_log.h: which pages were written since the last collection: by guests through any view, by
 * device models, by mm itself.
 *
 * The answer is the soft-dirty bit of the primary PTE; the mode says how it comes to be set:
 *
 *     DIRTY_WRITE_PROTECT   the page is read-only everywhere until its first write, which faults
 *     DIRTY_BITS            stage 2 stays writable; the CPU sets D in its leaf, and a collection
 *                           gathers the D bits
 *     DIRTY_PML             as DIRTY_BITS, but the CPU also logs the pages where it sets D, so that
 *                           small leaves are not searched
 *
 * Invariants:
 * DIRTY-1  A write between two collections is in the second one's answer; in DIRTY_PML once the log
 *          has been drained.
 * DIRTY-2  A page that was not written since the last collection is not in the answer, unless it
 *          shared a large leaf that lost its D, or a block that was collapsed, with one that was.
 * DIRTY-3  dirty_log_collect_open(): a write is named by an answer given after it, at the latest
 *          by the first collection of the range after each CPU that was inside the guest has left.
 *          One that has not left by the next collection is kicked there, and not waited for.
 */
#ifndef SAMEPAGE_MM_DIRTY_LOG_H
#define SAMEPAGE_MM_DIRTY_LOG_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;

enum dirty_mode { DIRTY_WRITE_PROTECT, DIRTY_BITS, DIRTY_PML };

/*
 * From now on writes to the range are seen; for the address space the mode is one. ERR_INVALID,
 * ERR_RANGE, ERR_REENTRANT: nothing changed. Event SOFT_DIRTY. Takes LOCK_MMU. stop: back to
 * DIRTY_WRITE_PROTECT, which costs nothing without collections.
 */
int dirty_log_start(struct addrspace *as, struct gfn_range range,
		    enum dirty_mode mode) __must_check;
void dirty_log_stop(struct addrspace *as);
/*
 * May large leaves stay large while writes are logged? Then a write to one page of such a leaf is
 * in the answer for all of them, and a collection splits nothing. Default: no. Without effect in
 * DIRTY_WRITE_PROTECT. Takes LOCK_MMU; stop ends it.
 */
void dirty_log_coarse(struct addrspace *as, bool coarse);
/* The mode now; DIRTY_WRITE_PROTECT also before the first start. No lock. */
enum dirty_mode dirty_log_mode(const struct addrspace *as);

/*
 * Sets bit i of `bitmap` when gfn range.start + i was written since the last collection, clears the
 * others, and starts anew for those set; the others cause no event. `bitmap` has room for the
 * range, in whole words. Errors and locks as dirty_log_start.
 */
int dirty_log_collect(struct addrspace *as, struct gfn_range range, u64 *bitmap) __must_check;

/*
 * What a collection says that waits for no CPU; bit i of a map is gfn range.start + i.
 *
 * written	as of dirty_log_collect(), but what this collection finds may be named by the
 *		next alone, or again
 * open		a CPU may still write to it unnoticed, so it is in the answer of a later collection
 */
#define DIRTY_OPEN_MAX 512
struct dirty_answer {
	u64 written[DIRTY_OPEN_MAX / 64], open[DIRTY_OPEN_MAX / 64];
};

/*
 * Collects as dirty_log_collect(), from DIRTY_OPEN_MAX gfns at most, without waiting for a CPU that
 * is inside the guest. *flush: 0 at first; what it needs from one collection of the range to the
 * next (DIRTY-3). Without D bits, without dirty_log_coarse(), where the policy drops leaves, and
 * with several views it is dirty_log_collect().
 */
int dirty_log_collect_open(struct addrspace *as, struct gfn_range range,
			   struct dirty_answer *answer, u64 *flush) __must_check;

#endif
