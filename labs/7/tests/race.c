/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.c: lab 7. Eran's race (docs/mm/notifier.md) under the policy `mine`: every interleaving of
 * three CPUs with two preemptions, and some with more.
 *
 *     CPU 0: breaks the sharing     CPU 1: writes the page, then    CPU 2: sees that it is
 *                                          publishes that it is            published, reads the
 *                                                                          page: never the old one
 *
 * And COW-5: a look that succeeds is ended by every later write, of a device model too.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/guest_cache.h>

#include "mm/space/space.h"

#define OLD   1111
#define NEW   2222
#define GPA   (5 * PAGE_SIZE)
#define DRAWN 500

/* cached: the reader is a device model, else a second stage 2 */
static struct race {
	enum retry_mode retry;
	bool cached, moves;
	struct addrspace *as;
	struct stage2 *s2, *view;
	struct guest_cache *cache;
	bool published;
} race;

static u64 read_page(void)
{
	u64 value = 0;
	void *place;

	if (!race.cached) {
		assert_int_equal(guest_read(race.view, GPA, &value), FAULT_MAPPED);
		return value;
	}
	assert_int_equal(guest_cache_get(race.cache, (struct gpa){GPA}, 8, false, &place), 0);
	value = *(u64 *)place;
	guest_cache_put(race.cache, (struct gpa){GPA});
	return value;
}

static void make_space(void)
{
	const struct notifier_policy *mine = notifier_policy_find("mine", 4);

	assert_non_null(mine);
	race.as = world_space(16);
	assert_int_equal(addrspace_set_policy(race.as, mine), 0);
	addrspace_set_retry(race.as, race.retry);
	race.s2 = world_stage2(race.as);
	race.view = world_stage2(race.as);
	assert_int_equal(guest_cache_create(race.as, &race.cache), 0);
}

static void setup(void *world)
{
	const u64 gfns[] = {5, 6};
	u64 value;

	make_space();
	race.published = false;
	world_share(race.as, gfns, 2, OLD);
	sim_set_cpu(1);
	assert_int_equal(guest_read(race.s2, GPA, &value), FAULT_MAPPED);
	sim_set_cpu(2);
	assert_int_equal(read_page(), OLD);
	sim_set_cpu(0);
}

static void breaker(void *world)
{
	int err;

	if (race.moves) {
		err = addrspace_migrate(race.as, (struct gfn){5});
		assert_true(err == 0 || err == ERR_BUSY);
	}
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
	u64 value;

	while (!published) {
		guest_idle();
		published = race.published;
	}
	value = read_page();
	if (value != NEW)
		fail_msg("the reader sees %llu after the write, in the schedule%s",
			 (unsigned long long)value, sched_trace());
	guest_out();
}

static void destroy(void)
{
	struct audit_report report;

	guest_out();
	addrspace_settle(race.as);
	if (audit_run(0, &report))
		fail_msg("the auditor has %llu complaints after the schedule%s",
			 (unsigned long long)report.total, sched_trace());
	guest_cache_destroy(race.cache);
	stage2_destroy(race.view);
	stage2_destroy(race.s2);
	addrspace_destroy(race.as);
}

static void check(void *world)
{
	u64 value;

	assert_int_equal(guest_read(race.view, GPA, &value), FAULT_MAPPED);
	assert_int_equal(value, NEW);
	assert_int_equal(guest_read(race.s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, OLD);
	destroy();
}

static void explore(bool cached, bool moves)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {breaker, writer, reader},
						.check = check,
						.preemptions = 2};

	for (unsigned inplace = 0; inplace < 2; inplace++) {
		race = (struct race){.retry = inplace ? RETRY_INPLACE : RETRY_REENTER,
				     .cached = cached,
				     .moves = moves};
		world_begin(4, 4);
		sched_explore_and_draw(scenario, DRAWN);
		world_end();
	}
}

static void a_device_model_never_reads_the_old_page(void **state)
{
	explore(true, false);
}

static void a_second_view_never_reads_the_old_page(void **state)
{
	explore(false, false);
}

static void a_page_that_moves_before_it_breaks_is_never_read_old(void **state)
{
	explore(true, true);
	explore(false, true);
}

static struct {
	struct cow_look look;
	void *pointer;
	u64 seen;
	bool looked;
} third;

static void setup_look(void *world)
{
	make_space();
	assert_int_equal(guest_write(race.s2, GPA, 100), FAULT_MAPPED);
	guest_out();
	third.looked = false;
	assert_int_equal(guest_cache_get(race.cache, (struct gpa){GPA}, 8, true, &third.pointer),
			 0);
}

static void protector(void *world)
{
	assert_int_equal(cow_protect(race.as, world_range(5, 1)), 0);
}

static void device(void *world)
{
	sched_point("device: about to write");
	*(u64 *)third.pointer = 300;
	guest_cache_put(race.cache, (struct gpa){GPA});
}

static void looker(void *world)
{
	for (unsigned tries = 0; tries < 4 && !third.looked; tries++) {
		third.looked = !cow_look(race.as, (struct gfn){5}, &third.look);
		if (!third.looked)
			sched_point("looker: again");
	}
	if (third.looked)
		third.seen = *(u64 *)arch_hpa_to_virt(mfn_to_hpa(third.look.mfn));
}

static void check_look(void *world)
{
	if (third.looked && primary_load(&race.as->primary, (struct gfn){5}) == third.look.pte)
		assert_int_equal(*(u64 *)arch_hpa_to_virt(mfn_to_hpa(third.look.mfn)), third.seen);
	destroy();
}

static void a_page_that_was_looked_at_takes_no_write(void **state)
{
	const struct sched_scenario scenario = {.setup = setup_look,
						.task = {protector, device, looker},
						.check = check_look,
						.preemptions = 3};

	race = (struct race){.retry = RETRY_INPLACE};
	world_begin(3, 4);
	sched_explore(&scenario);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_model_never_reads_the_old_page),
		cmocka_unit_test(a_second_view_never_reads_the_old_page),
		cmocka_unit_test(a_page_that_moves_before_it_breaks_is_never_read_old),
		cmocka_unit_test(a_page_that_was_looked_at_takes_no_write),
	};

	return cmocka_run_group_tests_name("lab7_race", tests, NULL, NULL);
}
