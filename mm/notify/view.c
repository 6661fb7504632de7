/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c: building and visiting the lists of a view.
 */
#include "mm/notify/view.h"
#include <lib/log.h>

/*
 * A subscription is in `all`, in `lacking` or `changers`, and for each event in at most one more
 * list.
 */
#define LISTS_EACH (2 + EVENTS)

unsigned view_capacity(unsigned order)
{
	size_t scratch = sizeof(struct subscription *);
	size_t each = LISTS_EACH * (sizeof(struct subscription *) + sizeof(u64)) + scratch;

	return ((PAGE_SIZE << order) - sizeof(struct notifier_view)) / each;
}

static bool is_whole(const struct subscription *sub)
{
	return sub->range.start.raw == 0 && sub->range.end.raw >= GFN_END;
}

static u64 *take(struct notifier_view *view, unsigned words)
{
	u64 *place = &view->arena[view->used];

	view->used += words;
	return place;
}

/* The largest end in [low, high); fills reach[] on the way. */
static u64 fill_reach(const struct notify_list *list, unsigned low, unsigned high)
{
	unsigned middle = low + (high - low) / 2;
	u64 reach;

	if (low >= high)
		return 0;
	reach = MAX(fill_reach(list, low, middle), fill_reach(list, middle + 1, high));
	list->reach[middle] = MAX(reach, list->intervals[middle]->range.end.raw);
	return list->reach[middle];
}

/* Which list is being filled, and so who belongs into it. */
struct membership {
	enum notify_list_name name;
	u32 event_bit;
};

static bool belongs(const struct subscription *sub, struct membership want)
{
	switch (want.name) {
	case LIST_ALL:
		return true;
	case LIST_LACKING:
		return !sub->ops->change;
	case LIST_CHANGERS:
		return sub->ops->change;
	case LIST_WANT_DROP:
		return sub->want_drop & want.event_bit;
	case LIST_WANT_CHANGE:
		return sub->want_change & want.event_bit;
	default:
		return false;
	}
}

static void fill(struct notifier_view *view, struct notify_list *list,
		 struct subscription *const *subs, unsigned count, struct membership want)
{
	unsigned whole = 0, intervals = 0;

	for (unsigned i = 0; i < count; i++)
		if (belongs(subs[i], want))
			*(is_whole(subs[i]) ? &whole : &intervals) += 1;
	list->whole = (struct subscription **)take(view, whole);
	list->intervals = (struct subscription **)take(view, intervals);
	list->reach = take(view, intervals);
	list->whole_count = list->interval_count = 0;
	for (unsigned i = 0; i < count; i++) {
		if (!belongs(subs[i], want))
			continue;
		if (is_whole(subs[i]))
			list->whole[list->whole_count++] = subs[i];
		else
			list->intervals[list->interval_count++] = subs[i];
	}
	fill_reach(list, 0, list->interval_count);
}

/* The list that a rule names. */
static const struct notify_list *list_named(const struct notifier_view *view, unsigned name,
					    enum notify_event event)
{
	switch (name) {
	case LIST_ALL:
		return &view->all;
	case LIST_LACKING:
		return &view->lacking;
	case LIST_CHANGERS:
		return &view->changers;
	case LIST_WANT_DROP:
		return &view->drop[event];
	case LIST_WANT_CHANGE:
		return &view->change[event];
	default:
		return NULL;
	}
}

static unsigned members(const struct notify_list *list)
{
	return list ? list->whole_count + list->interval_count : 0;
}

/* A list without members is no list. */
static const struct notify_list *unless_empty(const struct notify_list *list)
{
	return members(list) ? list : NULL;
}

/*
 * One who is handed new frames alone keeps his own CPUs apart (struct subscriber_ops, change), so
 * handing over in two steps is for two and more; unless somebody drops in between.
 */
static void make_plan(struct notifier_view *view, enum notify_event event)
{
	const struct notify_rule *rule = policy_rule(view->policy, event);
	struct notify_plan *plan = &view->plan[event];

	plan->rule = rule->flags;
	plan->start = unless_empty(list_named(view, rule->start, event));
	plan->change = unless_empty(list_named(view, rule->change, event));
	plan->after = unless_empty(list_named(view, rule->after, event));
	if (members(plan->change) < 2 && !plan->after)
		plan->rule &= ~(RULE_TWO_STEPS | RULE_WAIT_AFTER);
}

void view_build(struct notifier_view *view, const struct notifier_policy *policy,
		struct subscription *const *subs, unsigned count)
{
	view->policy = policy;
	view->used = 0;
	view->wanted = policy->masked || !count ? 0 : EVENTS_ALL;
	fill(view, &view->all, subs, count, (struct membership){LIST_ALL, 0});
	fill(view, &view->lacking, subs, count, (struct membership){LIST_LACKING, 0});
	fill(view, &view->changers, subs, count, (struct membership){LIST_CHANGERS, 0});
	for (unsigned event = 0; event < EVENTS; event++) {
		u32 bit = BIT(event);

		fill(view, &view->drop[event], subs, count,
		     (struct membership){LIST_WANT_DROP, bit});
		fill(view, &view->change[event], subs, count,
		     (struct membership){LIST_WANT_CHANGE, bit});
		make_plan(view, event);
	}
	for (unsigned i = 0; i < count; i++)
		view->wanted |= subs[i]->want_drop | subs[i]->want_change;
}

struct search {
	const struct notify_list *list;
	struct gfn_range range;
	view_visitor visit;
	void *argument;
};

static int visit_intervals(const struct search *search, unsigned low, unsigned high)
{
	unsigned middle = low + (high - low) / 2;
	struct subscription *sub;
	int err;

	if (low >= high || search->list->reach[middle] <= search->range.start.raw)
		return 0;
	err = visit_intervals(search, low, middle);
	sub = search->list->intervals[middle];
	if (err || sub->range.start.raw >= search->range.end.raw)
		return err;
	if (sub->range.end.raw > search->range.start.raw)
		err = search->visit(sub, search->argument);
	return err ? err : visit_intervals(search, middle + 1, high);
}

int view_visit(const struct notify_list *list, struct gfn_range range, view_visitor visit,
	       void *argument)
{
	struct search search = {list, range, visit, argument};
	int err = 0;

	for (unsigned i = 0; !err && i < list->whole_count; i++)
		err = visit(list->whole[i], argument);
	if (err || likely(!list->interval_count))
		return err;
	return visit_intervals(&search, 0, list->interval_count);
}
