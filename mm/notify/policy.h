/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h: a notifier policy as a point on independent axes.
 *
 *     before: start --> LOCK_MMU { primary, change } --> before: end --> after: start, end
 *
 * The new PTEs of `events` go to change(), and the other axes hold for them. For any other event
 * all subscriptions get start and end around the change.
 */
#ifndef SAMEPAGE_MM_NOTIFY_POLICY_H
#define SAMEPAGE_MM_NOTIFY_POLICY_H

#include <mm/notifier.h>

/* Which subscriptions get a call. */
enum policy_set {
	SET_NONE,
	SET_ALL,
	SET_WITHOUT_CHANGE,  /* ops->change is NULL */
	SET_WITH_CHANGE,     /* ops->change is not NULL */
	SET_INVALIDATE_MASK, /* the event is in invalidate_events */
	SET_CHANGE_MASK,     /* the event is in change_events */
};

enum rule_flags {
	RULE_UNLESS_UNANIMOUS = 1, /* `before` only if a subscription to the range lacks change */
	RULE_COMPANION = 2,   /* change_start and change_end, where present, for start and end */
	RULE_TAGGED = 4,      /* start carries NOTIFY_CHANGE_FOLLOWS */
	RULE_ESTABLISH = 8,   /* change carries CHANGE_ESTABLISH */
	RULE_TWO_STEPS = 16,  /* a new writable frame is passed read-only first, and writable
				      when all have taken it over and flushed */
	RULE_WAIT_AFTER = 32, /* the second step comes after the `after` calls */
	RULE_LAZY = 64,	      /* a MERGE's flush may be deferred */
};

/*
 * struct notifier_policy
 *
 * events		their new PTEs go to change()
 * before, change, after	enum policy_set: start before the change and end after it; change; start and end after it
 * flags		enum rule_flags
 * is_default		Kconfig's choice
 */
struct notifier_policy {
	const char *name;
	const char *idea;
	u32 events;
	u8 before, change, after;
	u8 flags;
	bool is_default;
};

/* Where the policy's counters are; below NOTIFIER_POLICIES_MAX. */
unsigned notifier_policy_number(const struct notifier_policy *policy);

#endif
