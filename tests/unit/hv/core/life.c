/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.c: the end of a VM, from vm_stop() to the run loop that destroys it (LIFE-1 to LIFE-3).
 */
#include "sim/sim.h"
#include <hv/sched.h>
#include <hv/vcpu.h>
#include <hv/vm.h>

static struct vm vm;
static struct vcpu vcpus[2];
static unsigned stop_requests, kicks, resumed;
static enum vcpu_request expected = REQUEST_STOP;

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	assert_int_equal(request, expected);
	stop_requests++;
}

void sched_resumed(struct vcpu *vcpu)
{
	assert_false(vm.paused);
	resumed++;
}

static void count_kick(unsigned cpu)
{
	kicks++;
}

static int start(void **state)
{
	sim_init(2);
	memset(&vm, 0, sizeof(vm));
	vm.config.vcpus = 2;
	spin_init(&vm.lock, LOCK_VM, "vm");
	assert_int_equal(vm_list_add(&vm), 0);
	vm.state = VM_RUNNING;
	vm.held = 2;
	for (unsigned i = 0; i < 2; i++) {
		vcpus[i] = (struct vcpu){.vm = &vm, .index = i, .state = VCPU_READY};
		vcpus[i].exits[HV_EXIT_HLT].word = 1 + i;
		vm.vcpu[i] = &vcpus[i];
	}
	stop_requests = kicks = 0;
	sim_on_kick = count_kick;
	return 0;
}

static int end(void **state)
{
	vm_list_remove(&vm);
	return 0;
}

/* LIFE-1 */
static void the_first_stop_gives_the_reason(void **state)
{
	vm_stop(&vm, VM_END_SHUTDOWN, 3);
	vm_stop(&vm, VM_END_KILLED, 4);
	assert_int_equal(vm.end, VM_END_SHUTDOWN);
	assert_int_equal(vm.status, 3);
	assert_int_equal(stop_requests, 2);
	vm_release_vcpu(&vcpus[0]);
	vm_release_vcpu(&vcpus[1]);
	vm_mark_ended(vm_take_dead());
}

/* LIFE-2 */
static void a_vm_is_dead_when_its_last_vcpu_and_its_last_holder_let_go(void **state)
{
	assert_true(vm_hold(&vm));
	vm_stop(&vm, VM_END_KILLED, 0);
	assert_false(vm_hold(&vm));
	vm_release_vcpu(&vcpus[0]);
	vm_release_vcpu(&vcpus[1]);
	assert_null(vm_take_dead());
	kicks = 0;
	vm_release(&vm);
	assert_int_equal(vm.state, VM_DEAD);
	assert_int_equal(kicks, 1); /* the run loop does not sleep before it has seen the VM */
	assert_int_equal(vm.exits[HV_EXIT_HLT], 3);
	vm_mark_ended(vm_take_dead());
}

/* LIFE-3 */
static void one_taker_gets_a_dead_vm_and_the_count_falls_at_its_end(void **state)
{
	vm_stop(&vm, VM_END_KILLED, 0);
	vm_release_vcpu(&vcpus[0]);
	vm_release_vcpu(&vcpus[1]);
	assert_ptr_equal(vm_take_dead(), &vm);
	assert_null(vm_take_dead());
	assert_int_equal(vm_count_alive(), 1);
	kicks = 0;
	vm_mark_ended(&vm);
	assert_int_equal(vm_count_alive(), 0);
	assert_int_equal(kicks, 2); /* every CPU leaves its run loop */
}

static void a_paused_vm_leaves_its_cpus_and_can_still_end(void **state)
{
	expected = REQUEST_RESCHEDULE;
	vm_pause(&vm);
	assert_int_equal(stop_requests, 2);
	assert_true(vm.paused);
	vm_resume(&vm);
	assert_int_equal(resumed, 2);
	vm_pause(&vm);
	expected = REQUEST_STOP;
	one_taker_gets_a_dead_vm_and_the_count_falls_at_its_end(state);
}

/* The first of every EXIT_SAMPLE exits is timed, and each is counted at once. */
static void exits_are_counted_and_one_in_64_is_timed(void **state)
{
	struct exit_count count;

	exit_count_init(&count);
	assert_int_equal(exit_count(&count), 0);
	for (u64 i = 0; i < 3 * EXIT_SAMPLE; i++) {
		bool timed = exit_count_step(&count);

		assert_int_equal(exit_count(&count), i + 1);
		assert_int_equal(timed, i % EXIT_SAMPLE == 0);
		if (timed)
			exit_count_fold(&count);
		assert_int_equal(exit_count(&count), i + 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exits_are_counted_and_one_in_64_is_timed),
		TEST(the_first_stop_gives_the_reason),
		TEST(a_vm_is_dead_when_its_last_vcpu_and_its_last_holder_let_go),
		TEST(a_paused_vm_leaves_its_cpus_and_can_still_end),
		TEST(one_taker_gets_a_dead_vm_and_the_count_falls_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
