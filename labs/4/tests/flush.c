/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush.c: lab 4. Remote flushes: which CPUs are kicked, what has ended when the flush returns, and
 * how many flushes an operation costs. A simulated guest CPU keeps what it has translated until a
 * flush, so one that is missing shows as a stale read.
 */
#include "4/tests/world.h"

static u64 flush(void)
{
	u64 kicks = guest_counters.kicks, flushes = s2->counters.flushes;

	stage2_flush(s2);
	assert_int_equal(s2->counters.flushes, flushes + 1);
	return guest_counters.kicks - kicks;
}

static void a_flush_kicks_the_cpus_inside_once_each_and_no_other(void **state)
{
	u64 flushes, waited, before;

	begin(5);
	enter(1, s2);
	enter(2, s2);
	enter(3, other);
	stage2_cpu_flushes(0, &flushes, &before);
	assert_int_equal(flush(), 2);
	assert_int_equal(s2->counters.kicks, 2);
	stage2_cpu_flushes(0, &flushes, &waited);
	assert_int_equal(waited - before, 2);
	assert_int_equal(flush(), 0); /* they are out */
	enter(2, s2);
	assert_int_equal(flush(), 1);
	end();
}

static void a_cpu_outside_is_not_kicked_and_flushes_when_it_enters(void **state)
{
	u64 flushes;

	begin(2);
	enter(1, s2);
	sim_set_cpu(1);
	guest_out();
	sim_set_cpu(0);
	assert_int_equal(flush(), 0);
	flushes = guest_counters.flushes;
	enter(1, s2);
	assert_int_equal(guest_counters.flushes, flushes + 1);
	enter(1, s2);
	assert_int_equal(guest_counters.flushes, flushes + 1);
	end();
}

static void (*next_kick)(unsigned cpu);

/*
 * CPU 1's guest has the page cached and reads it again when CPU 0 has published that it moved: the
 * new frame, which the hypervisor has written meanwhile. Until then it touches another page, comes
 * back after a kick, and stays: a flush that waits for it then never ends. CPU 2 comes and goes.
 */
static struct {
	bool moved;
	u64 old;
} scene;

static void setup(void *world)
{
	u64 value = 1;

	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("masked", 6)), 0);
	s2 = world_stage2(as);
	scene.moved = false;
	assert_int_equal(addrspace_write(as, (struct gpa){GPA}, &value, 8), 0);
	sim_set_cpu(1);
	assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	sim_set_cpu(0);
	scene.old = world_mfn(as, 5);
}

/* No CPU inside has a translation from before. */
static void mover(void *world)
{
	u64 value = 2;

	assert_int_equal(addrspace_clear(as, world_range(5, 1), 0), 0);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		if (stage2_inside[cpu].s2 == s2)
			assert_int_equal(s2->tlb.seen[cpu], s2->tlb.generation);
	assert_int_equal(addrspace_write(as, (struct gpa){GPA}, &value, 8), 0);
	scene.moved = true;
}

static void reader(void *world)
{
	bool moved = scene.moved;
	u64 value;

	while (!moved) {
		assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
		guest_idle();
		moved = scene.moved;
	}
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	if (value != 2)
		fail_msg("the guest reads %llu by an old translation, in the schedule%s",
			 (unsigned long long)value, sched_trace());
	guest_out();
}

static void visitor(void *world)
{
	u64 value;

	assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	sched_point("visitor: inside");
	guest_out();
	assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	guest_out();
}

static void finish(void *world)
{
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void kick_and_switch(unsigned cpu)
{
	next_kick(cpu);
	sched_point("kicked");
}

static void no_old_translation_is_used_after_a_flush(void **state)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {mover, reader, visitor},
						.check = finish,
						.preemptions = 2};

	world_begin(3, 8);
	next_kick = sim_on_kick;
	sim_on_kick = kick_and_switch;
	sched_explore_and_draw(scenario, 500);
	world_end();
}

static void (*at_kick)(void);

static void on_kick(unsigned cpu)
{
	at_kick();
	next_kick(cpu);
}

/* Calls `look` at each kick: the tables have changed, and no CPU has flushed yet. */
static void watch_kicks(void (*look)(void))
{
	next_kick = sim_on_kick;
	at_kick = look;
	sim_on_kick = on_kick;
}

static u64 table_frames, watched;

static u64 count_tables(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.table;
}

static void tables_are_kept(void)
{
	watched++;
	assert_int_equal(count_tables(), table_frames);
}

static void an_unlinked_table_is_freed_after_the_flush_and_not_before(void **state)
{
	u64 value;

	begin(2);
	for (u64 gfn = 0; gfn < 1024; gfn += 32)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, 1), FAULT_MAPPED);
	guest_out();
	enter(1, s2);
	table_frames = count_tables();
	watched = 0;
	watch_kicks(tables_are_kept);
	assert_int_equal(addrspace_clear(as, world_range(0, 1024), 0), 0);
	assert_int_equal(watched, 1);
	assert_int_equal(count_tables(), table_frames - 2);
	/* The table used last is not used again. */
	assert_null(s2->near);
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	guest_out();
	end();
}

/* No leaf went with it, so nothing but the table itself makes the stage 2 stale. */
static void an_empty_table_waits_for_a_flush_too(void **state)
{
	u64 flushes, tables;

	begin(2);
	assert_int_equal(guest_write(s2, GPA, 1), FAULT_MAPPED);
	guest_out();
	assert_int_equal(addrspace_clear(as, world_range(5, 1), 0), 0);
	tables = count_tables();
	flushes = s2->counters.flushes;
	spin_lock(&as->lock);
	stage2_drop(s2, world_range(0, 512));
	stage2_flush_stale(s2);
	spin_unlock(&as->lock);
	assert_int_equal(s2->counters.flushes, flushes + 1);
	assert_int_equal(count_tables(), tables - 1);
	end();
}

static void without_a_change_there_is_no_flush(void **state)
{
	u64 flushes, value;

	begin(2);
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	guest_out();
	flushes = s2->counters.flushes;
	spin_lock(&as->lock);
	s2->stale = s2->moved = s2->dropped = s2->dropping = true;
	stage2_flush_stale(s2);
	stage2_flush_stale(s2);
	spin_unlock(&as->lock);
	assert_int_equal(s2->counters.flushes, flushes + 1);
	assert_false(s2->stale || s2->moved || s2->dropped || s2->dropping);
	/* What is not mapped needs none. */
	assert_int_equal(addrspace_clear(as, world_range(512, 16), 0), 0);
	assert_int_equal(s2->counters.flushes, flushes + 1);
	end();
}

static unsigned attr_of(u64 gfn, u64 *mfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn * PAGE_SIZE, &visit);
	assert_int_equal(visit.kind, VISIT_LEAF);
	*mfn = pte_addr(s2->table.format, visit.pte, 0).raw >> PAGE_SHIFT;
	return s2->table.format->attr(visit.pte, 0);
}

static u64 old_frame;

static void new_frame_is_read_only(void)
{
	u64 mfn;
	unsigned attr = attr_of(5, &mfn);

	watched++;
	assert_true(mfn != old_frame);
	assert_false(attr & PT_WRITE);
}

/*
 * Under `late` the new frame comes writable at once: the two steps are the stage 2's own. CPU 1 is
 * inside and has the old frame cached, so it is kicked while the leaf has the new one.
 */
static void a_new_frame_is_read_only_until_the_old_one_is_unused(void **state)
{
	const u64 gfns[] = {5, 6};
	u64 mfn;

	begin(2);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("late", 4)), 0);
	assert_int_equal(guest_write(s2, GPA, 1), FAULT_MAPPED);
	guest_out();
	world_share(as, gfns, 2, 1);
	addrspace_settle(as);
	enter(1, s2);
	old_frame = world_mfn(as, 5);
	watched = 0;
	watch_kicks(new_frame_is_read_only);
	assert_int_equal(cow_break(as, (struct gfn){5}), 0);
	assert_true(watched > 0);
	assert_int_equal(attr_of(5, &mfn) & PT_RWX, PT_RWX);
	assert_int_equal(mfn, world_mfn(as, 5));
	assert_true(mfn != old_frame);
	end();
}

/* CPU 1 goes on in its guest: whatever it has cached, it reads what CPU 0 wrote. */
static void a_cpu_inside_reads_the_new_frame_after_the_change(void **state)
{
	const u64 gfns[] = {5, 6};
	const u64 written = 2;
	u64 value;

	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		begin(2);
		assert_int_equal(addrspace_set_policy(as, notifier_policy(i)), 0);
		world_share(as, gfns, 2, 1);
		enter(1, s2);
		assert_int_equal(addrspace_write(as, (struct gpa){GPA}, &written, 8), 0);
		sim_set_cpu(1);
		assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
		assert_int_equal(value, written);
		assert_int_equal(guest_read(s2, GPA + PAGE_SIZE, &value), FAULT_MAPPED);
		assert_int_equal(value, 1);
		sim_set_cpu(0);
		end();
	}
}

static void a_change_keeps_a_and_d_and_the_frame_of_the_primary(void **state)
{
	unsigned attr;
	u64 mfn;

	begin(2);
	assert_int_equal(guest_write(s2, GPA, 1), FAULT_MAPPED);
	guest_out();
	assert_int_equal(cow_protect(as, world_range(5, 1)), 0);
	attr = attr_of(5, &mfn);
	assert_int_equal(attr & PT_RWX, PT_READ | PT_EXEC);
	assert_int_equal(attr & (PT_ACCESSED | PT_DIRTY), PT_ACCESSED | PT_DIRTY);
	assert_int_equal(mfn, world_mfn(as, 5));
	/* SOFT_DIRTY takes D: the answer contains it. */
	assert_int_equal(addrspace_clear_soft_dirty(as, world_range(5, 1)), 0);
	attr = attr_of(5, &mfn);
	assert_int_equal(attr & (PT_WRITE | PT_ACCESSED | PT_DIRTY), PT_ACCESSED);
	end();
}

/* Protecting costs one flush, however many pages; and what is protected already, none. */
static void an_operation_flushes_once_and_only_for_rights_that_went(void **state)
{
	u64 flushes;

	begin(2);
	for (u64 gfn = 0; gfn < 100; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, 1), FAULT_MAPPED);
	guest_out();
	flushes = s2->counters.flushes;
	assert_int_equal(cow_protect(as, world_range(0, 100)), 0);
	assert_int_equal(s2->counters.flushes, flushes + 1);
	assert_int_equal(s2->counters.changed, 100);
	assert_int_equal(cow_protect(as, world_range(0, 100)), 0);
	assert_int_equal(s2->counters.flushes, flushes + 1);
	assert_int_equal(other->counters.flushes, 0);
	/*
	 * A move protects, copies, and installs the frame read-only: two flushes. The right that
	 * comes after that needs none.
	 */
	assert_int_equal(guest_write(s2, GPA, 1), FAULT_MAPPED);
	guest_out();
	flushes = s2->counters.flushes;
	assert_int_equal(addrspace_migrate(as, (struct gfn){5}), 0);
	assert_int_equal(s2->counters.flushes, flushes + 2);
	end();
}

/* A merge swaps read-only frames of one content: its flush waits for the next one, or the end. */
static void a_merge_puts_its_flush_off(void **state)
{
	const u64 gfns[] = {1, 2, 3, 4};
	u64 flushes, put_off;

	begin(2);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(guest_write(s2, gfns[i] * PAGE_SIZE, 7), FAULT_MAPPED);
	guest_out();
	flushes = s2->counters.flushes;
	put_off = s2->counters.put_off;
	world_share(as, gfns, 4, 7); /* four write protections, three merges */
	assert_int_equal(s2->counters.put_off - put_off, 3);
	assert_int_equal(s2->counters.flushes - flushes, 4);
	addrspace_settle(as);
	assert_int_equal(s2->counters.flushes - flushes, 5);
	addrspace_settle(as);
	assert_int_equal(s2->counters.flushes - flushes, 5);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_kicks_the_cpus_inside_once_each_and_no_other),
		cmocka_unit_test(a_cpu_outside_is_not_kicked_and_flushes_when_it_enters),
		cmocka_unit_test(no_old_translation_is_used_after_a_flush),
		cmocka_unit_test(an_unlinked_table_is_freed_after_the_flush_and_not_before),
		cmocka_unit_test(an_empty_table_waits_for_a_flush_too),
		cmocka_unit_test(without_a_change_there_is_no_flush),
		cmocka_unit_test(a_new_frame_is_read_only_until_the_old_one_is_unused),
		cmocka_unit_test(a_cpu_inside_reads_the_new_frame_after_the_change),
		cmocka_unit_test(a_change_keeps_a_and_d_and_the_frame_of_the_primary),
		cmocka_unit_test(an_operation_flushes_once_and_only_for_rights_that_went),
		cmocka_unit_test(a_merge_puts_its_flush_off),
	};

	return cmocka_run_group_tests_name("lab4_flush", tests, NULL, NULL);
}
