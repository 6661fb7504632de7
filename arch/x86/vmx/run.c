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
 * flag that costs one more early exit. Either way v->deadline is reset, so that the timer is
 * armed again.
 *
 * Slices: the timer is armed when the deadline changes, or after a second-level fault, and then
 * counts on through exits by itself ("save VMX-preemption timer value"), in guest time. The run
 * loop compares the clock before each entry (RUN-4), so a guest that exits a lot stops in time; one
 * that first exits a lot and then never is late by what its exits cost, once.
 */
#define LOG_THIS LOG_VMX

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
	v->deadline = 0;
}

/* A kick that came in the host after the entry check. */
static __cold void exit_at_once(struct vmx_vcpu *v)
{
	vmx_kick_taken(v);
	vmcs_write(VMCS_PREEMPTION_TIMER, 0);
}

/* Rounded up, so that a timer exit is never early. */
static __cold void arm_timer(struct vmx_vcpu *v, u64 deadline)
{
	u64 now = tsc_read(), ticks = deadline > now ? deadline - now : 0;

	ticks = (ticks >> vmx_caps.timer_shift) + 1;
	vmcs_write(VMCS_PREEMPTION_TIMER, MIN(ticks, 0xffffffff));
	v->deadline = deadline;
}

/* The queued event; false: the vCPU shuts down. */
static __cold bool write_event(struct vmx_vcpu *v)
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
}

void vmx_run(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit)
{
	struct vmx_vcpu *v = vmx_of(vcpu);

	if (unlikely(v->event) && !write_event(v))
		return shut_down(exit);
	if (unlikely(v->deadline != deadline))
		arm_timer(v, deadline);
	if (unlikely(kicked()))
		exit_at_once(v);
	if (unlikely(enter_failed(&vcpu, &exit, &v->host)))
		return refused(exit);
	v = vmx_of(vcpu);
	decode(v, exit);
}
