/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: one stay in the guest.
 *
 * Kicks: a CPU in its guest is kicked by NMI, because Bochs 2.7 does not exit for an external interrupt
 * when the guest was entered with interrupts off (an NMI exits always, there and in hardware). An
 * NMI is not held back by the hypervisor's own IF=0, so one that comes between the run loop's entry check and
 * VMRESUME would be lost. Hence the NMI handler sets a flag and turns the preemption timer of the current
 * VMCS to 0, with which the guest exits before its first instruction:
 *
 *     vmx_run                          vmx_nmi (any time)
 *     -------                          ------------------
 *     timer = what is left             kicked = true
 *     if kicked: timer = 0             timer = 0
 *     enter ... exit, decode
 *     kicked = false
 *
 * An NMI before the test is seen by it; one after it has the last word on the timer; one after the exit leaves a
 * flag that costs the next run one early exit.
 */
#define LOG_THIS LOG_VMX

#include "vmx.h"
#include <asm/insn.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/xsave.h>
#include <lib/log.h>

/* entry.S knows the registers by number. */
_Static_assert(GPR_RAX == 0 && GPR_RCX == 1 && GPR_RDX == 2 && GPR_RBX == 3 && GPR_RBP == 5 &&
		       GPR_RSI == 6 && GPR_RDI == 7 && GPR_R8 == 8 && GPR_R15 == 15,
	       "entry.S has the registers in another order");

#define REASON_ENTRY_FAILED BIT(31)

/* [c] only the CPU itself, also in its NMI handler */
static volatile bool kicked[ARCH_CPUS_MAX];

void vmx_nmi(void)
{
	kicked[percpu_id()] = true;
	vmcs_try_write(VMCS_PREEMPTION_TIMER, 0);
}

/* False when the deadline is over already. Rounded up, so that a timer exit is never early. */
static bool arm_timer(u64 deadline)
{
	u64 now = tsc_read(), ticks;

	if (unlikely(now >= deadline))
		return false;
	ticks = ((deadline - now) >> vmx_caps.timer_shift) + 1;
	vmcs_write(VMCS_PREEMPTION_TIMER, MIN(ticks, 0xffffffff));
	if (unlikely(kicked[percpu_id()]))
		vmcs_write(VMCS_PREEMPTION_TIMER, 0);
	return true;
}

static void write_event(struct vmx_vcpu *v)
{
	vmcs_write(VMCS_ENTRY_INTERRUPTION_INFO, v->event);
	vmcs_write(VMCS_ENTRY_ERROR_CODE, v->event_error);
	vmcs_write(VMCS_ENTRY_INSTRUCTION_LENGTH, v->event_insn_len);
}

/* What hv may have changed since the exit, and only that. */
static void write_changes(struct vmx_vcpu *v)
{
	struct arch_vcpu *vcpu = v->vcpu;

	if (vcpu->rip != v->rip)
		vmcs_write(VMCS_GUEST_RIP, vcpu->rip);
	if (vcpu->rflags != v->rflags)
		vmcs_write(VMCS_GUEST_RFLAGS, vcpu->rflags);
	if (unlikely(vcpu->gpr[GPR_RSP] != v->rsp))
		vmcs_write(VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
	if (unlikely(vcpu->tsc_offset != v->tsc_offset)) {
		v->tsc_offset = vcpu->tsc_offset;
		vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
	}
	if (unlikely(v->event))
		write_event(v);
}

static void read_back(struct vmx_vcpu *v)
{
	struct arch_vcpu *vcpu = v->vcpu;

	vcpu->rip = v->rip = vmcs_read(VMCS_GUEST_RIP);
	vcpu->rflags = v->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	vcpu->gpr[GPR_RSP] = v->rsp = vmcs_read(VMCS_GUEST_RSP);
}

/* VMLAUNCH or VMRESUME itself failed: controls or host state, our bug; the VM ends, the host goes on. */
static void refused(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u64 error = vmcs_read(VMCS_INSTRUCTION_ERROR);

	log_error("%s failed: %s", v->launched ? "VMRESUME" : "VMLAUNCH",
		  vmx_instruction_error_name(error));
	exit->reason = HV_EXIT_ENTRY_FAILED;
	exit->insn_len = 0;
	exit->raw = (struct hv_exit_raw){~0ull, error, 0};
}

static void outside(struct hv_exit *exit, enum hv_exit_reason reason)
{
	exit->reason = reason;
	exit->insn_len = 0;
	exit->raw = (struct hv_exit_raw){0, 0, 0};
}

void vmx_run(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit)
{
	struct vmx_vcpu *v = vmx_of(vcpu);
	u32 reason;

	if (unlikely(v->shutdown))
		return outside(exit, HV_EXIT_SHUTDOWN);
	if (unlikely(!arm_timer(deadline)))
		return outside(exit, HV_EXIT_TIMESLICE);
	write_changes(v);
	if (unlikely(vmx_enter(vcpu->gpr, &v->host_rsp, v->launched)))
		return refused(v, exit);
	read_back(v);
	reason = vmcs_read(VMCS_EXIT_REASON);
	if (likely(!(reason & REASON_ENTRY_FAILED))) {
		v->launched = true;
		v->event = 0;
	}
	vmx_decode_exit(v, reason, exit);
	kicked[percpu_id()] = false;
	/* A kick, or a deadline beyond what the timer can hold. */
	if (unlikely(exit->reason == HV_EXIT_TIMESLICE) && tsc_read() < deadline)
		exit->reason = HV_EXIT_INTERRUPT;
	if (unlikely(exit->reason == HV_EXIT_ENTRY_FAILED))
		vmx_explain_entry_failure(v, exit);
}
