/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c: a line when nothing else was printed, and none after other output (PROGRESS-1).
 */
#include "sim/sim.h"
#include <hv/progress.h>
#include <hv/vm.h>
#include <lib/log.h>

#define VMS    64
#define SECOND 1000000000ull /* the simulated machine's, in ticks */

static struct vm vms[VMS];
static struct vcpu vcpus[VMS];
static unsigned vm_count, held;

struct vm *vm_get(unsigned number)
{
	return number < vm_count ? &vms[number] : NULL;
}

bool vm_hold(struct vm *vm)
{
	held += vm->state == VM_RUNNING;
	return vm->state == VM_RUNNING;
}

void vm_release(struct vm *vm)
{
	assert_int_equal(vm->state, VM_RUNNING);
	held--;
}

void __wrap_addrspace_count(struct addrspace *as, struct addrspace_pages *out);
void __wrap_addrspace_count(struct addrspace *as, struct addrspace_pages *out)
{
	assert_null(as);
	assert_true(held > 0);
	*out = (struct addrspace_pages){
		.private = 512, .shared = 200, .zero = 56, .reclaimed = 9, .device = 9};
}

/* Two guests, "one" and "two"; or many. */
static void have(unsigned count)
{
	static const char *const names[] = {"one", "two"};

	sim_init(2);
	assert_int_equal(arch_ticks_per_second(), SECOND);
	vm_count = count;
	held = 0;
	for (unsigned i = 0; i < count; i++) {
		vcpus[i] = (struct vcpu){
			.vm = &vms[i], .state = VCPU_READY, .exits = {[0] = {i}, [1] = {7}}};
		vms[i] = (struct vm){.state = VM_RUNNING, .config.vcpus = 1, .vcpu = {&vcpus[i]}};
		snprintf(vms[i].config.name, sizeof(vms[i].config.name), "%s",
			 count == 2 ? names[i] : "a-name-as-long-as-names-may-be");
	}
	progress_start(1);
}

static int start(void **state)
{
	have(2);
	return 0;
}

static bool printed_line(void)
{
	u64 before = log_writes();

	(void)progress_poll(false);
	assert_int_equal(held, 0);
	return log_writes() != before;
}

static void a_second_of_silence_is_followed_by_a_line(void **state)
{
	assert_false(printed_line());
	sim_ticks += SECOND;
	assert_true(printed_line());
	assert_non_null(strstr(sim_console(),
			       "progress: one runs, 3 MiB, 7 exits; two runs, 3 MiB, 8 exits\n"));
	assert_false(printed_line());
	sim_ticks += SECOND;
	assert_true(printed_line());
}

static void any_output_puts_it_off(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		sim_ticks += SECOND / 2;
		console_write("x", 1);
		assert_false(printed_line());
	}
	sim_ticks += SECOND;
	assert_true(printed_line());
}

static void sleeping_and_ended_vms_are_printed_apart(void **state)
{
	vms[0].state = VM_ENDED;
	vcpus[1].state = VCPU_HALTED;
	sim_ticks += SECOND;
	assert_true(printed_line());
	assert_non_null(strstr(sim_console(), "progress: two sleeps, "));
	vms[1].state = VM_STOPPING;
	sim_ticks += SECOND;
	assert_false(printed_line());
}

static void many_guests_fit_on_a_line(void **state)
{
	have(VMS);
	sim_ticks += SECOND;
	assert_true(printed_line());
	assert_non_null(strstr(sim_console(), "; and 62 more\n"));
}

static void an_idle_cpu_wakes_for_it(void **state)
{
	assert_true(progress_alarm() > sim_ticks && progress_alarm() <= sim_ticks + SECOND);
	sim_set_cpu(1);
	assert_true(progress_alarm() == TICK_NEVER);
	sim_ticks += 2 * SECOND;
	assert_false(printed_line());
	sim_set_cpu(0);
	assert_true(printed_line());
}

static void unasked_it_says_nothing(void **state)
{
	progress_start(0);
	sim_ticks += 100 * SECOND;
	assert_false(printed_line());
	assert_true(progress_alarm() == TICK_NEVER);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_of_silence_is_followed_by_a_line),
		TEST(any_output_puts_it_off),
		TEST(sleeping_and_ended_vms_are_printed_apart),
		TEST(many_guests_fit_on_a_line),
		TEST(an_idle_cpu_wakes_for_it),
		TEST(unasked_it_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
