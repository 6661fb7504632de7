/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: lab 3. The dirty log against an array, by mode; its cost in exits, events and flushes; and
 * a collection beside a write, in every interleaving with three preemptions.
 */
#include "harness/audit.h"
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/dirty_log.h>

#include "mm/notify/dispatch.h"
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
	guest_out();
	lab_audit();
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

/* UNIFORM above a PTE goes when the PTE differs from its neighbours. */
static void a_mark_ends_what_was_uniform(void **state)
{
	const struct gfn gfn = {600};
	unsigned before, after;

	begin(masked());
	assert_int_equal(addrspace_clear_soft_dirty(as, world_range(0, GFNS)), 0);
	spin_lock(&as->lock);
	primary_mark_uniform(&as->primary, gfn);
	before = primary_uniform(&as->primary, gfn, 1);
	space_mark(as, gfn, 1, PPTE_SOFT_DIRTY);
	after = primary_uniform(&as->primary, gfn, 1);
	spin_unlock(&as->lock);
	assert_int_equal(before, 1);
	assert_int_equal(after, 0);
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

/* Bit 0 is the first page of the range; pages outside stay for a later answer. */
static void part_of_a_range(enum dirty_mode mode)
{
	const u64 gfns[] = {99, 100, 163, 164, 229, 230};

	begin(masked());
	start(mode);
	for (unsigned i = 0; i < ARRAY_SIZE(gfns); i++) {
		u64 value;

		/* The leaf is there: with D bits the write makes no fault. */
		assert_int_equal(guest_read(view[gfns[i] % 2], gfns[i] * PAGE_SIZE, &value),
				 FAULT_MAPPED);
		write_page(gfns[i]);
	}
	assert_int_equal(dirty_log_collect(as, world_range(100, 130), bitmap), 0);
	assert_true(bitmap[0] == (BIT(0) | BIT(63)));
	assert_true(bitmap[1] == BIT(0));
	assert_true(bitmap[2] == BIT(1));
	collect();
	assert_int_equal(collected(), 2);
	assert_true(is_collected(99) && is_collected(230));
	end();
}

static void by_write_protection_an_answer_is_of_its_range_alone(void **state)
{
	part_of_a_range(DIRTY_WRITE_PROTECT);
}

static void by_d_bits_an_answer_is_of_its_range_alone(void **state)
{
	part_of_a_range(DIRTY_BITS);
}

/* Blocks that are mapped by one leaf each, without A and with D. */
static void begin_large(enum dirty_mode mode)
{
	begin(masked());
	dirty_log_coarse(as, true);
	start(mode);
	for (u64 gfn = 5; gfn < GFNS; gfn += 512)
		assert_int_equal(guest_write(view[0], gfn * PAGE_SIZE, 1), FAULT_MAPPED);
	guest_out();
	spin_lock(&as->lock);
	(void)notifier_young(&as->notifier, world_range(0, GFNS), true);
	spin_unlock(&as->lock);
}

static unsigned attr_of_large(u64 gfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&view[0]->table, gfn * PAGE_SIZE, &visit);
	assert_int_equal(visit.kind, VISIT_LEAF);
	assert_int_equal(visit.level, 1);
	return view[0]->table.format->attr(visit.pte, 1);
}

static bool cpu_walks;

/* The CPU sets A between the load and the first swap. */
static bool swap_beside_a_walk(void *context, pte_t *slot, pte_t old, pte_t value)
{
	if (cpu_walks)
		*slot |= view[0]->table.format->level[1].accessed;
	cpu_walks = false;
	return ck_pr_cas_64(slot, old, value);
}

static void an_a_that_the_cpu_sets_meanwhile_stays_and_d_goes(void **state)
{
	begin_large(DIRTY_BITS);
	assert_int_equal(attr_of_large(0) & (PT_ACCESSED | PT_DIRTY), PT_DIRTY);
	view[0]->memory.swap = swap_beside_a_walk;
	cpu_walks = true;
	spin_lock(&as->lock);
	notifier_dirty(&as->notifier, world_range(0, 8), false);
	spin_unlock(&as->lock);
	view[0]->memory.swap = NULL;
	assert_int_equal(attr_of_large(0) & (PT_ACCESSED | PT_DIRTY), PT_ACCESSED);
	assert_int_equal(attr_of_large(512) & PT_DIRTY, PT_DIRTY);
	collect();
	assert_int_equal(collected(), GFNS);
	end();
}

/* The log names no write behind a D that is set; the range begins and ends inside blocks. */
static void by_pml_each_block_of_a_range_is_looked_at(void **state)
{
	begin_large(DIRTY_PML);
	assert_int_equal(dirty_log_collect(as, world_range(300, 300), bitmap), 0);
	for (u64 i = 0; i < 300; i++)
		assert_true(is_collected(i));
	end();
}

static void an_entry_of_the_log_beyond_every_address_names_no_page(void **state)
{
	const struct gpa entries[] = {{5 * PAGE_SIZE + 0xabc}, {(GFN_END + 7) * PAGE_SIZE}};

	begin(masked());
	start(DIRTY_PML);
	collect();
	dirty_log_pml(view[0], entries, 2);
	collect();
	assert_int_equal(collected(), 1);
	assert_true(is_collected(5));
	end();
}

static u64 drops(void)
{
	struct stage2_stats stats;

	stage2_stats(view[0], &stats);
	return stats.drops;
}

/* No write can hide behind the leaves of DIRTY_WRITE_PROTECT: they stay. */
static void leaves_go_where_they_would_hide_a_write_and_nowhere_else(void **state)
{
	u64 before;

	begin(masked());
	start(DIRTY_WRITE_PROTECT);
	write_64(64);
	before = drops();
	start(DIRTY_WRITE_PROTECT);
	start(DIRTY_BITS);
	dirty_log_coarse(as, true);
	assert_int_equal(drops(), before);
	dirty_log_coarse(as, false);
	assert_int_equal(drops(), before + 64);
	write_64(64);
	start(DIRTY_PML);
	assert_int_equal(drops(), before + 128);
	write_64(64);
	dirty_log_stop(as);
	assert_int_equal(drops(), before + 192);
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
		cmocka_unit_test(a_mark_ends_what_was_uniform),
		cmocka_unit_test(by_write_protection_an_answer_is_what_was_written),
		cmocka_unit_test(by_write_protection_a_first_write_costs_an_exit_and_a_second_none),
		cmocka_unit_test(by_write_protection_an_empty_answer_costs_nothing),
		cmocka_unit_test(a_collection_of_many_pages_is_one_event_and_one_flush),
		cmocka_unit_test(by_write_protection_an_answer_is_of_its_range_alone),
		cmocka_unit_test(by_write_protection_a_write_beside_a_collection_is_in_one),
		cmocka_unit_test(by_d_bits_an_answer_is_what_was_written),
		cmocka_unit_test(by_d_bits_an_answer_is_of_its_range_alone),
		cmocka_unit_test(by_d_bits_no_write_costs_an_exit),
		cmocka_unit_test(by_d_bits_an_empty_answer_costs_nothing),
		cmocka_unit_test(an_a_that_the_cpu_sets_meanwhile_stays_and_d_goes),
		cmocka_unit_test(by_d_bits_a_write_beside_a_collection_is_in_one),
		cmocka_unit_test(by_pml_an_answer_is_what_was_written),
		cmocka_unit_test(by_pml_each_block_of_a_range_is_looked_at),
		cmocka_unit_test(an_entry_of_the_log_beyond_every_address_names_no_page),
		cmocka_unit_test(leaves_go_where_they_would_hide_a_write_and_nowhere_else),
	};

	return cmocka_run_group_tests_name("lab3_log", tests, NULL, NULL);
}
