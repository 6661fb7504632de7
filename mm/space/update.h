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

#include <mm/frame.h>
#include "mm/notify/dispatch.h"
#include "mm/space/space.h"

#define UPDATE_BATCH NOTIFY_BATCH
#define UPDATE_PAUSE 4096 /* gfns of a long range handled in one hold of the lock */
#define UPDATES_SEEN 1024 /* so many updates end far fewer generations of a page than there are */

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

/* Sends what was set so far; more is to come. */
void update_flush(struct update *update);

/* Has the PTE a reference of its frame? */
static inline bool update_counts(ppte_t pte)
{
	return ppte_state(pte) == PPTE_PRIVATE || ppte_state(pte) == PPTE_SHARED;
}

/*
 * A new value for a PTE; the caller has updated the rmap. The reference of the old frame is dropped
 * when the last use has ended.
 */
static __always_inline void update_set(struct update *update, struct gfn gfn, ppte_t *slot,
				       ppte_t value)
{
	ppte_t was = *slot;
	bool moves = ppte_backed(was) &&
		     !(ppte_backed(value) && ppte_mfn(was).raw == ppte_mfn(value).raw);
	unsigned place = update->count, rights = ppte_rights(value);

	CHECK(place < UPDATE_BATCH && update->gone_count < UPDATE_BATCH);
	update->count = place + 1;
	update->entry[place].slot = slot;
	update->entry[place].value = value;
	update->change[place] = (struct pte_change){gfn, ppte_mfn(value), rights};
	if (moves && update_counts(was))
		update->gone[update->gone_count++] = ppte_mfn(was);
	update->moved |= moves && (rights & PT_WRITE);
	if (unlikely(update->count == UPDATE_BATCH || update->gone_count == UPDATE_BATCH))
		update_flush(update);
}

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

/*
 * Begin and end inline, for what changes one PTE by an event that is known where it is compiled:
 * the batch would be most of the work.
 *
 *     err = update_one_begin(&update, as, EVENT_X, gfn);
 *     update_one_end_same(&update, gfn, slot, new), update_one_end_merge(&update)
 *
 * A break of sharing, a fault of its own, gives the page another frame, without a batch at all:
 *
 *     err = update_swap_begin(&note, as, EVENT_X, gfn);
 *     update_swap_end(&note, as, slot, new);        or update_swap_unlock(&note, as): no change
 */

#define UPDATE_AGAIN 1 /* no error code */

/* update.c: after UPDATE_AGAIN; late_wp's second step; a PTE that changes through the batch. */
int update_begin_again(struct notification *note, struct addrspace *as) __must_check;
void update_finish_pending(struct update *update);
void update_swap_by_batch(const struct notification *note, struct addrspace *as, ppte_t *slot,
			  ppte_t value);

static __always_inline void update_put_frame(struct mfn mfn)
{
	if (frame_put(mfn))
		frame_free(mfn, 0);
}

/*
 * One attempt; UPDATE_AGAIN: a subscription came meanwhile. `event` repeats note->range.event.
 */
LOCK_UNCHECKED static __always_inline __must_check int update_try(struct notification *note,
								  struct addrspace *as,
								  enum notify_event event)
{
	int err = notification_begin(note, &as->notifier, event);

	if (unlikely(err))
		return err;
	RACE_POINT("update: started");
	spin_lock(&as->lock);
	arch_local_add_64(&as->updates, 1);
	if (likely(notification_confirm(note, &as->notifier, event)))
		return 0;
	spin_unlock(&as->lock);
	return UPDATE_AGAIN;
}

/* The range, flags and owner are filled in. */
static __always_inline __must_check int update_start_note(struct notification *note,
							  struct addrspace *as,
							  enum notify_event event)
{
	int err;

	note->notifier = &as->notifier;
	err = update_try(note, as, event);
	return likely(err != UPDATE_AGAIN) ? err : update_begin_again(note, as);
}

static __always_inline void update_clear_batch(struct update *update, struct addrspace *as)
{
	update->as = as;
	update->count = update->gone_count = 0;
	update->moved = update->pending = update->owes_flush = false;
}

/* LOCK_MMU goes; the subscriptions that were started end. */
LOCK_UNCHECKED static __always_inline void update_unlock(struct update *update)
{
	spin_unlock(&update->as->lock);
	RACE_POINT("update: changed");
	if (notification_end(&update->note)) {
		if (unlikely(update->pending))
			update_finish_pending(update);
		notification_done(&update->note);
	}
}

/* update_begin(), with the range, flags and owner filled in. */
static __always_inline __must_check int update_start(struct update *update, struct addrspace *as,
						     enum notify_event event)
{
	update_clear_batch(update, as);
	return update_start_note(&update->note, as, event);
}

static __always_inline __must_check int update_one_begin(struct update *update,
							 struct addrspace *as,
							 enum notify_event event, struct gfn gfn)
{
	update->note.range = (struct notify_range){.event = event, .range = gfn_range(gfn, 1)};
	return update_start(update, as, event);
}

static __always_inline __must_check int update_swap_begin(struct notification *note,
							  struct addrspace *as,
							  enum notify_event event, struct gfn gfn)
{
	note->range = (struct notify_range){.event = event, .range = gfn_range(gfn, 1)};
	return update_start_note(note, as, event);
}

/* LOCK_MMU goes; the subscriptions that were started end. By itself: nothing has changed. */
LOCK_UNCHECKED static __always_inline void update_swap_unlock(struct notification *note,
							      struct addrspace *as)
{
	spin_unlock(&as->lock);
	RACE_POINT("update: changed");
	if (notification_end(note))
		notification_done(note);
}

/*
 * update_set() and update_end() of the only PTE, which has another frame afterwards. Where the old
 * one stays, or the PTE changes in two steps, through the batch.
 */
static __always_inline void update_swap_end(struct notification *note, struct addrspace *as,
					    ppte_t *slot, ppte_t value)
{
	struct pte_change change = {note->range.range.start, ppte_mfn(value), ppte_rights(value)};
	ppte_t was = *slot;

	if (unlikely((note->plan->rule & (RULE_LAZY | RULE_TWO_STEPS)) || note->plan->after)) {
		update_swap_by_batch(note, as, slot, value);
		return;
	}
	primary_store(&as->primary, change.gfn, slot, value);
	notification_change(note, &change, 1, 0);
	if (update_counts(was))
		update_put_frame(ppte_mfn(was));
	update_swap_unlock(note, as);
}

/* update_set() and update_end() of the only PTE, which keeps its frame. */
static __always_inline void update_one_end_same(struct update *update, struct gfn gfn, ppte_t *slot,
						ppte_t value)
{
	struct pte_change change = {gfn, ppte_mfn(value), ppte_rights(value)};

	primary_store(&update->as->primary, gfn, slot, value);
	notification_change(&update->note, &change, 1, 0);
	update_unlock(update);
}

/*
 * update_end() after update_set() of the only PTE, for a merge: the PTE is read-only before and
 * after, so one step does, and the old frame waits with the flush where the policy puts that off
 * and there is room. Nothing set: nothing changes.
 */
static __always_inline void update_one_end_merge(struct update *update)
{
	const struct notify_plan *plan = update->note.plan;
	struct addrspace *as = update->as;

	if (unlikely(!update->gone_count || !(plan->rule & RULE_LAZY) || plan->after ||
		     as->deferred_count == SPACE_DEFERRED)) {
		update_end(update);
		return;
	}
	primary_store(&as->primary, update->change[0].gfn, update->entry[0].slot,
		      update->entry[0].value);
	notification_change(&update->note, update->change, 1, CHANGE_LAZY);
	as->deferred[as->deferred_count++] = update->gone[0];
	update_unlock(update);
}

#endif
