/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.c: CPUs wait for CPU 0 (PARK-1, PARK-2), and a vCPU's registers are read by its owner.
 */
#include "sim/sim.h"
#include <hv/park.h>
#include <hv/vcpu.h>

static struct vm vm;
static struct vcpu vcpu;
static unsigned alive, requests;

struct vm *vm_get(unsigned number)
{
	return number ? NULL : &vm;
}

bool vm_hold(struct vm *it)
{
	return true;
}

void vm_release(struct vm *it)
{
}

unsigned vm_count_alive(void)
{
	return alive;
}

void vcpu_request(struct vcpu *it, enum vcpu_request request)
{
	assert_int_equal(request, REQUEST_RESCHEDULE);
	requests++;
}

static void get_state(struct arch_vcpu *arch, struct guest_state *out)
{
	*out = (struct guest_state){.rip = 0x1234};
}

static const struct virt_ops ops = {.get_state = get_state};
const struct virt_ops *virt = &ops;

static int start(void **state)
{
	sim_init(2);
	alive = 1;
	requests = 0;
	vcpu = (struct vcpu){.vm = &vm, .cpu = 1, .state = VCPU_READY};
	vm.config.vcpus = 1;
	vm.vcpu[0] = &vcpu;
	return 0;
}

static bool was_complete;

static void last_vm_ends(void)
{
	was_complete = park_is_complete();
	alive = 0;
}

/* PARK-1, PARK-2. */
static void a_cpu_waits_until_the_end_or_until_no_vm_is_left(void **state)
{
	park_begin();
	assert_int_equal(requests, 1);
	assert_false(park_is_complete());
	park_here(); /* CPU 0 itself does not wait */
	sim_on_relax = last_vm_ends;
	sim_set_cpu(1);
	park_here();
	sim_on_relax = NULL;
	sim_set_cpu(0);
	assert_true(was_complete);
	park_end();
	sim_set_cpu(1);
	park_here();
	sim_set_cpu(0);
}

static void registers_are_read_by_the_owner(void **state)
{
	struct vcpu_look look;

	vcpu.arch.gpr[GPR_RAX] = 7;
	vcpu_look_begin(&vcpu);
	assert_null(vcpu_look_request());
	assert_false(vcpu_look_done(&look));
	sim_set_cpu(1);
	assert_ptr_equal(vcpu_look_request(), &vcpu);
	vcpu_look_take(&vcpu);
	assert_null(vcpu_look_request());
	sim_set_cpu(0);
	assert_true(vcpu_look_done(&look));
	assert_int_equal(look.state.rip, 0x1234);
	assert_int_equal(look.gpr[GPR_RAX], 7);
}

static void a_vcpu_that_is_gone_is_not_loaded(void **state)
{
	vcpu_look_begin(&vcpu);
	vcpu.state = VCPU_GONE;
	sim_set_cpu(1);
	assert_null(vcpu_look_request());
	sim_set_cpu(0);
	vcpu_look_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_cpu_waits_until_the_end_or_until_no_vm_is_left, start),
		cmocka_unit_test_setup(registers_are_read_by_the_owner, start),
		cmocka_unit_test_setup(a_vcpu_that_is_gone_is_not_loaded, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
