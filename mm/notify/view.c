/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c: building a view, and visiting its intervals.
 */
#include "mm/notify/view.h"
#include <lib/string.h>

/* Words for VIEW_WORD subscriptions: sub[], reach[], the sets. */
#define WORDS_EACH (VIEW_WORD + 1 + 3 * EVENTS + 2)

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

static bool set_has(enum policy_set set, const struct subscription *sub, u32 event_bit)
{
	switch (set) {
	case SET_ALL:
		return true;
	case SET_WITHOUT_CHANGE:
		return !sub->ops->change;
	case SET_WITH_CHANGE:
		return sub->ops->change;
	case SET_INVALIDATE_MASK:
		return sub->invalidate_events & event_bit;
	case SET_CHANGE_MASK:
		return sub->change_events & event_bit;
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
		     enum policy_set members, u32 event_bit)
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
					 enum policy_set members, u32 event_bit)
{
	struct notify_set *set = &view->set[view->sets++];

	return set_fill(view, set, bits, members, event_bit) ? set : NULL;
}

static bool has_one(const struct notify_set *set)
{
	return set->only || (!set->whole && set->first + 1 == set->end);
}

/*
 * One subscription that takes over a new frame keeps its own CPUs apart (struct subscriber_ops,
 * change), so two steps are for two and more; unless others invalidate in between.
 */
static void view_plan(struct notifier_view *view, enum notify_event event, u64 **bits)
{
	const struct notifier_policy *policy = view->policy;
	struct notify_plan *plan = &view->plan[event];

	if (policy->events & BIT(event))
		*plan = (struct notify_plan){
			.start = view_set(view, bits, policy->before, BIT(event)),
			.change = view_set(view, bits, policy->change, BIT(event)),
			.after = view_set(view, bits, policy->after, BIT(event)),
			.rule = policy->flags,
		};
	else
		*plan = (struct notify_plan){.start = view->count ? &view->all : NULL};
	if ((!plan->change || has_one(plan->change)) && !plan->after)
		plan->rule &= ~(RULE_TWO_STEPS | RULE_WAIT_AFTER);
	if (plan->start || plan->change || plan->after)
		view->events |= BIT(event);
}

void view_build(struct notifier_view *view, unsigned order, const struct notifier_policy *policy,
		const struct notifier_view *from, const struct subscription *removed,
		struct subscription *added)
{
	unsigned capacity = view_capacity(order);
	u64 *bits;

	view->policy = policy;
	view->number = notifier_policy_number(policy);
	view->count = view->whole = view->sets = view->events = 0;
	view->reach = (u64 *)&view->sub[capacity];
	view_copy(view, from, removed, added);
	bits = view->reach + capacity / VIEW_WORD;
	set_fill(view, &view->all, &bits, SET_ALL, 0);
	set_fill(view, &view->lacking, &bits, SET_WITHOUT_CHANGE, 0);
	for (unsigned event = 0; event < EVENTS; event++)
		view_plan(view, event, &bits);
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
