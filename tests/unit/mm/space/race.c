/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.c: faults against changes of the same page and of another, in every interleaving with three
 * preemptions, and in some with more.
 *
 *     CPU 0: changes gfn 5                CPU 1: its guest reads or writes gfn 5 (or 6)
 *
 * FAULT-1, STAGE2-1: whatever the order, the auditor finds each leaf naming the primary's frame,
 * and the guest reads what it wrote last.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/guest_cache.h>
#include <mm/reclaim.h>

#include "mm/stage2/private.h"

#define GPA   (5 * PAGE_SIZE)
#define DRAWN 50 /* schedules of more switches, by chance */

static struct race {
	const struct notifier_policy *policy;
	enum retry_mode retry;
	void (*change)(struct race *race);
	u64 gpa;     /* CPU 1's page */
	bool cached; /* CPU 1 is a device model */
	bool clears; /* the change may take the content away */
	u64 avoided, raced, schedules;
	struct addrspace *as;
	struct stage2 *s2;
	struct guest_cache *cache;
} race;

static void setup(void *world)
{
	struct race *r = world;
	u64 value;

	r->as = world_space(16);
	assert_int_equal(addrspace_set_policy(r->as, r->policy), 0);
	addrspace_set_retry(r->as, r->retry);
	r->s2 = world_stage2(r->as);
	assert_int_equal(guest_cache_create(r->as, &r->cache), 0);
	assert_int_equal(guest_write(r->s2, GPA, 100), FAULT_MAPPED);
	assert_int_equal(guest_read(r->s2, GPA, &value), FAULT_MAPPED);
	guest_out();
}

static void changer(void *world)
{
	race.change(world);
}

/* A page that is not there, then written, then read back. */
static void guest(void *world)
{
	struct race *r = world;
	void *place;
	u64 value;

	if (r->cached) {
		assert_int_equal(guest_cache_get(r->cache, (struct gpa){r->gpa}, 8, true, &place),
				 0);
		sched_point("device: holds a pointer");
		*(u64 *)place = 200;
		guest_cache_put(r->cache, (struct gpa){r->gpa});
		return;
	}
	assert_int_equal(guest_write(r->s2, r->gpa, 200), FAULT_MAPPED);
	assert_int_equal(guest_read(r->s2, r->gpa, &value), FAULT_MAPPED);
	assert_true(value == 200 || (r->clears && value == 0));
	guest_out();
}

static void check(void *world)
{
	struct audit_report report;
	struct race *r = world;
	u64 value = 0;

	if (audit_run(0, &report))
		fail_msg("audit after%s", sched_trace());
	assert_int_equal(guest_read(r->s2, r->gpa, &value), FAULT_MAPPED);
	if (value != 200 && !(r->clears && value == 0))
		fail_msg("reads %llu after%s", (unsigned long long)value, sched_trace());
	guest_out();
	r->avoided += r->s2->log.counters.avoided;
	r->raced += r->s2->log.counters.raced;
	assert_int_equal(r->s2->log.counters.guessed, 0);
	guest_cache_destroy(r->cache);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

static void explore(const struct notifier_policy *policy, enum retry_mode retry)
{
	struct sched_scenario scenario = {.setup = setup,
					  .task = {changer, guest},
					  .check = check,
					  .world = &race,
					  .preemptions = 3};

	race.policy = policy;
	race.retry = retry;
	world_begin(2, 4);
	race.schedules += sched_explore_and_draw(scenario, DRAWN);
	world_end();
}

static void change_clear(struct race *r)
{
	assert_int_equal(addrspace_clear(r->as, world_range(5, 1), 0), 0);
}

static void change_migrate(struct race *r)
{
	int err = addrspace_migrate(r->as, (struct gfn){5});

	assert_true(err == 0 || err == ERR_BUSY);
}

static void change_protect_and_back(struct race *r)
{
	assert_int_equal(cow_protect(r->as, world_range(4, 3)), 0);
	assert_int_equal(addrspace_clear_soft_dirty(r->as, world_range(5, 1)), 0);
}

static void change_share(struct race *r)
{
	struct cow_look look;
	struct gfn gfn = {5};

	assert_int_equal(cow_protect(r->as, world_range(5, 1)), 0);
	if (cow_look(r->as, gfn, &look))
		return;
	sched_point("merge: looked");
	if (!cow_offer(r->as, gfn, &look))
		assert_false(frame_put(look.mfn));
}

static void change_reclaim(struct race *r)
{
	u64 done;

	assert_int_equal(addrspace_reclaim(r->as, world_range(5, 1), &done), 0);
}

/* Merges only what reads as zero, as an engine would. */
static void change_share_zero(struct race *r)
{
	struct cow_look look;
	struct gfn gfn = {6};
	int err;

	assert_int_equal(addrspace_populate(r->as, world_range(6, 1)), 0);
	assert_int_equal(cow_protect(r->as, world_range(6, 1)), 0);
	if (cow_look(r->as, gfn, &look) || *(u64 *)arch_hpa_to_virt(mfn_to_hpa(look.mfn)) != 0)
		return;
	sched_point("merge: compared");
	err = cow_share_zero(r->as, gfn, &look);
	assert_true(err == 0 || err == ERR_BUSY);
}

static const struct {
	void (*change)(struct race *race);
	u64 gpa;
	bool clears;
} races[] = {
	{change_clear, GPA, true},
	{change_migrate, GPA, false},
	{change_protect_and_back, GPA, false},
	{change_share, GPA, false},
	{change_share_zero, 6 * PAGE_SIZE, false},
	{change_reclaim, GPA, false},
};

static void each_change(bool cached)
{
	for (unsigned i = 0; i < ARRAY_SIZE(races); i++) {
		race = (struct race){.change = races[i].change,
				     .gpa = races[i].gpa,
				     .clears = races[i].clears,
				     .cached = cached};
		world_each_policy(explore);
		print_message("# change %u: %llu schedules, raced %llu, avoided %llu\n", i,
			      (unsigned long long)race.schedules, (unsigned long long)race.raced,
			      (unsigned long long)race.avoided);
		if (!cached)
			assert_true(race.raced > 0);
	}
}

static void a_fault_never_installs_what_has_changed(void **state)
{
	each_change(false);
}

static void a_device_model_never_writes_to_a_page_that_was_left(void **state)
{
	each_change(true);
}

/* Another gfn's invalidation: seen, looked at closely, and no reason to retry. */
static void the_change_of_another_page_costs_no_retry(void **state)
{
	race = (struct race){.change = change_clear, .gpa = 6 * PAGE_SIZE};
	world_each_policy(explore);
	assert_int_equal(race.raced, 0);
	assert_true(race.avoided > 0);
}

/*
 *     CPU 0: protects gfn 5     CPU 1: a device that holds a pointer     CPU 2: looks at gfn 5
 *
 * COW-5: once a look succeeds, a write ends the protection first, and the generation with it.
 */
static struct {
	int (*look_at)(struct addrspace *as, struct gfn gfn, struct cow_look *out);
	struct cow_look look;
	void *pointer;
	u64 seen, looks;
	bool looked;
} third;

static ppte_t protected_pte;

static void setup_look(void *world)
{
	setup(world);
	third.looked = false;
	assert_int_equal(guest_cache_get(race.cache, (struct gpa){GPA}, 8, true, &third.pointer),
			 0);
}

static void guarder(void *world)
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
		third.looked = !third.look_at(race.as, (struct gfn){5}, &third.look);
		if (!third.looked)
			sched_point("looker: again");
	}
	if (third.looked)
		third.seen = *(u64 *)arch_hpa_to_virt(mfn_to_hpa(third.look.mfn));
}

static void check_look(void *world)
{
	struct race *r = world;

	third.looks += third.looked;
	if (third.looked && primary_load(&r->as->primary, (struct gfn){5}) == third.look.pte)
		assert_int_equal(*(u64 *)arch_hpa_to_virt(mfn_to_hpa(third.look.mfn)), third.seen);
	guest_cache_destroy(r->cache);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

static void look_while_protecting(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {.setup = setup_look,
						.task = {guarder, device, looker},
						.check = check_look,
						.world = &race,
						.preemptions = 3};

	race.policy = policy;
	race.retry = retry;
	third.looks = 0;
	world_begin(3, 4);
	sched_explore(&scenario);
	world_end();
	assert_true(third.looks > 0);
}

static void a_look_waits_for_the_write_protection_of_another(void **state)
{
	race = (struct race){0};
	third.look_at = cow_look;
	world_each_policy(look_while_protecting);
}

/* A page that another CPU protects is looked at only when every subscriber has taken that over. */
static void protecting_with_a_look_waits_for_the_protection_of_another(void **state)
{
	race = (struct race){0};
	third.look_at = cow_protect_look;
	world_each_policy(look_while_protecting);
}

static void check_reader(void *world)
{
	struct audit_report report;
	struct race *r = world;

	if (audit_run(0, &report))
		fail_msg("audit after%s", sched_trace());
	guest_cache_destroy(r->cache);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

/* PRIMARY-1: while LOCK_MMU is held here, the PTE is what it was; without it, one of its values. */
static void reader(void *world)
{
	struct race *r = world;

	for (unsigned i = 0; i < 2; i++) {
		ppte_t held, free;

		spin_lock(&r->as->lock);
		held = primary_load(&r->as->primary, (struct gfn){5});
		sched_point("reader: holds the lock");
		assert_int_equal(primary_load(&r->as->primary, (struct gfn){5}), held);
		spin_unlock(&r->as->lock);
		sched_point("reader: between");
		free = primary_load(&r->as->primary, (struct gfn){5});
		if (ppte_backed(free))
			assert_in_range(frame_kind(ppte_mfn(free)), FRAME_FREE + 1, FRAME_KINDS);
	}
}

static void read_beside(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {changer, reader},
						.check = check_reader,
						.world = &race,
						.preemptions = 2};

	race.policy = policy;
	race.retry = retry;
	world_begin(2, 4);
	sched_explore(&scenario);
	world_end();
}

static void a_pte_changes_under_the_lock_alone(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(races); i++) {
		race = (struct race){.change = races[i].change};
		world_each_policy(read_beside);
	}
}

static void protect_page(void *world)
{
	struct race *r = world;

	setup(world);
	assert_int_equal(cow_protect(r->as, world_range(5, 1)), 0);
	protected_pte = primary_load(&r->as->primary, (struct gfn){5});
}

static void write_protected(void *world)
{
	struct race *r = world;

	assert_int_equal(guest_write(r->s2, GPA, 200), FAULT_MAPPED);
	guest_out();
}

static void check_generation(void *world)
{
	struct race *r = world;
	ppte_t pte = primary_load(&r->as->primary, (struct gfn){5});

	if ((pte & PPTE_GENERATION) != ppte_next_generation(protected_pte))
		fail_msg("more than a generation after%s", sched_trace());
	guest_cache_destroy(r->cache);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

static void write_beside(enum retry_mode retry)
{
	const struct sched_scenario scenario = {
		.setup = protect_page,
		.task = {write_protected, write_protected, write_protected},
		.check = check_generation,
		.world = &race,
		.preemptions = 2,
		.at_locks = true};

	race = (struct race){.policy = notifier_policy_find("masked", 6), .retry = retry};
	world_begin(3, 4);
	sched_explore(&scenario);
	world_end();
}

/* RESOLVE-1, COW-6: the step that finds the page writable changes nothing. */
static void writers_of_a_protected_page_end_one_generation(void **state)
{
	write_beside(RETRY_INPLACE);
	write_beside(RETRY_REENTER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_never_installs_what_has_changed),
		cmocka_unit_test(a_device_model_never_writes_to_a_page_that_was_left),
		cmocka_unit_test(the_change_of_another_page_costs_no_retry),
		cmocka_unit_test(a_look_waits_for_the_write_protection_of_another),
		cmocka_unit_test(protecting_with_a_look_waits_for_the_protection_of_another),
		cmocka_unit_test(a_pte_changes_under_the_lock_alone),
		cmocka_unit_test(writers_of_a_protected_page_end_one_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
