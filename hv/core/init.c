/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c: INIT and SIPI for a vCPU that was already started (Intel SDM vol. 3A, 9.4).
 *
 *      runs or halts --INIT--> waits for SIPI --SIPI--> real mode at vector * 4 KiB
 *
 * Why by its owner: the vCPU may be loaded on its CPU at any time, and only that CPU may change its
 * state. The sender leaves a note and a request, as for an interrupt; the owner acts on it before
 * the next entry. A vCPU that waits is HALTED and hopeless, so that a VM whose last vCPU waits ends
 * as one that halted for good.
 *
 * A sender may follow INIT with SIPI at once: the SIPI is kept until the INIT is carried out.
 */
#include <arch/cpu.h>
#include <hv/vcpu.h>
#include <lib/log.h>
#include <lib/string.h>

#define LOG_THIS LOG_VM

void vcpu_signal_init(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->sipi, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vcpu->init_pending, true, __ATOMIC_SEQ_CST);
	vcpu_notify(vcpu);
}

void vcpu_signal_sipi(struct vcpu *vcpu, u8 vector)
{
	__atomic_store_n(&vcpu->sipi, VCPU_SIPI | vector, __ATOMIC_SEQ_CST);
	vcpu_notify(vcpu);
}

bool vcpu_is_signalled(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->init_pending, __ATOMIC_SEQ_CST) ||
	       (vcpu->waits_for_sipi && __atomic_load_n(&vcpu->sipi, __ATOMIC_SEQ_CST));
}

/* The state after INIT, with CS as a SIPI of `vector` has it. */
static void set_start(struct vcpu *vcpu, u8 vector)
{
	struct guest_state state = vcpu->vm->reset;

	memset(vcpu->arch.gpr, 0, sizeof(vcpu->arch.gpr));
	state.seg[SEG_CS].selector = (u16)(vector << 8);
	state.seg[SEG_CS].base = (u64)vector << PAGE_SHIFT;
	state.rip = 0;
	CHECK(virt->set_state(&vcpu->arch, &state) == 0); /* our own state of reset */
}

static void wait_for_sipi(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool dead = false;

	spin_lock(&vm->lock);
	__atomic_store_n(&vcpu->state, VCPU_HALTED, __ATOMIC_SEQ_CST);
	if (vcpu_is_signalled(vcpu)) {
		__atomic_store_n(&vcpu->state, VCPU_READY, __ATOMIC_SEQ_CST);
	} else {
		vcpu->hopeless = true;
		dead = --vm->awake == 0;
	}
	spin_unlock(&vm->lock);
	if (dead)
		vm_stop(vm, VM_END_HALTED, 0);
}

bool vcpu_follow_signals(struct vcpu *vcpu)
{
	u32 sipi;

	if (__atomic_exchange_n(&vcpu->init_pending, false, __ATOMIC_SEQ_CST)) {
		lapic_reset(&vcpu->lapic);
		__atomic_store_n(&vcpu->nmi_pending, false, __ATOMIC_SEQ_CST);
		vcpu->waits_for_sipi = true;
	}
	sipi = __atomic_exchange_n(&vcpu->sipi, 0, __ATOMIC_SEQ_CST);
	if (vcpu->waits_for_sipi && sipi) {
		set_start(vcpu, (u8)sipi);
		vcpu->waits_for_sipi = false;
	}
	if (vcpu->waits_for_sipi)
		wait_for_sipi(vcpu);
	return !vcpu->waits_for_sipi;
}
