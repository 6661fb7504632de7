/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.c: telling the subscribers of one change, as the policy's rule says.
 */
#include "mm/notify/dispatch.h"
#include <lib/error.h>
#include <lib/log.h>
#include <lib/race.h>

/* Only ever changed under one LOCK_MMU, and read without. */
static void count_locked(u64 *counter, u64 n)
{
	ck_pr_store_64(counter, *counter + n);
}

static int found(struct subscription *sub, void *argument)
{
	return 1;
}

/* Takes the view's plan for the event, and what of it depends on the range. */
static void take_plan(struct notification *note)
{
	const struct notify_plan *plan = &note->view->plan[note->range.event];

	note->start = plan->start;
	note->change = plan->change;
	note->after = plan->after;
	note->rule = plan->rule;
	if (note->rule & RULE_TAGGED)
		note->range.flags |= NOTIFY_HANDED;
	if (note->rule & RULE_UNLESS_UNANIMOUS) {
		if (view_visit(&note->view->lacking, note->range.range, found, NULL))
			note->rule &= ~(RULE_TWO_STEPS | RULE_LAZY);
		else
			note->start = NULL;
	}
}

/* Of a start list: how many have been started, how many still have to be ended. */
struct bracket {
	const struct notification *note;
	unsigned count;
};

static int start_one(struct subscription *sub, void *argument)
{
	struct bracket *bracket = argument;
	const struct notify_range *range = &bracket->note->range;
	int err = 0;

	if ((bracket->note->rule & RULE_COMPANION) && sub->ops->change_start)
		sub->ops->change_start(sub, range);
	else if (sub->ops->start)
		err = sub->ops->start(sub, range);
	RACE_POINT("notifier: one started");
	if (err) {
		ck_pr_inc_64(&sub->counters[range->event].refused);
		return err;
	}
	ck_pr_inc_64(&sub->counters[range->event].starts);
	bracket->count++;
	return 0;
}

static int end_one(struct subscription *sub, void *argument)
{
	struct bracket *bracket = argument;
	const struct notify_range *range = &bracket->note->range;

	if (!bracket->count--)
		return 1;
	if ((bracket->note->rule & RULE_COMPANION) && sub->ops->change_end)
		sub->ops->change_end(sub, range);
	else if (sub->ops->end)
		sub->ops->end(sub, range);
	return 0;
}

/* All or nobody: who was started before one refused is ended again (NOTIFIER-2). */
static int start_list(struct notification *note, const struct notify_list *list)
{
	struct bracket bracket = {.note = note};
	int err = view_visit(list, note->range.range, start_one, &bracket);

	if (err)
		view_visit(list, note->range.range, end_one, &bracket);
	return err;
}

static void end_list(struct notification *note, const struct notify_list *list)
{
	struct bracket bracket = {.note = note, .count = ~0u};

	view_visit(list, note->range.range, end_one, &bracket);
}

int notification_begin_wanted(struct notification *note)
{
	struct notifier *notifier = note->notifier;
	int err = 0;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	note->view = ck_pr_load_ptr(&notifier->view);
	take_plan(note);
	if (note->start)
		err = start_list(note, note->start);
	if (err)
		quiesce_leave(&notifier->readers, arch_cpu_id());
	return err;
}

void notification_count(const struct notification *note, struct notifier *notifier)
{
	struct notifier_counters *counters =
		&notifier->counters[note->view->policy->index][note->range.event];

	count_locked(&counters->notifications, 1);
	count_locked(&counters->gfns, gfn_range_frames(note->range.range));
}

static int change_one(struct subscription *sub, void *argument)
{
	const struct notify_change *change = argument;
	struct subscription_counters *counters = &sub->counters[change->range->event];

	sub->ops->change(sub, change);
	count_locked(&counters->changes, 1);
	count_locked(&counters->changed_gfns, change->count);
	return 0;
}

void notification_change(struct notification *note, const struct pte_change *changes,
			 unsigned count, unsigned flags)
{
	struct notify_change change = {&note->range, changes, count, flags};
	const struct notify_list *list = note->change;
	struct gfn_range span;

	if (!note->view || !list)
		return;
	if (note->rule & RULE_ESTABLISH)
		change.flags |= CHANGE_ESTABLISH;
	if (list->whole_count == 1 && !list->interval_count) {
		change_one(list->whole[0], &change);
		return;
	}
	span = (struct gfn_range){changes[0].gfn, gfn_add(changes[count - 1].gfn, 1)};
	view_visit(list, span, change_one, &change);
}

/*
 * In the `after` list nobody may refuse, because the primary has changed: they may wait as long as
 * they must.
 */
void notification_end_wanted(struct notification *note)
{
	if (note->start)
		end_list(note, note->start);
	if (!note->after)
		return;
	note->range.flags &= ~NOTIFY_NOBLOCK;
	CHECK(!start_list(note, note->after));
	end_list(note, note->after);
}

void notification_done(struct notification *note)
{
	quiesce_leave(&note->notifier->readers, arch_cpu_id());
}

static int sync_one(struct subscription *sub, void *argument)
{
	if (sub->ops->sync)
		sub->ops->sync(sub);
	return 0;
}

void notification_sync(struct notification *note)
{
	if (note->view && note->change)
		view_visit(note->change, note->range.range, sync_one, NULL);
}

static const struct gfn_range everything = {{0}, {~0ull}};

/*
 * Calls `visit` for all in the range, or, given an event, for those who wanted it. Callbacks may do
 * what they may in start.
 */
static void visit_all(struct notifier *notifier, struct gfn_range range, enum notify_event event,
		      view_visitor visit, void *argument)
{
	const struct notifier_view *view;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	view = ck_pr_load_ptr(&notifier->view);
	if (view && event < EVENTS && view->policy->masked)
		view_visit(&view->drop[event], range, visit, argument);
	else if (view)
		view_visit(&view->all, range, visit, argument);
	quiesce_leave(&notifier->readers, arch_cpu_id());
}

void notifier_sync(struct notifier *notifier)
{
	visit_all(notifier, everything, EVENTS, sync_one, NULL);
}

struct dirty_request {
	struct gfn_range range;
	bool forget;
};

static int dirty_one(struct subscription *sub, void *argument)
{
	struct dirty_request *request = argument;

	if (sub->ops->dirty)
		sub->ops->dirty(sub, request->range, request->forget);
	return 0;
}

void notifier_dirty(struct notifier *notifier, struct gfn_range range, bool forget)
{
	struct dirty_request request = {range, forget};

	visit_all(notifier, range, EVENTS, dirty_one, &request);
}

void notification_dirty(struct notification *note)
{
	struct dirty_request request = {note->range.range, false};

	if (note->view)
		view_visit(&note->view->all, request.range, dirty_one, &request);
}

struct question {
	struct gfn_range range;
	bool clear, young;
};

static int ask_young(struct subscription *sub, void *argument)
{
	struct question *question = argument;

	if (sub->ops->young)
		question->young |= sub->ops->young(sub, question->range, question->clear);
	ck_pr_inc_64(&sub->counters[EVENT_AGE].starts);
	return 0;
}

bool notifier_young(struct notifier *notifier, struct gfn_range range, bool clear)
{
	struct question question = {range, clear, false};

	visit_all(notifier, range, EVENT_AGE, ask_young, &question);
	return question.young;
}
