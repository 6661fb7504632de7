/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier.c: subscribing and unsubscribing.
 *
 * Dispatch reads the view in force without a lock. Subscribing builds the next view in the spare,
 * publishes it by one store, and waits for the readers of the old view (lib/quiesce.h), which is
 * the spare from then on. So when unsubscribing returns, no callback of the subscription runs, and
 * its memory may be freed (NOTIFIER-1).
 *
 * A notification without a call does not enter as a reader: it checks `events` under LOCK_MMU,
 * where the primary then changes. So after publishing, subscribe takes and releases LOCK_MMU once:
 * an operation that checked before has ended, one that checks later sees the new subscription.
 */
#include <mm/notifier.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/race.h>
#include <lib/string.h>
#include <ck_pr.h>
#include <trace/trace.h>
#include "mm/frame/pool.h"
#include "mm/notify/dispatch.h"
#include "mm/notify/view.h"

const char *notify_event_name(enum notify_event event)
{
	static const char *const names[EVENTS] = {
		"unmap",   "clear",   "protect_range", "protect_page", "soft_dirty",
		"release", "migrate", "exclusive",     "merge",	       "cow_break",
		"reclaim", "balloon", "split",	       "collapse",     "age",
	};

	return (unsigned)event < EVENTS ? names[event] : "?";
}

void notifier_init(struct notifier *notifier, const struct notifier_policy *policy,
		   struct spinlock *mmu_lock)
{
	memset(notifier, 0, sizeof(*notifier));
	notifier->policy = *policy;
	notifier->mmu_lock = mmu_lock;
	spin_init(&notifier->lock, LOCK_NOTIFIER, "notifier");
}

void notifier_fini(struct notifier *notifier)
{
	if (!notifier->view)
		return;
	CHECK(!notifier->view->count);
	page_free(notifier->view, notifier->order);
	page_free(notifier->spare, notifier->order);
	notifier->view = notifier->spare = NULL;
}

/*
 * Puts the spare in force. When it returns, the old view, now the spare, has no reader.
 *
 *     publish                               notification
 *     -------                               ------------
 *     fill the spare                        load events: the bit is set
 *     fence                                 quiesce_enter(), a full barrier
 *     view = spare                          load view: has the role, and is full
 *     events = its events
 *
 * The fence pairs with the loads through `view`. `view` is stored before `events`: a CPU that sees
 * the bit of a first subscription does not see a view of NULL. LOCK_MMU is taken after both.
 */
static void publish(struct notifier *notifier)
{
	struct notifier_view *old = notifier->view;

	ck_pr_fence_store();
	ck_pr_store_ptr(&notifier->view, notifier->spare);
	ck_pr_store_64(&notifier->events, notifier->view->events);
	spin_lock(notifier->mmu_lock);
	spin_unlock(notifier->mmu_lock);
	quiesce_wait(&notifier->readers, arch_cpu_count());
	notifier->spare = old;
}

/* Builds the next view in the spare: the present subscriptions but for `removed`, and `added`. */
static void build_spare(struct notifier *notifier, const struct subscription *removed,
			struct subscription *added)
{
	view_build(notifier->spare, notifier->order, &notifier->policy, notifier->view, removed,
		   added);
}

/* Replaces both views by larger ones, or makes the first two. */
static int grow(struct notifier *notifier)
{
	unsigned order = notifier->view ? notifier->order + 1 : 0, old_order = notifier->order;
	struct notifier_view *old_view = notifier->view, *old_spare = notifier->spare;
	void *view, *spare;
	int err = page_alloc(order, &view);

	if (err)
		return err;
	err = page_alloc(order, &spare);
	if (err) {
		page_free(view, order);
		return err;
	}
	notifier->spare = view;
	notifier->order = order;
	build_spare(notifier, NULL, NULL);
	publish(notifier);
	notifier->spare = spare;
	if (old_view) {
		page_free(old_view, old_order);
		page_free(old_spare, old_order);
	}
	return 0;
}

static bool is_valid(const struct subscription *sub)
{
	u32 events = sub->invalidate_events | sub->change_events;

	return sub->ops && sub->range.start.raw < sub->range.end.raw && !(events & ~EVENTS_ALL) &&
	       !(sub->invalidate_events & sub->change_events) &&
	       (!sub->change_events || sub->ops->change);
}

static int start_nothing(struct subscription *sub, const struct notify_range *range)
{
	return 0;
}

static void end_nothing(struct subscription *sub, const struct notify_range *range)
{
}

/* What stands for a missing method is chosen once, here, so dispatch has no branch for it. */
static void fill_calls(struct subscription *sub)
{
	const struct subscriber_ops *ops = sub->ops;
	struct notifier_calls *calls = sub->around;

	calls[0].start = ops->start ? ops->start : start_nothing;
	calls[0].end = ops->end ? ops->end : end_nothing;
	calls[SUB_TWO_PASSES].start = ops->start_begin ? ops->start_begin : calls[0].start;
	calls[SUB_TWO_PASSES].end = calls[0].end;
	for (unsigned i = 0; i < SUB_CALLS; i += SUB_TWO_PASSES) {
		struct notifier_calls *companion = &calls[i | SUB_COMPANION];

		companion->start = ops->change_start ? ops->change_start : calls[i].start;
		companion->end = ops->change_end ? ops->change_end : calls[i].end;
	}
	sub->finish = ops->finish ? ops->finish : end_nothing;
	sub->sequenced = ops->sequenced;
	sub->sequence = 0;
}

int notifier_subscribe(struct notifier *notifier, struct subscription *sub)
{
	int err = 0;

	if (!is_valid(sub))
		return ERR_INVALID;
	if (notification_inside(notifier))
		return ERR_REENTRANT;
	spin_lock(&notifier->lock);
	if (!notifier->view || notifier->view->count == view_capacity(notifier->order))
		err = grow(notifier);
	if (!err) {
		fill_calls(sub);
		sub->space = notifier->space;
		sub->number = (u16)trace_number_subscriber(sub->space, sub->ops->name);
		build_spare(notifier, NULL, sub);
		publish(notifier);
	}
	spin_unlock(&notifier->lock);
	return err;
}

int notifier_unsubscribe(struct notifier *notifier, struct subscription *sub)
{
	int err = ERR_NOT_FOUND;

	if (notification_inside(notifier))
		return ERR_REENTRANT;
	spin_lock(&notifier->lock);
	if (notifier->view) {
		build_spare(notifier, sub, NULL);
		if (notifier->spare->count < notifier->view->count) {
			publish(notifier);
			err = 0;
		}
	}
	spin_unlock(&notifier->lock);
	RACE_POINT("unsubscribe: done");
	return err;
}

int notifier_set_policy(struct notifier *notifier, const struct notifier_policy *policy)
{
	if (notifier_policy_refusal(policy))
		return ERR_INVALID;
	if (notification_inside(notifier))
		return ERR_REENTRANT;
	spin_lock(&notifier->lock);
	notifier->policy = *policy;
	if (notifier->view) {
		build_spare(notifier, NULL, NULL);
		publish(notifier);
	}
	spin_unlock(&notifier->lock);
	return 0;
}

void notifier_each_locked(struct notifier *notifier, int (*visit)(struct subscription *, void *),
			  void *argument)
{
	const struct notifier_view *view = notifier->view;

	for (unsigned i = 0; view && i < view->count; i++)
		if (visit(view->sub[i], argument))
			return;
}

void notifier_each(struct notifier *notifier, int (*visit)(struct subscription *, void *),
		   void *argument)
{
	spin_lock(&notifier->lock);
	notifier_each_locked(notifier, visit, argument);
	spin_unlock(&notifier->lock);
}

static int add_calls(struct subscription *sub, void *argument)
{
	u64 *sum = argument;

	for (unsigned event = 0; event < EVENTS; event++)
		*sum += 2 * ck_pr_load_64(&sub->counters[event].starts) +
			ck_pr_load_64(&sub->counters[event].changes);
	return 0;
}

u64 notifier_callbacks(struct notifier *notifier)
{
	u64 sum = 0;

	notifier_each(notifier, add_calls, &sum);
	return sum;
}

u64 notifier_notifications(const struct notifier *notifier, enum notify_event event)
{
	return ck_pr_load_64(&notifier->counters[event].notifications);
}

u64 notifier_events(const struct notifier *notifier, enum notify_event event)
{
	return notifier_notifications(notifier, event) + ck_pr_load_64(&notifier->skipped[event]);
}
