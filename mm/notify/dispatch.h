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

#include <ck_pr.h>
#include <lib/error.h>
#include <trace/trace.h>
#include "mm/notify/view.h"

/*
 * view		NULL: no subscription has a role in the event
 * start, change, after		the sets of the policy's plan; NULL: empty
 * rule		enum rule_flags
 */
struct notification {
	struct notifier *notifier;
	struct notify_range range;
	const struct notifier_view *view;
	const struct notify_set *start, *change, *after;
	unsigned rule;
};

/* Whether this CPU is inside a notification of the chain. */
static inline bool notification_inside(const struct notifier *notifier)
{
	return quiesce_inside(&notifier->readers, arch_cpu_id());
}

/* Whether a subscription has a role in the event. */
static inline bool notifier_has(const struct notifier *notifier, enum notify_event event)
{
	return ck_pr_load_64(&notifier->events) & BIT(event);
}

int notification_begin_calls(struct notification *note) __must_check;

/*
 * note->notifier and note->range are filled in; `notifier` and `event` repeat them, so that a
 * notification without a call costs a few loads. ERR_REENTRANT, ERR_WOULD_BLOCK (NOTIFY_NOBLOCK
 * only).
 */
static inline __must_check int notification_begin(struct notification *note,
						  const struct notifier *notifier,
						  enum notify_event event)
{
	if (unlikely(notification_inside(notifier)))
		return ERR_REENTRANT;
	if (unlikely(notifier_has(notifier, event)))
		return notification_begin_calls(note);
	note->view = NULL;
	return 0;
}

/* Counts a notification after all its starts have succeeded. LOCK_MMU. */
void notification_count(const struct notification *note, struct notifier *notifier);

/* False: there was no subscription at notification_begin(), and there is one now. LOCK_MMU. */
static inline bool notification_confirm(const struct notification *note, struct notifier *notifier,
					enum notify_event event)
{
	if (likely(!note->view))
		return likely(!notifier_has(notifier, event));
	notification_count(note, notifier);
	return true;
}

/* Passes new PTEs to the change set. flags: enum change_flags, beside the rule's. LOCK_MMU. */
void notification_change(struct notification *note, const struct pte_change *changes,
			 unsigned count, unsigned flags);

void notification_end_calls(struct notification *note);

/* The calls after the change. Returns whether there was a call. No lock. */
static inline bool notification_end(struct notification *note)
{
	if (likely(!note->view)) { /* the short path */
		ck_pr_inc_64(&note->notifier->skipped[note->range.event]);
		TRACE(skipped, note->notifier->space, .gfn = note->range.range.start.raw,
		      .end = note->range.range.end.raw, .event = (u8)note->range.event);
		return false;
	}
	if (note->start || note->after)
		notification_end_calls(note);
	return true;
}

/* The view is not used any more. */
void notification_done(struct notification *note);

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
	return note->view && (note->rule & RULE_TAKE);
}
u64 notification_take(struct notification *note, const u64 *written, u64 *taken);
bool notification_take_ended(struct notification *note, u64 flush);
void notification_take_hurry(struct notification *note, u64 flush);
/* Whether a subscription has accessed a gfn of the range since the last `clear`. LOCK_MMU. */
bool notifier_young(struct notifier *notifier, struct gfn_range range, bool clear);

#endif
