/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier.c: subscribing and unsubscribing.
 *
 * Dispatch reads the view in force without a lock. Subscribing builds the next view in the spare,
 * publishes it by one store, and waits for the readers of the old view (lib/quiesce.h), which is
 * the spare from then on. So when unsubscribing returns, no callback of the subscription runs, and
 * its memory may be freed (NOTIFIER-1).
 *
 * A notification that nobody wants does not even say that it reads: it looks at `wanted` under
 * LOCK_MMU, under which the primary then changes. So after publishing, subscribe takes and drops
 * LOCK_MMU once: whoever looked before has finished, whoever looks later sees the new subscription.
 */
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <ck_pr.h>
#include "mm/notify/view.h"
#include "mm/notify/dispatch.h"
#include "mm/frame/pool.h"
#include <lib/race.h>

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
	notifier->policy = policy;
	notifier->mmu_lock = mmu_lock;
	spin_init(&notifier->lock, LOCK_NOTIFIER, "notifier");
}

void notifier_fini(struct notifier *notifier)
{
	CHECK(!notifier->count);
	if (notifier->view)
		page_free(notifier->view, notifier->order);
	if (notifier->spare)
		page_free(notifier->spare, notifier->order);
	notifier->view = notifier->spare = NULL;
}

/*
 * Makes the spare, which holds `count` subscriptions, the view in force; nobody reads the old one
 * when it returns.
 */
static void publish(struct notifier *notifier, unsigned count)
{
	struct notifier_view *old = notifier->view;

	notifier->count = count;
	ck_pr_fence_store();
	ck_pr_store_ptr(&notifier->view, notifier->spare);
	ck_pr_store_64(&notifier->wanted, notifier->view->wanted);
	spin_lock(notifier->mmu_lock);
	spin_unlock(notifier->mmu_lock);
	quiesce_wait(&notifier->readers, arch_cpu_count());
	notifier->spare = old;
}

/*
 * All subscriptions, sorted by start, in a list of the view that subscribe and unsubscribe read
 * back.
 */
static unsigned copy_subs(const struct notifier *notifier, struct subscription **out,
			  const struct subscription *except)
{
	const struct notify_list *all = &notifier->view->all;
	unsigned count = 0;

	for (unsigned i = 0; notifier->count && i < all->whole_count; i++)
		if (all->whole[i] != except)
			out[count++] = all->whole[i];
	for (unsigned i = 0; notifier->count && i < all->interval_count; i++)
		if (all->intervals[i] != except)
			out[count++] = all->intervals[i];
	return count;
}

static unsigned insert_sorted(struct subscription **subs, unsigned count, struct subscription *sub)
{
	unsigned place = count;

	for (; place && subs[place - 1]->range.start.raw > sub->range.start.raw; place--)
		subs[place] = subs[place - 1];
	subs[place] = sub;
	return count + 1;
}

/* Two views of a larger order, holding what the old ones held. */
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
	if (old_view) {
		struct subscription **subs = (struct subscription **)spare;

		view_build(view, notifier->policy, subs, copy_subs(notifier, subs, NULL));
	} else {
		view_build(view, notifier->policy, NULL, 0);
	}
	notifier->spare = view;
	publish(notifier, notifier->count);
	if (old_view) {
		page_free(old_view, old_order);
		page_free(old_spare, old_order);
	}
	notifier->spare = spare;
	notifier->order = order;
	notifier->capacity = view_capacity(order);
	return 0;
}

static bool is_valid(const struct subscription *sub)
{
	u32 wants = sub->want_drop | sub->want_change;

	return sub->ops && sub->range.start.raw < sub->range.end.raw && !(wants & ~EVENTS_ALL) &&
	       !(sub->want_drop & sub->want_change) && (!sub->want_change || sub->ops->change);
}

/*
 * The spare's tail serves as scratch for the sorted list; view_build() fills the spare from its
 * front.
 */
static struct subscription **scratch(struct notifier *notifier)
{
	char *end = (char *)notifier->spare + (PAGE_SIZE << notifier->order);

	return (struct subscription **)end - notifier->capacity;
}

int notifier_subscribe(struct notifier *notifier, struct subscription *sub)
{
	int err = 0;

	if (!is_valid(sub))
		return ERR_INVALID;
	if (notification_inside(notifier))
		return ERR_REENTRANT;
	spin_lock(&notifier->lock);
	if (notifier->count == notifier->capacity)
		err = grow(notifier);
	if (!err) {
		struct subscription **subs = scratch(notifier);
		unsigned count = copy_subs(notifier, subs, NULL);

		count = insert_sorted(subs, count, sub);
		view_build(notifier->spare, notifier->policy, subs, count);
		publish(notifier, count);
	}
	spin_unlock(&notifier->lock);
	return err;
}

int notifier_unsubscribe(struct notifier *notifier, struct subscription *sub)
{
	struct subscription **subs;
	unsigned count;
	int err = ERR_NOT_FOUND;

	if (notification_inside(notifier))
		return ERR_REENTRANT;
	spin_lock(&notifier->lock);
	if (notifier->count) {
		subs = scratch(notifier);
		count = copy_subs(notifier, subs, sub);
		if (count < notifier->count) {
			view_build(notifier->spare, notifier->policy, subs, count);
			publish(notifier, count);
			err = 0;
		}
	}
	spin_unlock(&notifier->lock);
	RACE_POINT("unsubscribe: done");
	return err;
}

int notifier_set_policy(struct notifier *notifier, const struct notifier_policy *policy)
{
	if (notification_inside(notifier))
		return ERR_REENTRANT;
	spin_lock(&notifier->lock);
	ck_pr_store_ptr(&notifier->policy, policy);
	if (notifier->view) {
		struct subscription **subs = scratch(notifier);
		unsigned count = copy_subs(notifier, subs, NULL);

		view_build(notifier->spare, policy, subs, count);
		publish(notifier, count);
	}
	spin_unlock(&notifier->lock);
	return 0;
}

static int add_calls(struct subscription *sub, void *argument)
{
	u64 *sum = argument;

	for (unsigned event = 0; event < EVENTS; event++)
		*sum += 2 * ck_pr_load_64(&sub->counters[event].starts) +
			ck_pr_load_64(&sub->counters[event].changes);
	return 0;
}

void notifier_each(struct notifier *notifier, int (*visit)(struct subscription *, void *),
		   void *argument)
{
	const struct gfn_range all = {{0}, {~0ull}};

	spin_lock(&notifier->lock);
	if (notifier->view)
		(void)view_visit(&notifier->view->all, all, visit, argument);
	spin_unlock(&notifier->lock);
}

u64 notifier_callbacks(struct notifier *notifier)
{
	u64 sum = 0;

	notifier_each(notifier, add_calls, &sum);
	return sum;
}

u64 notifier_events(const struct notifier *notifier, enum notify_event event)
{
	u64 sum = ck_pr_load_64(&notifier->unwanted[event]);

	for (unsigned policy = 0; policy < NOTIFIER_POLICIES; policy++)
		sum += ck_pr_load_64(&notifier->counters[policy][event].notifications);
	return sum;
}
