/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rmap.h: from a frame to every (address space, gfn) that names it in its primary PTE.
 *
 * Why: merging, migration and the auditor start from a frame. Nearly every frame has one user, and
 * of those that are shared most have two, so two are kept inside the frame's record; more make a
 * set of sorted arrays (mm/rmap/key_set.h), which takes little more than the keys and loses one of
 * 10^5 quickly.
 *
 *     frame record: owner     link
 *       0                     0                        no user
 *       key << 1 | 1          0                        one        (key: space << 36 | gfn)
 *       key << 1 | 1          key << 1 | 1             two
 *       set of the others     least key << 1 | 1       more, a chain; bit 63 of owner is set
 *       2                     count                    any number, only counted (RMAP-3)
 *
 * Invariants:
 * RMAP-1  For each private or shared primary PTE there is exactly one entry at its frame, and no
 *         others. (The frame of zeroes is not in the rmap: its users are never searched.)
 * RMAP-2  The number of entries of a frame is at most its reference count.
 * RMAP-3  Users of a frame that rmap_count_only() was called for are counted, not listed. Coming
 *         and going then takes the same instructions however many there are, so that the time of
 *         a guest's write does not depend on them.
 *
 * Locking: LOCK_RMAP, one of a table hashed by frame. Callers that keep RMAP-1 true hold the
 * LOCK_MMU of the space.
 */
#ifndef SAMEPAGE_MM_RMAP_H
#define SAMEPAGE_MM_RMAP_H

#include <arch/addr.h>
#include <lib/types.h>
#include <mm/frame.h>

struct rmap_entry {
	u16 space; /* address space's number */
	struct gfn gfn;
};

/* The first user of a fresh frame, which no other CPU can reach. Takes no lock. */
static inline void rmap_first(struct mfn mfn, u16 space, struct gfn gfn)
{
	frame_of(mfn)->owner = ((u64)space << GFN_BITS | gfn.raw) << 1 | 1;
}

/* A fresh frame's users will be counted only (RMAP-3). Before it is shared. Takes no lock. */
void rmap_count_only(struct mfn mfn);
bool rmap_is_count_only(struct mfn mfn);

/* ERR_NO_MEMORY (never for a frame's first two users): nothing changed. */
int rmap_add(struct mfn mfn, u16 space, struct gfn gfn) __must_check;
/* The entry is there. */
void rmap_remove(struct mfn mfn, u16 space, struct gfn gfn);

/* How many users are in the rmap. */
u64 rmap_count(struct mfn mfn);

/*
 * What listing the users of all frames takes, in bytes: nothing for a frame with one or two. Any
 * context.
 */
u64 rmap_bytes(void);

/*
 * The first `max` listed entries, in order, that come after `*from` (NULL: from the first); returns
 * how many.
 */
unsigned rmap_list(struct mfn mfn, const struct rmap_entry *from, struct rmap_entry *out,
		   unsigned max);

#endif
