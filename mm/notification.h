/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notification.h: one notification on its way: what mm/update.c calls around a change of the primary.
 *
 *     notification_begin     start callbacks; may fail, and then nobody keeps anything of it
 *     lock LOCK_MMU
 *     notification_confirm   false: somebody subscribed meanwhile; unlock and begin again
 *     primary changes, notification_change ...
 *     unlock
 *     notification_end       end callbacks
 *     notification_after     policies that tell some only now: start and end
 *     notification_done
 */
#ifndef SAMEPAGE_MM_NOTIFICATION_H
#define SAMEPAGE_MM_NOTIFICATION_H

#include <ck_pr.h>
#include <lib/error.h>
#include "notifier_view.h"

/*
 * view		NULL: nobody has to be told
 * start, change, after		the lists that the policy's rule names, or NULL
 * rule		the rule's flags, less what does not apply to this notification
 */
struct notification {
	struct notifier *notifier;
	struct notify_range range;
	const struct notifier_policy *policy;
	const struct notifier_view *view;
	const struct notify_list *start, *change, *after;
	unsigned rule;
};

/* Is this CPU inside a callback of the chain? */
static inline bool notification_inside(const struct notifier *notifier)
{
	return ck_pr_load_64(&notifier->reading[arch_cpu_id()].count) & 1;
}

int notification_begin_wanted(struct notification *note) __must_check;

/* notifier and range are filled in. ERR_REENTRANT, ERR_WOULD_BLOCK (NOTIFY_NOBLOCK only). */
static inline __must_check int notification_begin(struct notification *note)
{
	struct notifier *notifier = note->notifier;

	if (unlikely(notification_inside(notifier)))
		return ERR_REENTRANT;
	if (ck_pr_load_32(&notifier->wanted) & BIT(note->range.event))
		return notification_begin_wanted(note);
	note->view = NULL;
	note->rule = 0;
	return 0;
}

/* Nobody wanted it; is that still so? LOCK_MMU. */
static inline bool notification_confirm(const struct notification *note)
{
	return note->view || !(ck_pr_load_32(&note->notifier->wanted) & BIT(note->range.event));
}

/* Hands new PTEs to the change list. flags: enum change_flags, beside what the rule adds. LOCK_MMU. */
void notification_change(struct notification *note, const struct pte_change *changes,
			 unsigned count, unsigned flags);

void notification_end(struct notification *note);
void notification_after(struct notification *note);
void notification_done(struct notification *note);

/* Has put-off flushes carried out. LOCK_MMU. */
void notifier_sync(struct notifier *notifier);
/* Has all tell the primary what was written through them. LOCK_MMU, no notification on its way on this CPU. */
void notifier_dirty(struct notifier *notifier, struct gfn_range range, bool forget);
/* The same inside a notification. LOCK_MMU. */
void notification_dirty(struct notification *note);
/* Asks all whether a gfn of the range was touched. LOCK_MMU. */
bool notifier_young(struct notifier *notifier, struct gfn_range range, bool clear);
/* The address space ends. ERR_REENTRANT. */
int notifier_release(struct notifier *notifier) __must_check;

#endif
