/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.c: the choice of the next vCPU (SCHED-1, SCHED-2).
 */
#include "sim/sim.h"
#include <hv/sched.h>
#include <hv/irqchip.h>

#define VCPUS 4

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static unsigned kicked;

static u64 no_alarm(const struct vcpu *vcpu, u64 now)
{
	return TICK_NEVER;
}

static const struct irqchip_ops irqchip = {.alarm = no_alarm};

static void count_kick(unsigned cpu)
{
	kicked++;
}

static int start(void **state)
{
	sim_init(2);
	sched_init();
	memset(&vm, 0, sizeof(vm));
	vm.state = VM_RUNNING;
	vm.irqchip = &irqchip;
	for (unsigned i = 0; i < VCPUS; i++)
		vcpus[i] = (struct vcpu){.vm = &vm, .index = i, .state = VCPU_READY};
	kicked = 0;
	sim_on_kick = count_kick;
	return 0;
}

static void add(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sched_add(&vcpus[i]);
}

static void remove_all(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sched_remove(&vcpus[i]);
}

/* Picks and runs for `ticks`. */
static struct vcpu *turn(u64 ticks)
{
	struct vcpu *vcpu = sched_pick();

	if (vcpu)
		sched_account(vcpu, ticks);
	return vcpu;
}

static void an_empty_queue_has_nothing_to_run(void **state)
{
	assert_null(sched_pick());
	assert_null(sched_pick_ended());
}

/* SCHED-3: while one is ready, there is one to run. */
static void equal_ones_take_turns(void **state)
{
	add(3);
	for (unsigned i = 0; i < 300; i++)
		assert_non_null(turn(sched_slice()));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vcpus[i].slices, 100);
	assert_true(sched_turns(0) >= 300);
	remove_all(3);
}

static void time_is_shared_not_turns(void **state)
{
	u64 slice = sched_slice();

	add(2);
	for (unsigned i = 0; i < 3000; i++) {
		struct vcpu *vcpu = sched_pick();

		sched_account(vcpu, vcpu == &vcpus[0] ? slice : slice / 4);
	}
	assert_true(vcpus[1].slices > vcpus[0].slices * 3);
	assert_true(vcpus[0].used < vcpus[1].used + 2 * slice);
	assert_true(vcpus[1].used < vcpus[0].used + 2 * slice);
	remove_all(2);
}

/* SCHED-4: the computer took the CPU away in the middle of a turn, for 200 slices. */
static void a_turn_that_lasted_too_long_is_not_paid_for(void **state)
{
	u64 slice = sched_slice();
	unsigned others = 0;

	add(3);
	sched_account(sched_pick(), 200 * slice);
	while (turn(slice)->used < 200 * slice)
		others++;
	remove_all(3);
	assert_in_range(others, 2, 4);
}

/* RUN-5: a wake-up that was there at the pick is not one during the turn. */
static void a_wake_up_ends_the_turn_of_the_vcpu_that_runs(void **state)
{
	struct vcpu *first, *second;

	add(2);
	first = sched_pick();
	second = &vcpus[first == &vcpus[0]];
	sched_woken(second);
	assert_int_equal(first->requests, REQUEST_PREEMPT);
	sched_woken(first);
	assert_int_equal(second->requests, 0);
	first->requests |= REQUEST_EVENT;
	assert_ptr_equal(sched_pick(), first);
	remove_all(2);
	assert_int_equal(first->requests, REQUEST_EVENT);
}

/* SCHED-2 */
static void one_that_slept_long_goes_first_but_not_for_long(void **state)
{
	u64 slice = sched_slice();

	add(2);
	vcpus[1].state = VCPU_HALTED;
	for (unsigned i = 0; i < 100; i++)
		assert_ptr_equal(turn(slice), &vcpus[0]);
	vcpus[1].state = VCPU_READY;
	assert_ptr_equal(turn(slice), &vcpus[1]);
	for (unsigned i = 0; i < 100; i++)
		turn(slice);
	assert_true(vcpus[1].slices <= 53);
	remove_all(2);
}

static void only_the_ready_run(void **state)
{
	add(3);
	vcpus[0].state = VCPU_HALTED;
	vcpus[1].state = VCPU_OFF;
	for (unsigned i = 0; i < 10; i++)
		assert_ptr_equal(turn(1), &vcpus[2]);
	remove_all(3);
}

static void one_that_rests_is_passed_over_until_its_time(void **state)
{
	add(2);
	sched_rest(&vcpus[0], sim_ticks + 1000);
	for (unsigned i = 0; i < 10; i++)
		assert_ptr_equal(turn(100), &vcpus[1]);
	sched_rest(&vcpus[1], sim_ticks + 500);
	assert_null(turn(1));
	assert_int_equal(sched_alarm(sim_ticks), vcpus[1].rests_until);
	sim_ticks += 1000;
	assert_ptr_equal(turn(1), &vcpus[0]);
	remove_all(2);
}

/* SCHED-1 */
static void each_cpu_has_its_own(void **state)
{
	vcpus[1].cpu = 1;
	add(2);
	assert_int_equal(kicked, 2);
	assert_ptr_equal(sched_pick(), &vcpus[0]);
	sim_set_cpu(1);
	assert_ptr_equal(sched_pick(), &vcpus[1]);
	sched_remove(&vcpus[1]);
	assert_null(sched_pick());
	sim_set_cpu(0);
	sched_remove(&vcpus[0]);
}

static void waking_another_makes_the_one_that_runs_give_way(void **state)
{
	add(2);
	assert_ptr_equal(turn(5), &vcpus[1]);
	kicked = 0;
	sched_woken(&vcpus[0]);
	assert_int_equal(vcpus[1].requests, REQUEST_PREEMPT);
	assert_int_equal(kicked, 1);
	remove_all(2);
}

static void those_of_an_ended_vm_are_given_up(void **state)
{
	add(2);
	vm.state = VM_STOPPING;
	assert_non_null(sched_pick_ended());
	remove_all(2);
	assert_null(sched_pick_ended());
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_queue_has_nothing_to_run),
		TEST(equal_ones_take_turns),
		TEST(time_is_shared_not_turns),
		TEST(a_turn_that_lasted_too_long_is_not_paid_for),
		TEST(a_wake_up_ends_the_turn_of_the_vcpu_that_runs),
		TEST(one_that_slept_long_goes_first_but_not_for_long),
		TEST(only_the_ready_run),
		TEST(one_that_rests_is_passed_over_until_its_time),
		TEST(each_cpu_has_its_own),
		TEST(waking_another_makes_the_one_that_runs_give_way),
		TEST(those_of_an_ended_vm_are_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
