/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.c: the calls of one notification, as the policy's plan says.
 */
#include "mm/notify/dispatch.h"
#include <lib/error.h>
#include <lib/log.h>
#include <lib/race.h>

/* Written under one LOCK_MMU, read without. */
static void count_locked(u64 *counter, u64 n)
{
	ck_pr_store_64(counter, *counter + n);
}

/* Takes the view's plan for the event. */
static void take_plan(struct notification *note)
{
	const struct notify_plan *plan = &note->view->plan[note->range.event];

	note->start = plan->start;
	note->change = plan->change;
	note->after = plan->after;
	note->rule = plan->rule;
	note->range.flags |= plan->flags;
}

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
 * The sequence of a subscription (notifier_read_begin()). An invalidation runs from before its
 * start until after its end, and is counted there. Atomic: several CPUs may notify at once. A full
 * barrier, so that the store comes before those of the callback, and after the change of the
 * primary.
 */
static __always_inline void sequence_add(struct subscription *sub, u64 n)
{
	if (unlikely(sub->sequenced))
		(void)ck_pr_faa_64(&sub->sequence, n);
}

static __always_inline void sequence_begin(struct subscription *sub)
{
	sequence_add(sub, 1);
}

static __always_inline void sequence_end(struct subscription *sub)
{
	sequence_add(sub, SEQUENCE_ONE - 1);
}

/*
 * struct bracket: a visit of a start set, which calls start, finish or end of each member.
 *
 * count	how many have been started, or are still to be finished or ended
 * calls	which of subscription.around
 */
struct bracket {
	const struct notification *note;
	unsigned count, calls;
};

static __always_inline int visit_start(struct subscription *sub, void *argument)
{
	struct bracket *bracket = argument;
	const struct notify_range *range = &bracket->note->range;
	u64 begun = trace_begin();
	int err;

	sequence_begin(sub);
	err = sub->around[bracket->calls].start(sub, range);
	trace_callback(sub,
		       bracket->calls & SUB_COMPANION ? TRACE_CALL_CHANGE_START : TRACE_CALL_START,
		       range, begun, err, 0);
	RACE_POINT("notifier: one started");
	if (err) {
		sequence_end(sub);
		ck_pr_inc_64(&sub->counters[range->event].refused);
		return err;
	}
	ck_pr_inc_64(&sub->counters[range->event].starts);
	bracket->count++;
	return 0;
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

static __always_inline int visit_end(struct subscription *sub, void *argument)
{
	struct bracket *bracket = argument;
	const struct notify_range *range = &bracket->note->range;
	u64 begun;

	if (!bracket->count--)
		return 1;
	begun = trace_begin();
	sub->around[bracket->calls].end(sub, range);
	sequence_end(sub);
	trace_callback(sub, bracket->calls & SUB_COMPANION ? TRACE_CALL_CHANGE_END : TRACE_CALL_END,
		       range, begun, 0, 0);
	return 0;
}

static unsigned bracket_calls(const struct notification *note)
{
	return (note->rule & RULE_COMPANION ? SUB_COMPANION : 0) |
	       (note->rule & RULE_TWO_PASSES ? SUB_TWO_PASSES : 0);
}

/* The second pass: those that were begun. */
static __noinline void finish_set(struct notification *note, const struct notify_set *set,
				  unsigned count)
{
	struct bracket bracket = {.note = note, .count = count};

	view_visit(note->view, set, note->range.range, visit_finish, &bracket);
}

/* All or none: those that were started before one refused are ended again (NOTIFIER-2). */
static __noinline int start_many(struct notification *note, const struct notify_set *set)
{
	struct bracket bracket = {.note = note, .calls = bracket_calls(note)};
	int err = view_visit(note->view, set, note->range.range, visit_start, &bracket);

	if (unlikely(note->rule & RULE_TWO_PASSES))
		finish_set(note, set, bracket.count);
	if (err)
		view_visit(note->view, set, note->range.range, visit_end, &bracket);
	return err;
}

static __noinline void end_many(struct notification *note, const struct notify_set *set)
{
	struct bracket bracket = {.note = note, .count = ~0u, .calls = bracket_calls(note)};

	view_visit(note->view, set, note->range.range, visit_end, &bracket);
}

/* A VM's console alone is the usual case: without a loop, and without a bracket in memory. */
static __always_inline int start_set(struct notification *note, const struct notify_set *set)
{
	struct bracket bracket = {.note = note, .calls = bracket_calls(note)};

	if (likely(set->only) && likely(!(note->rule & RULE_TWO_PASSES)))
		return visit_start(set->only, &bracket);
	return start_many(note, set);
}

static __always_inline void end_set(struct notification *note, const struct notify_set *set)
{
	struct bracket bracket = {.note = note, .count = 1, .calls = bracket_calls(note)};

	if (likely(set->only))
		(void)visit_end(set->only, &bracket);
	else
		end_many(note, set);
}

/*
 * The caller has loaded `events`. The barrier of quiesce_enter() comes before the load of the view;
 * both pair with publish() of notifier.c. From here to notification_done() this CPU is a reader.
 */
int notification_begin_calls(struct notification *note)
{
	struct notifier *notifier = note->notifier;
	int err = 0;

	quiesce_enter(&notifier->readers, arch_cpu_id());
	note->view = ck_pr_load_ptr(&notifier->view);
	take_plan(note);
	if (note->start)
		err = start_set(note, note->start);
	if (err)
		quiesce_leave(&notifier->readers, arch_cpu_id());
	return err;
}

void notification_count(const struct notification *note, struct notifier *notifier)
{
	struct notifier_counters *counters = &notifier->counters[note->range.event];

	count_locked(&counters->notifications, 1);
	count_locked(&counters->gfns, gfn_range_frames(note->range.range));
	TRACE(notification, notifier->space, .gfn = note->range.range.start.raw,
	      .end = note->range.range.end.raw, .event = (u8)note->range.event,
	      .flags = (u8)note->range.flags);
}

static __always_inline int visit_change(struct subscription *sub, void *argument)
{
	const struct notify_change *change = argument;
	struct subscription_counters *counters = &sub->counters[change->range->event];
	u64 begun = trace_begin();

	sequence_add(sub, SEQUENCE_ONE);
	sub->ops->change(sub, change);
	trace_callback(sub, TRACE_CALL_CHANGE, change->range, begun, 0, change->count);
	count_locked(&counters->changes, 1);
	count_locked(&counters->changed_gfns, change->count);
	return 0;
}

/* One of several: between two of them a CPU may use the one that has changed. */
static int visit_change_each(struct subscription *sub, void *argument)
{
	(void)visit_change(sub, argument);
	RACE_POINT("notifier: one changed");
	return 0;
}

static __attribute__((__noinline__)) void change_set(const struct notification *note,
						     struct notify_change *change)
{
	struct gfn_range span = {change->changes[0].gfn,
				 gfn_add(change->changes[change->count - 1].gfn, 1)};

	view_visit(note->view, note->change, span, visit_change_each, change);
}

void notification_change(struct notification *note, const struct pte_change *changes,
			 unsigned count, unsigned flags)
{
	struct notify_change change = {&note->range, changes, count, flags};

	if (!note->view || !note->change)
		return;
	if (note->rule & RULE_ESTABLISH)
		change.flags |=
			CHANGE_ESTABLISH | (note->rule & RULE_STARTS_ALL ? CHANGE_STARTED : 0u);
	if (likely(note->change->only)) /* a VM's stage 2 alone: the usual case */
		visit_change(note->change->only, &change);
	else
		change_set(note, &change);
}

/* Starts of the `after` set cannot be refused, since the primary has changed: they may wait. */
void notification_end_calls(struct notification *note)
{
	if (note->start)
		end_set(note, note->start);
	if (!note->after)
		return;
	note->range.flags &= ~NOTIFY_NOBLOCK;
	CHECK(!start_set(note, note->after));
	end_set(note, note->after);
}

void notification_done(struct notification *note)
{
	quiesce_leave(&note->notifier->readers, arch_cpu_id());
}

static int visit_sync(struct subscription *sub, void *argument)
{
	if (sub->ops->sync)
		sub->ops->sync(sub);
	return 0;
}

void notification_sync(struct notification *note)
{
	if (note->view && note->change)
		view_visit(note->view, note->change, note->range.range, visit_sync, NULL);
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
	struct subscription *sub = note->change->only;

	return sub->ops->take(sub, note->range.range, written, taken);
}

bool notification_take_ended(struct notification *note, u64 flush)
{
	struct subscription *sub = note->change->only;

	return sub->ops->take_ended(sub, flush);
}

void notification_take_hurry(struct notification *note, u64 flush)
{
	struct subscription *sub = note->change->only;

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
