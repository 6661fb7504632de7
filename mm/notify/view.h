/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h: the subscriptions of one address space, as dispatch reads them.
 *
 * A view is constant once published, since dispatch runs on many CPUs and takes no lock.
 * Subscribing builds the next view beside it (mm/notify/notifier.c).
 *
 * One array of subscriptions, and for each event a role of each subscription, which the policy
 * gives it when the view is built. A role is a bit in one of the event's three sets:
 *
 *     sub[]            s0  s1  s2 | s3  s4  s5  s6        s0 to s2 cover all gfns
 *     start [MERGE]     1   0   1 |  0   0   1   0
 *     change[MERGE]     0   1   0 |  1   0   0   0
 *     after [MERGE]     0   0   0 |  0   0   0   0
 *
 * Sets of bits, and not a role in each entry, because most subscriptions have no role in most
 * notifications: a word of zeroes passes over 64 of them.
 *
 * Intervals are sorted by start, so a visit ends at the first that starts behind the range. For
 * each word of places there is the largest end in it, so words of intervals before the range are
 * passed over, too: 1,000 intervals are 16 words.
 */
#ifndef SAMEPAGE_MM_NOTIFY_VIEW_H
#define SAMEPAGE_MM_NOTIFY_VIEW_H

#include <mm/notifier.h>

#define VIEW_WORD 64 /* subscriptions in a word of a set */

/*
 * Subscriptions by their place in sub[].
 *
 * only	the single member, if it covers all gfns; else NULL
 * whole	bitmap of places 0 .. 63, as far as they cover all gfns
 * bits		bitmap of all places; the intervals among them are in [first, end)
 */
struct notify_set {
	struct subscription *only;
	u64 whole;
	u64 *bits;
	unsigned first, end;
};

enum rule_flags {
	RULE_COMPANION = 1,    /* change_start and change_end for start and end */
	RULE_ESTABLISH = 2,    /* change carries CHANGE_ESTABLISH */
	RULE_TWO_STEPS = 4,    /* a new writable frame is passed read-only first, and writable when
				all have taken it over and flushed */
	RULE_WAIT_AFTER = 8,   /* the second step comes after the `after` calls */
	RULE_LAZY = 16,	       /* the flush may be deferred */
	RULE_TWO_PASSES = 32,  /* all of a start set are begun, then all are finished */
	RULE_TAKE = 64,	       /* SOFT_DIRTY in place of one subscription, which has `take` */
	RULE_STARTS_ALL = 128, /* establish: start of every member of `change` was called */
};

/*
 * What the policy does with an event.
 *
 * start, change, after	sets; NULL: empty
 * rule		enum rule_flags, less those without effect
 * flags	enum notify_flags of the notification
 * calls	which of subscription.around
 */
struct notify_plan {
	const struct notify_set *start, *change, *after;
	u16 rule;
	u8 flags, calls;
};

/*
 * count, whole	subscriptions; those at the front that cover all gfns, at most VIEW_WORD
 * events	bitmap: the events in which a subscription has a role
 * all		the set of all subscriptions
 * set		those of the plans; two an event at most: start or after, and change
 * reach	behind sub[], and before the bitmaps: the largest end of the intervals in a word
 */
struct notifier_view {
	struct notify_plan plan[EVENTS];
	struct notify_set all;
	struct notify_set set[2 * EVENTS];
	unsigned count, whole, sets;
	u32 events;
	u64 *reach;
	struct subscription *sub[];
};

/* How many subscriptions a view of 2^order pages has room for. */
unsigned view_capacity(unsigned order);

/*
 * Builds `view`, which has 2^order pages, for notifications under `policy`: the subscriptions of
 * `from` (NULL: none) but for `removed`, and `added`; each may be NULL.
 */
void view_build(struct notifier_view *view, unsigned order, const struct notifier_policy *policy,
		const struct notifier_view *from, const struct subscription *removed,
		struct subscription *added);

typedef int (*view_visitor)(struct subscription *sub, void *argument);

/* view_visit() of the intervals. */
int view_visit_intervals(const struct notifier_view *view, const struct notify_set *set,
			 struct gfn_range range, view_visitor visit, void *argument);

/*
 * Calls `visit` for each subscription of the set that overlaps the range, in the order of sub[];
 * ends at non-zero, and returns it. Inline, so that `visit` is, too.
 */
static __always_inline int view_visit(const struct notifier_view *view,
				      const struct notify_set *set, struct gfn_range range,
				      view_visitor visit, void *argument)
{
	for (u64 bits = set->whole; bits; bits &= bits - 1) {
		int err = visit(view->sub[__builtin_ctzll(bits)], argument);

		if (err)
			return err;
	}
	if (likely(set->first >= set->end))
		return 0;
	return view_visit_intervals(view, set, range, visit, argument);
}

#endif
