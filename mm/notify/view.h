/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h: the subscriptions of one address space, sorted for dispatch.
 *
 * Why a view that never changes: dispatch runs on many CPUs, takes no lock and allocates nothing.
 * So subscribing builds the next view beside the one in use, publishes it with one store, and waits
 * until nobody reads the old one.
 *
 * Why lists by event: under `masked` a notification visits only those who want it. Each list keeps
 * subscriptions to the whole address space apart from those to an interval; the latter form an
 * implicit interval tree: sorted by start, the root of [low, high) in its middle, `reach` the
 * largest end below it.
 */
#ifndef SAMEPAGE_MM_NOTIFY_VIEW_H
#define SAMEPAGE_MM_NOTIFY_VIEW_H

#include "mm/notify/policy.h"

struct notify_list {
	struct subscription **whole;
	struct subscription **intervals;
	u64 *reach;
	unsigned whole_count, interval_count;
};

/*
 * What the policy does with an event, worked out beforehand: its rule's lists, NULL for none, and
 * its flags.
 */
struct notify_plan {
	const struct notify_list *start, *change, *after;
	unsigned rule;
};

/*
 * policy, plan	under which, and how, each event is told
 * wanted	events that somebody must be told of
 * lists	what policy.h names; `drop` and `change` by event
 * used		words of the arena, where the lists' members are
 */
struct notifier_view {
	const struct notifier_policy *policy;
	struct notify_plan plan[EVENTS];
	struct notify_list all, lacking, changers;
	struct notify_list drop[EVENTS], change[EVENTS];
	u32 wanted;
	u64 used;
	u64 arena[];
};

/* How many subscriptions a view of 2^order pages has room for. */
unsigned view_capacity(unsigned order);

/* Fills `view` with `subs`, which are sorted by start, for notifications under `policy`. */
void view_build(struct notifier_view *view, const struct notifier_policy *policy,
		struct subscription *const *subs, unsigned count);

/*
 * Calls `visit` for each subscription of the list that overlaps the range, always in the same
 * order; ends at non-zero.
 */
typedef int (*view_visitor)(struct subscription *sub, void *argument);
int view_visit(const struct notify_list *list, struct gfn_range range, view_visitor visit,
	       void *argument);

#endif
