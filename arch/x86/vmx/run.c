/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: one stay in the guest.
 *
 * Kicks: a CPU in its guest is kicked by NMI, because Bochs 2.7 does not exit for an external
 * interrupt when the guest was entered with interrupts off (an NMI exits always, there and in
 * hardware). An NMI is not held back by the hypervisor's own IF=0, so one that comes between the
 * run loop's entry check and VMRESUME would be lost. Hence the NMI handler sets a flag and turns
 * the preemption timer of the current VMCS to 0, with which the guest exits before its first
 * instruction:
 *
 *     vmx_run                                       vmx_nmi (any time in the host)
 *     -------                                       -------------------------------
 *     arm the timer if need be                      kicked = true
 *     if kicked: kicked = false, timer = 0          timer = 0
 *     enter ... exit
 *     if it was by NMI: handler, kicked = false
 *
 * VMX-3  A kick after the entry check ends the guest before its first instruction.
 *
 * An NMI before the test is seen by it; one after it has the last word on the timer, and leaves a
 * flag that costs one more early exit. Either way arch_vcpu.armed is reset, so that the timer is
 * armed again.
 *
 * Slices: the timer is armed when the deadline changes, or after a second-level fault, and then
 * counts on through exits by itself ("save VMX-preemption timer value"), in guest time. The run
 * loop compares the clock before each entry (RUN-4), so a guest that exits a lot stops in time; one
 * that first exits a lot and then never is late by what its exits cost, once.
 */
#define LOG_THIS LOG_VMX

#include "decode.h"
#include "vmx.h"
#include <asm/insn.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <asm/xsave.h>
#include <lib/log.h>

/* entry.S has the registers by number. */
_Static_assert(GPR_RAX == 0 && GPR_RCX == 1 && GPR_RDX == 2 && GPR_RBX == 3 && GPR_RBP == 5 &&
		       GPR_RSI == 6 && GPR_RDI == 7 && GPR_R8 == 8 && GPR_R15 == 15,
	       "entry.S has the registers in another order");
_Static_assert(offsetof(struct arch_vcpu, gpr) == 0 && offsetof(struct vmx_host, rsp) == 0 &&
		       offsetof(struct vmx_host, launched) == 8,
	       "entry.S has another layout");

/* One instruction each, because they are on the way of every exit; [c] and NMI-safe by that. */
static inline bool kicked(void)
{
	bool set;

	asm volatile("cmpb $0, %%gs:%c1"
		     : "=@ccne"(set)
		     : "i"(offsetof(struct percpu, nmi_kicked))
		     : "memory");
	return set;
}

static inline void set_kicked(bool to)
{
	asm volatile("movb %0, %%gs:%c1"
		     :
		     : "ir"((u8)to), "i"(offsetof(struct percpu, nmi_kicked))
		     : "memory");
}

void vmx_nmi(void)
{
	set_kicked(true);
	vmcs_try_write(VMCS_PREEMPTION_TIMER, 0);
}

void vmx_kick_taken(struct vmx_vcpu *v)
{
	set_kicked(false);
	v->vcpu->armed = 0;
}

/* Rounded up, so that a timer exit is never early. */
static void arm_timer(struct arch_vcpu *vcpu, u64 deadline)
{
	u64 now = tsc_read(), ticks = deadline > now ? deadline - now : 0;

	ticks = (ticks >> vmx_caps.timer_shift) + 1;
	vmcs_write(VMCS_PREEMPTION_TIMER, MIN(ticks, 0xffffffff));
	vcpu->armed = deadline;
}

/* The queued event; false: the vCPU shuts down. */
static bool write_event(struct vmx_vcpu *v)
{
	if (v->event == EVENT_SHUTDOWN)
		return false;
	vmcs_write(VMCS_ENTRY_INTERRUPTION_INFO, v->event);
	vmcs_write(VMCS_ENTRY_ERROR_CODE, v->event_error);
	vmcs_write(VMCS_ENTRY_INSTRUCTION_LENGTH, v->event_insn_len);
	v->event = 0;
	return true;
}

/*
 * VMLAUNCH or VMRESUME itself failed: controls or host state, a bug of the back end. The VM ends,
 * the host goes on.
 */
static __cold void refused(struct hv_exit *exit)
{
	u64 error = vmcs_read(VMCS_INSTRUCTION_ERROR);

	log_error("VM entry refused: %s", vmx_instruction_error_name(error));
	exit->reason = HV_EXIT_ENTRY_FAILED;
	exit->insn_len = 0;
	exit->raw = (struct hv_exit_raw){~0ull, error, 0};
}

static __cold void shut_down(struct hv_exit *exit)
{
	exit->reason = HV_EXIT_SHUTDOWN;
	exit->insn_len = 0;
	exit->raw = (struct hv_exit_raw){0, 0, 0};
}

/* The compiler keeps nothing around the guest: both stay in their registers. */
static __always_inline bool enter_failed(struct arch_vcpu **vcpu, struct hv_exit **exit,
					 struct vmx_host *host)
{
	asm goto("call vmx_enter; jc %l[failed]"
		 : "+D"(*vcpu), "+d"(*exit), "+S"(host)
		 :
		 : "rax", "rcx", "r8", "r9", "r10", "r11", "memory"
		 : failed);
	return false;
failed:
	return true;
}

/* The event in `info` was being delivered, or an IRET was at work. */
static __cold void decode_nested(struct vmx_vcpu *v, u32 info, struct hv_exit *exit)
{
	exit->stage2.delivery = info & EVENT_VALID;
	if (exit->stage2.delivery)
		vmx_requeue(v, info);
	if (exit->raw.info1 & EVENT_NMI_UNBLOCKED && !v->event)
		vmx_block_nmi_again();
}

/*
 * Inline: with the access to the local APIC's page that include/hv/insn_memo.h remembers, it is one
 * of the frequent exits.
 */
static __always_inline void decode_ept_violation(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u64 qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
	u32 info = vmcs_read(VMCS_IDT_VECTORING_INFO);

	exit->raw.info1 = qualification;
	exit->stage2.gpa.raw = vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS);
	exit->stage2.delivery = false;
	vmx_decode_ept_violation(qualification, &exit->stage2);
	if (unlikely(info & EVENT_VALID || qualification & EVENT_NMI_UNBLOCKED))
		decode_nested(v, info, exit);
}

/* Most exits are an instruction that hv carries out: for these, as little as can be. */
static __always_inline void decode(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u64 reason = vmcs_read(VMCS_EXIT_REASON);
	const struct vmx_exit_info *info = vmx_exit_info(reason);

	exit->reason = info->reason;
	exit->raw.reason = reason;
	if (likely(info->kind == VMX_EXIT_INSN)) {
		exit->insn_len = vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH);
		return;
	}
	exit->insn_len = 0;
	if (info->decode)
		info->decode(v, exit);
	else
		decode_ept_violation(v, exit);
}

/*
 * What an entry needs now and then; false: the vCPU shuts down. A kick has the last word on the
 * timer. It saves all registers, so that vmx_run(), which has no other call before the guest, saves
 * none.
 */
static __cold bool __no_caller_saved prepare(struct arch_vcpu *vcpu, u64 deadline)
{
	struct vmx_vcpu *v = vmx_of(vcpu);

	if (v->event && !write_event(v))
		return false;
	if (vcpu->armed != deadline)
		arm_timer(vcpu, deadline);
	if (kicked()) {
		vmx_kick_taken(v);
		vmcs_write(VMCS_PREEMPTION_TIMER, 0);
	}
	return true;
}

void vmx_run(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit)
{
	if (unlikely(vmx_of(vcpu)->event || vcpu->armed != deadline || kicked()) &&
	    !prepare(vcpu, deadline))
		shut_down(exit);
	else if (unlikely(enter_failed(&vcpu, &exit, &vmx_of(vcpu)->host)))
		refused(exit);
	else
		decode(vmx_of(vcpu), exit);
}
