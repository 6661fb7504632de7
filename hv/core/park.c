/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.c: CPUs wait for CPU 0, and read a vCPU's registers for it. park.h has the protocol.
 */
#include <hv/park.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/vcpu.h>
#include <lib/string.h>

static u32 requested, parked; /* [a] */

/* vcpu: [a] its owner is to look; done: [a] `out` is complete */
static struct {
	struct vcpu *vcpu;
	u32 done;
	struct vcpu_look out;
} look;

/* A CPU that runs a guest passes its run loop when the turn has ended. */
static void end_turns(void)
{
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		if (!vm_hold(vm))
			continue;
		for (unsigned n = 0; n < vm->config.vcpus; n++)
			vcpu_request(vm->vcpu[n], REQUEST_RESCHEDULE);
		vm_release(vm);
	}
}

void park_begin(void)
{
	ck_pr_store_32(&requested, 1);
	ck_pr_fence_memory();
	end_turns();
	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++)
		arch_cpu_kick(cpu);
}

bool park_is_complete(void)
{
	return ck_pr_load_32(&parked) == arch_cpu_count() - 1;
}

void park_end(void)
{
	ck_pr_fence_release();
	ck_pr_store_32(&requested, 0);
	while (ck_pr_load_32(&parked))
		arch_cpu_relax();
}

void park_here(void)
{
	if (likely(!ck_pr_load_32(&requested)) || arch_cpu_id() == 0)
		return;
	ck_pr_inc_32(&parked);
	while (ck_pr_load_32(&requested) && vm_count_alive() > 0)
		arch_cpu_relax();
	ck_pr_dec_32(&parked);
}

void vcpu_look_begin(struct vcpu *vcpu)
{
	ck_pr_store_32(&look.done, 0);
	ck_pr_fence_store();
	ck_pr_store_ptr(&look.vcpu, vcpu);
	arch_cpu_kick(vcpu->cpu);
}

bool vcpu_look_done(struct vcpu_look *out)
{
	if (!ck_pr_load_32(&look.done))
		return false;
	ck_pr_fence_load();
	*out = look.out;
	return true;
}

void vcpu_look_end(void)
{
	ck_pr_store_ptr(&look.vcpu, NULL);
}

struct vcpu *vcpu_look_request(void)
{
	struct vcpu *vcpu = ck_pr_load_ptr(&look.vcpu);
	u32 state;

	if (likely(!vcpu) || vcpu->cpu != arch_cpu_id())
		return NULL;
	state = ck_pr_load_32(&vcpu->state);
	return state == VCPU_READY || state == VCPU_HALTED ? vcpu : NULL;
}

void vcpu_look_take(struct vcpu *vcpu)
{
	virt->get_state(&vcpu->arch, &look.out.state);
	memcpy(look.out.gpr, vcpu->arch.gpr, sizeof(look.out.gpr));
	ck_pr_store_ptr(&look.vcpu, NULL);
	ck_pr_fence_store();
	ck_pr_store_32(&look.done, 1);
}
