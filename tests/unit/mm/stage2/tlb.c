/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlb.c: flushes of a stage 2 against CPUs that enter and leave it, in every interleaving with
 * three preemptions. A kick is not noticed at once: a CPU inside goes on until it leaves by itself.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include "mm/space/space.h"
#include "mm/stage2/private.h"

#define ROUNDS 2

static struct addrspace *as;
static struct stage2 *s2, *other;
static struct stage2_gate gate;
static u64 generation; /* that CPU 1 has flushed for */
static bool inside;

static void open_world(void *world)
{
	as = world_space(16);
	s2 = world_stage2(as);
	other = world_stage2(as);
	generation = 0;
	inside = false;
}

static void close_world(void *world)
{
	assert_false(inside);
	stage2_destroy(other);
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void enter(void)
{
	gate = stage2_gate(s2);
	stage2_enter(&gate);
	sched_point("guest: said so");
	(void)stage2_is_behind(&gate);
	generation = *gate.seen;
	inside = true;
}

static void leave(void)
{
	inside = false;
	stage2_leave(&gate);
}

/* TLB-3: after each exit the CPU takes the lock that the flusher holds. */
static void guest(void *world)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		enter();
		sched_point("guest: inside");
		leave();
		spin_lock(&as->lock);
		spin_unlock(&as->lock);
	}
}

/* TLB-1: when the flush has ended, a CPU that is inside has flushed for it. */
static void flusher(void *world)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 flushed;

		spin_lock(&as->lock);
		stage2_flush(s2);
		flushed = s2->tlb.generation;
		if (inside && generation < flushed)
			fail_msg("used after its flush:%s", sched_trace());
		spin_unlock(&as->lock);
	}
}

/* TLB-1, TLB-3 */
static void a_flush_waits_for_the_cpus_inside_and_for_no_lock(void **state)
{
	struct sched_scenario scenario = {.setup = open_world,
					  .task = {flusher, guest},
					  .check = close_world,
					  .preemptions = 3,
					  .at_locks = true};

	world_begin(2, 4);
	sim_on_kick = NULL;
	print_message("# %llu schedules\n", (unsigned long long)sched_explore(&scenario));
	world_end();
}

static unsigned kicks;

/* CPU 1 comes out at once. */
static void on_kick(unsigned cpu)
{
	assert_int_equal(cpu, 1);
	kicks++;
	sim_set_cpu(1);
	leave();
	sim_set_cpu(0);
}

/* TLB-2 */
static void only_a_cpu_inside_is_kicked(void **state)
{
	world_begin(2, 4);
	open_world(NULL);
	sim_on_kick = on_kick;
	kicks = 0;
	stage2_flush(s2);
	assert_int_equal(kicks, 0);
	sim_set_cpu(1);
	enter();
	sim_set_cpu(0);
	stage2_flush(other);
	assert_false(stage2_flush_ended(s2, stage2_flush_begin(s2)));
	assert_int_equal(kicks, 0);
	stage2_flush(s2);
	assert_int_equal(kicks, 1);
	stage2_flush(s2);
	assert_int_equal(kicks, 1);
	assert_true(stage2_flush_ended(s2, s2->tlb.generation));
	close_world(NULL);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_waits_for_the_cpus_inside_and_for_no_lock),
		cmocka_unit_test(only_a_cpu_inside_is_kicked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
