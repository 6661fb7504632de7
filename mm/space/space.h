/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.h: struct addrspace as mm/ itself sees it.
 */
#ifndef SAMEPAGE_MM_SPACE_SPACE_H
#define SAMEPAGE_MM_SPACE_SPACE_H

#include <arch/exit.h>
#include <lib/lock.h>
#include <mm/addrspace.h>
#include <mm/dirty_log.h>
#include <mm/invalidate.h>
#include <mm/notifier.h>
#include "mm/space/primary.h"

#define SPACE_SLOTS    32
#define SPACE_NAME     32
#define SPACE_DEFERRED 128 /* frames that may await a put-off flush */
#define SPACES	       1024

/* image: the frame behind its first gfn while that is absent; 0: zeroed frames. */
struct slot {
	struct gfn_range range;
	enum slot_kind kind;
	struct mfn image;
};

/*
 * struct space_streams: faults of a guest that goes through its memory page after page (stream.c).
 *
 * most		[a] pages that a fault deals with, its own among them; 1: it alone
 * oldest	[a] streams that have begun
 * stream	[a] where a stream goes on, its direction, and how many pages its last window had
 */
#define SPACE_STREAMS	4
#define SPACE_AHEAD_MAX 16u
struct space_streams {
	u32 most, oldest;
	u64 stream[SPACE_STREAMS];
};

/*
 * struct space_ahead: breaks of sharing ahead of a guest that writes page after page (ahead.c).
 *
 * calls, broken	[m] notifications of such breaks, and pages in them; read without the lock
 */
struct space_ahead {
	struct space_streams streams;
	u64 calls, broken;
};

/*
 * struct addrspace: one guest-physical address space.
 *
 * id		[I] its number, for the rmap; unique among those alive, never 0
 * retry	[a] what a fault does that raced
 * fault_access	[a] what a fault requests beside its own access: HV_WRITE with READ_AS_WRITE, else 0
 * ahead	breaks of sharing ahead of its guest
 * touch	first touches, and the pages backed ahead of them (back_ahead.c)
 * lock		LOCK_MMU: primary PTEs and every stage 2 derived from them
 * primary	[m] the PTEs; lookups take no lock
 * slots	[m] sorted by start, never overlapping
 * images	[m] slots that have had an image; read without the lock
 * hand		[m] where reclaim_cold() looks next
 * zero_mfn	[a] its frame of zeroes, 0 until first used
 * dirty_mode	[m] how a first write to a page is noticed
 * dirty_on	[m] between dirty_log_start() and dirty_log_stop()
 * dirty_coarse	[m] a large leaf may answer for all its pages
 * updates	[m] how often mm/space/update.h has begun; read without the lock
 * deferred	[m] frames that left PTEs in a merge, their flush put off; freed by update_settle()
 *		and update_try_settle() alone
 * begun	[m] how many of them, the oldest, await a flush that has begun
 * protecting	[a] by CPU: the range of a cow_protect() that has not returned; end 0: none
 */
struct addrspace {
	u16 id;
	char name[SPACE_NAME];
	u32 retry, fault_access;
	struct space_ahead ahead;
	struct space_streams touch;
	struct spinlock lock;
	struct primary primary;
	struct slot slots[SPACE_SLOTS];
	unsigned slot_count, images;
	u64 updates;
	unsigned deferred_count, begun;
	struct mfn deferred[SPACE_DEFERRED];
	struct gfn_range protecting[ARCH_CPUS_MAX];
	struct gfn hand;
	u64 zero_mfn;
	enum dirty_mode dirty_mode;
	bool dirty_on, dirty_coarse;
	struct notifier notifier;
};

/*
 * Tries to do what other CPUs undo, before ERR_BUSY or FAULT_RACED: an exit is bounded even beside
 * a CPU that reclaims or merges the same page again and again.
 */
#define SPACE_TRIES 64

/* The slot around gfn, or NULL. */
const struct slot *space_slot(const struct addrspace *as, struct gfn gfn) LOCK_REQUIRES(&as->lock);

/* A slot of a valid range. ERR_EXISTS (overlaps), ERR_NO_MEMORY: no change. */
int space_add_slot(struct addrspace *as, const struct slot *slot)
	LOCK_REQUIRES(&as->lock) __must_check;

/* Are all gfns of the range in slots? ERR_INVALID: empty, wraps or is wider than any guest;
 * ERR_RANGE: no. */
int space_check_range(const struct addrspace *as, struct gfn_range range) LOCK_REQUIRES(&as->lock);

/* Are they all memory? ERR_RANGE also for a device's. */
int space_check_memory(const struct addrspace *as, struct gfn_range range) LOCK_REQUIRES(&as->lock);

/* space_check_range(), taking the lock. */
int space_check(struct addrspace *as, struct gfn_range range) __must_check;

/*
 * struct space_page: a page on its way through an operation, so that it is looked up once.
 *
 * slot		its primary PTE; NULL: not looked up, or its leaf page does not exist
 * pte		what the PTE was when read last
 * was		what it was before the last step that changed it; 0: no step was needed
 */
struct space_page {
	struct gfn gfn;
	ppte_t *slot;
	ppte_t pte, was;
};

/*
 * Is a write-protected page what it was when looked at? The generation says whether it was written.
 * Young and soft-dirty may have been set: the A and D of a leaf that was invalidated meanwhile are
 * of accesses before the look.
 */
static inline bool ppte_unchanged(ppte_t pte, ppte_t seen)
{
	const u64 may_differ = PPTE_YOUNG | PPTE_SOFT_DIRTY |
			       (IS_ENABLED(CONFIG_BREAK_MERGE_GENERATION) ? PPTE_GENERATION : 0);

	return !((pte ^ seen) & ~may_differ);
}

/* Beside enum hv_access: an access of the hypervisor; its write does not need PPTE_WRITE. */
#define SPACE_OWN 0x100u

/* Does the PTE allow the access without a further step? */
static inline bool space_allows(ppte_t pte, unsigned access)
{
	if (!ppte_backed(pte))
		return false;
	if (!(access & SPACE_OWN))
		return !(access & HV_WRITE) || (ppte_rights(pte) & PT_WRITE);
	if (access & HV_WRITE)
		return ppte_state(pte) == PPTE_PRIVATE && !(pte & (PPTE_WP | PPTE_BUSY));
	return ppte_state(pte) != PPTE_MMIO;
}

/*
 * Looks page->pte up, once more at page->slot if that is filled in; whether it allows the access.
 * The gfn is valid. No lock.
 */
static inline bool space_look(const struct addrspace *as, struct space_page *page, unsigned access)
{
	if (!page->slot)
		page->slot = primary_find(&as->primary, page->gfn);
	page->pte = page->slot ? ck_pr_load_64(page->slot) : 0;
	return likely(space_allows(page->pte, access));
}

/*
 * Brings the primary to where it allows `access` (enum hv_access, SPACE_OWN) to page->gfn;
 * page->pte is what it is then. ERR_RANGE: no slot, or SPACE_OWN and a device; ERR_PERMISSION: a
 * write to a read-only page; ERR_BUSY: being changed, try again; ERR_NO_MEMORY; ERR_REENTRANT.
 * Takes LOCK_MMU only if something has to change. Given a log, *word is read from it again after
 * each change.
 */
int space_resolve(struct addrspace *as, struct space_page *page, unsigned access,
		  const struct invalidate_log *log, u64 *word) __must_check __no_stack_protector;

/*
 * Backs the page with the zeroed frame `mfn` if it is absent, and sets *used then. ERR_NO_MEMORY;
 * ERR_RANGE: no slot; ERR_INVALID: the slot has an image.
 */
int space_back(struct addrspace *as, struct space_page *page, struct mfn mfn, bool *used)
	LOCK_REQUIRES(&as->lock) __must_check;

/*
 * Backs an absent page by its slot's image; *here: the slot has one. ERR_NO_MEMORY. Takes LOCK_MMU.
 */
int space_back_image(struct addrspace *as, struct space_page *page, bool *here) __must_check;

/* A private page that no device holds and that is not being changed may be shared. */
static inline bool cow_protectable(ppte_t pte)
{
	const u64 never = PPTE_BUSY | (IS_ENABLED(CONFIG_BREAK_MERGE_PINNED) ? 0 : PPTE_PINNED);

	return ppte_state(pte) == PPTE_PRIVATE && !(pte & never);
}

/*
 * Gives the page, with its slot, a private copy of the frame it shares, PPTE_WRITE or not. 0 also
 * when it shares none any more. Errors as cow_break().
 */
int space_break(struct addrspace *as,
		const struct space_page *page) __must_check __no_stack_protector;

/*
 * A frame with the content of a shared page. The caller holds the shared frame. ERR_NO_MEMORY. Any
 * context that may allocate.
 */
int space_copy(ppte_t pte, struct mfn *fresh) __must_check;

/*
 * Inside an update, COW_BREAK: the page, which is still as `pte` was, gets the copy. Its old frame
 * leaves the rmap, and the update drops its reference.
 */
struct update;
void space_swap_copy(struct update *update, struct gfn gfn, ppte_t *slot, ppte_t pte,
		     struct mfn fresh);

/*
 * After a guest's write fault broke the sharing of gfn: breaks that of the pages which it is likely
 * to write next. Without memory to spare, or against a subscriber, they stay. Takes LOCK_MMU.
 */
void space_break_window(struct addrspace *as, struct gfn gfn);
static inline void space_break_ahead(struct addrspace *as, struct gfn gfn)
{
	if (ck_pr_load_32(&as->ahead.streams.most) > 1)
		space_break_window(as, gfn);
}

/*
 * After a guest's first touch of gfn: backs absent pages which it is likely to touch next. Returns
 * the pages that its stage 2 may map now, in the block of gfn; they may be none. Without memory to
 * spare no page is backed. touch.most is not 1. Takes LOCK_MMU.
 */
struct gfn_range space_back_ahead(struct addrspace *as, struct gfn gfn);

/* Is there memory for pages that are only likely to be used? */
bool space_may_spare(void);

/* The pages that go on with the stream that gfn continues; none if it begins one. `most` > 1. */
struct gfn_range space_stream_window(struct space_streams *streams, struct gfn gfn);
void space_stream_set(struct space_streams *streams, unsigned most);

/* Sets PPTE_YOUNG (accessed), PPTE_SOFT_DIRTY (written) or both where these gfns have a content. */
void space_mark(struct addrspace *as, struct gfn gfn, u64 frames, u64 flags)
	LOCK_REQUIRES(&as->lock);

#endif
