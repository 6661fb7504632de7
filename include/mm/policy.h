/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h: a notifier policy as a point on independent axes.
 *
 *     start set                 LOCK_MMU                  start set
 *     when=before: start -----> { primary, change } ----> end           when=after: start, end
 *
 * An event of the axis `events` is updated in place: its new PTEs go to change(), and the other
 * axes hold for it. For any other event all subscriptions (start=mask: those with the event in a
 * mask) get start before the change and end after it.
 *
 * The named points are rows of mm/notify/policy.c. A point is copied where it is put in force, so
 * the caller's may go. docs/mm/notifier.md has what each axis buys.
 */
#ifndef SAMEPAGE_MM_POLICY_H
#define SAMEPAGE_MM_POLICY_H

#include <lib/types.h>

/* Which events are updated in place. */
enum policy_events {
	POLICY_EVENTS_NONE,
	POLICY_EVENTS_PAGE,  /* those of change_pte, one page each: EVENTS_CHANGE_PTE */
	POLICY_EVENTS_RANGE, /* and those that take rights from a range: EVENTS_IN_PLACE */
};

/* Which subscriptions are started and ended for an event that is updated in place. */
enum policy_start {
	POLICY_START_ALL,
	POLICY_START_UNANIMOUS, /* none if every subscription has change, else all */
	POLICY_START_TAGGED, /* all, with NOTIFY_CHANGE_FOLLOWS, which those with change ignore */
	POLICY_START_COMPANION, /* all, by change_start and change_end */
	POLICY_START_WITHOUT,	/* those without change */
	POLICY_START_MASK,	/* those with the event in invalidate_events */
};

enum policy_when { POLICY_BEFORE, POLICY_AFTER };

/* lazy: the flush of a MERGE, and of a start that leaves the frame in place, may be put off. */
enum policy_flush { POLICY_LAZY, POLICY_EAGER };

/* two: a writable frame is passed read-only first, and writable when no old one is in use. */
enum policy_steps { POLICY_ONE_STEP, POLICY_TWO_STEPS };

/* yes: change may map what is not mapped. */
enum policy_establish { POLICY_NO_ESTABLISH, POLICY_ESTABLISH };

/*
 * two: all of a start set are begun, then all are finished, so that waits run side by side
 * (subscriber_ops, start_begin). Holds for every event.
 */
enum policy_passes { POLICY_ONE_PASS, POLICY_TWO_PASSES };

/*
 * struct notifier_policy: a point.
 *
 * name		of the named point from which it was made
 * idea		of that
 * is_default	it is Kconfig's
 */
struct notifier_policy {
	const char *name, *idea;
	u8 events, start, when, flush, steps, establish, passes;
	bool is_default;
};

/* The named points, in no order that an interface has; NULL beyond the last. */
unsigned notifier_policy_count(void);
const struct notifier_policy *notifier_policy(unsigned number);
/* The one called `name`, or NULL. */
const struct notifier_policy *notifier_policy_find(const char *name, size_t len);
const char *notifier_policy_name(const struct notifier_policy *policy);
/* The one that Kconfig made the default. */
const struct notifier_policy *notifier_policy_default(void);

/* An axis: its name and the words of its values; NULL beyond the last of either. */
#define POLICY_AXES 7
const char *policy_axis_name(unsigned axis);
const char *policy_axis_word(unsigned axis, unsigned value);
unsigned policy_axis_value(const struct notifier_policy *policy, unsigned axis);

/* Sets the axis `name` to `value`, by their words. ERR_NOT_FOUND: no such axis or value. */
int notifier_policy_set(struct notifier_policy *policy, const char *name, size_t len,
			const char *value) __must_check;

/* Why a point cannot be put in force, or NULL. `late` alone may lose Eran's race. */
const char *notifier_policy_refusal(const struct notifier_policy *policy);

/* "masked" or "masked, flush=eager": the name, and each axis that is not the named point's. */
#define POLICY_TEXT_MAX 128
void notifier_policy_text(const struct notifier_policy *policy, char *out, size_t size);

#endif
