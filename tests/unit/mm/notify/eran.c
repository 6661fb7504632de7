/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eran.c: Eran's race under every policy, in every interleaving of three CPUs with two preemptions,
 * and in some with more. A plain ./test takes one retry mode of each policy for the cache, the
 * other one for the view; --long takes both.
 *
 *     CPU 0: breaks the sharing by its write   CPU 1: writes            CPU 2: reads
 *     ---------------------------------------  ----------------         ------------
 *     primary = new                            writes the new page,
 *     tells the subscribers                    then says so             knows that it was written,
 *                                                                       reads through a subscriber
 *                                                                       without change: the old page?
 *
 * NOTIFIER-5: the reader never sees the old content after it knows of the write; under `late` it
 * does. In the writer's own stage 2, as another vCPU of the VM, it never does: the right to write
 * comes after the flush.
 */
#include "sim/mm_world.h"
#include "sim/explore.h"

#include <mm/guest_cache.h>

#define OLD   1111
#define NEW   2222
#define GPA   (5 * PAGE_SIZE)
#define DRAWN 300 /* schedules of more switches, by chance */

/* Through what the reader goes: the device models' cache, a second stage 2, the writer's own. */
enum way { CACHE, VIEW, SAME };

static struct race {
	const struct notifier_policy *policy;
	enum retry_mode retry;
	enum way way;
	struct addrspace *as;
	struct stage2 *s2, *view;
	struct guest_cache *cache;
	bool published;
	u64 stale, schedules;
} race;

static u64 read_page(struct race *r)
{
	return world_read(r->way == SAME ? r->s2 : r->view, r->way == CACHE ? r->cache : NULL, GPA);
}

static void setup(void *world)
{
	const u64 gfns[] = {5, 6};
	struct race *r = world;
	u64 value;

	r->published = false;
	r->as = world_space(16);
	assert_int_equal(addrspace_set_policy(r->as, r->policy), 0);
	addrspace_set_retry(r->as, r->retry);
	world_share(r->as, gfns, 2, OLD);
	r->s2 = world_stage2(r->as);
	r->view = world_stage2(r->as);
	assert_int_equal(guest_cache_create(r->as, &r->cache), 0);
	/* All have the old page in their hands. */
	sim_set_cpu(1);
	assert_int_equal(guest_read(r->s2, GPA, &value), FAULT_MAPPED);
	sim_set_cpu(2);
	assert_int_equal(read_page(r), OLD);
	sim_set_cpu(0);
}

static void breaker(void *world)
{
	struct race *r = world;

	assert_int_equal(cow_break(r->as, (struct gfn){5}), 0);
}

static void writer(void *world)
{
	struct race *r = world;

	assert_int_equal(guest_write(r->s2, GPA, NEW), FAULT_MAPPED);
	sched_point("writer: wrote");
	r->published = true;
	guest_out();
}

static void reader(void *world)
{
	struct race *r = world;
	bool knew = r->published;

	while (!knew) {
		guest_idle();
		knew = r->published;
	}
	if (read_page(r) != NEW)
		r->stale++;
	guest_out();
}

static void check(void *world)
{
	struct race *r = world;
	u64 value;

	assert_int_equal(guest_read(r->view, GPA, &value), FAULT_MAPPED);
	assert_int_equal(value, NEW);
	assert_int_equal(guest_read(r->s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, OLD);
	guest_out();
	guest_cache_destroy(r->cache);
	stage2_destroy(r->view);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

static u64 stale_reads(const struct notifier_policy *policy, enum retry_mode retry, enum way way)
{
	static const char *const name[] = {"guest cache", "second view", "same stage 2"};
	struct sched_scenario scenario = {
		.setup = setup,
		.task = {breaker, writer, reader},
		.check = check,
		.world = &race,
		.preemptions = 2,
	};

	race = (struct race){.policy = policy, .retry = retry, .way = way};
	world_begin(4, 4);
	race.schedules = sched_explore_and_draw(scenario, DRAWN);
	world_end();
	print_message("# %s, %s, through the %s: %llu schedules, %llu stale reads\n",
		      notifier_policy_name(policy), retry == RETRY_INPLACE ? "inplace" : "reenter",
		      name[way], (unsigned long long)race.schedules,
		      (unsigned long long)race.stale);
	return race.stale;
}

/* A stable half of the pairs of policy and retry mode. */
static bool is_left_out(const struct notifier_policy *policy, enum retry_mode retry, enum way way)
{
	unsigned index = 0;

	while (notifier_policy(index) != policy)
		index++;
	return !sim_long() && (index + (retry == RETRY_INPLACE) + (way == CACHE)) % 2;
}

static bool is_late(const struct notifier_policy *policy)
{
	return !strcmp(notifier_policy_name(policy), "late");
}

static void through_the_cache(const struct notifier_policy *policy, enum retry_mode retry)
{
	u64 stale;

	if (is_left_out(policy, retry, CACHE))
		return;
	stale = stale_reads(policy, retry, CACHE);
	if (is_late(policy))
		assert_true(stale > 0);
	else
		assert_int_equal(stale, 0);
}

static void through_a_view(const struct notifier_policy *policy, enum retry_mode retry)
{
	u64 stale;

	if (is_left_out(policy, retry, VIEW))
		return;
	stale = stale_reads(policy, retry, VIEW);
	if (!is_late(policy))
		assert_int_equal(stale, 0);
}

static void through_the_same(const struct notifier_policy *policy, enum retry_mode retry)
{
	if (!is_left_out(policy, retry, SAME))
		assert_int_equal(stale_reads(policy, retry, SAME), 0);
}

static void only_late_lets_a_device_model_read_the_old_page(void **state)
{
	world_each_policy(through_the_cache);
}

static void a_second_view_never_reads_the_old_page(void **state)
{
	world_each_policy(through_a_view);
}

static void another_vcpu_never_reads_the_old_page(void **state)
{
	world_each_policy(through_the_same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_late_lets_a_device_model_read_the_old_page),
		cmocka_unit_test(a_second_view_never_reads_the_old_page),
		cmocka_unit_test(another_vcpu_never_reads_the_old_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
