/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c: what each policy costs the guest in exits, as the 2014 thread expected it.
 *
 *     merge two pages    the guest reads one again          bracket, invalidate: one exit; the others: none
 *     break              the guest writes to it             one exit; one more under bracket and
 *                                                           invalidate when the guest retries (mode reenter)
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/guest_cache.h>

#include <lib/error.h>
#include <mm/policy.h>
#include "mm/space/update.h"
#include "mm/stage2/private.h"

struct cost {
	u64 after_merge, break_exits, after_break;
	struct stage2_stats stats;
};

/*
 * Two pages shared, read again, one of them broken by a write; with a device model's cache or
 * without.
 */
static struct cost measure(const struct notifier_policy *policy, enum retry_mode retry,
			   bool with_cache)
{
	const u64 gfns[] = {1, 2};
	struct guest_cache *cache = NULL;
	struct audit_report report;
	struct cost cost = {0};
	struct addrspace *as;
	struct stage2 *s2;
	u64 value;

	world_begin(2, 4);
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	addrspace_set_retry(as, retry);
	s2 = world_stage2(as);
	if (with_cache)
		assert_int_equal(guest_cache_create(as, &cache), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(guest_write(s2, gfns[i] * PAGE_SIZE, 7), FAULT_MAPPED);
	guest_counters.exits = 0;
	world_share(as, gfns, 2, 7);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(guest_read(s2, gfns[i] * PAGE_SIZE, &value), FAULT_MAPPED);
	cost.after_merge = guest_counters.exits;
	assert_int_equal(guest_write(s2, PAGE_SIZE, 8), FAULT_MAPPED);
	cost.break_exits = guest_counters.exits - cost.after_merge;
	assert_int_equal(guest_read(s2, PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 8);
	cost.after_break = guest_counters.exits - cost.after_merge - cost.break_exits;
	assert_int_equal(guest_read(s2, 2 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 7);
	guest_out();
	stage2_stats(s2, &cost.stats);
	assert_int_equal(audit_run(0, &report), 0);
	if (cache)
		guest_cache_destroy(cache);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
	return cost;
}

static bool is(const struct notifier_policy *policy, const char *name)
{
	return !strcmp(policy->name, name);
}

/* Does stage 2 have to fault again for what the policy could have passed to it? */
static bool refaults(const struct notifier_policy *policy, bool with_cache)
{
	return is(policy, "bracket") || is(policy, "invalidate") || is(policy, "two_pass") ||
	       (is(policy, "unanimous") && with_cache);
}

/* Each fault after the merge has a cause, and a second one of a break is that of the break. */
static void expect_causes(const struct cost *cost, bool breaks_twice)
{
	u64 sum = 0;

	for (unsigned event = 0; event < EVENTS; event++)
		sum += cost->stats.cause[event];
	assert_int_equal(sum, cost->after_merge + cost->break_exits);
	assert_int_equal(cost->stats.cause[EVENT_COW_BREAK], breaks_twice);
}

static void expect(const struct notifier_policy *policy, enum retry_mode retry, bool with_cache)
{
	struct cost cost = measure(policy, retry, with_cache);
	bool again = refaults(policy, with_cache);

	print_message("# %-10s %s %s: %llu after merge, %llu for the break, %llu flushes\n",
		      policy->name, retry == RETRY_INPLACE ? "inplace" : "reenter",
		      with_cache ? "cache" : "alone", (unsigned long long)cost.after_merge,
		      (unsigned long long)cost.break_exits, (unsigned long long)cost.stats.flushes);
	assert_int_equal(cost.after_merge, again ? 2 : 0);
	assert_int_equal(cost.break_exits, again && retry == RETRY_REENTER ? 2 : 1);
	assert_int_equal(cost.after_break, 0);
	expect_causes(&cost, again && retry == RETRY_REENTER);
	if (is(policy, "bracket"))
		assert_true(cost.stats.moot > 0 && cost.stats.changed == 0);
	if (is(policy, "establish"))
		assert_true(cost.stats.established > 0);
	if (is(policy, "masked"))
		assert_true(cost.stats.changed > 0 && cost.stats.drops == 0);
}

static void alone(const struct notifier_policy *policy, enum retry_mode retry)
{
	expect(policy, retry, false);
}

static void with_cache(const struct notifier_policy *policy, enum retry_mode retry)
{
	expect(policy, retry, true);
}

static void faults_after_merge_and_break_are_as_the_thread_expected(void **state)
{
	world_each_policy(alone);
}

static void one_subscriber_without_change_spoils_unanimous_only(void **state)
{
	world_each_policy(with_cache);
}

static u64 flushes(const struct notifier_policy *policy, bool cached)
{
	return measure(policy, RETRY_INPLACE, cached).stats.flushes;
}

/*
 * Two write-protections and the break flush. MERGE's flush, of equal content, waits until the old
 * frame is to be freed and comes for free with the break's. The same under every policy: the axis
 * `flush` decides, and it is lazy in all.
 */
static void each_named_point_flushes_as_often(void **state)
{
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		assert_int_equal(flushes(notifier_policy(i), true), 3);
		assert_int_equal(flushes(notifier_policy(i), false), 3);
	}
}

/* Eager, the flush of the MERGE is its own, and so is that of what change has mapped. */
static void eager_flushes_at_each_call(void **state)
{
	static const struct {
		const char *name;
		u64 flushes;
	} row[] = {{"bracket", 3}, {"establish", 4}, {"invalidate", 3}, {"masked", 4}, {"late", 4}};

	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		struct notifier_policy eager =
			*notifier_policy_find(row[i].name, strlen(row[i].name));

		assert_int_equal(notifier_policy_set(&eager, "flush", 5, "eager"), 0);
		assert_int_equal(flushes(&eager, false), row[i].flushes);
	}
}

/*
 * A range longer than a batch: many changes, one flush; and nothing is writable when the operation
 * returns.
 */
static void a_long_range_is_flushed_once(void **state)
{
	struct stage2_stats before, after;
	struct addrspace *as;
	struct stage2 *s2;
	u64 exits;

	world_begin(2, 8);
	as = world_space(300);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("masked", 6)), 0);
	s2 = world_stage2(as);
	for (u64 gfn = 0; gfn < 300; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, 1), FAULT_MAPPED);
	stage2_stats(s2, &before);
	assert_int_equal(cow_protect(as, world_range(0, 300)), 0);
	stage2_stats(s2, &after);
	assert_int_equal(after.flushes - before.flushes, 1);
	assert_int_equal(after.changed - before.changed, 300);
	exits = guest_counters.exits;
	for (u64 gfn = 0; gfn < 300; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, 2), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits - exits, 300);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static struct stage2 *paused_s2;
static unsigned pauses;

/* LOCK_MMU is free in a pause: CPU 1's guest, which has a writable translation, writes. */
static void write_in_the_pause(const char *name)
{
	u64 exits = guest_counters.exits;

	if (strcmp(name, "update: paused") != 0 || pauses++)
		return;
	sim_set_cpu(1);
	assert_int_equal(guest_write(paused_s2, 0, 3), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits - exits, 1);
	guest_out();
	sim_set_cpu(0);
}

/* What a pause leaves changed is flushed before it. */
static void a_pause_leaves_no_translation_from_before(void **state)
{
	struct addrspace *as;

	world_begin(2, 8);
	as = world_space(3 * UPDATE_PAUSE);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("masked", 6)), 0);
	paused_s2 = world_stage2(as);
	pauses = 0;
	sim_set_cpu(1);
	assert_int_equal(guest_write(paused_s2, (UPDATE_PAUSE - 1) * PAGE_SIZE, 1), FAULT_MAPPED);
	assert_int_equal(guest_write(paused_s2, 0, 1), FAULT_MAPPED);
	sim_set_cpu(0);
	sim_on_race_point = write_in_the_pause;
	assert_int_equal(addrspace_clear_soft_dirty(as, world_range(0, 2 * UPDATE_PAUSE)), 0);
	sim_on_race_point = NULL;
	assert_true(pauses > 0);
	stage2_destroy(paused_s2);
	addrspace_destroy(as);
	world_end();
}

static bool young(struct addrspace *as)
{
	bool young;

	spin_lock(&as->lock);
	young = notifier_young(&as->notifier, world_range(0, 1), true);
	spin_unlock(&as->lock);
	return young;
}

static void an_access_through_one_of_two_is_seen(void **state)
{
	struct stage2 *s2[2];
	struct addrspace *as;
	u64 value;

	world_begin(1, 8);
	as = world_space(16);
	for (unsigned i = 0; i < 2; i++)
		s2[i] = world_stage2(as);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(guest_read(s2[i], 0, &value), FAULT_MAPPED);
		guest_out();
		assert_true(young(as));
		assert_false(young(as));
	}
	for (unsigned i = 0; i < 2; i++)
		stage2_destroy(s2[i]);
	addrspace_destroy(as);
	world_end();
}

static void a_subscription_that_is_not_there_is_not_found(void **state)
{
	struct subscription none = {.range = world_range(0, 1)};
	struct addrspace *as;
	struct stage2 *s2;

	world_begin(1, 8);
	as = world_space(16);
	assert_int_equal(notifier_unsubscribe(&as->notifier, &none), ERR_NOT_FOUND);
	s2 = world_stage2(as);
	assert_int_equal(notifier_unsubscribe(&as->notifier, &none), ERR_NOT_FOUND);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/*
 * ROM and guarded pages take the hypervisor's own writes, and a look before such a write
 * fails (COW-2).
 */
static void our_own_write_spoils_a_look(void **state)
{
	struct cow_look look;
	struct addrspace *as;
	u64 value = 1;

	world_begin(1, 4);
	as = world_space(4);
	assert_int_equal(addrspace_add_slot(as, world_range(4, 4), SLOT_ROM), 0);
	for (u64 gfn = 3; gfn < 5; gfn++) {
		struct gpa gpa = {gfn * PAGE_SIZE};

		assert_int_equal(addrspace_write(as, gpa, &value, 8), 0);
		assert_int_equal(cow_protect(as, world_range(gfn, 1)), 0);
		assert_int_equal(cow_look(as, (struct gfn){gfn}, &look), 0);
		assert_int_equal(addrspace_write(as, gpa, &value, 8), 0);
		assert_int_equal(cow_protect(as, world_range(gfn, 1)), 0);
		assert_int_equal(cow_offer(as, (struct gfn){gfn}, &look), ERR_BUSY);
		assert_int_equal(cow_look(as, (struct gfn){gfn}, &look), 0);
		assert_int_equal(cow_offer(as, (struct gfn){gfn}, &look), 0);
		assert_false(frame_put(look.mfn));
		/* Shared, it is broken first; a ROM page stays one. */
		assert_int_equal(addrspace_write(as, gpa, &value, 8), 0);
		assert_int_equal(cow_break(as, (struct gfn){gfn}), 0);
	}
	addrspace_destroy(as);
	world_end();
}

static void names_are_found_and_others_are_not(void **state)
{
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		const char *name = notifier_policy_name(notifier_policy(i));

		assert_ptr_equal(notifier_policy_find(name, strlen(name)), notifier_policy(i));
	}
	assert_null(notifier_policy_find("brackets", 8));
	assert_null(notifier_policy_find("", 0));
	sim_init(1);
	addrspace_configure(notifier_policy_find("late_wp", 7), RETRY_REENTER, READ_AS_READ, 1, 1);
	world_begin(1, 4);
	struct addrspace *as = world_space(4);

	assert_string_equal(addrspace_policy(as).name, "late_wp");
	assert_int_equal(addrspace_retry(as), RETRY_REENTER);
	addrspace_destroy(as);
	world_end();
}

static void check_text(const struct notifier_policy *policy, const char *expected)
{
	char text[POLICY_TEXT_MAX];

	notifier_policy_text(policy, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void a_point_is_set_and_named_by_words(void **state)
{
	struct notifier_policy point = *notifier_policy_find("masked", 6);

	check_text(&point, "masked");
	assert_int_equal(notifier_policy_set(&point, "flush", 5, "eager"), 0);
	assert_int_equal(notifier_policy_set(&point, "events", 6, "page"), 0);
	check_text(&point, "masked, events=page, flush=eager");
	assert_int_equal(notifier_policy_set(&point, "events", 6, "range"), 0);
	check_text(&point, "masked, flush=eager");
	assert_int_equal(notifier_policy_set(&point, "flush", 5, "never"), ERR_NOT_FOUND);
	assert_int_equal(notifier_policy_set(&point, "flus", 4, "lazy"), ERR_NOT_FOUND);
	check_text(&point, "masked, flush=eager");
}

static void a_point_that_loses_is_refused_but_late(void **state)
{
	struct notifier_policy point;

	for (unsigned i = 0; i < notifier_policy_count(); i++)
		assert_null(notifier_policy_refusal(notifier_policy(i)));
	point = *notifier_policy_find("masked", 6);
	point.steps = POLICY_ONE_STEP;
	assert_non_null(notifier_policy_refusal(&point));
	point = *notifier_policy_find("late_wp", 7);
	point.steps = POLICY_ONE_STEP; /* is late by another name */
	assert_non_null(notifier_policy_refusal(&point));
	point = *notifier_policy_find("invalidate", 10);
	point.when = POLICY_AFTER;
	assert_non_null(notifier_policy_refusal(&point));
	point = *notifier_policy_find("invalidate", 10);
	point.establish = POLICY_ESTABLISH;
	assert_non_null(notifier_policy_refusal(&point));
}

static void a_refused_point_is_not_put_in_force(void **state)
{
	struct notifier_policy point = *notifier_policy_find("masked", 6);
	struct addrspace *as;

	world_begin(1, 4);
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("bracket", 7)), 0);
	point.steps = POLICY_ONE_STEP;
	assert_int_equal(addrspace_set_policy(as, &point), ERR_INVALID);
	assert_string_equal(addrspace_policy(as).name, "bracket");
	addrspace_destroy(as);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_after_merge_and_break_are_as_the_thread_expected),
		cmocka_unit_test(one_subscriber_without_change_spoils_unanimous_only),
		cmocka_unit_test(each_named_point_flushes_as_often),
		cmocka_unit_test(eager_flushes_at_each_call),
		cmocka_unit_test(a_long_range_is_flushed_once),
		cmocka_unit_test(a_pause_leaves_no_translation_from_before),
		cmocka_unit_test(an_access_through_one_of_two_is_seen),
		cmocka_unit_test(a_subscription_that_is_not_there_is_not_found),
		cmocka_unit_test(our_own_write_spoils_a_look),
		cmocka_unit_test(names_are_found_and_others_are_not),
		cmocka_unit_test(a_point_is_set_and_named_by_words),
		cmocka_unit_test(a_point_that_loses_is_refused_but_late),
		cmocka_unit_test(a_refused_point_is_not_put_in_force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
