/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starve.c: an end to each wait for a frame.
 *
 * An instruction that finds no frame is tried again until one is there. A frame alone is no
 * progress: merging may take back the first of two pages that an instruction writes to while it
 * waits for the second. So a wait belongs to an instruction, known by RIP and the registers, and
 * ends when another one waits. The devices of a VM wait by themselves: their frames are none of the
 * instruction's.
 *
 * Invariants:
 * STARVE-1  A vCPU at one instruction, or a VM's devices, without a frame for STARVING_SECONDS
 *	     starve, whatever frames others of the VM get.
 * STARVE-2  A vCPU that gets on does not starve, however often it waits. A piece of the devices'
 *	     work that finds all its frames ends their wait (hv/run.c).
 */
#include <hv/vcpu.h>
#include <lib/log.h>

#define LOG_THIS	 LOG_VM
#define STARVING_SECONDS 2

/* The same value, not 0, as long as the vCPU is at the same instruction. */
static __cold u64 instruction_mark(struct vcpu *vcpu)
{
	struct guest_state state;
	u64 mark;

	virt->get_state(&vcpu->arch, &state);
	mark = state.rip;
	for (unsigned i = 0; i < ARRAY_SIZE(vcpu->arch.gpr); i++)
		mark = mark * 31 + vcpu->arch.gpr[i];
	return mark | 1;
}

/* A wait that was not tried for a second is over. */
__cold bool vcpu_starves(struct vcpu *vcpu, enum frame_waiter waiter, u64 now)
{
	u64 second = arch_ticks_per_second();
	u64 place = waiter == WAITER_INSN ? instruction_mark(vcpu) : 1;
	struct frame_wait *wait = &vcpu->wait[waiter];
	bool goes_on = place == wait->place && now - wait->last < second;

	wait->last = now;
	if (goes_on)
		return now - wait->since > STARVING_SECONDS * second;
	wait->since = now;
	wait->place = place;
	if (vcpu->starved++ == 0)
		log_warn("%s: vcpu %u waits for memory", vcpu->vm->config.name, vcpu->index);
	return false;
}
