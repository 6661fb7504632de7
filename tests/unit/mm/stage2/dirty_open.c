/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty_open.c: collections that wait for no CPU (dirty_log_collect_open): DIRTY-3, COW-2.
 *
 *     CPU 0: collects     CPU 1: stays inside its guest, and writes by the translations it has
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>
#include <mm/policy.h>

#include "mm/stage2/private.h"

#define GFNS 64ull

static struct addrspace *as;
static struct stage2 *s2;
static struct dirty_answer answer;
static u64 flush;

static void write_page(u64 gfn, u64 value)
{
	assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, value), FAULT_MAPPED);
}

static void write_inside(u64 gfn, u64 value)
{
	sim_set_cpu(1);
	write_page(gfn, value);
	sim_set_cpu(0);
}

static void leave(void)
{
	sim_set_cpu(1);
	guest_out();
	sim_set_cpu(0);
}

static void collect(void)
{
	assert_int_equal(dirty_log_collect_open(as, world_range(0, GFNS), &answer, &flush), 0);
}

static void open_world(enum dirty_mode mode)
{
	as = world_space(GFNS);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("masked", 6)), 0);
	flush = 0;
	s2 = world_stage2(as);
	dirty_log_coarse(as, true);
	assert_int_equal(dirty_log_start(as, world_range(0, GFNS), mode), 0);
}

/* Every page is mapped writable, clean, and in no answer to come. */
static void begin(enum dirty_mode mode)
{
	world_begin(2, 16);
	open_world(mode);
	for (u64 gfn = 0; gfn < 8; gfn++)
		write_inside(gfn, gfn + 1);
	leave();
	collect();
	assert_int_equal(answer.written[0], 0xff);
	assert_int_equal(answer.open[0], 0);
}

static void close_world(void)
{
	struct audit_report report;

	guest_out();
	assert_int_equal(audit_run(0, &report), 0);
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void end(void)
{
	leave();
	close_world();
	world_end();
}

static void log_write(u64 gfn)
{
	struct gpa gpa = {gfn * PAGE_SIZE};

	if (dirty_log_mode(as) == DIRTY_PML)
		dirty_log_pml(s2, &gpa, 1);
}

static void a_page_is_named_when_the_cpu_inside_has_left(void **state)
{
	for (enum dirty_mode mode = DIRTY_BITS; mode <= DIRTY_PML; mode++) {
		u64 kicks;

		begin(mode);
		kicks = guest_counters.kicks;
		write_inside(5, 50);
		log_write(5);
		collect();
		/* With PML the drain made it soft-dirty before: it is named at once, and again. */
		assert_int_equal(answer.written[0], mode == DIRTY_PML ? BIT(5) : 0);
		assert_int_equal(answer.open[0], BIT(5));
		write_inside(5, 51); /* by a translation that sets no D */
		leave();
		collect();
		assert_int_equal(answer.written[0], BIT(5));
		assert_int_equal(answer.open[0], 0);
		collect();
		assert_int_equal(answer.written[0], 0);
		assert_int_equal(guest_counters.kicks, kicks);
		end();
	}
}

/* Without a CPU inside it is an ordinary collection. */
static void with_no_cpu_inside_it_is_named_at_once(void **state)
{
	begin(DIRTY_BITS);
	write_inside(5, 50);
	leave();
	collect();
	assert_int_equal(answer.written[0], BIT(5));
	assert_int_equal(answer.open[0], 0);
	end();
}

/* Each second time at least: where the CPU has not left the collection kicks it. */
static void a_page_that_is_always_written_is_named_all_the_same(void **state)
{
	unsigned named = 0;

	begin(DIRTY_BITS);
	for (unsigned i = 0; i < 10; i++) {
		write_inside(5, i);
		collect();
		named += (answer.written[0] & BIT(5)) != 0;
		if (i % 2)
			leave();
	}
	assert_true(named >= 5);
	end();
}

/* D is clear, and the CPU inside writes all the same: the write protection flushes. */
static void an_open_page_is_protected_with_a_flush(void **state)
{
	struct cow_look look;
	u64 kicks;

	begin(DIRTY_BITS);
	write_inside(5, 50);
	collect();
	kicks = guest_counters.kicks;
	assert_int_equal(cow_protect_look(as, (struct gfn){6}, &look), 0);
	assert_int_equal(guest_counters.kicks, kicks);
	assert_int_equal(cow_protect_look(as, (struct gfn){5}, &look), 0);
	assert_int_equal(guest_counters.kicks, kicks + 1);
	write_inside(5, 51);
	assert_int_equal(cow_offer(as, (struct gfn){5}, &look), ERR_BUSY);
	end();
}

/* DIRTY-1 of a collection that follows an open one. */
static void an_ordinary_collection_of_an_open_page_flushes(void **state)
{
	u64 bitmap;

	begin(DIRTY_BITS);
	write_inside(5, 50);
	collect();
	assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), &bitmap), 0);
	assert_int_equal(bitmap, BIT(5));
	write_inside(5, 51);
	assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), &bitmap), 0);
	assert_int_equal(bitmap, BIT(5));
	end();
}

/* As a vCPU does that polls on a CPU of its own, without a timer. */
static void a_cpu_that_never_exits_is_kicked_by_the_next_collection(void **state)
{
	u64 kicks;

	begin(DIRTY_BITS);
	kicks = guest_counters.kicks;
	write_inside(5, 50);
	collect();
	assert_int_equal(guest_counters.kicks, kicks);
	assert_int_equal(answer.open[0], BIT(5));
	collect();
	assert_int_equal(answer.written[0], BIT(5));
	assert_int_equal(answer.open[0], 0);
	assert_int_equal(guest_counters.kicks, kicks + 1);
	end();
}

/* `flush` is 0 for another collector of the same range: its first answer is open. */
static void a_first_collection_waits_for_the_flush_of_another(void **state)
{
	begin(DIRTY_BITS);
	write_inside(5, 50);
	collect();
	flush = 0;
	collect();
	assert_int_equal(answer.open[0], BIT(5));
	leave();
	collect();
	assert_int_equal(answer.written[0], BIT(5));
	end();
}

/*
 * Every schedule: what a page held when it was named last, and read after, is what it holds at the
 * end, unless it is named again (DIRTY-3).
 */
static struct {
	u64 read[2];
	u64 schedules;
} race;

static u64 content(u64 gfn)
{
	return *(u64 *)arch_hpa_to_virt(mfn_to_hpa((struct mfn){world_mfn(as, gfn)}));
}

static void collect_and_read(void)
{
	collect();
	sched_point("collector: has the answer");
	for (u64 gfn = 0; gfn < 2; gfn++)
		if (answer.written[0] & BIT(gfn))
			race.read[gfn] = content(gfn);
}

static void set_up(void *world)
{
	open_world(DIRTY_BITS);
	for (u64 gfn = 0; gfn < 2; gfn++) {
		write_page(gfn, 1);
		race.read[gfn] = 0;
	}
	guest_out();
}

static void collector(void *world)
{
	for (unsigned i = 0; i < 3; i++)
		collect_and_read();
}

static void writer(void *world)
{
	for (u64 value = 2; value < 6; value++) {
		write_page(value % 2, value);
		sched_point("writer: has written");
		write_page(0, value + 10);
		if (value == 4)
			guest_out();
	}
	guest_out();
}

static void check(void *world)
{
	collect_and_read();
	for (u64 gfn = 0; gfn < 2; gfn++)
		if (race.read[gfn] != content(gfn))
			fail_msg("page %llu was not named after its last write, after%s",
				 (unsigned long long)gfn, sched_trace());
	close_world();
}

static void no_schedule_leaves_a_write_unnamed(void **state)
{
	struct sched_scenario scenario = {
		.setup = set_up, .task = {collector, writer}, .check = check, .preemptions = 3};

	world_begin(2, 16);
	race.schedules = sched_explore_and_draw(scenario, 2000);
	world_end();
	print_message("# %llu schedules\n", (unsigned long long)race.schedules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_named_when_the_cpu_inside_has_left),
		cmocka_unit_test(with_no_cpu_inside_it_is_named_at_once),
		cmocka_unit_test(a_page_that_is_always_written_is_named_all_the_same),
		cmocka_unit_test(an_open_page_is_protected_with_a_flush),
		cmocka_unit_test(an_ordinary_collection_of_an_open_page_flushes),
		cmocka_unit_test(a_cpu_that_never_exits_is_kicked_by_the_next_collection),
		cmocka_unit_test(a_first_collection_waits_for_the_flush_of_another),
		cmocka_unit_test(no_schedule_leaves_a_write_unnamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
