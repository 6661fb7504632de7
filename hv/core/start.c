/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c: start of a vCPU, INIT and SIPI (SDM vol. 3A, 9.4).
 *
 *      OFF --start, or SIPI--> READY
 *      runs or halts --INIT--> waits for SIPI --SIPI--> real mode at vector * 4 KiB
 *
 * A sender changes no state of its target: the target may be loaded on its own CPU. It leaves a
 * signal and a request, as for an interrupt, and the owner follows the signals before the next
 * entry. A vCPU that is OFF is in no queue, so the first sender also queues it; it is claimed under
 * the VM's lock, and of several senders one wins.
 *
 *     sender A                     sender B                         owner
 *     claim: OFF -> READY, SIPI    claim: not OFF; signals |= SIPI
 *     sched_add                                                     takes all signals at once, starts
 *                                                                   the vCPU, drops a later SIPI
 *
 * A vCPU that waits for SIPI is HALTED and unwakeable, so that a VM ends as halted for good when
 * its last vCPU waits. A SIPI right behind an INIT is kept until the INIT is followed.
 *
 * Invariants:
 * START-1  the state, the local APIC and the timers of a vCPU are changed by its owner alone.
 */
#include <hv/vcpu.h>
#include <arch/cpu.h>
#include <arch/regs.h>
#include <ck_pr.h>
#include <hv/irqchip.h>
#include <hv/sched.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>

#define LOG_THIS LOG_VM

/* INIT ends what was signalled before it. */
static void vcpu_signal(struct vcpu *vcpu, u32 clear, u32 set)
{
	u32 old;

	do
		old = ck_pr_load_32(&vcpu->signals);
	while (!ck_pr_cas_32(&vcpu->signals, old, (old & ~clear) | set));
}

/* ERR_BUSY: it is not OFF, or the VM stops. `start`: NULL with a SIPI. */
static int vcpu_bring_up(struct vcpu *vcpu, u32 signal, const struct vcpu_start *start)
{
	struct vm *vm = vcpu->vm;
	int err = ERR_BUSY;

	spin_lock(&vm->lock);
	if (vcpu->state == VCPU_OFF && vm->state == VM_RUNNING) {
		if (start)
			vcpu->start = *start;
		vcpu_signal(vcpu, 0, signal);
		ck_pr_or_32(&vcpu->requests, REQUEST_EVENT);
		ck_pr_store_32(&vcpu->state, VCPU_READY);
		vm->awake++;
		vm->held++;
		err = 0;
	}
	spin_unlock(&vm->lock);
	if (!err)
		sched_add(vcpu);
	return err;
}

static bool is_64bit(const struct guest_state *state)
{
	return state->efer & EFER_LMA && state->seg[SEG_CS].attr & SEG_ATTR_L;
}

static bool is_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

int vcpu_start(struct vcpu *vcpu, struct vcpu *like, u64 rip, u64 rsp, u64 rdi)
{
	struct vcpu_start start = {.rsp = rsp, .rdi = rdi};
	struct guest_state *state = &start.state;

	virt->get_state(&like->arch, state);
	state->rip = is_64bit(state) ? rip : (u32)rip;
	state->rflags = RFLAGS_R1;
	state->interruptibility = 0;
	if (!is_canonical(state->rip))
		return ERR_INVALID;
	return vcpu_bring_up(vcpu, SIGNAL_START, &start);
}

void vcpu_signal_init(struct vcpu *vcpu)
{
	if (ck_pr_load_32(&vcpu->state) == VCPU_OFF)
		return;
	vcpu_signal(vcpu, SIGNAL_START | SIGNAL_SIPI, SIGNAL_INIT);
	vcpu_notify(vcpu);
}

void vcpu_signal_sipi(struct vcpu *vcpu, u8 vector)
{
	if (ck_pr_load_32(&vcpu->state) == VCPU_OFF &&
	    !vcpu_bring_up(vcpu, SIGNAL_SIPI | vector, NULL))
		return;
	vcpu_signal(vcpu, SIGNAL_VECTOR, SIGNAL_SIPI | vector);
	vcpu_notify(vcpu);
}

bool vcpu_is_signalled(const struct vcpu *vcpu)
{
	u32 signals = ck_pr_load_32(&vcpu->signals);

	return signals & (SIGNAL_INIT | SIGNAL_START) ||
	       (vcpu->waits_for_sipi && signals & SIGNAL_SIPI);
}

/* The state after INIT, with CS as a SIPI of `vector` has it. */
static void vcpu_enter_real_mode(struct vcpu *vcpu, u8 vector)
{
	struct guest_state state = vcpu->vm->reset;

	memset(vcpu->arch.gpr, 0, sizeof(vcpu->arch.gpr));
	state.seg[SEG_CS].selector = (u16)(vector << 8);
	state.seg[SEG_CS].base = (u64)vector << PAGE_SHIFT;
	state.rip = 0;
	CHECK(virt->set_state(&vcpu->arch, &state) == 0); /* our own state of reset */
	vcpu->waits_for_sipi = false;
}

/* What the caller had was valid, and so should this be; a CPU that refuses it ends the VM. */
static void vcpu_enter_start(struct vcpu *vcpu)
{
	const struct vcpu_start *start = &vcpu->start;

	vcpu->arch.gpr[GPR_RSP] = start->rsp; /* set_state takes it from there */
	vcpu->arch.gpr[GPR_RDI] = start->rdi;
	vcpu->waits_for_sipi = false;
	if (virt->set_state(&vcpu->arch, &start->state) == 0)
		return;
	log_error("%s: vcpu %u does not start at %lx", vcpu->vm->config.name, vcpu->index,
		  start->state.rip);
	vm_stop(vcpu->vm, VM_END_ENTRY_FAILED, 0);
}

static void vcpu_wait_for_sipi(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool dead = false;

	spin_lock(&vm->lock);
	(void)ck_pr_fas_32(&vcpu->state, VCPU_HALTED);
	if (vcpu_is_signalled(vcpu)) {
		ck_pr_store_32(&vcpu->state, VCPU_READY);
	} else {
		vcpu->unwakeable = true;
		dead = --vm->awake == 0;
	}
	spin_unlock(&vm->lock);
	if (dead)
		vm_stop(vm, VM_END_HALTED, 0);
}

bool vcpu_follow_signals(struct vcpu *vcpu)
{
	u32 signals = ck_pr_fas_32(&vcpu->signals, 0);

	if (signals & SIGNAL_INIT) {
		vcpu->vm->irqchip->reset(vcpu);
		virt->drop_events(&vcpu->arch);
		ck_pr_store_32(&vcpu->nmis, 0);
		vcpu->waits_for_sipi = true;
	}
	if (signals & SIGNAL_START)
		vcpu_enter_start(vcpu);
	else if (vcpu->waits_for_sipi && signals & SIGNAL_SIPI)
		vcpu_enter_real_mode(vcpu, (u8)signals);
	if (vcpu->waits_for_sipi)
		vcpu_wait_for_sipi(vcpu);
	return !vcpu->waits_for_sipi;
}
