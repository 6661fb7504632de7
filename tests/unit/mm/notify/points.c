/* SPDX-License-Identifier: Apache-2.0 */
/*
 * points.c: Eran's race at each point of the axes, not at the named ones alone.
 *
 *     CPU 0: breaks the sharing    CPU 1: writes, then publishes    CPU 2: reads after that
 *
 * The reader goes through a device model's cache or through a second view. The page is shared
 * before the CPUs have cached its translation, or after: then the flush of the merge may still be
 * put off when the race begins.
 *
 * NOTIFIER-5: an accepted point never shows the old page; a point that is refused for the race
 * does.
 *
 * A search draws its schedules by chance, as many as mostly show a loss; with --long, or with
 * SAMEPAGE_PREEMPTIONS=2, it goes through all schedules of two preemptions.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/guest_cache.h>

#include "mm/space/space.h"

#define OLD	   1111
#define NEW	   2222
#define GPA	   (5 * PAGE_SIZE)
#define DRAWN	   200 /* schedules of a search */
#define TRIES	   10  /* searches for a loss; one does, mostly */
#define ANY_NUMBER 1000u

/*
 * cached	the reader is a device model
 * early	the CPUs have translations from before the merge
 */
static struct race {
	const struct notifier_policy *point;
	enum retry_mode retry;
	bool cached, early;
	struct addrspace *as;
	struct stage2 *s2, *view;
	struct guest_cache *cache;
	bool published;
	u64 stale;
} race;

static unsigned accepted, refused;

static bool is_long(void)
{
	return sim_long() || getenv("SAMEPAGE_PREEMPTIONS");
}

static u64 read_page(void)
{
	return world_read(race.view, race.cached ? race.cache : NULL, GPA);
}

/* CPU 0 stays outside, so that no flush waits for it. */
static void cache_translations(void)
{
	u64 value;

	sim_set_cpu(1);
	assert_int_equal(guest_read(race.s2, GPA, &value), FAULT_MAPPED);
	sim_set_cpu(2);
	(void)read_page();
	sim_set_cpu(0);
}

static void setup(void *world)
{
	const u64 gfns[] = {race.early ? 6 : 5, race.early ? 5 : 6}; /* the second one moves */
	u64 value = OLD;

	race.published = false;
	race.as = world_space(16);
	race.as->notifier.policy = *race.point; /* unchecked, and before the first subscription */
	addrspace_set_retry(race.as, race.retry);
	race.s2 = world_stage2(race.as);
	race.view = world_stage2(race.as);
	if (race.cached)
		assert_int_equal(guest_cache_create(race.as, &race.cache), 0);
	if (race.early) {
		assert_int_equal(addrspace_write(race.as, (struct gpa){GPA}, &value, 8), 0);
		assert_int_equal(cow_protect(race.as, world_range(5, 1)), 0);
		cache_translations();
	}
	world_share(race.as, gfns, 2, OLD);
	if (!race.early)
		cache_translations();
}

static void breaker(void *world)
{
	assert_int_equal(cow_break(race.as, (struct gfn){5}), 0);
}

static void writer(void *world)
{
	assert_int_equal(guest_write(race.s2, GPA, NEW), FAULT_MAPPED);
	sched_point("writer: wrote");
	race.published = true;
	guest_out();
}

static void reader(void *world)
{
	bool published = race.published;

	while (!published) {
		guest_idle();
		published = race.published;
	}
	race.stale += read_page() != NEW;
	guest_out();
}

static void check(void *world)
{
	u64 value;

	assert_int_equal(guest_read(race.view, GPA, &value), FAULT_MAPPED);
	assert_int_equal(value, NEW);
	assert_int_equal(guest_read(race.s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, OLD);
	guest_out();
	addrspace_settle(race.as);
	if (race.cached)
		guest_cache_destroy(race.cache);
	stage2_destroy(race.view);
	stage2_destroy(race.s2);
	addrspace_destroy(race.as);
}

static u64 stale_reads(const struct notifier_policy *point, unsigned number, bool cached,
		       bool early)
{
	static struct sim_random random;
	struct sched_scenario scenario = {
		.setup = setup,
		.task = {breaker, writer, reader},
		.check = check,
		.random = is_long() ? NULL : &random,
		.preemptions = is_long() ? 2 : ANY_NUMBER,
		.limit = is_long() ? 0 : DRAWN,
	};

	race = (struct race){
		.point = point,
		.retry = number % 2 ? RETRY_INPLACE : RETRY_REENTER,
		.cached = cached,
		.early = early,
	};
	random.state += 77;
	world_begin(4, 4);
	(void)sched_explore(&scenario);
	world_end();
	return race.stale;
}

static void survive(const struct notifier_policy *point, unsigned number)
{
	char text[POLICY_TEXT_MAX];

	if (notifier_policy_refusal(point) || (!point->events && point->steps))
		return;
	accepted++;
	notifier_policy_text(point, text, sizeof(text));
	for (unsigned i = 0; i < 3; i++) /* a cache that is early is dropped, not stale */
		if (stale_reads(point, number, i % 2, i / 2))
			fail_msg("%s: the old page is read%s%s, in the schedule%s", text,
				 i % 2 ? " by a device model" : " in a second view",
				 i / 2 ? ", merged after it was cached" : "", sched_trace());
}

static void lose(const struct notifier_policy *point, unsigned number)
{
	char text[POLICY_TEXT_MAX];

	if (!notifier_policy_refusal(point))
		return;
	refused++;
	notifier_policy_text(point, text, sizeof(text));
	for (unsigned tries = 0; tries < TRIES; tries++)
		if (stale_reads(point, number, tries % 2, false))
			return;
	fail_msg("%s: refused, and no schedule reads the old page", text);
}

/* The events of a break are in place with `page` and with `range` alike. */
static void each_accepted_point_survives_the_race(void **state)
{
	accepted = 0;
	(void)world_each_point(POLICY_EVENTS_NONE, survive);
	(void)world_each_point(POLICY_EVENTS_PAGE, survive);
	print_message("# %u points\n", accepted);
	assert_true(accepted > 50);
}

static void each_point_that_is_refused_with_events_in_place_loses_it(void **state)
{
	refused = 0;
	(void)world_each_point(POLICY_EVENTS_PAGE, lose);
	print_message("# %u points\n", refused);
	assert_true(refused > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_accepted_point_survives_the_race),
		cmocka_unit_test(each_point_that_is_refused_with_events_in_place_loses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
