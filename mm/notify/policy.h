/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h: what a notifier policy is made of: for each kind of event, who is told what, and when.
 *
 *     start list --> LOCK_MMU { primary, change list } --> end of start list --> after list: start and end
 */
#ifndef SAMEPAGE_MM_NOTIFY_POLICY_H
#define SAMEPAGE_MM_NOTIFY_POLICY_H

#include <mm/notifier.h>

/* The lists a view keeps; the last two are by event. */
enum notify_list_name {
	LIST_NONE,
	LIST_ALL,
	LIST_LACKING, /* without change */
	LIST_CHANGERS,
	LIST_WANT_DROP,
	LIST_WANT_CHANGE,
};

enum rule_flags {
	RULE_UNLESS_UNANIMOUS =
		1,	    /* the start list is told only if somebody in the range lacks change */
	RULE_COMPANION = 2, /* who has change_start and change_end gets them, not start and end */
	RULE_TAGGED = 4,    /* start carries NOTIFY_HANDED */
	RULE_ESTABLISH = 8, /* change carries CHANGE_ESTABLISH */
	RULE_TWO_STEPS =
		16, /* a new writable frame is handed over read-only first, and only when all use
				      it and have flushed, writable */
	RULE_WAIT_AFTER = 32, /* ... and the second step comes after the `after` list was told */
	RULE_LAZY = 64,	      /* a MERGE's flush may be put off */
};

struct notify_rule {
	u8 start, change, after; /* enum notify_list_name */
	u8 flags;
};

struct notifier_policy {
	const char *name;
	const char *idea;
	struct notify_rule handed; /* for EVENTS_HANDED */
	struct notify_rule other;
	u8 index;
	bool masked; /* only wanted events are notified at all */
};

static inline const struct notify_rule *policy_rule(const struct notifier_policy *policy,
						    enum notify_event event)
{
	return EVENTS_HANDED & BIT(event) ? &policy->handed : &policy->other;
}

/* The policy that Kconfig made the default. */
const struct notifier_policy *notifier_policy_default(void);

#endif
