/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: lab 3. The dirty log against an array, by mode; its cost in exits, events and flushes; and
 * a collection beside a write, in every interleaving with three preemptions.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>

#include "mm/stage2/private.h"

#define GFNS  1024ull
#define WORDS (GFNS / 64)

static struct addrspace *as;
static struct stage2 *view[2];
static u64 bitmap[WORDS];

static void begin(const struct notifier_policy *policy)
{
	world_begin(2, 16);
	as = world_space(GFNS);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	view[0] = world_stage2(as);
	view[1] = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(0, GFNS)), 0);
}

static void end(void)
{
	struct audit_report report;

	guest_out();
	assert_int_equal(audit_run(0, &report), 0);
	stage2_destroy(view[0]);
	stage2_destroy(view[1]);
	addrspace_destroy(as);
	world_end();
}

static const struct notifier_policy *masked(void)
{
	return notifier_policy_find("masked", 6);
}

static void start(enum dirty_mode mode)
{
	assert_int_equal(dirty_log_start(as, world_range(0, GFNS), mode), 0);
}

static void collect(void)
{
	assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
}

static u64 collected(void)
{
	u64 count = 0;

	for (unsigned i = 0; i < WORDS; i++)
		count += (u64)__builtin_popcountll(bitmap[i]);
	return count;
}

static bool is_collected(u64 gfn)
{
	return bitmap[gfn / 64] & BIT(gfn % 64);
}

static void write_page(u64 gfn)
{
	struct gpa gpa = {gfn * PAGE_SIZE};

	assert_int_equal(guest_write(view[gfn % 2], gpa.raw, gfn), FAULT_MAPPED);
	if (dirty_log_mode(as) == DIRTY_PML)
		dirty_log_pml(view[gfn % 2], &gpa, 1);
}

static void a_mark_goes_to_pages_with_a_content_only(void **state)
{
	begin(masked());
	assert_int_equal(addrspace_clear_soft_dirty(as, world_range(0, GFNS)), 0);
	assert_int_equal(addrspace_clear(as, world_range(7, 2), 0), 0);
	spin_lock(&as->lock);
	space_mark(as, (struct gfn){5}, 4, PPTE_SOFT_DIRTY);
	space_mark(as, (struct gfn){20}, 1, PPTE_YOUNG | PPTE_SOFT_DIRTY);
	spin_unlock(&as->lock);
	for (u64 gfn = 0; gfn < 32; gfn++) {
		ppte_t pte = primary_load(&as->primary, (struct gfn){gfn});
		bool marked = gfn == 5 || gfn == 6 || gfn == 20;

		assert_int_equal(!!(pte & PPTE_SOFT_DIRTY), marked);
		if (gfn == 20)
			assert_true(pte & PPTE_YOUNG);
		if (gfn == 7 || gfn == 8)
			assert_int_equal(ppte_state(pte), PPTE_ABSENT);
	}
	end();
}

/* Writes by two views and by mm itself, reads between them; DIRTY-1 and DIRTY-2. */
static void random_log(enum dirty_mode mode, const struct notifier_policy *policy)
{
	struct sim_random random = sim_random_start(0x6c616233 + mode);
	bool written[GFNS];
	u64 value = 3;

	begin(policy);
	start(mode);
	for (unsigned round = 0; round < 25; round++) {
		memset(written, 0, sizeof(written));
		for (unsigned i = 0; i < 60; i++) {
			u64 gfn = sim_below(&random, round % 2 ? GFNS : 40);
			struct gpa gpa = {gfn * PAGE_SIZE};

			if (sim_once_in(&random, 3)) {
				assert_int_equal(guest_read(view[i % 2], gpa.raw, &value),
						 FAULT_MAPPED);
				continue;
			}
			written[gfn] = true;
			if (sim_once_in(&random, 5))
				assert_int_equal(addrspace_write(as, gpa, &value, 8), 0);
			else
				write_page(gfn);
		}
		collect();
		for (u64 gfn = 0; gfn < GFNS; gfn++)
			if (is_collected(gfn) != written[gfn])
				fail_msg("gfn %llu: %s, and the answer says otherwise, under %s",
					 (unsigned long long)gfn,
					 written[gfn] ? "written" : "not written",
					 notifier_policy_name(policy));
	}
	collect();
	assert_int_equal(collected(), 0);
	dirty_log_stop(as);
	end();
}

static void each_policy(enum dirty_mode mode)
{
	for (unsigned i = 0; i < notifier_policy_count(); i++)
		random_log(mode, notifier_policy(i));
}

static void by_write_protection_an_answer_is_what_was_written(void **state)
{
	each_policy(DIRTY_WRITE_PROTECT);
}

static void by_d_bits_an_answer_is_what_was_written(void **state)
{
	each_policy(DIRTY_BITS);
}

static void by_pml_an_answer_is_what_was_written(void **state)
{
	each_policy(DIRTY_PML);
}

static void write_64(u64 exits)
{
	u64 before = guest_counters.exits;

	for (u64 gfn = 0; gfn < 128; gfn += 2)
		write_page(gfn);
	assert_int_equal(guest_counters.exits - before, exits);
}

static void by_write_protection_a_first_write_costs_an_exit_and_a_second_none(void **state)
{
	begin(masked());
	start(DIRTY_WRITE_PROTECT);
	write_64(64);
	write_64(0);
	collect();
	assert_int_equal(collected(), 64);
	write_64(64);
	write_64(0);
	end();
}

static void by_d_bits_no_write_costs_an_exit(void **state)
{
	begin(masked());
	start(DIRTY_BITS);
	write_64(64); /* the tables are empty */
	collect();
	assert_int_equal(collected(), 64);
	write_64(0);
	collect();
	assert_int_equal(collected(), 64);
	end();
}

/* Nothing was written: no event, no flush, no exit. */
static void nothing_for_nothing(enum dirty_mode mode)
{
	struct stage2_stats before, after;
	u64 events, value, exits;

	begin(notifier_policy_find("bracket", 7));
	start(mode);
	write_64(64);
	collect();
	for (u64 gfn = 0; gfn < 128; gfn++)
		assert_int_equal(guest_read(view[0], gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	events = notifier_events(addrspace_notifier(as), EVENT_SOFT_DIRTY);
	stage2_stats(view[0], &before);
	exits = guest_counters.exits;
	collect();
	assert_int_equal(collected(), 0);
	for (u64 gfn = 0; gfn < 128; gfn++)
		assert_int_equal(guest_read(view[0], gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	stage2_stats(view[0], &after);
	assert_int_equal(notifier_events(addrspace_notifier(as), EVENT_SOFT_DIRTY), events);
	assert_int_equal(after.flushes, before.flushes);
	assert_int_equal(guest_counters.exits, exits);
	end();
}

static void by_write_protection_an_empty_answer_costs_nothing(void **state)
{
	nothing_for_nothing(DIRTY_WRITE_PROTECT);
}

static void by_d_bits_an_empty_answer_costs_nothing(void **state)
{
	nothing_for_nothing(DIRTY_BITS);
}

static void a_collection_of_many_pages_is_one_event_and_one_flush(void **state)
{
	struct stage2_stats before, after;
	u64 events;

	begin(masked());
	start(DIRTY_WRITE_PROTECT);
	for (u64 gfn = 0; gfn < 300; gfn++)
		assert_int_equal(guest_write(view[0], gfn * PAGE_SIZE, 1), FAULT_MAPPED);
	events = notifier_events(addrspace_notifier(as), EVENT_SOFT_DIRTY);
	stage2_stats(view[0], &before);
	collect();
	assert_int_equal(collected(), 300);
	stage2_stats(view[0], &after);
	assert_int_equal(after.flushes - before.flushes, 1);
	assert_int_equal(notifier_events(addrspace_notifier(as), EVENT_SOFT_DIRTY) - events, 1);
	end();
}

static struct {
	const struct notifier_policy *policy;
	enum retry_mode retry;
	enum dirty_mode mode;
	bool again;
	u64 first;
} scene;

static void setup(void *world)
{
	u64 value;

	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, scene.policy), 0);
	addrspace_set_retry(as, scene.retry);
	view[0] = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(0, 16)), 0);
	assert_int_equal(dirty_log_start(as, world_range(0, 16), scene.mode), 0);
	/* Page 5 is written already, so that there is something to collect; CPU 1 has it cached. */
	sim_set_cpu(1);
	assert_int_equal(guest_read(view[0], 5 * PAGE_SIZE, &value), FAULT_MAPPED);
	if (scene.again)
		assert_int_equal(guest_write(view[0], 5 * PAGE_SIZE, 1), FAULT_MAPPED);
	sim_set_cpu(0);
}

static void collector(void *world)
{
	assert_int_equal(dirty_log_collect(as, world_range(0, 16), &scene.first), 0);
}

static void writer(void *world)
{
	assert_int_equal(guest_write(view[0], 5 * PAGE_SIZE, 2), FAULT_MAPPED);
	sched_point("writer: wrote");
	assert_int_equal(guest_write(view[0], 5 * PAGE_SIZE, 3), FAULT_MAPPED);
	guest_out();
}

static void check(void *world)
{
	u64 second, third;

	assert_int_equal(dirty_log_collect(as, world_range(0, 16), &second), 0);
	if (!((scene.first | second) & BIT(5)))
		fail_msg("the write is in no answer, in the schedule%s", sched_trace());
	if (scene.again && !(scene.first & BIT(5)))
		fail_msg("the first write is not in the first answer, in the schedule%s",
			 sched_trace());
	assert_int_equal(dirty_log_collect(as, world_range(0, 16), &third), 0);
	assert_int_equal(third, 0);
	/* And a write after all that is seen. */
	assert_int_equal(guest_write(view[0], 5 * PAGE_SIZE, 4), FAULT_MAPPED);
	assert_int_equal(dirty_log_collect(as, world_range(0, 16), &third), 0);
	if (third != BIT(5))
		fail_msg("a later write is not in the answer, in the schedule%s", sched_trace());
	guest_out();
	stage2_destroy(view[0]);
	addrspace_destroy(as);
}

static void explore(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {
		.setup = setup, .task = {collector, writer}, .check = check, .preemptions = 3};

	scene.policy = policy;
	scene.retry = retry;
	for (unsigned again = 0; again < 2; again++) {
		scene.again = again;
		world_begin(2, 8);
		sched_explore(&scenario);
		world_end();
	}
}

static void by_write_protection_a_write_beside_a_collection_is_in_one(void **state)
{
	scene.mode = DIRTY_WRITE_PROTECT;
	world_each_policy(explore);
}

static void by_d_bits_a_write_beside_a_collection_is_in_one(void **state)
{
	scene.mode = DIRTY_BITS;
	world_each_policy(explore);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_goes_to_pages_with_a_content_only),
		cmocka_unit_test(by_write_protection_an_answer_is_what_was_written),
		cmocka_unit_test(by_write_protection_a_first_write_costs_an_exit_and_a_second_none),
		cmocka_unit_test(by_write_protection_an_empty_answer_costs_nothing),
		cmocka_unit_test(a_collection_of_many_pages_is_one_event_and_one_flush),
		cmocka_unit_test(by_write_protection_a_write_beside_a_collection_is_in_one),
		cmocka_unit_test(by_d_bits_an_answer_is_what_was_written),
		cmocka_unit_test(by_d_bits_no_write_costs_an_exit),
		cmocka_unit_test(by_d_bits_an_empty_answer_costs_nothing),
		cmocka_unit_test(by_d_bits_a_write_beside_a_collection_is_in_one),
		cmocka_unit_test(by_pml_an_answer_is_what_was_written),
	};

	return cmocka_run_group_tests_name("lab3_log", tests, NULL, NULL);
}
