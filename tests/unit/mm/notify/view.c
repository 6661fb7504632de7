/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c: subscriptions to all gfns beside subscriptions to intervals, more than a word of a set
 * has room for: each that overlaps the range is called once, no other.
 */
#include "sim/mm_world.h"

#include "mm/space/space.h"

#define SUBSCRIPTIONS 150u
#define LENGTH	      10u /* of an interval */

static struct subscription subs[SUBSCRIPTIONS];
static unsigned calls[SUBSCRIPTIONS];

static void count_change(struct subscription *sub, const struct notify_change *change)
{
	assert_int_equal(change->count, 1);
	calls[sub - subs]++;
}

static const struct subscriber_ops ops = {.name = "counter", .change = count_change};

/* The first `whole` are subscribed to all gfns, the others to one interval behind the other. */
static struct addrspace *subscribe(unsigned whole, unsigned count)
{
	struct addrspace *as = world_space(SUBSCRIPTIONS * LENGTH);
	const struct notifier_policy *masked = notifier_policy_find("masked", 6);

	assert_int_equal(addrspace_set_policy(as, masked), 0);
	for (unsigned i = 0; i < count; i++) {
		subs[i] = (struct subscription){.ops = &ops, .change_events = EVENTS_CHANGE_PTE};
		subs[i].range =
			i < whole ? world_range(0, GFN_END) : world_range((u64)i * LENGTH, LENGTH);
		assert_int_equal(notifier_subscribe(addrspace_notifier(as), &subs[i]), 0);
	}
	return as;
}

static void each_is_called_once(unsigned whole, unsigned count)
{
	struct addrspace *as;

	world_begin(1, 16);
	as = subscribe(whole, count);
	for (unsigned page = 0; page < SUBSCRIPTIONS; page++) {
		u64 gfn = (u64)page * LENGTH + page % LENGTH;

		memset(calls, 0, sizeof(calls));
		assert_int_equal(addrspace_populate(as, world_range(gfn, 1)), 0);
		assert_int_equal(cow_protect(as, world_range(gfn, 1)), 0);
		for (unsigned i = 0; i < count; i++)
			assert_int_equal(calls[i], i < whole || i == page);
	}
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(notifier_unsubscribe(addrspace_notifier(as), &subs[i]), 0);
	addrspace_destroy(as);
	world_end();
}

static void one_for_all_gfns_is_called_beside_intervals(void **state)
{
	each_is_called_once(1, SUBSCRIPTIONS);
	each_is_called_once(1, 2);
	each_is_called_once(5, 130);
}

static void several_for_all_gfns_are_called(void **state)
{
	each_is_called_once(1, 1);
	each_is_called_once(2, 2);
	each_is_called_once(70, 70);
	each_is_called_once(70, 140);
}

static void intervals_alone_are_called(void **state)
{
	each_is_called_once(0, SUBSCRIPTIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_for_all_gfns_is_called_beside_intervals),
		cmocka_unit_test(several_for_all_gfns_are_called),
		cmocka_unit_test(intervals_alone_are_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
