/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.h: the one door through which backed primary PTEs change.
 *
 *     struct update update;
 *
 *     err = update_begin(&update, as, EVENT_X, range, flags);    subscribers drop; returns with as->lock held
 *     ...   update_set(&update, gfn, slot, new);                 as often as needed, ascending gfns
 *     update_end(&update);                                       the others are handed the new PTEs; unlocks;
 *                                                                frames that nobody names any more are freed
 *
 * Invariants:
 * UPDATE-1  A frame that leaves a PTE is freed only when no subscriber can still use it through
 *           that PTE.
 * UPDATE-2  An operation that fails in update_begin() has changed nothing.
 * UPDATE-3  The primary changes before what is derived from it, and both under one hold of
 *           LOCK_MMU.
 */
#ifndef SAMEPAGE_MM_SPACE_UPDATE_H
#define SAMEPAGE_MM_SPACE_UPDATE_H

#include "mm/notify/dispatch.h"
#include "mm/space/space.h"

#define UPDATE_BATCH NOTIFY_BATCH
#define UPDATE_PAUSE 4096 /* gfns of a long range handled in one hold of the lock */

/*
 * count, entry		PTEs set and not yet handed over
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
 * A new value for a PTE, whose rmap the caller has seen to. The reference of the old frame is
 * dropped in time.
 */
void update_set(struct update *update, struct gfn gfn, ppte_t *slot, ppte_t value);

/*
 * Takes the backing of the range away, rmap, token and all; of pinned pages and devices only if
 * told so.
 */
void update_clear(struct update *update, struct gfn_range range, bool all);

/* Between two update_set() of a long range: lets others have the lock for a moment. */
void update_pause(struct update *update);

void update_end(struct update *update);

/* Carries out what flushes are still owed, then frees the frames in limbo. Takes as->lock. */
void update_settle(struct addrspace *as);

#endif
