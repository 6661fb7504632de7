/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.h: one notification on its way: what mm/space/update.c calls around a change of the
 * primary.
 *
 *     notification_begin     start callbacks; may fail, and then nobody keeps anything of it
 *     lock LOCK_MMU
 *     notification_confirm   false: somebody subscribed meanwhile; unlock and begin again
 *     primary changes, notification_change ...
 *     unlock
 *     notification_end       end callbacks; then start and end for those whom the policy tells only now
 *     notification_done      if anybody was told
 */
#ifndef SAMEPAGE_MM_NOTIFY_DISPATCH_H
#define SAMEPAGE_MM_NOTIFY_DISPATCH_H

#include <ck_pr.h>
#include <lib/error.h>
#include "mm/notify/view.h"

/*
 * view		NULL: nobody has to be told
 * start, change, after		the lists that the policy's rule names, or NULL
 * rule		the rule's flags, less what does not apply to this notification
 */
struct notification {
	struct notifier *notifier;
	struct notify_range range;
	const struct notifier_view *view;
	const struct notify_list *start, *change, *after;
	unsigned rule;
};

/* Whether this CPU is inside a notification of the chain. */
static inline bool notification_inside(const struct notifier *notifier)
{
	return quiesce_inside(&notifier->readers, arch_cpu_id());
}

static inline bool notification_wanted(const struct notifier *notifier, enum notify_event event)
{
	return ck_pr_load_64(&notifier->wanted) & BIT(event);
}

int notification_begin_wanted(struct notification *note) __must_check;

/*
 * note->notifier and note->range are filled in; they are given again because what nobody wants
 * shall cost next to nothing. ERR_REENTRANT, ERR_WOULD_BLOCK (NOTIFY_NOBLOCK only).
 */
static inline __must_check int notification_begin(struct notification *note,
						  const struct notifier *notifier,
						  enum notify_event event)
{
	if (unlikely(notification_inside(notifier)))
		return ERR_REENTRANT;
	if (unlikely(notification_wanted(notifier, event)))
		return notification_begin_wanted(note);
	note->view = NULL;
	return 0;
}

/*
 * Counts a notification that will be carried out; one whose start was refused is in `refused`.
 * LOCK_MMU.
 */
void notification_count(const struct notification *note, struct notifier *notifier);

/* Nobody wanted it; is that still so? LOCK_MMU. */
static inline bool notification_confirm(const struct notification *note, struct notifier *notifier,
					enum notify_event event)
{
	if (likely(!note->view))
		return likely(!notification_wanted(notifier, event));
	notification_count(note, notifier);
	return true;
}

/*
 * Hands new PTEs to the change list. flags: enum change_flags, beside what the rule adds. LOCK_MMU.
 */
void notification_change(struct notification *note, const struct pte_change *changes,
			 unsigned count, unsigned flags);

void notification_end_wanted(struct notification *note);

/*
 * The end callbacks, and start and end for those whom the policy tells only now. False: nobody was
 * told. No lock.
 */
static inline bool notification_end(struct notification *note)
{
	if (likely(!note->view)) { /* that path is to be the short one */
		ck_pr_inc_64(&note->notifier->unwanted[note->range.event]);
		return false;
	}
	notification_end_wanted(note);
	return true;
}

/* The last word to those told: the view is not used any more. */
void notification_done(struct notification *note);

/* Has the put-off flushes of those who were handed changes carried out. LOCK_MMU. */
void notification_sync(struct notification *note);
/* Has put-off flushes carried out. LOCK_MMU. */
void notifier_sync(struct notifier *notifier);
/*
 * Has all tell the primary what was written through them. LOCK_MMU, no notification on its way on
 * this CPU.
 */
void notifier_dirty(struct notifier *notifier, struct gfn_range range, bool forget);
/* The same inside a notification. LOCK_MMU. */
void notification_dirty(struct notification *note);
/* Asks all whether a gfn of the range was touched. LOCK_MMU. */
bool notifier_young(struct notifier *notifier, struct gfn_range range, bool clear);

#endif
