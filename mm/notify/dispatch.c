/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.c: the calls of one notification, as the policy's plan says.
 */
#include "mm/notify/dispatch.h"
#include <lib/error.h>
#include <lib/log.h>

const struct notify_plan notify_no_plan;

/* The time before a callback, if it is traced. */
static __always_inline u64 trace_begin(void)
{
	return TRACE_ON(callback) ? arch_ticks() : 0;
}

/* A callback that began at `begun` has returned. */
static __always_inline void trace_callback(const struct subscription *sub, enum trace_call call,
					   const struct notify_range *range, u64 begun, int err,
					   unsigned pages)
{
	TRACE(callback, sub->space, .gfn = range->range.start.raw, .end = range->range.end.raw,
	      .took = arch_ticks() - begun, .pages = pages, .subscriber = sub->number,
	      .call = (u8)call, .event = (u8)range->event, .error = (s8)err);
}

/*
 * struct bracket: a visit of a start set, which calls start, finish or end of each member.
 *
 * count	how many have been started, or are still to be finished or ended
 */
struct bracket {
	const struct notification *note;
	unsigned count;
};

static int visit_start(struct subscription *sub, void *argument)
{
	struct bracket *bracket = argument;
	const struct notify_range *range = &bracket->note->range;
	unsigned calls = bracket->note->plan->calls;
	u64 begun = trace_begin();
	int err;

	sequence_begin(sub);
	err = sub->around[calls].start(sub, range);
	trace_callback(sub, calls & SUB_COMPANION ? TRACE_CALL_CHANGE_START : TRACE_CALL_START,
		       range, begun, err, 0);
	bracket->count += !err;
	return count_start(sub, range, err);
}

static int visit_finish(struct subscription *sub, void *argument)
{
	struct bracket *bracket = argument;
	const struct notify_range *range = &bracket->note->range;
	u64 begun;

	if (!bracket->count--)
		return 1;
	begun = trace_begin();
	sub->finish(sub, range);
	trace_callback(sub, TRACE_CALL_FINISH, range, begun, 0, 0);
	RACE_POINT("notifier: one finished");
	return 0;
}

static int visit_end(struct subscription *sub, void *argument)
{
	struct bracket *bracket = argument;
	const struct notify_range *range = &bracket->note->range;
	unsigned calls = bracket->note->plan->calls;
	u64 begun;

	if (!bracket->count--)
		return 1;
	begun = trace_begin();
	sub->around[calls].end(sub, range);
	sequence_end(sub);
	trace_callback(sub, calls & SUB_COMPANION ? TRACE_CALL_CHANGE_END : TRACE_CALL_END, range,
		       begun, 0, 0);
	return 0;
}

/* The second pass: those that were begun. */
static __noinline void finish_set(struct notification *note, const struct notify_set *set,
				  unsigned count)
{
	struct bracket bracket = {.note = note, .count = count};

	view_visit(note->view, set, note->range.range, visit_finish, &bracket);
}

/* All or none: those that were started before one refused are ended again (NOTIFIER-2). */
int notification_start_many(struct notification *note, const struct notify_set *set)
{
	struct bracket bracket = {.note = note};
	int err = view_visit(note->view, set, note->range.range, visit_start, &bracket);

	if (unlikely(note->plan->rule & RULE_TWO_PASSES))
		finish_set(note, set, bracket.count);
	if (err)
		view_visit(note->view, set, note->range.range, visit_end, &bracket);
	return err;
}

void notification_end_many(struct notification *note, const struct notify_set *set)
{
	struct bracket bracket = {.note = note, .count = ~0u};

	view_visit(note->view, set, note->range.range, visit_end, &bracket);
}

/* One of several: between two of them a CPU may use the one that has changed. */
static int visit_change(struct subscription *sub, void *argument)
{
	const struct notify_change *change = argument;
	u64 begun = trace_begin();

	call_change(sub, change);
	trace_callback(sub, TRACE_CALL_CHANGE, change->range, begun, 0, change->count);
	RACE_POINT("notifier: one changed");
	return 0;
}

void notification_change_many(struct notification *note, const struct notify_change *change)
{
	struct gfn_range span = {change->changes[0].gfn,
				 gfn_add(change->changes[change->count - 1].gfn, 1)};

	view_visit(note->view, note->plan->change, span, visit_change, (void *)change);
}

/* Starts of the `after` set cannot be refused, since the primary has changed: they may wait. */
void notification_after(struct notification *note)
{
	note->range.flags &= ~NOTIFY_NOBLOCK;
	CHECK(!start_set(note, note->plan->after));
	end_set(note, note->plan->after);
}

static int visit_sync(struct subscription *sub, void *argument)
{
	if (sub->ops->sync)
		sub->ops->sync(sub);
	return 0;
}

void notification_sync(struct notification *note)
{
	if (note->plan->change)
		view_visit(note->view, note->plan->change, note->range.range, visit_sync, NULL);
}

static int visit_sync_begin(struct subscription *sub, void *argument)
{
	if (sub->ops->sync_begin)
		sub->ops->sync_begin(sub);
	return 0;
}

static int visit_sync_ended(struct subscription *sub, void *argument)
{
	return sub->ops->sync_ended && !sub->ops->sync_ended(sub);
}

/* The first result of a visit that is not 0, of all subscriptions. */
static int visit_all(struct notifier *notifier, view_visitor visit)
{
	const struct gfn_range all = {{0}, {GFN_END}};
	const struct notifier_view *view;
	int result = 0;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	view = ck_pr_load_ptr(&notifier->view);
	if (view)
		result = view_visit(view, &view->all, all, visit, NULL);
	quiesce_leave(&notifier->readers, arch_cpu_id());
	return result;
}

void notifier_sync(struct notifier *notifier)
{
	(void)visit_all(notifier, visit_sync);
}

void notifier_sync_begin(struct notifier *notifier)
{
	(void)visit_all(notifier, visit_sync_begin);
}

bool notifier_sync_ended(struct notifier *notifier)
{
	return !visit_all(notifier, visit_sync_ended);
}

struct dirty_request {
	struct gfn_range range;
	bool revoke;
};

static int visit_dirty(struct subscription *sub, void *argument)
{
	struct dirty_request *request = argument;

	if (sub->ops->dirty)
		sub->ops->dirty(sub, request->range, request->revoke);
	return 0;
}

void notifier_dirty(struct notifier *notifier, struct gfn_range range, bool revoke)
{
	struct dirty_request request = {range, revoke};
	const struct notifier_view *view;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	view = ck_pr_load_ptr(&notifier->view);
	if (view)
		view_visit(view, &view->all, range, visit_dirty, &request);
	quiesce_leave(&notifier->readers, arch_cpu_id());
}

void notification_dirty(struct notification *note)
{
	struct dirty_request request = {note->range.range, false};

	if (note->view)
		view_visit(note->view, &note->view->all, request.range, visit_dirty, &request);
}

bool notifier_can_take(struct notifier *notifier)
{
	const struct notifier_view *view;
	bool can;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	view = ck_pr_load_ptr(&notifier->view);
	can = view && (view->plan[EVENT_SOFT_DIRTY].rule & RULE_TAKE);
	quiesce_leave(&notifier->readers, arch_cpu_id());
	return can;
}

u64 notification_take(struct notification *note, const u64 *written, u64 *taken)
{
	struct subscription *sub = note->plan->change->only;

	return sub->ops->take(sub, note->range.range, written, taken);
}

bool notification_take_ended(struct notification *note, u64 flush)
{
	struct subscription *sub = note->plan->change->only;

	return sub->ops->take_ended(sub, flush);
}

void notification_take_hurry(struct notification *note, u64 flush)
{
	struct subscription *sub = note->plan->change->only;

	sub->ops->take_hurry(sub, flush);
}

struct young_request {
	struct gfn_range range;
	bool clear, young;
};

static int visit_young(struct subscription *sub, void *argument)
{
	struct young_request *request = argument;

	if (sub->ops->young)
		request->young |= sub->ops->young(sub, request->range, request->clear);
	ck_pr_inc_64(&sub->counters[EVENT_AGE].starts);
	return 0;
}

/* EVENT_AGE has no bracket: `young` takes the place of start in its plan. */
bool notifier_young(struct notifier *notifier, struct gfn_range range, bool clear)
{
	struct young_request request = {range, clear, false};
	const struct notifier_view *view;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	view = ck_pr_load_ptr(&notifier->view);
	if (view && view->plan[EVENT_AGE].start)
		view_visit(view, view->plan[EVENT_AGE].start, range, visit_young, &request);
	quiesce_leave(&notifier->readers, arch_cpu_id());
	return request.young;
}
