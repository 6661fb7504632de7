/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.c: interrupts, NMIs and exceptions for the guest, and the windows in which it takes them
 * (AMD APM vol. 2, 15.20 to 15.22).
 *
 * An event is queued in event_inj; the next VMRUN delivers it before the guest's first instruction.
 * On QEMU's emulation an interrupt is queued as a virtual one (svm_inject_irq()).
 * If the delivery itself exits (a #NPF on the IDT, say), exit_int_info holds the event, and it is
 * queued again.
 *
 * The NMI window: without virtual NMI the CPU does not track whether the guest is in an NMI
 * handler. So an injected NMI blocks further ones until its IRET, which is intercepted. The
 * intercept comes before the IRET; an NMI injected there would find the handler's stack still in
 * use. So, when one waits, the IRET is single-stepped and the window opens at the #DB after it:
 *
 *     inject NMI -> blocked, IRET intercepted -> IRET exit: not blocked, TF set -> #DB: window
 *
 * An IRET that faults instead of completing pushes the TF; the guest's handler then sees a TF it
 * did not set, once. That is the one trace of this method, and only while two NMIs overlap.
 */
#include <asm/apic.h>
#include <asm/errata.h>
#include <asm/guest.h>
#include <asm/irq.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include "svm.h"

#define IRET_INTERCEPT	(1u << 20) /* in misc 1 */
#define VINTR_INTERCEPT (1u << 4)
#define RDTSC_INTERCEPT (1u << 14)
#define PAUSE_INTERCEPT (1u << 23)
#define VMRUN_INTERCEPT (1u << 0) /* in misc 2 */

#define VECTOR_EXCEPTIONS 31u /* the last one of them */

static void svm_intercept(struct svm_vcpu *svm, u32 bit, bool on)
{
	u32 *word = &svm->vmcb.control.intercept[INTERCEPT_MISC1];

	*word = on ? *word | bit : *word & ~bit;
	svm_dirty(svm, CLEAN_INTERCEPTS);
}

/* NMI handlers end by IRET, which is intercepted while NMIs are blocked. */
void svm_block_nmi(struct svm_vcpu *svm, bool blocked)
{
	svm->nmi_blocked = blocked;
	svm_intercept(svm, IRET_INTERCEPT, blocked);
}

static bool event_is(u64 event, unsigned vector)
{
	return (event & (EVENT_TYPE | EVENT_VECTOR)) == (EVENT_EXCEPTION | vector);
}

u64 svm_event_combine(u64 old, u64 new)
{
	unsigned merged, second = new &EVENT_VECTOR;

	if (!(old & EVENT_VALID) || (old & EVENT_TYPE) != EVENT_EXCEPTION)
		return new;
	merged = guest_merge_exceptions(old & EVENT_VECTOR, second);
	if (merged == GUEST_SHUTDOWN)
		return 0;
	if (merged == second)
		return new;
	return EVENT_VALID | EVENT_EXCEPTION | EVENT_HAS_ERROR | merged;
}

/*
 * An interrupt is queued as a virtual one: one without the intercept that makes it a window, or one
 * that waits behind its own window.
 */
static bool has_virtual_irq(const struct svm_vcpu *svm)
{
	const struct vmcb_control *control = &svm->vmcb.control;

	return control->virq & VIRQ_PENDING &&
	       (svm->virq_held || !(control->intercept[INTERCEPT_MISC1] & VINTR_INTERCEPT));
}

static bool irqs_are_open(const struct svm_vcpu *svm)
{
	return svm->vmcb.save.rflags & RFLAGS_IF && !(svm->vmcb.control.interrupt_shadow & 1);
}

bool svm_event_is_queued(const struct svm_vcpu *svm)
{
	return svm->vmcb.control.event_inj & EVENT_VALID || has_virtual_irq(svm);
}

bool svm_can_inject(struct arch_vcpu *vcpu, enum guest_event_type type)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (svm->vmcb.control.event_inj & EVENT_VALID)
		return false;
	if (type == GUEST_EVENT_EXCEPTION)
		return !(has_virtual_irq(svm) && svm->vmcb.save.rflags & RFLAGS_IF);
	if (type == GUEST_EVENT_NMI)
		return !(svm->vmcb.control.interrupt_shadow & 1) && !svm->nmi_blocked &&
		       !svm->nmi_step;
	return irqs_are_open(svm) && !has_virtual_irq(svm);
}

/*
 * A guest that triple-faulted may not run on. VMRUN refuses a VMCB that does not intercept VMRUN
 * (APM 15.5.1), so the next entry ends at once and costs the others nothing; see
 * decode_invalid() in exit.c.
 */
static void svm_shut_down(struct svm_vcpu *svm)
{
	svm->shut_down = true;
	svm->vmcb.control.intercept[INTERCEPT_MISC2] &= ~VMRUN_INTERCEPT;
	svm_dirty(svm, CLEAN_INTERCEPTS);
}

static void svm_inject_exception(struct svm_vcpu *svm, const struct guest_event *event)
{
	struct vmcb *vmcb = &svm->vmcb;
	u64 new = EVENT_VALID | EVENT_EXCEPTION | event->vector;

	if (guest_exception_has_error(event->vector))
		new |= EVENT_HAS_ERROR | (u64)event->error_code << 32;
	if (event->vector == VECTOR_PF) {
		vmcb->save.cr2 = event->address;
		svm_dirty(svm, CLEAN_CR2);
	}
	if (guest_exception_is_fault(event->vector))
		svm->vmcb.save.rflags |= RFLAGS_RF;
	vmcb->control.event_inj = svm_event_combine(vmcb->control.event_inj, new);
	if (!vmcb->control.event_inj)
		svm_shut_down(svm);
	if (!(vmcb->save.cr0 & CR0_PE)) /* real mode pushes no error code, not even a #DF's */
		vmcb->control.event_inj &= ~(EVENT_HAS_ERROR | EVENT_ERROR_CODE);
}

/*
 * QEMU 7.2 keeps the vector of an injected interrupt as the number of an exception to raise, until
 * the guest's next exception, interrupt or exit. If the emulator leaves its loop before that, for
 * work of another thread or at the end of an icount budget, it raises the vector again, with
 * RFLAGS.IF clear. A virtual interrupt has no such rest. An interrupt of the host and an injected
 * NMI come before it; it stays in the VMCB then.
 */
static void svm_inject_irq(struct svm_vcpu *svm, u64 vector)
{
	struct vmcb_control *control = &svm->vmcb.control;

	if (!errata.stale_vector) {
		control->event_inj = EVENT_VALID | EVENT_IRQ | vector;
		return;
	}
	control->virq &= ~VIRQ_VECTOR;
	control->virq |= VIRQ_EVENT | vector << VIRQ_VECTOR_SHIFT;
	svm_dirty(svm, CLEAN_TPR);
	svm_intercept(svm, VINTR_INTERCEPT, false);
}

void svm_inject(struct arch_vcpu *vcpu, const struct guest_event *event)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb_control *control = &svm->vmcb.control;

	switch (event->type) {
	case GUEST_EVENT_IRQ:
		svm_inject_irq(svm, event->vector);
		break;
	case GUEST_EVENT_NMI:
		control->event_inj = EVENT_VALID | EVENT_NMI | VECTOR_NMI;
		svm_block_nmi(svm, true);
		break;
	case GUEST_EVENT_EXCEPTION:
		svm_inject_exception(svm, event);
		break;
	}
}

/*
 * INT n, INT3 and INTO come again by themselves: RIP is still theirs, and without NRIPS the CPU
 * could not push the address behind them.
 */
void svm_event_requeue(struct svm_vcpu *svm)
{
	u64 event = svm->vmcb.control.exit_int_info;

	if ((event & EVENT_TYPE) == EVENT_SOFT_INT || event_is(event, VECTOR_BP) ||
	    event_is(event, VECTOR_OF))
		return;
	if ((event & EVENT_TYPE) == EVENT_NMI)
		svm->nmi_blocked = true;
	if ((event & EVENT_TYPE) == EVENT_EXCEPTION && (event & EVENT_VECTOR) > VECTOR_EXCEPTIONS)
		svm_inject_irq(svm, event & EVENT_VECTOR); /* as QEMU describes a virtual one */
	else
		svm->vmcb.control.event_inj = event;
}

/*
 * The time slice ends by an interrupt of the local APIC. QEMU's TCG raises it in a thread of its
 * own, which may be late by any time while the guest runs and its TSC goes on. A CPU with a pause
 * filter is none of that; there PAUSE exits as the filter says.
 */
void svm_trap(struct arch_vcpu *vcpu, unsigned traps)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (!errata.late_timer)
		return;
	svm_intercept(svm, RDTSC_INTERCEPT, traps & TRAP_TSC);
	if (!(svm_features & SVM_FEATURE_PAUSE_FILTER))
		svm_intercept(svm, PAUSE_INTERCEPT, traps & TRAP_PAUSE);
}

void svm_drop_events(struct arch_vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->vmcb.control.event_inj = 0;
	svm->nmi_window = svm->nmi_step = false;
	svm_block_nmi(svm, false);
	svm->virq_held = false;
	svm->vmcb.control.virq &= ~VIRQ_EVENT;
	svm_set_irq_window(vcpu, false);
}

/*
 * A virtual interrupt that is never delivered: its intercept says that the guest could take one.
 * One that is to be delivered gives its place to the window where the guest can take it at once.
 * Where it cannot, since an exception or an NMI comes before it, or came and closed the guest's
 * interrupts, it is held: an injected one does not look at RFLAGS.IF (APM vol. 2, 15.20). The
 * window is its own then, and behind that it is delivered.
 */
void svm_set_irq_window(struct arch_vcpu *vcpu, bool on)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	u64 *virq = &svm->vmcb.control.virq;
	bool queued = has_virtual_irq(svm);

	if (on && queued && irqs_are_open(svm) && !(svm->vmcb.control.event_inj & EVENT_VALID)) {
		svm->vmcb.control.event_inj =
			EVENT_VALID | EVENT_IRQ | (*virq & VIRQ_VECTOR) >> VIRQ_VECTOR_SHIFT;
		queued = false;
	}
	svm->virq_held = on && queued;
	if (on)
		*virq |= VIRQ_EVENT;
	else if (!queued)
		*virq &= ~VIRQ_EVENT;
	svm_dirty(svm, CLEAN_TPR);
	svm_intercept(svm, VINTR_INTERCEPT, on);
}

void svm_exit_vintr(struct svm_vcpu *svm, struct hv_exit *exit)
{
	svm_set_irq_window(svm->vcpu, false);
}

/*
 * With no NMI handler running, only a queued event or an interrupt shadow keeps the NMI out, and
 * both are over after one entry: an interrupt to ourselves makes that entry a short one.
 */
void svm_set_nmi_window(struct arch_vcpu *vcpu, bool on)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->nmi_window = on;
	if (on && !svm->nmi_blocked && !svm->nmi_step)
		apic_send(percpu()->apic_id, VECTOR_KICK);
}

void svm_open_nmi_window(struct svm_vcpu *svm, struct hv_exit *exit)
{
	if (svm->nmi_blocked || svm->nmi_step)
		return; /* opens at the IRET */
	if (!svm_can_inject(svm->vcpu, GUEST_EVENT_NMI)) {
		apic_send(percpu()->apic_id, VECTOR_KICK);
		return;
	}
	svm->nmi_window = false;
	exit->reason = HV_EXIT_NMI_WINDOW;
}

/* The IRET of an NMI handler is about to run. */
void svm_exit_iret(struct svm_vcpu *svm, struct hv_exit *exit)
{
	svm_block_nmi(svm, false);
	if (svm->nmi_window) {
		svm->nmi_step = true;
		svm->nmi_step_tf = svm->vmcb.save.rflags & RFLAGS_TF;
		svm->vmcb.save.rflags |= RFLAGS_TF | RFLAGS_RF;
	}
}

/* The IRET switched tasks: no #DB follows it. */
void svm_end_nmi_step(struct svm_vcpu *svm)
{
	if (svm->nmi_step && !svm->nmi_step_tf)
		svm->vmcb.save.rflags &= ~RFLAGS_TF;
	svm->nmi_step = false;
}

/*
 * Reflected, so that an endless chain of #DB passes through here, and ended by the time slice. For
 * that the host's interrupts are let in here: a trap comes before an interrupt (APM 8.5), so in
 * such a chain VMRUN, which injects one #DB, always ends by the next, and never by INTR. DR6 and
 * DR7 in the VMCB are already as the guest's handler shall see them (APM 15.12.2).
 */
void svm_exit_db(struct svm_vcpu *svm, struct hv_exit *exit)
{
	if (svm->nmi_step) {
		svm->nmi_step = false;
		svm->nmi_window = false;
		exit->reason = HV_EXIT_NMI_WINDOW;
		if (!svm->nmi_step_tf) {
			svm->vmcb.save.dr6 &= ~DR6_BS;
			svm_dirty(svm, CLEAN_DR);
			return;
		}
	}
	svm_inject(svm->vcpu,
		   &(struct guest_event){.type = GUEST_EVENT_EXCEPTION, .vector = VECTOR_DB});
	if (exit->reason == HV_EXIT_INTERRUPT)
		svm_host_window(svm, exit);
}

/* The trap of an instruction that was skipped with TF set. */
void svm_single_step(struct svm_vcpu *svm)
{
	if (svm->vmcb.control.event_inj & EVENT_VALID)
		return;
	svm->vmcb.save.dr6 |= DR6_BS;
	svm->vmcb.save.dr7 &= ~DR7_GD;
	svm_dirty(svm, CLEAN_DR);
	svm_inject(svm->vcpu,
		   &(struct guest_event){.type = GUEST_EVENT_EXCEPTION, .vector = VECTOR_DB});
}

void svm_exit_ac(struct svm_vcpu *svm, struct hv_exit *exit)
{
	svm_inject(svm->vcpu, &(struct guest_event){.type = GUEST_EVENT_EXCEPTION,
						    .vector = VECTOR_AC,
						    .has_error_code = true});
	svm_host_window(svm, exit);
}

/* The CPUID policy offers no counters, so every index is out of range. */
void svm_exit_rdpmc(struct svm_vcpu *svm, struct hv_exit *exit)
{
	svm_inject(svm->vcpu, &(struct guest_event){.type = GUEST_EVENT_EXCEPTION,
						    .vector = VECTOR_GP,
						    .has_error_code = true});
}
