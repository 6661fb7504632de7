/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c: building a view, and visiting its intervals.
 */
#include "mm/notify/view.h"
#include <lib/string.h>

/* Words for VIEW_WORD subscriptions: sub[], reach[], the sets. */
#define WORDS_EACH (VIEW_WORD + 1 + 2 * EVENTS + 1)

unsigned view_capacity(unsigned order)
{
	size_t room = (PAGE_SIZE << order) - sizeof(struct notifier_view);

	return (unsigned)(room / sizeof(u64) / WORDS_EACH * VIEW_WORD);
}

static bool is_whole(const struct subscription *sub)
{
	return sub->range.start.raw == 0 && sub->range.end.raw >= GFN_END;
}

/* The order of sub[]: equal ones stay as they came. */
static u64 view_order(const struct subscription *sub)
{
	return is_whole(sub) ? 0 : sub->range.start.raw + 1;
}

static void view_append(struct notifier_view *view, struct subscription *sub)
{
	unsigned place = view->count++;
	u64 *reach = &view->reach[place / VIEW_WORD];

	view->sub[place] = sub;
	if (place % VIEW_WORD == 0)
		*reach = 0;
	if (is_whole(sub) && view->whole < VIEW_WORD)
		view->whole++;
	else
		*reach = MAX(*reach, sub->range.end.raw);
}

static void view_copy(struct notifier_view *view, const struct notifier_view *from,
		      const struct subscription *removed, struct subscription *added)
{
	for (unsigned i = 0; from && i < from->count; i++) {
		if (from->sub[i] == removed)
			continue;
		if (added && view_order(added) < view_order(from->sub[i])) {
			view_append(view, added);
			added = NULL;
		}
		view_append(view, from->sub[i]);
	}
	if (added)
		view_append(view, added);
}

/* Which subscriptions are in a set. */
enum members {
	MEMBERS_NONE,
	MEMBERS_ALL,
	MEMBERS_WITHOUT_CHANGE, /* ops->change is NULL */
	MEMBERS_WITH_CHANGE,	/* ops->change is not NULL */
	MEMBERS_INVALIDATE,	/* the event is in invalidate_events */
	MEMBERS_CHANGE,		/* the event is in change_events */
	MEMBERS_EITHER,		/* the event is in one of the two */
};

static bool set_has(enum members members, const struct subscription *sub, u32 event_bit)
{
	switch (members) {
	case MEMBERS_ALL:
		return true;
	case MEMBERS_WITHOUT_CHANGE:
		return !sub->ops->change;
	case MEMBERS_WITH_CHANGE:
		return sub->ops->change;
	case MEMBERS_INVALIDATE:
		return sub->invalidate_events & event_bit;
	case MEMBERS_CHANGE:
		return sub->change_events & event_bit;
	case MEMBERS_EITHER:
		return (sub->invalidate_events | sub->change_events) & event_bit;
	default:
		return false;
	}
}

static void set_add(const struct notifier_view *view, struct notify_set *set, unsigned place)
{
	set->bits[place / VIEW_WORD] |= BIT(place % VIEW_WORD);
	if (place < view->whole) {
		set->whole |= BIT(place);
		return;
	}
	set->first = MIN(set->first, place);
	set->end = place + 1;
}

/* Fills a set; its bitmap is at *bits, which moves on. False: the set is empty. */
static bool set_fill(const struct notifier_view *view, struct notify_set *set, u64 **bits,
		     enum members members, u32 event_bit)
{
	unsigned words = ALIGN_UP(view->count, VIEW_WORD) / VIEW_WORD;

	*set = (struct notify_set){.bits = *bits, .first = view->count};
	memset(*bits, 0, words * sizeof(**bits));
	*bits += words;
	for (unsigned i = 0; i < view->count; i++)
		if (set_has(members, view->sub[i], event_bit))
			set_add(view, set, i);
	if (set->whole && !(set->whole & (set->whole - 1)) && set->first >= set->end)
		set->only = view->sub[__builtin_ctzll(set->whole)];
	return set->whole || set->first < set->end;
}

/* The next set of the view; NULL: it is empty. */
static const struct notify_set *view_set(struct notifier_view *view, u64 **bits,
					 enum members members, u32 event_bit)
{
	struct notify_set *set = &view->set[view->sets++];

	return set_fill(view, set, bits, members, event_bit) ? set : NULL;
}

static bool has_one(const struct notify_set *set)
{
	return set->only || (!set->whole && set->first + 1 == set->end);
}

static bool any_without_change(const struct notifier_view *view)
{
	for (unsigned i = 0; i < view->count; i++)
		if (!view->sub[i]->ops->change)
			return true;
	return false;
}

static bool is_in_place(const struct notifier_policy *policy, enum notify_event event)
{
	static const u32 events[] = {
		[POLICY_EVENTS_NONE] = 0,
		[POLICY_EVENTS_PAGE] = EVENTS_CHANGE_PTE,
		[POLICY_EVENTS_RANGE] = EVENTS_IN_PLACE,
	};

	return events[policy->events] & BIT(event);
}

/* The start set of an event that is updated in place. */
static enum members start_members(const struct notifier_view *view,
				  const struct notifier_policy *policy)
{
	switch ((enum policy_start)policy->start) {
	case POLICY_START_UNANIMOUS:
		return any_without_change(view) ? MEMBERS_ALL : MEMBERS_NONE;
	case POLICY_START_WITHOUT:
		return MEMBERS_WITHOUT_CHANGE;
	case POLICY_START_MASK:
		return MEMBERS_INVALIDATE;
	default:
		return MEMBERS_ALL;
	}
}

/*
 * Are two steps without effect? One subscription that takes over a new frame keeps its own CPUs
 * apart (struct subscriber_ops, change), and where all are invalidated before the change none has
 * the old frame.
 */
static bool one_step_does(const struct notifier_policy *policy, const struct notify_plan *plan)
{
	if (!plan->change || plan->after)
		return !plan->change;
	return has_one(plan->change) || (policy->start == POLICY_START_UNANIMOUS && plan->start);
}

/*
 * No start drops what `take` reads; all others have dropped the page when `take` is called: none of
 * them is updated in place.
 */
static bool can_take(const struct notifier_view *view, const struct notifier_policy *policy,
		     const struct notify_plan *plan)
{
	return plan->change && plan->change->only && plan->change->only->ops->take &&
	       (plan->rule & RULE_LAZY) && policy->when == POLICY_BEFORE &&
	       policy->start != POLICY_START_ALL && policy->start != POLICY_START_UNANIMOUS;
}

/* Is start called, and not passed over, for those with change, before their change? */
static bool starts_change(const struct notifier_policy *policy, enum members start)
{
	return start == MEMBERS_ALL && policy->when == POLICY_BEFORE &&
	       policy->start != POLICY_START_TAGGED && policy->start != POLICY_START_COMPANION;
}

static void plan_in_place(struct notifier_view *view, const struct notifier_policy *policy,
			  enum notify_event event, u64 **bits)
{
	struct notify_plan *plan = &view->plan[event];
	bool masked = policy->start == POLICY_START_MASK;
	enum members start = start_members(view, policy);
	const struct notify_set *set = view_set(view, bits, start, BIT(event));

	plan->change =
		view_set(view, bits, masked ? MEMBERS_CHANGE : MEMBERS_WITH_CHANGE, BIT(event));
	if (policy->when == POLICY_AFTER)
		plan->after = set;
	else
		plan->start = set;
	if (policy->start == POLICY_START_COMPANION)
		plan->rule |= RULE_COMPANION;
	if (policy->start == POLICY_START_TAGGED)
		plan->flags |= NOTIFY_CHANGE_FOLLOWS;
	if (policy->establish == POLICY_ESTABLISH)
		plan->rule |= RULE_ESTABLISH | (starts_change(policy, start) ? RULE_STARTS_ALL : 0);
	if (event == EVENT_SOFT_DIRTY && can_take(view, policy, plan))
		plan->rule |= RULE_TAKE;
	if (policy->steps == POLICY_TWO_STEPS && !one_step_does(policy, plan))
		plan->rule |= RULE_TWO_STEPS | (plan->after ? RULE_WAIT_AFTER : 0);
}

static void view_plan(struct notifier_view *view, const struct notifier_policy *policy,
		      enum notify_event event, u64 **bits)
{
	struct notify_plan *plan = &view->plan[event];
	bool masked = policy->start == POLICY_START_MASK;

	*plan = (struct notify_plan){.rule = 0};
	if (policy->flush == POLICY_LAZY && (EVENTS_LAZY & BIT(event)))
		*plan = (struct notify_plan){.rule = RULE_LAZY, .flags = NOTIFY_LAZY};
	if (is_in_place(policy, event))
		plan_in_place(view, policy, event, bits);
	else
		plan->start =
			view_set(view, bits, masked ? MEMBERS_EITHER : MEMBERS_ALL, BIT(event));
	if (policy->passes == POLICY_TWO_PASSES)
		plan->rule |= RULE_TWO_PASSES;
	plan->calls = (plan->rule & RULE_COMPANION ? SUB_COMPANION : 0) |
		      (plan->rule & RULE_TWO_PASSES ? SUB_TWO_PASSES : 0);
	if (plan->start || plan->change || plan->after)
		view->events |= BIT(event);
}

void view_build(struct notifier_view *view, unsigned order, const struct notifier_policy *policy,
		const struct notifier_view *from, const struct subscription *removed,
		struct subscription *added)
{
	unsigned capacity = view_capacity(order);
	u64 *bits;

	view->count = view->whole = view->sets = view->events = 0;
	view->reach = (u64 *)&view->sub[capacity];
	view_copy(view, from, removed, added);
	bits = view->reach + capacity / VIEW_WORD;
	set_fill(view, &view->all, &bits, MEMBERS_ALL, 0);
	for (unsigned event = 0; event < EVENTS; event++)
		view_plan(view, policy, event, &bits);
}

int view_visit_intervals(const struct notifier_view *view, const struct notify_set *set,
			 struct gfn_range range, view_visitor visit, void *argument)
{
	u64 bits, mask = ~0ull << set->first % VIEW_WORD;

	for (unsigned word = set->first / VIEW_WORD; word * VIEW_WORD < set->end; word++) {
		bits = view->reach[word] > range.start.raw ? set->bits[word] & mask : 0;
		mask = ~0ull;
		for (; bits; bits &= bits - 1) {
			unsigned place = word * VIEW_WORD + (unsigned)__builtin_ctzll(bits);
			struct subscription *sub = view->sub[place];
			int err = 0;

			if (sub->range.start.raw >= range.end.raw)
				return 0;
			if (sub->range.end.raw > range.start.raw)
				err = visit(sub, argument);
			if (err)
				return err;
		}
	}
	return 0;
}
