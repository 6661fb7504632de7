/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.h: one notification, as mm/space/update.c sends it around a change of the primary.
 *
 *     notification_begin     start; may fail, and then has no effect
 *     lock LOCK_MMU
 *     notification_confirm   false: a subscription came meanwhile; unlock and begin again
 *     primary changes, notification_change ...
 *     unlock
 *     notification_end       end; then start and end of the policy's `after` set
 *     notification_done      if notification_end returned true
 */
#ifndef SAMEPAGE_MM_NOTIFY_DISPATCH_H
#define SAMEPAGE_MM_NOTIFY_DISPATCH_H

#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/error.h>
#include <lib/race.h>
#include <trace/trace.h>
#include "mm/notify/view.h"

/*
 * view		NULL: no subscription has a role in the event
 * plan		of the event in that view; without one, an empty plan
 */
struct notification {
	struct notifier *notifier;
	struct notify_range range;
	const struct notifier_view *view;
	const struct notify_plan *plan;
};

extern const struct notify_plan notify_no_plan;

/* Whether this CPU is inside a notification of the chain. */
static inline bool notification_inside(const struct notifier *notifier)
{
	return quiesce_inside(&notifier->readers, arch_cpu_id());
}

/* Whether a subscription has a role in the event. */
static inline bool notifier_has(const struct notifier *notifier, enum notify_event event)
{
	return ck_pr_load_64(&notifier->events) >> event & 1;
}

/*
 * The calls of one subscription, inline: a VM's console alone has start and end of an event and its
 * stage 2 alone has change, so the usual notification needs no loop over a set. A traced callback
 * goes through dispatch.c, which visits any set.
 */

/* Adds to a counter that is written under one LOCK_MMU, and read without. */
static inline void count_locked(u64 *counter, u64 n)
{
	arch_local_add_64(counter, n);
}

/*
 * The sequence of a subscription (notifier_read_begin()). An invalidation runs from before its
 * start until after its end, and is counted there. Atomic: several CPUs may notify at once. A full
 * barrier, so that the store comes before those of the callback, and after the change of the
 * primary.
 */
static __always_inline void sequence_add(struct subscription *sub, u64 n)
{
	if (unlikely(sub->sequenced))
		(void)ck_pr_faa_64(&sub->sequence, n);
}

static __always_inline void sequence_begin(struct subscription *sub)
{
	sequence_add(sub, 1);
}

static __always_inline void sequence_end(struct subscription *sub)
{
	sequence_add(sub, SEQUENCE_ONE - 1);
}

/* After start; err: its result. */
static __always_inline int count_start(struct subscription *sub, const struct notify_range *range,
				       int err)
{
	RACE_POINT("notifier: one started");
	if (unlikely(err)) {
		sequence_end(sub);
		ck_pr_inc_64(&sub->counters[range->event].refused);
		return err;
	}
	ck_pr_inc_64(&sub->counters[range->event].starts);
	return 0;
}

/* Is the only one of the set called, and no trace kept of it? */
static __always_inline bool calls_one(const struct notify_set *set)
{
	return likely(set->only) && !TRACE_ON(callback);
}

static __always_inline int call_start(struct subscription *sub, const struct notify_plan *plan,
				      const struct notify_range *range)
{
	sequence_begin(sub);
	return count_start(sub, range, sub->around[plan->calls].start(sub, range));
}

static __always_inline void call_end(struct subscription *sub, const struct notify_plan *plan,
				     const struct notify_range *range)
{
	sub->around[plan->calls].end(sub, range);
	sequence_end(sub);
}

static __always_inline void call_change(struct subscription *sub,
					const struct notify_change *change)
{
	struct subscription_counters *counters = &sub->counters[change->range->event];

	sequence_add(sub, SEQUENCE_ONE);
	sub->ops->change(sub, change);
	count_locked(&counters->changes, 1);
	count_locked(&counters->changed_gfns, change->count);
}

/* dispatch.c: the calls of any set. */
int notification_start_many(struct notification *note, const struct notify_set *set) __must_check;
void notification_change_many(struct notification *note, const struct notify_change *change);
void notification_end_many(struct notification *note, const struct notify_set *set);
void notification_after(struct notification *note);

static __always_inline int start_set(struct notification *note, const struct notify_set *set)
{
	if (!calls_one(set) || unlikely(note->plan->rule & RULE_TWO_PASSES))
		return notification_start_many(note, set);
	return call_start(set->only, note->plan, &note->range);
}

static __always_inline void end_set(struct notification *note, const struct notify_set *set)
{
	if (calls_one(set))
		call_end(set->only, note->plan, &note->range);
	else
		notification_end_many(note, set);
}

/*
 * The caller has loaded `events`. The barrier of quiesce_enter() comes before the load of the view;
 * both pair with publish() of notifier.c. From here to notification_done() this CPU is a reader.
 */
static __always_inline __must_check int notification_begin_calls(struct notification *note,
								 struct notifier *notifier,
								 enum notify_event event)
{
	const struct notify_plan *plan;
	int err = 0;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	note->view = ck_pr_load_ptr(&notifier->view);
	note->plan = plan = &note->view->plan[event];
	note->range.flags |= plan->flags;
	if (plan->start)
		err = start_set(note, plan->start);
	if (unlikely(err))
		quiesce_leave(&notifier->readers, arch_cpu_id());
	return err;
}

/*
 * note->notifier and note->range are filled in; `notifier` and `event` repeat them, so that a
 * notification without a call costs a few loads. ERR_REENTRANT, ERR_WOULD_BLOCK (NOTIFY_NOBLOCK
 * only).
 */
static __always_inline __must_check int notification_begin(struct notification *note,
							   struct notifier *notifier,
							   enum notify_event event)
{
	if (unlikely(notification_inside(notifier)))
		return ERR_REENTRANT;
	if (notifier_has(notifier, event))
		return notification_begin_calls(note, notifier, event);
	note->view = NULL;
	note->plan = &notify_no_plan;
	return 0;
}

/* Counts a notification after all its starts have succeeded. LOCK_MMU. */
static inline void notification_count(const struct notification *note, struct notifier *notifier,
				      enum notify_event event)
{
	struct notifier_counters *counters = &notifier->counters[event];

	count_locked(&counters->notifications, 1);
	count_locked(&counters->gfns, gfn_range_frames(note->range.range));
	TRACE(notification, notifier->space, .gfn = note->range.range.start.raw,
	      .end = note->range.range.end.raw, .event = (u8)event, .flags = (u8)note->range.flags);
}

/* False: there was no subscription at notification_begin(), and there is one now. LOCK_MMU. */
static inline bool notification_confirm(const struct notification *note, struct notifier *notifier,
					enum notify_event event)
{
	if (!note->view)
		return likely(!notifier_has(notifier, event));
	notification_count(note, notifier, event);
	return true;
}

/* Passes new PTEs to the change set. flags: enum change_flags, beside the rule's. LOCK_MMU. */
static __always_inline void notification_change(struct notification *note,
						const struct pte_change *changes, unsigned count,
						unsigned flags)
{
	const struct notify_set *set = note->plan->change;
	struct notify_change change = {&note->range, changes, count, flags};

	if (!set)
		return;
	if (unlikely(note->plan->rule & RULE_ESTABLISH))
		change.flags |= CHANGE_ESTABLISH |
				(note->plan->rule & RULE_STARTS_ALL ? CHANGE_STARTED : 0u);
	if (calls_one(set))
		call_change(set->only, &change);
	else
		notification_change_many(note, &change);
}

/* The calls after the change. Returns whether there was a call. No lock. */
static __always_inline bool notification_end(struct notification *note)
{
	if (!note->view) { /* the short path */
		ck_pr_inc_64(&note->notifier->skipped[note->range.event]);
		TRACE(skipped, note->notifier->space, .gfn = note->range.range.start.raw,
		      .end = note->range.range.end.raw, .event = (u8)note->range.event);
		return false;
	}
	if (note->plan->start)
		end_set(note, note->plan->start);
	if (unlikely(note->plan->after))
		notification_after(note);
	return true;
}

/* The view is not used any more. */
static inline void notification_done(struct notification *note)
{
	quiesce_leave(&note->notifier->readers, arch_cpu_id());
}

/* Does the deferred flushes of the change set. LOCK_MMU. */
void notification_sync(struct notification *note);
/* Does all deferred flushes. LOCK_MMU. */
void notifier_sync(struct notifier *notifier);
/* Begins them; true: those begun last have ended everywhere. LOCK_MMU. */
void notifier_sync_begin(struct notifier *notifier);
bool notifier_sync_ended(struct notifier *notifier);
/*
 * Makes all subscriptions report what was written through them (subscriber_ops, dirty). LOCK_MMU;
 * this CPU runs no notification.
 */
void notifier_dirty(struct notifier *notifier, struct gfn_range range, bool revoke);
/* The same inside a notification, for its range. LOCK_MMU. */
void notification_dirty(struct notification *note);
/*
 * Whether what records writes may be cleared by `take`. notification_take: subscriber_ops, take, of
 * the only one that is updated in place; inside such a notification, LOCK_MMU.
 */
bool notifier_can_take(struct notifier *notifier);
static inline bool notification_can_take(const struct notification *note)
{
	return note->plan->rule & RULE_TAKE;
}
u64 notification_take(struct notification *note, const u64 *written, u64 *taken);
bool notification_take_ended(struct notification *note, u64 flush);
void notification_take_hurry(struct notification *note, u64 flush);
/* Whether a subscription has accessed a gfn of the range since the last `clear`. LOCK_MMU. */
bool notifier_young(struct notifier *notifier, struct gfn_range range, bool clear);

#endif
