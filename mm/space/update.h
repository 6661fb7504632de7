/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.h: the only way to change a backed primary PTE.
 *
 *     err = update_begin(&update, as, EVENT_X, range, flags);
 *                                          subscribers of the start set drop; LOCK_MMU is held
 *     update_set(&update, gfn, slot, new); as often as needed, ascending gfns
 *     update_end(&update);                 change to the others; unlock; end; old frames are freed
 *
 * Invariants:
 * UPDATE-1  A frame that leaves a PTE is freed only when no subscriber can still use it through
 *           that PTE.
 * UPDATE-2  An operation that fails in update_begin() has changed nothing.
 * UPDATE-3  The primary changes before what is derived from it, and both under one hold of
 *           LOCK_MMU.
 * UPDATE-4  Marks that subscribers leave in PTEs while a batch is sent (young, soft-dirty) stay: a
 *           batch is sent when it is full, so values computed later contain them.
 */
#ifndef SAMEPAGE_MM_SPACE_UPDATE_H
#define SAMEPAGE_MM_SPACE_UPDATE_H

#include "mm/notify/dispatch.h"
#include "mm/space/space.h"

#define UPDATE_BATCH NOTIFY_BATCH
#define UPDATE_PAUSE 4096 /* gfns of a long range handled in one hold of the lock */

/*
 * count, entry		PTEs set and not yet sent
 * gone			frames that left PTEs and may still be in use
 * moved		an entry of the batch is writable and has another frame than before
 * owes_flush		rights were taken away, and the flush was left for the end
 * pending		policy late_wp: the batch still has to become writable
 */
struct update {
	struct addrspace *as;
	struct notification note;
	unsigned count, gone_count;
	bool moved, pending, owes_flush;
	struct {
		ppte_t *slot;
		ppte_t value;
	} entry[UPDATE_BATCH];
	struct pte_change change[UPDATE_BATCH];
	struct mfn gone[UPDATE_BATCH];
};

/* Returns 0 with as->lock held, or ERR_REENTRANT, ERR_WOULD_BLOCK (NOTIFY_NOBLOCK only). */
int update_begin(struct update *update, struct addrspace *as, enum notify_event event,
		 struct gfn_range range, unsigned flags) __must_check;

/* As update_begin, on behalf of `owner` (struct notify_range). */
int update_begin_owned(struct update *update, struct addrspace *as, enum notify_event event,
		       struct gfn_range range, const void *owner) __must_check;

/*
 * A new value for a PTE; the caller has updated the rmap. The reference of the old frame is dropped
 * when the last use has ended.
 */
void update_set(struct update *update, struct gfn gfn, ppte_t *slot, ppte_t value);

/*
 * Clears the backing of the range: PTE, rmap, token. Pinned pages and devices only with `all`,
 * which also ends the protection of absent pages.
 */
void update_clear(struct update *update, struct gfn_range range, bool all);

/* Between two update_set() of a long range: releases LOCK_MMU for a moment. */
void update_pause(struct update *update);

void update_end(struct update *update);

/* Flushes, then frees the deferred frames. Takes as->lock. */
void update_settle(struct addrspace *as);
/* Frees those that no CPU can use any more, and waits for none. Takes as->lock. */
void update_try_settle(struct addrspace *as);

#endif
