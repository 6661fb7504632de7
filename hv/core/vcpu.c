/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.c: starting, waking, halting a vCPU, and raising events in it.
 *
 * Halting against waking, the race and its outcome:
 *
 *     vcpu_halt (owner)                      vcpu_raise_irq (any CPU)
 *     -----------------                      ------------------------
 *     lock vm                                pending_irqs |= vector; requests |= EVENT
 *     state = HALTED                         full barrier
 *     full barrier                           state HALTED? then lock vm, state = READY, unlock
 *     an event that counts? state = READY    kick the owner
 *     unlock vm
 *
 * Either the owner sees the event or the other CPU sees HALTED: both stores come before both loads.
 */
#include <hv/vcpu.h>
#include <arch/cpu.h>
#include <arch/regs.h>
#include <hv/pc.h>
#include <hv/sched.h>
#include <lib/error.h>
#include <lib/log.h>

#define LOG_THIS LOG_VM

/*
 * With interrupts off only an NMI ends a HLT (SDM vol. 2A, HLT). Without a board a hypercall is
 * what raises interrupts, and it wakes whoever it names.
 */
static bool can_wake(const struct vcpu *vcpu)
{
	if (vcpu->waits_for_sipi)
		return vcpu_is_signalled(vcpu);
	return !vcpu->vm->pc || !vcpu->hopeless || vcpu_is_signalled(vcpu) ||
	       __atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST);
}

static void wake(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool woken = false;

	spin_lock(&vm->lock);
	if (vcpu->state == VCPU_HALTED && can_wake(vcpu)) {
		__atomic_store_n(&vcpu->state, VCPU_READY, __ATOMIC_RELEASE);
		vm->awake += vcpu->hopeless;
		vcpu->hopeless = false;
		woken = true;
	}
	spin_unlock(&vm->lock);
	if (woken)
		sched_woken(vcpu);
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	__atomic_or_fetch(&vcpu->requests, request, __ATOMIC_SEQ_CST);
	arch_cpu_kick(vcpu->cpu);
}

void vcpu_raise_irq(struct vcpu *vcpu, u8 vector)
{
	__atomic_or_fetch(&vcpu->pending_irqs[vector / 64], BIT(vector % 64), __ATOMIC_SEQ_CST);
	vcpu_notify(vcpu);
}

void vcpu_notify(struct vcpu *vcpu)
{
	__atomic_or_fetch(&vcpu->requests, REQUEST_EVENT, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->state, __ATOMIC_SEQ_CST) == VCPU_HALTED)
		wake(vcpu);
	else
		arch_cpu_kick(vcpu->cpu);
}

void vcpu_recheck(struct vcpu *vcpu)
{
	__atomic_or_fetch(&vcpu->requests, REQUEST_EVENT, __ATOMIC_RELAXED);
}

u64 vcpu_alarm(const struct vcpu *vcpu)
{
	return vcpu->vm->pc && !vcpu->hopeless ? pc_alarm(vcpu) : TICK_NEVER;
}

/* The highest vector goes first, as a local APIC has it (SDM vol. 3A, 11.8.3). -1: none. */
static int highest_irq(const struct vcpu *vcpu)
{
	for (int i = VCPU_VECTORS / 64 - 1; i >= 0; i--) {
		u64 word = __atomic_load_n(&vcpu->pending_irqs[i], __ATOMIC_SEQ_CST);

		if (word)
			return i * 64 + 63 - __builtin_clzll(word);
	}
	return -1;
}

static bool irq_pending(struct vcpu *vcpu)
{
	return vcpu->vm->pc ? pc_irq_pending(vcpu) : highest_irq(vcpu) >= 0;
}

/* irq_pending() said that there is one. */
static u8 take_irq(struct vcpu *vcpu)
{
	int vector;

	if (vcpu->vm->pc)
		return pc_irq_take(vcpu);
	vector = highest_irq(vcpu);
	__atomic_and_fetch(&vcpu->pending_irqs[vector / 64], ~BIT(vector % 64), __ATOMIC_SEQ_CST);
	return (u8)vector;
}

static void deliver_nmi(struct vcpu *vcpu)
{
	if (!virt->can_inject(&vcpu->arch, GUEST_EVENT_NMI)) {
		virt->set_nmi_window(&vcpu->arch, true);
		return;
	}
	__atomic_store_n(&vcpu->nmi_pending, false, __ATOMIC_SEQ_CST);
	virt->inject(&vcpu->arch, &(struct guest_event){.type = GUEST_EVENT_NMI, .vector = 2});
}

void vcpu_trap(struct vcpu *vcpu, unsigned traps)
{
	if (!virt->trap || traps == vcpu->traps)
		return;
	vcpu->traps = traps;
	virt->trap(&vcpu->arch, traps);
}

static void run_timers(struct vcpu *vcpu)
{
	pc_run_timers(vcpu);
	if (pc_ticks_count(vcpu))
		vcpu_trap(vcpu, vcpu->traps | TRAP_PAUSE);
	else
		vcpu_trap(vcpu, 0);
}

void vcpu_deliver_irqs(struct vcpu *vcpu)
{
	if (vcpu->vm->pc)
		run_timers(vcpu);
	if (__atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST))
		deliver_nmi(vcpu);
	if (!irq_pending(vcpu))
		return;
	if (virt->can_inject(&vcpu->arch, GUEST_EVENT_IRQ))
		virt->inject(&vcpu->arch, &(struct guest_event){.type = GUEST_EVENT_IRQ,
								.vector = take_irq(vcpu)});
	if (irq_pending(vcpu))
		virt->set_irq_window(&vcpu->arch, true);
}

/* An interrupt came between the guest's HLT and now. */
static bool may_go_on(struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST) ||
	       (virt->can_inject(&vcpu->arch, GUEST_EVENT_IRQ) && irq_pending(vcpu));
}

void vcpu_halt(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct guest_state state;
	bool dead = false;

	virt->get_state(&vcpu->arch, &state);
	spin_lock(&vm->lock);
	__atomic_store_n(&vcpu->state, VCPU_HALTED, __ATOMIC_SEQ_CST);
	if (may_go_on(vcpu) || vcpu_is_signalled(vcpu)) {
		__atomic_store_n(&vcpu->state, VCPU_READY, __ATOMIC_SEQ_CST);
	} else if (!vm->pc || !(state.rflags & RFLAGS_IF)) {
		vcpu->hopeless = true;
		dead = --vm->awake == 0;
	}
	spin_unlock(&vm->lock);
	if (dead)
		vm_stop(vm, VM_END_HALTED, 0);
}

static int claim(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int err = 0;

	spin_lock(&vm->lock);
	if (vcpu->state == VCPU_OFF && vm->state == VM_RUNNING) {
		vcpu->state = VCPU_READY;
		vm->awake++;
		vm->held++;
	} else {
		err = ERR_BUSY;
	}
	spin_unlock(&vm->lock);
	return err;
}

static void unclaim(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	spin_lock(&vm->lock);
	vcpu->state = VCPU_OFF;
	vm->awake--;
	vm->held--;
	spin_unlock(&vm->lock);
}

/* The claimed vCPU gets its state, on the CPU that has `like` loaded, and goes to its own. */
static int launch(struct vcpu *vcpu, struct vcpu *like, const struct guest_state *state, u64 rsp,
		  u64 rdi)
{
	int err;

	virt->vcpu_put(&like->arch);
	virt->vcpu_load(&vcpu->arch);
	vcpu->arch.gpr[GPR_RSP] = rsp; /* set_state takes it from there */
	vcpu->arch.gpr[GPR_RDI] = rdi;
	err = virt->set_state(&vcpu->arch, state);
	virt->vcpu_put(&vcpu->arch);
	virt->vcpu_load(&like->arch);
	if (err == 0)
		sched_add(vcpu);
	else
		unclaim(vcpu);
	return err;
}

int vcpu_start(struct vcpu *vcpu, struct vcpu *like, u64 rip, u64 rsp, u64 rdi)
{
	struct guest_state state;
	int err = claim(vcpu);

	if (err != 0)
		return err;
	virt->get_state(&like->arch, &state);
	state.rip = rip;
	state.rflags = RFLAGS_R1;
	state.interruptibility = 0;
	return launch(vcpu, like, &state, rsp, rdi);
}

int vcpu_start_real(struct vcpu *vcpu, struct vcpu *sender, u8 vector)
{
	struct guest_state state = vcpu->vm->reset;
	int err = claim(vcpu);

	if (err != 0)
		return err;
	state.seg[SEG_CS].selector = (u16)(vector << 8);
	state.seg[SEG_CS].base = (u64)vector << PAGE_SHIFT;
	state.rip = 0;
	return launch(vcpu, sender, &state, 0, 0);
}

void vcpu_raise(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code, u64 address)
{
	vcpu->injected++;
	virt->inject(&vcpu->arch, &(struct guest_event){
					  .type = GUEST_EVENT_EXCEPTION,
					  .vector = vector,
					  .has_error_code = has_error_code,
					  .error_code = error_code,
					  .address = address,
				  });
}

void vcpu_raise_ud(struct vcpu *vcpu)
{
	vcpu_raise(vcpu, VECTOR_UD, false, 0, 0);
}

void vcpu_raise_gp(struct vcpu *vcpu)
{
	vcpu_raise(vcpu, VECTOR_GP, true, 0, 0);
}

static void dump_segment(const char *name, const struct guest_segment_state *segment)
{
	log_error("  %s %04x base %016llx limit %08x attr %05x", name, segment->selector,
		  (unsigned long long)segment->base, segment->limit, segment->attr);
}

static void dump_registers(const struct arch_vcpu *arch)
{
	static const char *const names[GPRS] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						"rsi", "rdi", "r8 ", "r9 ", "r10", "r11",
						"r12", "r13", "r14", "r15"};

	for (unsigned i = 0; i < GPRS; i += 4)
		log_error("  %s %016llx %s %016llx %s %016llx %s %016llx", names[i],
			  (unsigned long long)arch->gpr[i], names[i + 1],
			  (unsigned long long)arch->gpr[i + 1], names[i + 2],
			  (unsigned long long)arch->gpr[i + 2], names[i + 3],
			  (unsigned long long)arch->gpr[i + 3]);
}

void vcpu_dump(struct vcpu *vcpu)
{
	static const char *const segments[SEGS] = {"es", "cs", "ss",   "ds",
						   "fs", "gs", "ldtr", "tr"};
	struct guest_state s;

	virt->get_state(&vcpu->arch, &s);
	log_error("%s: vcpu %u, rip %016llx rflags %08llx", vcpu->vm->config.name, vcpu->index,
		  (unsigned long long)s.rip, (unsigned long long)s.rflags);
	dump_registers(&vcpu->arch);
	log_error("  cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %llx",
		  (unsigned long long)s.cr0, (unsigned long long)s.cr2, (unsigned long long)s.cr3,
		  (unsigned long long)s.cr4, (unsigned long long)s.efer);
	for (unsigned i = 0; i < SEGS; i++)
		dump_segment(segments[i], &s.seg[i]);
	log_error("  gdtr %016llx %04x idtr %016llx %04x", (unsigned long long)s.gdtr.base,
		  s.gdtr.limit, (unsigned long long)s.idtr.base, s.idtr.limit);
	if (log_enabled(LOG_THIS, LOG_DEBUG))
		virt->dump(&vcpu->arch);
}
