/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.h: struct addrspace as mm/ itself sees it.
 */
#ifndef SAMEPAGE_MM_SPACE_SPACE_H
#define SAMEPAGE_MM_SPACE_SPACE_H

#include <lib/lock.h>
#include <mm/addrspace.h>
#include <mm/dirty_log.h>
#include <mm/invalidate.h>
#include <mm/notifier.h>
#include "mm/space/primary.h"

#define SPACE_SLOTS    32
#define SPACE_NAME     32
#define SPACE_DEFERRED 64 /* frames that may await a put-off flush */
#define SPACES	       1024

struct slot {
	struct gfn_range range;
	enum slot_kind kind;
};

/*
 * struct addrspace: one guest-physical address space.
 *
 * id		[I] its number, for the rmap; unique among those alive, never 0
 * retry	[a] what a fault does that raced
 * lock		LOCK_MMU: primary PTEs and every stage 2 derived from them
 * primary	[m] the PTEs; lookups take no lock
 * slots	[m] sorted by start, never overlapping
 * hand		[m] where reclaim_cold() looks next
 * zero_mfn	[a] its frame of zeroes, 0 until first used
 * dirty_mode	[m] how a first write to a page is noticed
 * dirty_on	[m] somebody has started it
 * dirty_coarse	[m] a large leaf may answer for all its pages
 * deferred	[m] frames that left PTEs in a merge, their flush put off; freed by update_settle() alone: when a pass of the
 * 		scanner ends, when there is no room for more, and when the address space is released
 * protecting	[a] by CPU: the range of a cow_protect() that has not returned; end 0: none
 */
struct addrspace {
	u16 id;
	char name[SPACE_NAME];
	u32 retry;
	struct spinlock lock;
	struct primary primary;
	struct slot slots[SPACE_SLOTS];
	unsigned slot_count;
	unsigned deferred_count;
	struct mfn deferred[SPACE_DEFERRED];
	struct gfn_range protecting[ARCH_CPUS_MAX];
	struct gfn hand;
	u64 zero_mfn;
	enum dirty_mode dirty_mode;
	bool dirty_on, dirty_coarse;
	struct notifier notifier;
};

/* The slot around gfn, or NULL. */
const struct slot *space_slot(const struct addrspace *as, struct gfn gfn) LOCK_REQUIRES(&as->lock);

/* Are all gfns of the range in slots? ERR_INVALID: empty, wraps or is wider than any guest;
 * ERR_RANGE: no. */
int space_check_range(const struct addrspace *as, struct gfn_range range) LOCK_REQUIRES(&as->lock);

/* Are they all memory? ERR_RANGE also for a device's. */
int space_check_memory(const struct addrspace *as, struct gfn_range range) LOCK_REQUIRES(&as->lock);

/* space_check_range(), taking the lock. */
int space_check(struct addrspace *as, struct gfn_range range) __must_check;

/*
 * Backs an absent gfn with a zeroed private frame, unless another CPU was faster. ERR_NO_MEMORY;
 * ERR_RANGE: no slot. Takes as->lock.
 */
int space_back(struct addrspace *as, struct gfn gfn) __must_check;

/* Brings a reclaimed page back, unless another CPU was faster. ERR_NO_MEMORY. Takes as->lock. */
int space_restore(struct addrspace *as, struct gfn gfn, ppte_t *slot) __must_check;

/*
 * Makes sure that a write to gfn is allowed by the primary: lifts the guard, notes soft-dirty,
 * breaks sharing. ERR_PERMISSION: the slot is read-only. ERR_BUSY: being changed, try again.
 * ERR_NO_MEMORY. Takes as->lock.
 */
int space_make_writable(struct addrspace *as, struct gfn gfn) __must_check;

/*
 * The same for a private page and a write of our own: whether the guest may write does not matter.
 * ERR_BUSY.
 */
int space_unprotect(struct addrspace *as, struct gfn gfn) __must_check;

/*
 * A private page that no device holds and nobody is changing: its frame may be guarded, and shared.
 */
static inline bool cow_protectable(ppte_t pte)
{
	const u64 never = PPTE_BUSY | (IS_ENABLED(CONFIG_BREAK_MERGE_PINNED) ? 0 : PPTE_PINNED);

	return ppte_state(pte) == PPTE_PRIVATE && !(pte & never);
}

/*
 * cow_break() for who has the PTE's place at hand already, and does not ask whether the guest may
 * write.
 */
int space_break(struct addrspace *as, struct gfn gfn, ppte_t *slot) __must_check;

/*
 * Brings the primary to where it allows `access` (enum hv_access) to gfn, as a guest's access does;
 * *pte is what it said then. ERR_RANGE: no slot; else as space_make_writable. Takes as->lock only
 * if something has to change; after that, given a log, *word is read from it again.
 */
int space_resolve(struct addrspace *as, struct gfn gfn, unsigned access, ppte_t *pte,
		  const struct invalidate_log *again, u64 *word) __must_check;

/*
 * Sets PPTE_YOUNG, PPTE_SOFT_DIRTY or both where these gfns are backed: somebody touched them, or
 * wrote to them.
 */
void space_mark(struct addrspace *as, struct gfn gfn, u64 frames, u64 flags)
	LOCK_REQUIRES(&as->lock);

#endif
