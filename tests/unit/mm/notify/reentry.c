/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reentry.c: a subscriber tries to change the chain in each of its callbacks: to unsubscribe itself
 * or another, to subscribe a third, to set a policy.
 */
#include "mm/notify/dispatch.h"
#include "sim/mm_world.h"

#include <mm/cow.h>
#include <mm/policy.h>

/*
 * other	subscribed, and no more than that
 * third	not subscribed
 * kinds	bitmap: the callbacks that tried, by their letters
 */
static struct {
	struct notifier *chain;
	struct subscription sub, other, third;
	u64 kinds;
} meddler;

static void ignore_change(struct subscription *sub, const struct notify_change *change)
{
}

static int meddle(struct subscription *sub, char kind)
{
	struct notifier *chain = meddler.chain;

	assert_int_equal(notifier_unsubscribe(chain, sub), ERR_REENTRANT);
	assert_int_equal(notifier_unsubscribe(chain, &meddler.other), ERR_REENTRANT);
	assert_int_equal(notifier_subscribe(chain, &meddler.third), ERR_REENTRANT);
	assert_int_equal(notifier_set_policy(chain, notifier_policy(0)), ERR_REENTRANT);
	meddler.kinds |= BIT(kind - 'a');
	return 0;
}

static int meddle_start(struct subscription *sub, const struct notify_range *range)
{
	return meddle(sub, 's');
}

static int meddle_begin(struct subscription *sub, const struct notify_range *range)
{
	return meddle(sub, 'b');
}

static void meddle_finish(struct subscription *sub, const struct notify_range *range)
{
	(void)meddle(sub, 'f');
}

static void meddle_end(struct subscription *sub, const struct notify_range *range)
{
	(void)meddle(sub, 'e');
}

static void meddle_change(struct subscription *sub, const struct notify_change *change)
{
	(void)meddle(sub, 'c');
}

static void meddle_sync(struct subscription *sub)
{
	(void)meddle(sub, 'w');
}

static void meddle_dirty(struct subscription *sub, struct gfn_range range, bool revoke)
{
	(void)meddle(sub, 'd');
}

static bool meddle_young(struct subscription *sub, struct gfn_range range, bool clear)
{
	return meddle(sub, 'y');
}

static const struct subscriber_ops meddler_ops = {
	.name = "meddler",
	.start = meddle_start,
	.end = meddle_end,
	.start_begin = meddle_begin,
	.finish = meddle_finish,
	.change = meddle_change,
	.sync = meddle_sync,
	.dirty = meddle_dirty,
	.young = meddle_young,
};

static const struct subscriber_ops idle_ops = {
	.name = "idle",
	.change = ignore_change,
};

/* A change in place, a bracket, one in two passes, and the calls without an event. */
static void call_every_callback(struct addrspace *as)
{
	struct notifier *chain = addrspace_notifier(as);
	u64 value = 1;
	bool young;

	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("establish", 9)), 0);
	assert_int_equal(addrspace_write(as, (struct gpa){0}, &value, 8), 0);
	assert_int_equal(cow_protect(as, world_range(0, 1)), 0);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("two_pass", 8)), 0);
	assert_int_equal(addrspace_clear(as, world_range(0, 1), 0), 0);
	assert_int_equal(addrspace_age(as, world_range(0, 1), &young), 0);
	spin_lock(chain->mmu_lock);
	notifier_sync(chain);
	notifier_dirty(chain, world_range(0, 1), false);
	spin_unlock(chain->mmu_lock);
}

static int count_one(struct subscription *sub, void *argument)
{
	*(unsigned *)argument += 1;
	return 0;
}

/* NOTIFIER-4. */
static void no_callback_changes_the_chain(void **state)
{
	struct addrspace *as;
	unsigned count = 0;

	world_begin(1, 4);
	as = world_space(16);
	memset(&meddler, 0, sizeof(meddler));
	meddler.chain = addrspace_notifier(as);
	meddler.sub = (struct subscription){.ops = &meddler_ops,
					    .range = world_range(0, ~0ull),
					    .change_events = EVENTS_CHANGE_PTE,
					    .invalidate_events = EVENTS_ALL & ~EVENTS_CHANGE_PTE};
	meddler.other = meddler.third = meddler.sub;
	meddler.other.ops = meddler.third.ops = &idle_ops;
	assert_int_equal(notifier_subscribe(meddler.chain, &meddler.sub), 0);
	assert_int_equal(notifier_subscribe(meddler.chain, &meddler.other), 0);
	call_every_callback(as);
	for (const char *kind = "sebfcwdy"; *kind; kind++)
		assert_true(meddler.kinds & BIT(*kind - 'a'));
	notifier_each(meddler.chain, count_one, &count);
	assert_int_equal(count, 2);
	assert_string_equal(meddler.chain->policy.name, "two_pass");
	assert_int_equal(notifier_unsubscribe(meddler.chain, &meddler.sub), 0);
	assert_int_equal(notifier_unsubscribe(meddler.chain, &meddler.other), 0);
	addrspace_destroy(as);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_callback_changes_the_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
