/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cow.h: sharing frames between gfns and breaking it again. The steps of a merging engine:
 *
 *     cow_protect       private page         -> write-protected everywhere, flushed: its content
 *                                               stays until a write fault
 *     cow_look          write-protected page -> its frame, for reading, and its generation
 *     cow_protect_look  both, for one page
 *     (compare)
 *     cow_offer         write-protected page -> its frame may be shared (the first of several)
 *     cow_share         write-protected page -> backed by that frame; its own is freed
 *     cow_share_zero    write-protected page -> backed by the frame of zeroes
 *     cow_break         shared page          -> private copy; also what a write fault does
 *
 * A write fault ends the write protection and starts the page's next generation, so each later
 * step that is given the older look answers ERR_BUSY, even if the page is write-protected again.
 * The order (write-protect, flush, compare, merge) is enforced.
 *
 * Invariants:
 * COW-1  A shared frame is writable through no secondary.
 * COW-2  The content of a write-protected or shared page does not change.
 * COW-3  A break that runs out of memory changes nothing.
 * COW-4  Each PTE that names a shared frame counts one reference.
 * COW-5  A look succeeds only when every subscriber has taken over the write protection: from then
 *        on each write ends it first.
 * COW-6  A copy is installed only if the page has shared the frame from the look before it until
 *        then.
 */
#ifndef SAMEPAGE_MM_COW_H
#define SAMEPAGE_MM_COW_H

#include <arch/addr.h>
#include <lib/types.h>

struct addrspace;

/*
 * Write-protects the private pages of the range; others are passed over. One notification,
 * PROTECT_PAGE for one gfn, else PROTECT_RANGE. ERR_INVALID, ERR_RANGE, ERR_REENTRANT: nothing
 * changed. Takes LOCK_MMU.
 */
int cow_protect(struct addrspace *as, struct gfn_range range) __must_check;

/* A write-protected private page as it was when looked at. `pte` is internal to mm. */
struct cow_look {
	struct mfn mfn;
	u64 pte;
};

/*
 * The frame may be read while the page stays write-protected, which the next step checks. ERR_BUSY:
 * not write-protected, pinned, not private, or another CPU's cow_protect() of it has not returned
 * yet (COW-5). Takes no lock.
 */
int cow_look(struct addrspace *as, struct gfn gfn, struct cow_look *out) __must_check;

/*
 * Write-protects one page and looks at it. ERR_BUSY as cow_look(), and for a gfn without backing;
 * ERR_REENTRANT. Takes LOCK_MMU.
 */
int cow_protect_look(struct addrspace *as, struct gfn gfn, struct cow_look *out) __must_check;

/*
 * Makes the page's own frame a shared one, with a reference for the caller, which ends with
 * frame_put(). Secondaries see no difference, so there is no event. ERR_BUSY: written or changed
 * since the look.
 */
int cow_offer(struct addrspace *as, struct gfn gfn, const struct cow_look *look) __must_check;

/*
 * Backs the page by `shared`, of which the caller holds a reference and which reads the
 * same. Event MERGE. ERR_BUSY: written or changed since the look; ERR_NO_MEMORY; ERR_REENTRANT:
 * nothing changed.
 */
int cow_share(struct addrspace *as, struct gfn gfn, const struct cow_look *look,
	      struct mfn shared) __must_check;

/*
 * As cow_share, with the address space's own frame of zeroes, which is not counted and not in the
 * rmap.
 */
int cow_share_zero(struct addrspace *as, struct gfn gfn, const struct cow_look *look) __must_check;

/*
 * Gives gfn a private copy of the frame it shares. 0 also when another CPU did it first.
 * ERR_NO_MEMORY, ERR_PERMISSION (the slot is read-only), ERR_BUSY (being changed: try again),
 * ERR_REENTRANT: nothing changed. Event COW_BREAK.
 */
int cow_break(struct addrspace *as, struct gfn gfn) __must_check;

#endif
