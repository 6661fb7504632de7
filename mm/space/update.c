/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.c: primary PTE updates: notification, batching, deferred release of old frames. update.h
 * has the outline.
 *
 * Two steps: a writable frame that replaces a shared one is first installed read-only by every
 * subscriber, and becomes writable when each of them has installed it and flushed. Else the first
 * could write to the new frame while the second still reads the old one: Eran's race, between two
 * subscribers that both have change.
 *
 *     CPU 1: breaks sharing                CPU 2: writes             CPU 3: reads
 *     ---------------------                ---------------           ------------
 *     primary = new, BUSY
 *     change(new, read-only), flush        write faults, waits       old or new: the same content
 *     primary = new, writable
 *     change(new, writable)                writes new                new only
 *
 * BUSY in the primary keeps a fault from making the page writable between the steps; under
 * `late_wp` the lock is free there while the others drop.
 */
#include "mm/space/update.h"
#include <lib/error.h>
#include <lib/log.h>
#include <mm/frame.h>
#include <mm/rmap.h>
#include <lib/race.h>
#include "mm/store/store.h"

__cold int update_begin_again(struct notification *note, struct addrspace *as)
{
	int err;

	do
		err = update_try(note, as, note->range.event);
	while (err == UPDATE_AGAIN);
	return err;
}

int update_begin(struct update *update, struct addrspace *as, enum notify_event event,
		 struct gfn_range range, unsigned flags)
{
	update->note.range = (struct notify_range){.event = event, .range = range, .flags = flags};
	return update_start(update, as, event);
}

int update_begin_owned(struct update *update, struct addrspace *as, enum notify_event event,
		       struct gfn_range range, const void *owner)
{
	update->note.range = (struct notify_range){.event = event, .range = range, .owner = owner};
	return update_start(update, as, event);
}

/* The second of two steps. Marks that subscribers left in the PTEs during the first stay. */
static void clear_busy(struct update *update)
{
	for (unsigned i = 0; i < update->count; i++)
		primary_store(&update->as->primary, update->change[i].gfn, update->entry[i].slot,
			      *update->entry[i].slot & ~PPTE_BUSY);
}

static __always_inline void store_all(struct update *update, u64 also)
{
	for (unsigned i = 0; i < update->count; i++)
		primary_store(&update->as->primary, update->change[i].gfn, update->entry[i].slot,
			      update->entry[i].value | also);
}

/* Sends the batch to the subscribers with change. */
static __always_inline void send_batch(struct update *update, unsigned flags)
{
	notification_change(&update->note, update->change, update->count, flags);
}

static __noinline void send_read_only(struct update *update)
{
	unsigned rights[UPDATE_BATCH];

	for (unsigned i = 0; i < update->count; i++) {
		rights[i] = update->change[i].rights;
		update->change[i].rights &= ~PT_WRITE;
	}
	send_batch(update, 0);
	for (unsigned i = 0; i < update->count; i++)
		update->change[i].rights = rights[i];
}

/* After the flush, or the invalidation, that ended the last use. */
static __always_inline void put_gone(struct update *update)
{
	for (unsigned i = 0; i < update->gone_count; i++)
		update_put_frame(update->gone[i]);
	update->gone_count = 0;
}

static bool is_lazy(const struct update *update)
{
	return (update->note.plan->rule & RULE_LAZY) && update->note.range.event == EVENT_MERGE;
}

/* Must the old frames stay until the operation ends? */
static bool keeps_frames(const struct update *update)
{
	return is_lazy(update) || update->note.plan->after;
}

/* The first of two steps. False: the second must wait for others to drop (late_wp). */
static __noinline bool step_one(struct update *update)
{
	store_all(update, PPTE_BUSY);
	send_read_only(update);
	update->pending = update->note.plan->rule & RULE_WAIT_AFTER;
	return !update->pending;
}

/*
 * Only rights are taken away and more is to come: the flush can wait for the last batch.
 */
static bool may_wait(const struct update *update, bool last)
{
	return !last && !update->gone_count && !update->moved;
}

static __always_inline void flush_batch(struct update *update, bool last)
{
	bool two_steps = update->moved && (update->note.plan->rule & RULE_TWO_STEPS);
	bool wait;

	if (!update->count || (two_steps && !step_one(update)))
		return;
	if (two_steps)
		clear_busy(update);
	else
		store_all(update, 0);
	wait = may_wait(update, last);
	update->owes_flush |= wait;
	send_batch(update, wait || is_lazy(update) ? CHANGE_LAZY : 0);
	update->count = 0;
	update->moved = false;
	if (!keeps_frames(update))
		put_gone(update);
}

void update_flush(struct update *update)
{
	flush_batch(update, false);
}

/*
 * The page becomes absent, in its next generation: its next life may begin with the same frame, and
 * a look at this one must fail then. The right to write stays what it is, unless the slot goes too
 * (`all`).
 */
static void clear_one(struct update *update, struct gfn gfn, ppte_t *slot, bool all)
{
	ppte_t was = *slot, right = all || (was & PPTE_WRITE) ? 0 : PPTE_WP;
	ppte_t kept = ppte_next_generation(was) | (all ? 0 : PPTE_GIVEN);

	if (update_counts(was))
		rmap_remove(ppte_mfn(was), update->as->id, gfn);
	update_set(update, gfn, slot, right | kept);
	if (ppte_state(was) == PPTE_RECLAIMED)
		store_drop(ppte_token(was));
}

/* It is in no secondary, so its PTE changes without an event. */
static void clear_absent(struct update *update, struct gfn gfn, ppte_t *slot, bool all)
{
	primary_store(&update->as->primary, gfn, slot,
		      all ? *slot & PPTE_GENERATION : *slot | PPTE_GIVEN);
}

static bool may_be_cleared(ppte_t pte)
{
	return ppte_has_content(pte) && !(pte & PPTE_PINNED);
}

void update_clear(struct update *update, struct gfn_range range, bool all)
{
	struct addrspace *as = update->as;
	struct gfn gfn = range.start;
	ppte_t *slot;

	for (; (slot = primary_next(&as->primary, &gfn, range.end)); gfn.raw++) {
		if (ppte_state(*slot) == PPTE_ABSENT)
			clear_absent(update, gfn, slot, all);
		else if (all || may_be_cleared(*slot))
			clear_one(update, gfn, slot, all);
		if (gfn.raw % UPDATE_PAUSE == UPDATE_PAUSE - 1)
			update_pause(update);
	}
}

static void pay_flush(struct update *update)
{
	if (update->owes_flush)
		notification_sync(&update->note);
	update->owes_flush = false;
}

LOCK_UNCHECKED void update_pause(struct update *update)
{
	update_flush(update);
	pay_flush(
		update); /* or a write through an old translation would escape a collection here */
	spin_unlock(&update->as->lock);
	RACE_POINT("update: paused");
	spin_lock(&update->as->lock);
}

/*
 * late_wp's second step. Rights and marks of a page may have changed since the first, and stay. A
 * page that has another frame by now belongs to a later operation. BUSY goes in any case: no write
 * would succeed with it.
 */
__cold void update_finish_pending(struct update *update)
{
	struct addrspace *as = update->as;
	unsigned kept = 0;

	spin_lock(&as->lock);
	for (unsigned i = 0; i < update->count; i++) {
		ppte_t *slot = update->entry[i].slot, now = *slot & ~PPTE_BUSY;

		if (!(*slot & PPTE_BUSY) || ppte_mfn(now).raw != update->change[i].mfn.raw)
			continue;
		primary_store(&as->primary, update->change[i].gfn, slot, now);
		update->change[kept] = update->change[i];
		update->change[kept++].rights = ppte_rights(now);
	}
	if (kept)
		notification_change(&update->note, update->change, kept, 0);
	spin_unlock(&as->lock);
}

/*
 * A merge's old frames are freed by update_settle(). A flush for another reason may come earlier;
 * it frees nothing. Without room they stay `gone`.
 */
static void defer_frees(struct update *update)
{
	struct addrspace *as = update->as;

	spin_assert_held(&as->lock);
	if (as->deferred_count + update->gone_count > SPACE_DEFERRED)
		return;
	for (unsigned i = 0; i < update->gone_count; i++)
		as->deferred[as->deferred_count++] = update->gone[i];
	update->gone_count = 0;
}

/* Frames that subscribers of the `after` set used until now, and what found no room. */
static __noinline void put_rest(struct update *update)
{
	struct addrspace *as = update->as;

	if (is_lazy(update)) {
		spin_lock(&as->lock);
		defer_frees(update);
		spin_unlock(&as->lock);
		if (update->gone_count)
			update_settle(as);
	}
	put_gone(update);
}

/* No frame here holds a buffer. */
__no_stack_protector void update_end(struct update *update)
{
	flush_batch(update, true);
	pay_flush(update);
	if (is_lazy(update) &&
	    !update->note.plan->after) /* subscribers in `after` still use them */
		defer_frees(update);
	update_unlock(update);
	if (unlikely(update->gone_count))
		put_rest(update);
}

__noinline void update_swap_by_batch(const struct notification *note, struct addrspace *as,
				     ppte_t *slot, ppte_t value)
{
	struct update update;

	update_clear_batch(&update, as);
	update.note = *note;
	update_set(&update, note->range.range.start, slot, value);
	update_end(&update);
}

/* Frees the oldest deferred frames; their flush has ended. */
static void put_deferred(struct addrspace *as, unsigned count)
{
	unsigned left = as->deferred_count - count;

	for (unsigned i = 0; i < count; i++)
		update_put_frame(as->deferred[i]);
	for (unsigned i = 0; i < left; i++)
		as->deferred[i] = as->deferred[count + i];
	as->deferred_count = left;
	as->begun = 0;
}

void update_settle(struct addrspace *as)
{
	spin_lock(&as->lock);
	if (as->deferred_count) {
		notifier_sync(&as->notifier);
		put_deferred(as, as->deferred_count);
	}
	spin_unlock(&as->lock);
}

static void end_begun(struct addrspace *as)
{
	if (as->begun && notifier_sync_ended(&as->notifier))
		put_deferred(as, as->begun);
}

/*
 * A flush is begun for what was deferred since the last one; it ends as each CPU passes its next
 * entry check.
 */
void update_try_settle(struct addrspace *as)
{
	if (!ck_pr_load_uint(&as->deferred_count))
		return;
	spin_lock(&as->lock);
	end_begun(as);
	if (!as->begun && as->deferred_count) {
		notifier_sync_begin(&as->notifier);
		as->begun = as->deferred_count;
		end_begun(as);
	}
	spin_unlock(&as->lock);
}
