/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starve.c: which waits for a frame end a VM (STARVE-1, STARVE-2).
 */
#include "sim/sim.h"
#include <arch/cpu.h>
#include <hv/vcpu.h>

static struct vm vm;
static struct vcpu vcpu;
static u64 rip, now, tick;

static void get_state(struct arch_vcpu *arch, struct guest_state *out)
{
	*out = (struct guest_state){.rip = rip};
}

static const struct virt_ops ops = {.get_state = get_state};
const struct virt_ops *virt = &ops;

static int start(void **state)
{
	sim_init(1);
	vcpu = (struct vcpu){.vm = &vm};
	rip = 0x1000;
	tick = arch_ticks_per_second() / 1000;
	now = 5000 * tick;
	return 0;
}

/* A try each millisecond, for so many of them; how many found that the waiter starves? */
static unsigned starving_tries(enum frame_waiter waiter, unsigned milliseconds)
{
	unsigned starving = 0;

	for (unsigned i = 0; i < milliseconds; i++, now += tick)
		starving += vcpu_starves(&vcpu, waiter, now);
	return starving;
}

static void an_instruction_starves_after_two_seconds(void **state)
{
	assert_int_equal(starving_tries(WAITER_INSN, 2001), 0);
	assert_int_equal(starving_tries(WAITER_INSN, 10), 10);
	assert_int_equal(vcpu.starved, 1);
}

static void devices_starve_after_two_seconds(void **state)
{
	assert_int_equal(starving_tries(WAITER_DEVICES, 2001), 0);
	assert_int_equal(starving_tries(WAITER_DEVICES, 10), 10);
}

/* STARVE-2: one frame in 100 ms, for an hour. */
static void a_vcpu_that_gets_on_does_not_starve(void **state)
{
	for (unsigned i = 0; i < 36000; i++) {
		assert_int_equal(starving_tries(WAITER_INSN, 100), 0);
		if (i % 2)
			rip += 4;
		else
			vcpu.arch.gpr[GPR_RCX]++;
	}
	assert_int_equal(vcpu.starved, 36000);
}

static void a_wait_after_a_pause_is_another_one(void **state)
{
	for (unsigned i = 0; i < 10; i++, now += 1000 * tick)
		assert_int_equal(starving_tries(WAITER_INSN, 1500), 0);
	assert_int_equal(vcpu.starved, 10);
}

/* STARVE-1: frames of the devices, or their waits, are none of the instruction's. */
static void devices_do_not_end_the_wait_of_an_instruction(void **state)
{
	unsigned starving = 0;

	for (unsigned i = 0; i < 2100; i++) {
		starving += vcpu_starves(&vcpu, WAITER_DEVICES, now);
		vcpu.wait[WAITER_DEVICES].place = 0;
		starving += starving_tries(WAITER_INSN, 1);
	}
	assert_int_equal(starving, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_instruction_starves_after_two_seconds, start),
		cmocka_unit_test_setup(devices_starve_after_two_seconds, start),
		cmocka_unit_test_setup(a_vcpu_that_gets_on_does_not_starve, start),
		cmocka_unit_test_setup(a_wait_after_a_pause_is_another_one, start),
		cmocka_unit_test_setup(devices_do_not_end_the_wait_of_an_instruction, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
