/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass.c: GUEST-CACHE-3: a change that passes the guest cache without its lock, beside device
 * models that miss the page, in every interleaving of three CPUs with two preemptions.
 *
 *     CPU 0: breaks the sharing of page 5    CPU 1: reads page 5        CPU 2: reads page 37
 *     -----------------------------------    -------------------        --------------------
 *     the cache has nothing of it: passes    misses, fills              misses, takes its place
 *     primary = new, writes, says so         reads                      reads
 */
#include "sim/mm_world.h"
#include "sim/explore.h"

#include <mm/guest_cache.h>

#define OLD  1111
#define NEW  2222
#define GPA  (5 * PAGE_SIZE)
#define SAME (37 * PAGE_SIZE) /* has its place where page 5 has */

static struct race {
	const struct notifier_policy *policy;
	struct addrspace *as;
	struct stage2 *s2;
	struct guest_cache *cache;
	bool published;
	u64 schedules;
} race;

static void setup(void *world)
{
	const u64 gfns[] = {5, 6};
	struct race *r = world;

	r->published = false;
	r->as = world_space(64);
	assert_int_equal(addrspace_set_policy(r->as, r->policy), 0);
	world_share(r->as, gfns, 2, OLD);
	r->s2 = world_stage2(r->as);
	assert_int_equal(guest_cache_create(r->as, &r->cache), 0);
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

	for (unsigned i = 0; i < 2; i++) {
		bool knew = r->published;
		u64 value = world_read(NULL, r->cache, GPA);

		assert_true(value == NEW || (value == OLD && !knew));
	}
}

static void reader_of_another(void *world)
{
	struct race *r = world;

	assert_int_equal(world_read(NULL, r->cache, SAME), 0);
}

static void check(void *world)
{
	struct race *r = world;

	assert_int_equal(world_read(NULL, r->cache, GPA), NEW);
	assert_int_equal(world_read(NULL, r->cache, 6 * PAGE_SIZE), OLD);
	guest_cache_destroy(r->cache);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

static void under(const struct notifier_policy *policy, enum retry_mode retry)
{
	struct sched_scenario scenario = {
		.setup = setup,
		.task = {writer, reader, reader_of_another},
		.check = check,
		.world = &race,
		.preemptions = 2,
	};

	if (retry != RETRY_INPLACE || !strcmp(notifier_policy_name(policy), "late"))
		return;
	race = (struct race){.policy = policy};
	world_begin(4, 4);
	race.schedules = sched_explore(&scenario);
	world_end();
}

static void no_schedule_leaves_a_page_in_the_cache_that_was_replaced(void **state)
{
	world_each_policy(under);
	assert_true(race.schedules > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_schedule_leaves_a_page_in_the_cache_that_was_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
