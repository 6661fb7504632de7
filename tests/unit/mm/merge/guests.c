/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guests.c: the scanner against guests that write, a second scanner, and a region that goes away.
 *
 *     CPU 0: scans     CPU 1: VM 0, or its device   CPU 2: VM 1 reads the same contents,     CPU 3: scans too
 *                      model, writes pages and      or goes away
 *                      takes that back
 *
 * MERGE-1, MERGE-3, COW-2: in every schedule each page reads, all the time, as its own VM wrote it
 * last: a canary in its first and last word. After every schedule the auditor finds nothing, and
 * when all is gone the frames are back.
 */
#include "sim/explore.h"
#include "sim/merge_check.h"

#include <mm/dirty_log.h>
#include <mm/guest_cache.h>

#include "mm/merge/private.h"

#define VMS   2u
#define PAGES 6u
#define WORDS (PAGE_SIZE / 8)

/*
 * warm		passes before the race: 0 none was looked at, 1 the next look merges, 3 all is merged already
 * gone		VM 1 has been destroyed
 */
static struct race {
	const struct merge_engine *engine;
	const struct notifier_policy *policy;
	enum retry_mode retry;
	unsigned warm;
	bool secure;
	struct addrspace *as[VMS];
	struct stage2 *s2[VMS];
	struct guest_cache *cache; /* VM 0's device model's */
	u64 wrote[VMS][PAGES];
	bool gone;
	u64 frames;
	struct sim_random *random;
} race;

/*
 * Pages 0 to 2 are alike in both VMs, 3 and 4 in pairs, 5 is zero: each number is often another
 * VM's, too.
 */
static u64 content(unsigned page)
{
	static const u64 contents[PAGES] = {7, 7, 7, 8, 8, 0};

	return contents[page];
}

static void fill(struct race *r, unsigned vm, unsigned page, u64 value)
{
	fill_page(r->as[vm], page, value);
	r->wrote[vm][page] = value;
}

static void make_vm(struct race *r, unsigned vm)
{
	r->as[vm] = world_space(PAGES);
	assert_int_equal(addrspace_set_policy(r->as[vm], r->policy), 0);
	addrspace_set_retry(r->as[vm], r->retry);
	r->s2[vm] = world_stage2(r->as[vm]);
	dirty_log_coarse(r->as[vm], !vm); /* VM 0's collections wait for no CPU */
	assert_int_equal(merge_add(r->as[vm], world_range(0, PAGES), 0), 0);
	for (unsigned page = 0; page < PAGES; page++)
		fill(r, vm, page, content(page));
}

static void setup(void *world)
{
	struct merge_limits limits = {.cap = 2, .secure = race.secure, .zero = true};
	struct frame_stats stats;
	struct race *r = world;

	frame_stats(&stats);
	r->frames = stats.free;
	r->gone = false;
	assert_int_equal(merge_configure(r->engine, &limits), 0);
	for (unsigned vm = 0; vm < VMS; vm++)
		make_vm(r, vm);
	assert_int_equal(guest_cache_create(r->as[0], &r->cache), 0);
	for (unsigned i = 0; i < r->warm; i++)
		(void)merge_scan(VMS * PAGES);
}

/* The page as its guest sees it, word by word at both ends. */
static void look(struct race *r, unsigned vm, unsigned page)
{
	u64 value = 0;

	for (unsigned word = 0; word < WORDS; word += WORDS - 1) {
		assert_int_equal(guest_read(r->s2[vm], page * PAGE_SIZE + word * 8, &value),
				 FAULT_MAPPED);
		if (value != r->wrote[vm][page])
			fail_msg("vm %u page %u word %u reads %llu, not %llu, after%s", vm, page,
				 word, (unsigned long long)value,
				 (unsigned long long)r->wrote[vm][page], sched_trace());
	}
}

static void put(struct race *r, unsigned vm, unsigned page, u64 value)
{
	for (unsigned word = 0; word < WORDS; word += WORDS - 1)
		assert_int_equal(guest_write(r->s2[vm], page * PAGE_SIZE + word * 8, value),
				 FAULT_MAPPED);
	r->wrote[vm][page] = value;
	look(r, vm, page);
}

static void scanner(void *world)
{
	for (unsigned i = 0; i < 2; i++) {
		(void)merge_scan(VMS * PAGES);
		sched_point("scanner: between passes");
	}
}

static void writer(void *world)
{
	struct race *r = world;

	put(r, 0, 1, 9);
	put(r, 0, 3, 7);
	put(r, 0, 1, 7);
	guest_out();
}

/*
 * As a device model: it has a pointer to the page, and writes word by word for as long as it holds
 * it.
 */
static void device_put(struct race *r, unsigned page, u64 value)
{
	struct gpa gpa = {page * PAGE_SIZE};
	void *place;

	assert_int_equal(guest_cache_get(r->cache, gpa, PAGE_SIZE, true, &place), 0);
	for (unsigned word = 0; word < WORDS; word += WORDS - 1) {
		((u64 *)place)[word] = value;
		sched_point("device: has written a word");
	}
	guest_cache_put(r->cache, gpa);
	r->wrote[0][page] = value;
}

static void device(void *world)
{
	struct race *r = world;

	device_put(r, 1, 9);
	device_put(r, 3, 7);
	look(r, 0, 1);
	guest_out(); /* or a break of ours would wait for us to leave the guest */
	device_put(r, 1, 7);
}

static void reader(void *world)
{
	struct race *r = world;

	for (unsigned page = 0; page < 4; page++)
		look(r, 1, page);
	guest_out();
}

static void destroyer(void *world)
{
	struct race *r = world;

	merge_remove_all(r->as[1]);
	stage2_destroy(r->s2[1]);
	addrspace_destroy(r->as[1]);
	r->gone = true;
}

/* Not mergeable any more, all private; and mergeable again. */
static void remover(void *world)
{
	struct race *r = world;

	assert_int_equal(merge_remove(r->as[1], world_range(0, PAGES)), 0);
	for (unsigned page = 0; page < PAGES; page++)
		assert_false(ppte_shared(primary_load(&r->as[1]->primary, (struct gfn){page})));
	assert_int_equal(merge_add(r->as[1], world_range(0, PAGES), 0), 0);
}

/* What random writers and readers do: any page of their VM, with contents that others have, too. */
static void wander(struct race *r, unsigned vm)
{
	for (unsigned i = 0; i < 12; i++) {
		unsigned page = (unsigned)sim_below(r->random, PAGES);

		if (sim_once_in(r->random, 2))
			put(r, vm, page, sim_below(r->random, 3) + 6);
		else
			look(r, vm, page);
		if (sim_once_in(r->random, 4))
			guest_out();
	}
	guest_out();
}

static void wander_first(void *world)
{
	wander(world, 0);
}

static void wander_second(void *world)
{
	wander(world, 1);
}

static void check(void *world)
{
	struct race *r = world;
	struct frame_stats stats;

	for (unsigned vm = 0; vm < VMS - r->gone; vm++)
		for (unsigned page = 0; page < PAGES; page++)
			look(r, vm, page);
	guest_out();
	/* Two more passes go through every index. */
	(void)merge_scan(VMS * PAGES);
	(void)merge_scan(VMS * PAGES);
	check_audit();
	guest_cache_destroy(r->cache);
	for (unsigned vm = 0; vm < VMS - r->gone; vm++) {
		merge_remove_all(r->as[vm]);
		stage2_destroy(r->s2[vm]);
		addrspace_destroy(r->as[vm]);
	}
	check_audit();
	frame_stats(&stats);
	assert_int_equal(stats.free, r->frames);
}

typedef void (*task)(void *world);

static bool is_late(const struct notifier_policy *policy)
{
	return !strcmp(notifier_policy_name(policy), "late");
}

/*
 * All policies but the one that is known to lose. Where every schedule is run, every second of
 * them, with one engine for each retry mode: the two are apart. A plain ./test starts each of these
 * from one of the three states alone.
 */
static bool leaves_out(const struct sim_random *random, unsigned policy, bool inplace,
		       unsigned engine)
{
	if (is_late(notifier_policy(policy)))
		return true;
	if (random)
		return false;
	return policy % 2 || inplace != engine % 2 ||
	       (!sim_long() && (policy / 2 + (race.warm + 1) / 2) % 3);
}

/* Merges happened, and writes came in between: or the schedules show nothing. */
static void check_activity(const struct merge_stats *before, bool random)
{
	struct merge_stats now;

	merge_stats(&now);
	assert_true(now.merged > before->merged);
	assert_true(!random || now.lost_races > before->lost_races);
	for (unsigned i = 0; i < MERGE_REASONS; i++)
		assert_int_equal(now.by_reason[i], 0);
}

static void explore(const task *tasks, u64 limit, struct sim_random *random)
{
	struct sched_scenario scenario = {.setup = setup,
					  .check = check,
					  .world = &race,
					  .preemptions = random ? 1000 : 1,
					  .limit = limit,
					  .random = random};
	struct merge_stats before;
	u64 schedules = 0;

	merge_stats(&before);
	memcpy(scenario.task, tasks, sizeof(scenario.task));
	race.random = random;
	for (unsigned i = 0; i < notifier_policy_count() * 2 * merge_engines(); i++) {
		unsigned engine = i / 2 % merge_engines(), policy = i / 2 / merge_engines();

		race.policy = notifier_policy(policy);
		race.retry = i & 1 ? RETRY_INPLACE : RETRY_REENTER;
		race.engine = merge_engine_at(engine);
		if (leaves_out(random, policy, i & 1, engine))
			continue;
		world_begin(SCHED_TASKS, 2);
		schedules += sched_explore(&scenario);
		world_end();
	}
	print_message("# %llu schedules\n", (unsigned long long)schedules);
	check_activity(&before, random);
}

/* Every schedule of one preemption. */
static void each_start(const task *tasks)
{
	static const unsigned warm[] = {0, 1, 3};

	for (unsigned i = 0; i < ARRAY_SIZE(warm); i++) {
		race = (struct race){.warm = warm[i]};
		explore(tasks, 0, NULL);
	}
}

static void a_write_is_never_lost_to_a_merge_nor_seen_by_another_vm(void **state)
{
	each_start((const task[SCHED_TASKS]){scanner, writer, reader});
}

/* MERGE-3: what a device model is writing to is not merged under its hands. */
static void a_device_models_write_is_never_lost_nor_seen_by_another_vm(void **state)
{
	each_start((const task[SCHED_TASKS]){scanner, device, reader});
}

static void two_scanners_in_one_chunk_leave_sound_indexes(void **state)
{
	each_start((const task[SCHED_TASKS]){scanner, writer, NULL, scanner});
}

static void a_vm_goes_away_under_the_scanner(void **state)
{
	each_start((const task[SCHED_TASKS]){scanner, writer, destroyer});
}

static void an_region_goes_and_comes_under_the_scanner(void **state)
{
	each_start((const task[SCHED_TASKS]){scanner, writer, remover});
}

static void random_schedules_of_everything(void **state)
{
	struct sim_random random = sim_random_start(2014);

	for (unsigned secure = 0; secure < 2; secure++) {
		race = (struct race){.warm = 1, .secure = secure};
		explore((const task[SCHED_TASKS]){scanner, wander_first, wander_second, scanner},
			150, &random);
		race = (struct race){.warm = 2, .secure = secure};
		explore((const task[SCHED_TASKS]){scanner, wander_first, remover, scanner}, 25,
			&random);
		race = (struct race){.warm = 2, .secure = secure};
		explore((const task[SCHED_TASKS]){scanner, wander_first, destroyer, scanner}, 25,
			&random);
	}
}

/* Two pages are protected and looked at; the first one's frame is offered. */
static void look_at_two(struct cow_look *match, struct cow_look *look)
{
	struct addrspace *as;

	world_begin(1, 2);
	race = (struct race){.policy = notifier_policy(0), .engine = &merge_engine_hash};
	setup(&race);
	as = race.as[0];
	assert_int_equal(cow_protect(as, world_range(0, 2)), 0);
	assert_int_equal(cow_look(as, (struct gfn){0}, match), 0);
	assert_int_equal(cow_look(as, (struct gfn){1}, look), 0);
	assert_int_equal(cow_offer(as, (struct gfn){0}, match), 0);
}

/* Protected once more, the second page is not the one that was looked at. */
static void expect_another_page(const struct cow_look *match, const struct cow_look *look)
{
	struct addrspace *as = race.as[0];

	assert_int_equal(cow_protect(as, world_range(1, 1)), 0);
	assert_int_equal(cow_share(as, (struct gfn){1}, look, match->mfn), ERR_BUSY);
	assert_false(frame_put(match->mfn));
	check(&race);
	world_end();
}

/*
 * What the share is given was seen before a write; that the page is guarded again does not make it
 * true.
 */
static void write_protection_lifted_and_set_anew_is_another_one(void **state)
{
	struct cow_look match, look;
	struct race *r = &race;

	look_at_two(&match, &look);
	put(r, 0, 1, 9);
	guest_out();
	expect_another_page(&match, &look);
}

/*
 * The page is given back between the look and the share. Its next life has the same frame, and is
 * write-protected by another: reclaim, or a migration.
 */
static void a_page_that_was_given_back_and_touched_is_another_one(void **state)
{
	struct cow_look match, look;
	struct race *r = &race;

	look_at_two(&match, &look);
	assert_int_equal(addrspace_clear(r->as[0], world_range(1, 1), 0), 0);
	put(r, 0, 1, 9);
	guest_out();
	assert_int_equal(world_mfn(r->as[0], 1), look.mfn.raw);
	expect_another_page(&match, &look);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_protection_lifted_and_set_anew_is_another_one),
		cmocka_unit_test(a_page_that_was_given_back_and_touched_is_another_one),
		cmocka_unit_test(a_write_is_never_lost_to_a_merge_nor_seen_by_another_vm),
		cmocka_unit_test(a_device_models_write_is_never_lost_nor_seen_by_another_vm),
		cmocka_unit_test(two_scanners_in_one_chunk_leave_sound_indexes),
		cmocka_unit_test(a_vm_goes_away_under_the_scanner),
		cmocka_unit_test(an_region_goes_and_comes_under_the_scanner),
		cmocka_unit_test(random_schedules_of_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
