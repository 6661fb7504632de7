/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.c: lab 2. A resolution, and a fault, beside another CPU that changes the page. A switch of
 * CPUs is possible before each lock, too: between a look and the lock, and between two locks.
 */
#include "harness/audit.h"
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/guest_cache.h>
#include <mm/reclaim.h>

#include "mm/stage2/private.h"

#define GFN 5ull
#define GPA (GFN * PAGE_SIZE)

static struct scene {
	void (*prepare)(void);
	void (*change)(void);
	bool clears; /* the change may take the content away */
	const struct notifier_policy *policy;
	enum retry_mode retry;
} scene;

static struct addrspace *as;
static struct stage2 *s2;

static void setup(void *world)
{
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, scene.policy), 0);
	addrspace_set_retry(as, scene.retry);
	s2 = world_stage2(as);
	scene.prepare();
	guest_out();
}

static void changer(void *world)
{
	scene.change();
}

static void finish(void)
{
	guest_out();
	addrspace_settle(as);
	lab_audit();
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void written(void)
{
	assert_int_equal(guest_write(s2, GPA, 100), FAULT_MAPPED);
}

/* No leaf: the guest's first access faults. */
static void backed(void)
{
	const u64 value = 100;

	assert_int_equal(addrspace_write(as, (struct gpa){GPA}, &value, sizeof(value)), 0);
}

static void absent(void)
{
}

static void reclaimed(void)
{
	u64 done;

	written();
	guest_out();
	assert_int_equal(addrspace_reclaim(as, world_range(GFN, 1), &done), 0);
	assert_int_equal(done, 1);
}

static void protected(void)
{
	written();
	guest_out();
	assert_int_equal(cow_protect(as, world_range(GFN, 1)), 0);
}

static void resolve_it(void)
{
	struct space_page page = {.gfn = {GFN}};
	u64 word = 0;
	int err = space_resolve(as, &page, HV_WRITE, NULL, &word);

	if (err && err != ERR_BUSY)
		fail_msg("space_resolve() returns %d, in the schedule%s", err, sched_trace());
}

static void clear_it(void)
{
	assert_int_equal(addrspace_clear(as, world_range(GFN, 1), 0), 0);
}

static void reclaim_it(void)
{
	u64 done;

	assert_int_equal(addrspace_reclaim(as, world_range(GFN, 1), &done), 0);
}

static void migrate_it(void)
{
	int err = addrspace_migrate(as, (struct gfn){GFN});

	assert_true(err == 0 || err == ERR_BUSY);
}

static void share_it(void)
{
	struct cow_look look;

	if (!cow_protect_look(as, (struct gfn){GFN}, &look) &&
	    !cow_offer(as, (struct gfn){GFN}, &look))
		assert_false(frame_put(look.mfn));
}

static void resolver(void *world)
{
	resolve_it();
}

static void check_content(void *world)
{
	u64 value;

	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	if (value != 100 && !(scene.clears && value == 0))
		fail_msg("the page reads %llu, not 100, in the schedule%s",
			 (unsigned long long)value, sched_trace());
	finish();
}

/* The first task runs first where no switch is chosen. */
static void explore(void (*first)(void *world), void (*second)(void *world),
		    void (*check)(void *world))
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {first, second},
						.check = check,
						.preemptions = 2,
						.limit = 3000,
						.at_locks = true};

	world_begin(2, 4);
	sched_explore(&scenario);
	world_end();
}

static void a_step_is_for_the_state_that_the_page_has_under_the_lock(void **state)
{
	static const struct {
		void (*prepare)(void);
		bool empty;
	} from[] = {{absent, true}, {reclaimed, false}, {protected, false}};
	static void (*const change[])(void) = {resolve_it, reclaim_it, migrate_it, share_it,
					       clear_it};

	for (unsigned i = 0; i < ARRAY_SIZE(from); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(change); j++) {
			scene = (struct scene){from[i].prepare, change[j],
					       from[i].empty || change[j] == clear_it,
					       notifier_policy_find("masked", 6), RETRY_INPLACE};
			explore(changer, resolver, check_content);
			explore(resolver, changer, check_content);
		}
}

static void guest(void *world)
{
	u64 value;

	assert_int_equal(guest_write(s2, GPA, 200), FAULT_MAPPED);
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	if (value != 200 && !(scene.clears && value == 0))
		fail_msg("the guest reads %llu and wrote 200, in the schedule%s",
			 (unsigned long long)value, sched_trace());
	guest_out();
}

static void check_written(void *world)
{
	u64 value;

	lab_audit();
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	if (value != 200 && !(scene.clears && value == 0))
		fail_msg("the page reads %llu, and the guest wrote 200, in the schedule%s",
			 (unsigned long long)value, sched_trace());
	finish();
}

static void what_has_changed_meanwhile_is_not_installed(void **state)
{
	static void (*const change[])(void) = {clear_it, migrate_it, reclaim_it, share_it};
	static const char *const policies[] = {"masked", "bracket", "late"};

	for (unsigned i = 0; i < ARRAY_SIZE(change); i++)
		for (unsigned j = 0; j < 2 * ARRAY_SIZE(policies); j++) {
			const char *name = policies[j / 2];

			scene = (struct scene){written, change[i], change[i] == clear_it,
					       notifier_policy_find(name, strlen(name)),
					       j % 2 ? RETRY_INPLACE : RETRY_REENTER};
			explore(changer, guest, check_written);
			scene.prepare = backed;
			explore(guest, changer, check_written);
		}
}

static unsigned reads;

static void count_reads(const char *name)
{
	reads += strcmp(name, "fault: sequence read") == 0;
}

/* A break of sharing by the fault itself moves the word. */
static void break_by_fault(enum retry_mode retry, enum fault_outcome outcome, u64 retries)
{
	const u64 gfns[] = {GFN, GFN + 1};

	world_begin(1, 8);
	as = world_space(16);
	addrspace_set_retry(as, retry);
	s2 = world_stage2(as);
	world_share(as, gfns, 2, 7);
	reads = 0;
	sim_on_race_point = count_reads;
	assert_int_equal(fault_handle(s2, (struct gpa){GPA}, HV_WRITE), outcome);
	sim_on_race_point = NULL;
	assert_int_equal(reads, 1);
	assert_int_equal(s2->counters.retries, retries);
	finish();
	world_end();
}

static void a_step_of_the_fault_itself_is_no_race_in_place(void **state)
{
	break_by_fault(RETRY_INPLACE, FAULT_MAPPED, 1);
	break_by_fault(RETRY_REENTER, FAULT_RACED, 0);
}

/* A device model writes to a shared page: its cache has a sequence of its own. */
static void a_step_of_a_device_model_is_no_race_of_it(void **state)
{
	const u64 gfns[] = {GFN, GFN + 1};
	struct guest_cache_counters counters;
	struct guest_cache *cache;
	void *place;

	world_begin(1, 8);
	as = world_space(16);
	s2 = world_stage2(as);
	assert_int_equal(guest_cache_create(as, &cache), 0);
	world_share(as, gfns, 2, 7);
	assert_int_equal(guest_cache_get(cache, (struct gpa){GPA}, 8, true, &place), 0);
	guest_cache_put(cache, (struct gpa){GPA});
	guest_cache_counters(cache, &counters);
	assert_int_equal(counters.retries, 0);
	guest_cache_destroy(cache);
	finish();
	world_end();
}

/* CPU 1 takes the page away once, between its resolution and its installation. */
static void clear_once(const char *name)
{
	if (strcmp(name, "fault: resolved") != 0)
		return;
	sim_on_race_point = NULL;
	sim_set_cpu(1);
	clear_it();
	sim_set_cpu(0);
}

static void a_repeated_try_is_counted(void **state)
{
	world_begin(2, 8);
	as = world_space(16);
	addrspace_set_retry(as, RETRY_INPLACE);
	s2 = world_stage2(as);
	written();
	guest_out();
	sim_on_race_point = clear_once;
	assert_int_equal(fault_handle(s2, (struct gpa){GPA}, HV_EXEC), FAULT_MAPPED);
	assert_null(sim_on_race_point);
	assert_int_equal(s2->counters.retries, 1);
	assert_int_equal(s2->counters.faults[FAULT_MAPPED], 2);
	assert_int_equal(s2->counters.faults[FAULT_RACED], 0);
	finish();
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_is_for_the_state_that_the_page_has_under_the_lock),
		cmocka_unit_test(what_has_changed_meanwhile_is_not_installed),
		cmocka_unit_test(a_step_of_the_fault_itself_is_no_race_in_place),
		cmocka_unit_test(a_step_of_a_device_model_is_no_race_of_it),
		cmocka_unit_test(a_repeated_try_is_counted),
	};

	return cmocka_run_group_tests_name("lab2_race", tests, NULL, NULL);
}
