/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.c: events for the guest: injection, requeueing, windows.
 *
 * One event is queued in v->event, in the VMCS's own form; run.c writes it to the VMCS before the
 * entry. An exit in the middle of a delivery queues it again (SDM 28.2.4).
 *
 * VMX-4  no event is lost when an exit interrupts its delivery.
 */
#include "decode.h"
#include "vmx.h"
#include <asm/guest.h>
#include <asm/regs.h>

void vmx_queue_event(struct vmx_vcpu *v, u32 info, u32 error_code, u32 insn_len)
{
	v->event = (info & (EVENT_VECTOR | EVENT_TYPE | EVENT_HAS_ERROR)) | EVENT_VALID;
	v->event_error = error_code;
	v->event_insn_len = insn_len;
}

void vmx_requeue(struct vmx_vcpu *v, u32 info)
{
	u32 shadow;

	vmx_queue_event(v, info,
			info & EVENT_HAS_ERROR ? vmcs_read(VMCS_IDT_VECTORING_ERROR_CODE) : 0,
			vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH));
	if ((info & EVENT_TYPE) != EVENT_TYPE_NMI)
		return;
	/* The NMI was not taken after all, so it blocks no other one: 27.3.1.5 refuses it else. */
	shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, shadow & ~GUEST_BLOCKED_BY_NMI);
}

static bool can_take(enum guest_event_type type)
{
	u32 shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	if (type == GUEST_EVENT_IRQ)
		return (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_IF) && !(shadow & EXT_SHADOWS);
	return !(shadow & (EXT_SHADOWS | GUEST_BLOCKED_BY_NMI));
}

bool vmx_can_inject(struct arch_vcpu *vcpu, enum guest_event_type type)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before;
	bool ok;

	if (v->event)
		return false;
	if (type == GUEST_EVENT_EXCEPTION)
		return true;
	before = vmx_borrow(v);
	ok = can_take(type);
	vmx_return(v, before);
	return ok;
}

static void inject_exception(struct vmx_vcpu *v, const struct guest_event *event)
{
	unsigned vector = event->vector & 31;
	bool second = (v->event & EVENT_VALID) && (v->event & EVENT_TYPE) == EVENT_TYPE_HARD;
	unsigned merged = second ? guest_merge_exceptions(v->event & EVENT_VECTOR, vector) : vector;
	bool error;

	if (v->event == EVENT_SHUTDOWN)
		return;
	error = guest_exception_has_error(merged) && (vmcs_read(VMCS_GUEST_CR0) & CR0_PE);

	if (vector == VECTOR_PF)
		v->loaded ? write_cr2(event->address) : (void)(v->cr2 = event->address);
	if (merged == GUEST_SHUTDOWN) {
		v->event = EVENT_SHUTDOWN;
		return;
	}
	if (guest_exception_is_fault(merged))
		vmcs_write(VMCS_GUEST_RFLAGS, vmcs_read(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
	vmx_queue_event(v, EVENT_TYPE_HARD | merged | (error ? EVENT_HAS_ERROR : 0),
			merged == vector ? (u16)event->error_code : 0, 0);
}

void vmx_inject(struct arch_vcpu *vcpu, const struct guest_event *event)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before;

	switch (event->type) {
	case GUEST_EVENT_IRQ:
		vmx_queue_event(v, EVENT_TYPE_IRQ | event->vector, 0, 0);
		break;
	case GUEST_EVENT_NMI:
		vmx_queue_event(v, EVENT_TYPE_NMI | VECTOR_NMI, 0, 0);
		break;
	case GUEST_EVENT_EXCEPTION:
		before = vmx_borrow(v);
		inject_exception(v, event);
		vmx_return(v, before);
		break;
	}
}

static void set_window(struct arch_vcpu *vcpu, u32 bit, bool on)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before;

	if (on == !!(v->primary & bit))
		return;
	before = vmx_borrow(v);
	v->primary ^= bit;
	vmcs_write(VMCS_PRIMARY_CONTROLS, v->primary);
	vmx_return(v, before);
}

void vmx_set_irq_window(struct arch_vcpu *vcpu, bool on)
{
	set_window(vcpu, PRIMARY_IRQ_WINDOW, on);
}

void vmx_set_nmi_window(struct arch_vcpu *vcpu, bool on)
{
	set_window(vcpu, PRIMARY_NMI_WINDOW, on);
}

void vmx_drop_events(struct arch_vcpu *vcpu)
{
	vmx_of(vcpu)->event = 0;
	vmx_set_irq_window(vcpu, false);
	vmx_set_nmi_window(vcpu, false);
}
