/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier.c: the chain: order of callbacks, refusal and rollback, unsubscribing while they run.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/guest_cache.h>
#include <mm/policy.h>

#define SPIES 200

/* A subscriber that counts its calls. */
struct spy {
	struct subscription sub;
	unsigned starts, ends, changes, brackets;
	int refuse; /* the result of start */
	bool gone;  /* its memory is freed */
	struct addrspace *reenter;
	int answers[5]; /* results of calls from inside start */
};

static struct spy spies[SPIES];
static char order[256]; /* the calls as letters */

static struct spy *spy_of(struct subscription *sub)
{
	struct spy *spy = container_of(sub, struct spy, sub);

	assert_false(spy->gone);
	return spy;
}

static void write_down(struct spy *spy, char what)
{
	size_t len = strlen(order);

	if (len + 3 < sizeof(order)) {
		order[len] = what;
		order[len + 1] = (char)('0' + (spy - spies) % 10);
		order[len + 2] = '\0';
	}
}

/* All that would come back to the chain, and, last, what notifies nothing. */
static void try_to_re_enter(struct spy *spy, struct gfn_range range)
{
	struct addrspace *as = spy->reenter;

	spy->answers[0] = addrspace_clear(as, range, 0);
	spy->answers[1] = addrspace_set_policy(as, notifier_policy(0));
	spy->answers[2] = addrspace_release(as);
	spy->answers[3] = notifier_unsubscribe(addrspace_notifier(as), &spy->sub);
	spy->answers[4] = addrspace_populate(as, range);
}

static int spy_start(struct subscription *sub, const struct notify_range *range)
{
	struct spy *spy = spy_of(sub);

	write_down(spy, 's');
	sched_point("spy: in start");
	assert_false(spy->gone);
	if (spy->reenter)
		try_to_re_enter(spy, range->range);
	if (spy->refuse && (range->flags & NOTIFY_NOBLOCK))
		return spy->refuse;
	spy->starts++;
	return 0;
}

static void spy_end(struct subscription *sub, const struct notify_range *range)
{
	write_down(spy_of(sub), 'e');
	sched_point("spy: in end");
	spy_of(sub)->ends++;
}

static void spy_change(struct subscription *sub, const struct notify_change *change)
{
	write_down(spy_of(sub), 'c');
	spy_of(sub)->changes += change->count;
}

static int spy_change_start(struct subscription *sub, const struct notify_range *range)
{
	write_down(spy_of(sub), 'b');
	spy_of(sub)->brackets++;
	return 0;
}

static void spy_change_end(struct subscription *sub, const struct notify_range *range)
{
	(void)spy_change_start(sub, range);
}

/* f: the first pass, l: the last. */
static int spy_start_begin(struct subscription *sub, const struct notify_range *range)
{
	write_down(spy_of(sub), 'f');
	return range->flags & NOTIFY_NOBLOCK ? spy_of(sub)->refuse : 0;
}

static void spy_finish(struct subscription *sub, const struct notify_range *range)
{
	write_down(spy_of(sub), 'l');
}

static const struct subscriber_ops two_pass_ops = {
	.name = "two_pass",
	.start = spy_start,
	.end = spy_end,
	.start_begin = spy_start_begin,
	.finish = spy_finish,
};

static const struct subscriber_ops plain_ops = {
	.name = "plain",
	.start = spy_start,
	.end = spy_end,
	.sequenced = true,
};

static const struct subscriber_ops changer_ops = {
	.name = "changer",
	.start = spy_start,
	.end = spy_end,
	.change = spy_change,
	.change_start = spy_change_start,
	.change_end = spy_change_end,
};

static struct spy *spy_new(unsigned i, u64 gfn, u64 frames, bool changer)
{
	struct spy *spy = &spies[i];

	*spy = (struct spy){.sub = {.ops = changer ? &changer_ops : &plain_ops}};
	spy->sub.range = world_range(gfn, frames);
	spy->sub.change_events = changer ? EVENTS_CHANGE_PTE : 0;
	spy->sub.invalidate_events = EVENTS_ALL & ~spy->sub.change_events;
	return spy;
}

static struct spy *spy_on(struct addrspace *as, unsigned i, bool changer)
{
	struct spy *spy = spy_new(i, 0, ~0ull, changer);

	assert_int_equal(notifier_subscribe(addrspace_notifier(as), &spy->sub), 0);
	return spy;
}

static void spy_off(struct addrspace *as, struct spy *spy)
{
	assert_int_equal(notifier_unsubscribe(addrspace_notifier(as), &spy->sub), 0);
	spy->gone = true;
}

static void set_policy(struct addrspace *as, const char *name)
{
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find(name, strlen(name))), 0);
}

static int count_one(struct subscription *sub, void *argument)
{
	*(unsigned *)argument += 1;
	return 0;
}

static unsigned count_subscriptions(struct notifier *chain)
{
	unsigned count = 0;

	notifier_each(chain, count_one, &count);
	return count;
}

static void a_malformed_subscription_is_refused(void **state)
{
	struct addrspace *as;
	struct notifier *chain;
	struct spy *spy;

	world_begin(1, 4);
	as = world_space(16);
	chain = addrspace_notifier(as);
	spy = spy_new(0, 5, 0, false);
	assert_int_equal(notifier_subscribe(chain, &spy->sub), ERR_INVALID);
	spy = spy_new(0, 5, 1, false);
	spy->sub.change_events = BIT(EVENT_MERGE);
	spy->sub.invalidate_events = 0;
	assert_int_equal(notifier_subscribe(chain, &spy->sub), ERR_INVALID);
	spy = spy_new(0, 5, 1, true);
	spy->sub.invalidate_events |= BIT(EVENT_MERGE);
	assert_int_equal(notifier_subscribe(chain, &spy->sub), ERR_INVALID);
	spy->sub.invalidate_events = BIT(EVENTS);
	assert_int_equal(notifier_subscribe(chain, &spy->sub), ERR_INVALID);
	spy->sub.ops = NULL;
	assert_int_equal(notifier_subscribe(chain, &spy->sub), ERR_INVALID);
	assert_int_equal(notifier_unsubscribe(chain, &spy->sub), ERR_NOT_FOUND);
	assert_int_equal(count_subscriptions(chain), 0);
	addrspace_destroy(as);
	world_end();
}

/*
 * NOTIFIER-3: random intervals; exactly those that overlap are called, under a policy that calls
 * no start and one that does.
 */
static void exactly_the_overlapping_intervals_are_called(void **state)
{
	struct sim_random random = sim_random_start(4711);
	struct addrspace *as;

	world_begin(1, 16);
	as = world_space(1000);
	for (unsigned i = 0; i < SPIES; i++) {
		u64 start = sim_below(&random, 990);
		struct spy *spy = spy_new(i, start, sim_size(&random, 1000 - start), i % 2);

		assert_int_equal(notifier_subscribe(addrspace_notifier(as), &spy->sub), 0);
	}
	for (unsigned round = 0; round < 400; round++) {
		u64 start = sim_below(&random, 990);
		struct gfn_range range = world_range(start, sim_size(&random, 1000 - start));

		set_policy(as, round % 2 ? "masked" : "bracket");
		for (unsigned i = 0; i < SPIES; i++)
			spies[i].starts = spies[i].ends = 0;
		assert_int_equal(addrspace_clear(as, range, 0), 0);
		for (unsigned i = 0; i < SPIES; i++) {
			assert_int_equal(spies[i].starts,
					 gfn_ranges_overlap(range, spies[i].sub.range));
			assert_int_equal(spies[i].ends, spies[i].starts);
		}
	}
	for (unsigned i = 0; i < SPIES; i++)
		spy_off(as, &spies[(i * 7) % SPIES]);
	addrspace_destroy(as);
	world_end();
}

/* One page guarded: an event that every policy can hand over. */
static const char *calls_of(const char *policy)
{
	struct addrspace *as;
	struct spy *changer, *plain;
	u64 value = 1;

	world_begin(1, 4);
	as = world_space(16);
	set_policy(as, policy);
	assert_int_equal(addrspace_write(as, (struct gpa){0}, &value, 8), 0);
	changer = spy_on(as, 0, true);
	plain = spy_on(as, 1, false);
	order[0] = '\0';
	assert_int_equal(cow_protect(as, world_range(0, 1)), 0);
	spy_off(as, changer);
	spy_off(as, plain);
	addrspace_destroy(as);
	world_end();
	return order;
}

/* NOTIFIER-3: 0 has change, 1 has none. s: start, e: end, c: change, b: companion's bracket. */
static void each_policy_calls_in_its_own_order(void **state)
{
	assert_string_equal(calls_of("bracket"), "s0s1c0e0e1");
	assert_string_equal(calls_of("late"), "c0s1e1");
	assert_string_equal(calls_of("late_wp"), "c0s1e1");
	assert_string_equal(calls_of("establish"), "s0s1c0e0e1");
	assert_string_equal(calls_of("unanimous"), "s0s1c0e0e1");
	assert_string_equal(calls_of("event"), "s0s1c0e0e1");
	assert_string_equal(calls_of("companion"), "b0s1c0b0e1");
	assert_string_equal(calls_of("invalidate"), "s0s1e0e1");
	assert_string_equal(calls_of("two_pass"), "s0s1e0e1");
	assert_string_equal(calls_of("masked"), "s1c0e1");
}

/* The calls of clearing a page beside 0, in one pass, and 1 and 2, in two; 2 may refuse. */
static const char *passes_of(const char *policy, unsigned flags)
{
	struct addrspace *as;

	world_begin(1, 4);
	as = world_space(16);
	set_policy(as, policy);
	for (unsigned i = 0; i < 3; i++) {
		struct spy *spy = spy_new(i, 0, ~0ull, false);

		spy->sub.ops = i ? &two_pass_ops : &plain_ops;
		spy->refuse = i == 2 ? ERR_WOULD_BLOCK : 0;
		assert_int_equal(notifier_subscribe(addrspace_notifier(as), &spy->sub), 0);
	}
	order[0] = '\0';
	(void)addrspace_clear(as, world_range(0, 4), flags);
	for (unsigned i = 0; i < 3; i++)
		spy_off(as, &spies[i]);
	addrspace_destroy(as);
	world_end();
	return order;
}

/* NOTIFIER-2: those that were begun are finished and ended. */
static void all_are_begun_before_the_first_is_finished(void **state)
{
	assert_string_equal(passes_of("invalidate", 0), "s0s1s2e0e1e2");
	assert_string_equal(passes_of("two_pass", 0), "s0f1f2l1l2e0e1e2");
	assert_string_equal(passes_of("two_pass", ADDRSPACE_NOBLOCK), "s0f1f2l1e0e1");
}

static void masked_skips_events_in_no_mask(void **state)
{
	struct addrspace *as;
	struct spy *spy;
	struct notifier *chain;

	world_begin(1, 4);
	as = world_space(16);
	chain = addrspace_notifier(as);
	set_policy(as, "masked");
	spy = spy_new(0, 0, ~0ull, false);
	spy->sub.invalidate_events = BIT(EVENT_SOFT_DIRTY);
	assert_int_equal(notifier_subscribe(chain, &spy->sub), 0);
	assert_int_equal(addrspace_clear(as, world_range(0, 4), 0), 0);
	assert_int_equal(spy->starts, 0);
	assert_int_equal(chain->skipped[EVENT_CLEAR], 1);
	assert_int_equal(addrspace_clear_soft_dirty(as, world_range(0, 4)), 0);
	assert_int_equal(spy->starts, 1);
	assert_int_equal(spy->sub.counters[EVENT_SOFT_DIRTY].starts, 1);
	set_policy(as, "bracket");
	assert_int_equal(addrspace_clear(as, world_range(0, 4), 0), 0);
	assert_int_equal(spy->starts, 2);
	spy_off(as, spy);
	addrspace_destroy(as);
	world_end();
}

/* UPDATE-2: NOTIFIER-2. */
static void a_refused_start_ends_those_already_started(void **state)
{
	struct addrspace *as;
	u64 value = 9;

	world_begin(1, 4);
	as = world_space(16);
	set_policy(as, "bracket");
	assert_int_equal(addrspace_write(as, (struct gpa){0}, &value, 8), 0);
	for (unsigned i = 0; i < 4; i++)
		spy_on(as, i, false);
	spies[2].refuse = ERR_WOULD_BLOCK;
	order[0] = '\0';
	assert_int_equal(addrspace_clear(as, world_range(0, 4), ADDRSPACE_NOBLOCK),
			 ERR_WOULD_BLOCK);
	assert_string_equal(order, "s0s1s2e0e1");
	assert_int_equal(spies[2].sub.counters[EVENT_CLEAR].refused, 1);
	assert_false(spies[2].sub.sequence & SEQUENCE_RUNNING);
	assert_int_equal(addrspace_read(as, (struct gpa){0}, &value, 8), 0);
	assert_int_equal(value, 9);
	assert_int_equal(addrspace_clear(as, world_range(0, 4), 0), 0);
	for (unsigned i = 0; i < 4; i++)
		spy_off(as, &spies[i]);
	addrspace_destroy(as);
	world_end();
}

/* NOTIFIER-4. */
static void callbacks_may_not_re_enter(void **state)
{
	struct addrspace *as;
	struct spy *spy;

	world_begin(1, 4);
	as = world_space(16);
	spy = spy_on(as, 0, false);
	spy->reenter = as;
	assert_int_equal(addrspace_clear(as, world_range(0, 4), 0), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(spy->answers[i], ERR_REENTRANT);
	assert_int_equal(spy->answers[4], 0);
	assert_int_equal(spy->starts, 1);
	spy_off(as, spy);
	addrspace_destroy(as);
	world_end();
}

/* The guest is over: each subscriber drops what it holds, under each policy. */
static void release_is_told(const struct notifier_policy *policy, enum retry_mode retry)
{
	struct guest_cache_counters counters;
	struct guest_cache *cache;
	struct addrspace *as;
	struct stage2 *s2;
	struct spy *spy;
	void *place;
	u64 value;

	world_begin(1, 4);
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	s2 = world_stage2(as);
	assert_int_equal(guest_cache_create(as, &cache), 0);
	spy = spy_on(as, 0, true);
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE, 1), FAULT_MAPPED);
	assert_int_equal(addrspace_pin(as, (struct gfn){5}), 0);
	assert_int_equal(guest_cache_get(cache, (struct gpa){5 * PAGE_SIZE}, 8, false, &place), 0);
	guest_cache_put(cache, (struct gpa){5 * PAGE_SIZE});
	guest_out();
	spy->starts = spy->ends = 0;
	assert_int_equal(addrspace_release(as), 0);
	assert_int_equal(spy->starts, 1);
	assert_int_equal(spy->ends, 1);
	guest_cache_counters(cache, &counters);
	assert_int_equal(counters.drops, 1);
	assert_int_equal(world_mfn(as, 5), 0);
	assert_int_equal(guest_read(s2, 5 * PAGE_SIZE, &value), FAULT_MMIO);
	assert_int_equal(guest_cache_get(cache, (struct gpa){5 * PAGE_SIZE}, 8, false, &place),
			 ERR_RANGE);
	assert_int_equal(addrspace_populate(as, world_range(5, 1)), ERR_RANGE);
	guest_out();
	spy_off(as, spy);
	guest_cache_destroy(cache);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void all_subscribers_invalidate_at_release(void **state)
{
	world_each_policy(release_is_told);
}

static void subscribing_survives_every_failed_allocation(void **state)
{
	struct addrspace *as;
	unsigned failed = 0;

	world_begin(1, 16);
	as = world_space(16);
	for (unsigned i = 0; i < SPIES; i++) {
		struct spy *spy = spy_new(i, i, 100, i % 3);
		int err = ERR_NO_MEMORY;

		for (u64 n = 1; err; n++) {
			sim_fail_frame_alloc(n, 1);
			err = notifier_subscribe(addrspace_notifier(as), &spy->sub);
			sim_fail_frame_alloc(0, 0);
			assert_true(!err || err == ERR_NO_MEMORY);
			assert_int_equal(count_subscriptions(addrspace_notifier(as)), i + !err);
			failed += err != 0;
		}
	}
	/* Two views of a page, then two of two pages. */
	assert_int_equal(failed, 4);
	for (unsigned i = 0; i < SPIES; i++)
		spy_off(as, &spies[i]);
	addrspace_destroy(as);
	world_end();
}

/* More subscriptions of all gfns than a word has places, with intervals among them. */
static void each_of_many_subscriptions_is_called_once(void **state)
{
	struct addrspace *as;

	world_begin(1, 16);
	as = world_space(16);
	for (unsigned i = 0; i < SPIES; i++) {
		struct spy *spy =
			i % 3 ? spy_new(i, 0, ~0ull, i % 2) : spy_new(i, i % 16, 1, i % 2);

		assert_int_equal(notifier_subscribe(addrspace_notifier(as), &spy->sub), 0);
	}
	for (unsigned policy = 0; policy < notifier_policy_count(); policy++) {
		assert_int_equal(addrspace_set_policy(as, notifier_policy(policy)), 0);
		for (unsigned i = 0; i < SPIES; i++)
			spies[i].starts = spies[i].ends = 0;
		assert_int_equal(addrspace_clear(as, world_range(3, 1), 0), 0);
		for (unsigned i = 0; i < SPIES; i++) {
			assert_int_equal(spies[i].starts, i % 3 || i % 16 == 3);
			assert_int_equal(spies[i].ends, spies[i].starts);
		}
	}
	for (unsigned i = 0; i < SPIES; i++)
		spy_off(as, &spies[i]);
	addrspace_destroy(as);
	world_end();
}

/* The races: one CPU notifies, another unsubscribes. */
static struct addrspace *raced;
static unsigned heard, subscribed_late;

static void race_setup(void *world)
{
	raced = world_space(16);
	set_policy(raced, "bracket");
	spy_on(raced, 0, false);
	spy_on(raced, 1, true);
}

static void race_notify(void *world)
{
	sched_point("notify: begins");
	assert_int_equal(addrspace_clear(raced, world_range(0, 1), 0), 0);
	assert_int_equal(addrspace_clear(raced, world_range(1, 1), 0), 0);
}

static void race_unsubscribe(void *world)
{
	spy_off(raced, &spies[0]);
}

static void race_check(void *world)
{
	assert_int_equal(spies[0].starts, spies[0].ends);
	assert_int_equal(spies[1].starts, 2);
	heard |= BIT(spies[0].starts);
	spy_off(raced, &spies[1]);
	addrspace_destroy(raced);
}

/* NOTIFIER-1: spy_of() asserts that no callback comes to one that is gone. */
static void unsubscribe_waits_for_running_callbacks(void **state)
{
	struct sched_scenario scenario = {.setup = race_setup,
					  .task = {race_notify, race_unsubscribe},
					  .check = race_check,
					  .preemptions = 3};

	heard = 0;
	world_begin(2, 4);
	print_message("# %llu schedules\n", (unsigned long long)sched_explore(&scenario));
	assert_int_equal(heard, BIT(0) | BIT(1) | BIT(2));
	world_end();
}

static void late_setup(void *world)
{
	raced = world_space(16);
	set_policy(raced, "masked");
}

/* Caches what the primary says, from the moment it is subscribed on. */
static void late_subscribe(void *world)
{
	spy_on(raced, 0, false);
	subscribed_late = world_mfn(raced, 0) != 0;
}

static void late_populate_and_clear(void *world)
{
	assert_int_equal(addrspace_populate(raced, world_range(0, 1)), 0);
	assert_int_equal(addrspace_clear(raced, world_range(0, 1), 0), 0);
}

static void late_check(void *world)
{
	/* A subscriber that saw the page after subscribing was notified of its end. */
	if (subscribed_late)
		assert_int_equal(spies[0].starts, 1);
	heard |= BIT(subscribed_late);
	spy_off(raced, &spies[0]);
	addrspace_destroy(raced);
}

static void nothing_escapes_a_new_subscription(void **state)
{
	struct sched_scenario scenario = {.setup = late_setup,
					  .task = {late_populate_and_clear, late_subscribe},
					  .check = late_check,
					  .preemptions = 3,
					  .at_locks = true};

	heard = 0;
	world_begin(2, 4);
	print_message("# %llu schedules\n", (unsigned long long)sched_explore(&scenario));
	assert_int_equal(heard, BIT(0) | BIT(1));
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_malformed_subscription_is_refused),
		cmocka_unit_test(exactly_the_overlapping_intervals_are_called),
		cmocka_unit_test(each_policy_calls_in_its_own_order),
		cmocka_unit_test(all_are_begun_before_the_first_is_finished),
		cmocka_unit_test(masked_skips_events_in_no_mask),
		cmocka_unit_test(a_refused_start_ends_those_already_started),
		cmocka_unit_test(callbacks_may_not_re_enter),
		cmocka_unit_test(all_subscribers_invalidate_at_release),
		cmocka_unit_test(subscribing_survives_every_failed_allocation),
		cmocka_unit_test(each_of_many_subscriptions_is_called_once),
		cmocka_unit_test(unsubscribe_waits_for_running_callbacks),
		cmocka_unit_test(nothing_escapes_a_new_subscription),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
