/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier_view.h: the subscriptions of one address space, sorted for dispatch.
 *
 * Why a view that never changes: dispatch runs on many CPUs, takes no lock and allocates nothing. So subscribing builds
 * the next view beside the one in use, publishes it with one store, and waits until nobody reads the old one.
 *
 * Why lists by event: under `masked` a notification visits only those who want it. Each list keeps subscriptions to the
 * whole address space apart from those to an interval; the latter form an implicit interval tree: sorted by start,
 * the root of [low, high) in its middle, `reach` the largest end below it.
 */
#ifndef SAMEPAGE_MM_NOTIFIER_VIEW_H
#define SAMEPAGE_MM_NOTIFIER_VIEW_H

#include "policy.h"

struct notify_list {
	struct subscription **whole;
	struct subscription **intervals;
	u64 *reach;
	unsigned whole_count, interval_count;
};

/*
 * lists	what policy.h names; `drop` and `change` by event
 * wanted	events for which drop or change is not empty
 * room		of the arena that follows, in bytes
 */
struct notifier_view {
	struct notify_list all, lacking, changers;
	struct notify_list drop[EVENTS], change[EVENTS];
	u32 wanted;
	u64 used;
	u64 arena[];
};

/* How many subscriptions a view of 2^order pages has room for. */
unsigned view_capacity(unsigned order);

/* Fills `view` with `subs`, which are sorted by start. */
void view_build(struct notifier_view *view, struct subscription *const *subs, unsigned count);

/* The list that a rule names; LIST_NONE: NULL. */
const struct notify_list *view_list(const struct notifier_view *view, enum notify_list_name name,
				    enum notify_event event);

/* Calls `visit` for each subscription of the list that overlaps the range, always in the same order; ends at non-zero. */
typedef int (*view_visitor)(struct subscription *sub, void *argument);
int view_visit(const struct notify_list *list, struct gfn_range range, view_visitor visit,
	       void *argument);

#endif
