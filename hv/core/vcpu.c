/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.c: wake, halt and events of a vCPU.
 *
 * A vCPU halts on its own CPU while another CPU raises an interrupt for it:
 *
 *     vcpu_halt (owner)                      vcpu_notify (any CPU)
 *     -----------------                      ---------------------
 *     lock vm                                the interrupt; requests |= EVENT
 *     state = HALTED                         full barrier
 *     full barrier                           state HALTED? then lock vm, state = READY, unlock
 *     an event that counts? state = READY    kick the owner
 *     unlock vm
 *
 * Both stores come before both loads: the owner sees the event, or the other CPU sees HALTED. The
 * locked instructions are the barriers.
 */
#include <hv/vcpu.h>
#include <arch/cpu.h>
#include <arch/regs.h>
#include <ck_pr.h>
#include <hv/irqchip.h>
#include <hv/sched.h>
#include <lib/log.h>
#include <trace/trace.h>

#define LOG_THIS	LOG_VM
#define NMIS_MAX	2     /* one being delivered, one latched (SDM vol. 3A, 6.7.1) */
#define TIMERS_A_SECOND 50000 /* RUN-6 */

/*
 * With interrupts off only an NMI ends a HLT (SDM vol. 2A, HLT). Without a board a hypercall raises
 * the interrupt, and it wakes its target whatever the target's IF.
 */
static bool vcpu_can_wake(const struct vcpu *vcpu)
{
	if (vcpu->waits_for_sipi)
		return vcpu_is_signalled(vcpu);
	return !vcpu->vm->irqchip->devices || !vcpu->unwakeable || vcpu_is_signalled(vcpu) ||
	       ck_pr_load_32(&vcpu->nmis);
}

static void vcpu_wake(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool woken = false;

	spin_lock(&vm->lock);
	if (vcpu->state == VCPU_HALTED && vcpu_can_wake(vcpu)) {
		ck_pr_store_32(&vcpu->state, VCPU_READY);
		vm->awake += vcpu->unwakeable;
		vcpu->unwakeable = false;
		woken = true;
	}
	spin_unlock(&vm->lock);
	if (!woken)
		return;
	TRACE(wake, addrspace_id(vm->memory), .vcpu = (u16)vcpu->index);
	sched_woken(vcpu);
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	ck_pr_or_32(&vcpu->requests, request);
	ck_pr_fence_atomic_load();
	arch_cpu_kick(vcpu->cpu);
}

void vcpu_notify(struct vcpu *vcpu)
{
	ck_pr_or_32(&vcpu->requests, REQUEST_EVENT);
	ck_pr_fence_atomic_load();
	if (ck_pr_load_32(&vcpu->state) == VCPU_HALTED)
		vcpu_wake(vcpu);
	else
		arch_cpu_kick(vcpu->cpu);
}

void vcpu_recheck(struct vcpu *vcpu)
{
	ck_pr_or_32(&vcpu->requests, REQUEST_EVENT);
}

void vcpu_pend_nmi(struct vcpu *vcpu)
{
	u32 nmis;

	do
		nmis = ck_pr_load_32(&vcpu->nmis);
	while (nmis < NMIS_MAX && !ck_pr_cas_32(&vcpu->nmis, nmis, nmis + 1));
}

/* While an NMI is being handled a CPU latches one more, not two (SDM vol. 3A, 6.7.1). */
static void vcpu_latch_one_nmi(struct vcpu *vcpu)
{
	struct guest_state state;

	virt->get_state(&vcpu->arch, &state);
	if (state.interruptibility & GUEST_BLOCKED_BY_NMI)
		(void)ck_pr_cas_32(&vcpu->nmis, NMIS_MAX, 1);
}

static void vcpu_inject(struct vcpu *vcpu, const struct guest_event *event)
{
	TRACE(inject, addrspace_id(vcpu->vm->memory), .vcpu = (u16)vcpu->index,
	      .type = (u8)event->type, .vector = event->vector);
	virt->inject(&vcpu->arch, event);
}

static void vcpu_deliver_nmi(struct vcpu *vcpu)
{
	if (virt->can_inject(&vcpu->arch, GUEST_EVENT_NMI)) {
		ck_pr_dec_32(&vcpu->nmis);
		vcpu_inject(vcpu, &(struct guest_event){.type = GUEST_EVENT_NMI, .vector = 2});
	} else if (ck_pr_load_32(&vcpu->nmis) == NMIS_MAX) {
		vcpu_latch_one_nmi(vcpu);
	}
	if (ck_pr_load_32(&vcpu->nmis))
		virt->set_nmi_window(&vcpu->arch, true);
}

void vcpu_trap(struct vcpu *vcpu, unsigned traps)
{
	if (!virt->trap || traps == vcpu->traps)
		return;
	vcpu->traps = traps;
	virt->trap(&vcpu->arch, traps);
}

void vcpu_deliver_irqs(struct vcpu *vcpu)
{
	const struct irqchip_ops *irqchip = vcpu->vm->irqchip;
	u64 now = arch_ticks();

	if (vcpu_alarm(vcpu, now) <= now) {
		irqchip->run_timers(vcpu);
		vcpu->timers_rest = arch_ticks() + arch_ticks_per_second() / TIMERS_A_SECOND;
	}
	vcpu_trap(vcpu, irqchip->ticks_owed(vcpu) ? vcpu->traps | TRAP_PAUSE : 0);
	if (ck_pr_load_32(&vcpu->nmis))
		vcpu_deliver_nmi(vcpu);
	if (!irqchip->pending(vcpu))
		return;
	if (virt->can_inject(&vcpu->arch, GUEST_EVENT_IRQ))
		vcpu_inject(vcpu, &(struct guest_event){.type = GUEST_EVENT_IRQ,
							.vector = irqchip->take(vcpu)});
	if (irqchip->pending(vcpu))
		virt->set_irq_window(&vcpu->arch, true);
}

/*
 * An interrupt came between the guest's HLT and now; or an event is queued: the trap of a HLT with
 * TF set ends it at once.
 */
static bool vcpu_may_go_on(struct vcpu *vcpu)
{
	return !virt->can_inject(&vcpu->arch, GUEST_EVENT_EXCEPTION) ||
	       ck_pr_load_32(&vcpu->nmis) || vcpu_is_signalled(vcpu) ||
	       (virt->can_inject(&vcpu->arch, GUEST_EVENT_IRQ) && vcpu->vm->irqchip->pending(vcpu));
}

void vcpu_halt(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct guest_state state;
	bool dead = false;

	virt->get_state(&vcpu->arch, &state);
	TRACE(halt, addrspace_id(vm->memory), .vcpu = (u16)vcpu->index);
	spin_lock(&vm->lock);
	(void)ck_pr_fas_32(&vcpu->state, VCPU_HALTED);
	if (vcpu_may_go_on(vcpu)) {
		ck_pr_store_32(&vcpu->state, VCPU_READY);
	} else if (!vm->irqchip->devices || !(state.rflags & RFLAGS_IF)) {
		vcpu->unwakeable = true;
		dead = --vm->awake == 0;
	}
	spin_unlock(&vm->lock);
	if (dead)
		vm_stop(vm, VM_END_HALTED, 0);
}

void vcpu_raise(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code, u64 address)
{
	vcpu->injected++;
	vcpu_inject(vcpu, &(struct guest_event){
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
	log_error("  %s %04x base %016lx limit %08x attr %05x", name, segment->selector,
		  segment->base, segment->limit, segment->attr);
}

static void dump_registers(const struct arch_vcpu *arch)
{
	static const char *const names[GPRS] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						"rsi", "rdi", "r8 ", "r9 ", "r10", "r11",
						"r12", "r13", "r14", "r15"};

	for (unsigned i = 0; i < GPRS; i += 4)
		log_error("  %s %016lx %s %016lx %s %016lx %s %016lx", names[i], arch->gpr[i],
			  names[i + 1], arch->gpr[i + 1], names[i + 2], arch->gpr[i + 2],
			  names[i + 3], arch->gpr[i + 3]);
}

void vcpu_dump(struct vcpu *vcpu)
{
	static const char *const segments[SEGS] = {"es", "cs", "ss",   "ds",
						   "fs", "gs", "ldtr", "tr"};
	struct guest_state s;

	virt->get_state(&vcpu->arch, &s);
	log_error("%s: vcpu %u, rip %016lx rflags %08lx", vcpu->vm->config.name, vcpu->index, s.rip,
		  s.rflags);
	dump_registers(&vcpu->arch);
	log_error("  cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %lx", s.cr0, s.cr2, s.cr3,
		  s.cr4, s.efer);
	for (unsigned i = 0; i < SEGS; i++)
		dump_segment(segments[i], &s.seg[i]);
	log_error("  gdtr %016lx %04x idtr %016lx %04x", s.gdtr.base, s.gdtr.limit, s.idtr.base,
		  s.idtr.limit);
	if (log_enabled(LOG_THIS, LOG_DEBUG))
		virt->dump(&vcpu->arch);
}
