/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.c: from the exit fields of the VMCS to one struct hv_exit.
 *
 * A const table indexed by the basic exit reason (SDM appendix C) says what each reason is in hv's
 * words, whether the instruction's length is needed, and which function decodes the rest. A reason
 * that no control turns on is HV_EXIT_UNKNOWN: hv stops that VM.
 *
 * Exits that concern this back end alone (a host interrupt, an exception that is reflected to the
 * guest, RDPMC) are handled here and come out as HV_EXIT_INTERRUPT.
 */
#include "decode.h"
#include "vmx.h"
#include <asm/insn.h>
#include <asm/irq.h>
#include <asm/percpu.h>
#include <asm/regs.h>

static void on_external_interrupt(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u32 info = vmcs_read(VMCS_EXIT_INTERRUPTION_INFO);

	exit->raw.info1 = info;
	if (info & EVENT_VALID)
		irq_dispatch(info & EVENT_VECTOR);
}

/*
 * #DB as a fault or a trap: DR6 is ours to set when the exception exits (28.1). Whatever shadow
 * there was is over with it; left in place, the entry check of pending debug exceptions would fail.
 */
static void prepare_debug_exception(void)
{
	u64 cause = vmcs_read(VMCS_EXIT_QUALIFICATION);
	u64 dr7 = vmcs_read(VMCS_GUEST_DR7);
	u32 shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	write_dr6(vmx_debug_status(read_dr6(), cause));
	if (dr7 & DR7_GD)
		vmcs_write(VMCS_GUEST_DR7, dr7 & ~DR7_GD);
	if (shadow & (GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS))
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
			   shadow & ~(GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS));
}

void vmx_block_nmi_again(void)
{
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
		   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) | GUEST_BLOCKED_BY_NMI);
}

/*
 * NMI and #MC are the host's: INT runs its handlers, and their IRET also unblocks NMIs. #DB and
 * #AC are reflected, in place of an event with an interrupted delivery: both are benign, and a
 * fault's instruction raises it again.
 */
static void on_exception(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u32 info = vmcs_read(VMCS_EXIT_INTERRUPTION_INFO);

	exit->raw.info1 = info;
	vmx_requeue_event(v);
	if ((info & EVENT_TYPE) == EVENT_TYPE_NMI) {
		asm volatile("int %0" : : "i"(VECTOR_NMI) : "memory");
		vmx_kick_taken(v);
		return;
	}
	if ((info & EVENT_VECTOR) == VECTOR_MC) {
		asm volatile("int %0" : : "i"(VECTOR_MC) : "memory");
		return;
	}
	if ((info & EVENT_VECTOR) == VECTOR_DB)
		prepare_debug_exception();
	if ((info & EVENT_NMI_UNBLOCKED) && !v->event)
		vmx_block_nmi_again();
	vmx_queue_event(v, info, info & EVENT_HAS_ERROR ? vmcs_read(VMCS_EXIT_ERROR_CODE) : 0,
			vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH));
}

static void on_io(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u64 qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);

	exit->raw.info1 = qualification;
	exit->insn_len = vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH);
	vmx_decode_io(qualification, &exit->pio);
}

static void on_ept_misconfiguration(struct vmx_vcpu *v, struct hv_exit *exit)
{
	vmx_requeue_event(v);
	exit->stage2 = (struct hv_exit_stage2){.gpa.raw = vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS)};
	exit->raw.info1 = exit->stage2.gpa.raw;
}

static void on_cr(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u64 qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);

	exit->raw.info1 = qualification;
	if (!vmx_decode_cr(qualification, &exit->cr)) {
		exit->reason = HV_EXIT_UNKNOWN;
		return;
	}
	exit->cr.value = *vmx_gpr(v, exit->cr.gpr);
	if (!vmx_in_64_bit_code())
		exit->cr.value = (u32)exit->cr.value;
	if (exit->cr.cr == 8)
		exit->insn_len = vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH);
	/* Else insn_len stays 0, it is run again: cr.c */
}

/* No counter is offered, so every index is a wrong one: #GP(0), SDM vol. 2B. */
static void on_rdpmc(struct vmx_vcpu *v, struct hv_exit *exit)
{
	static const struct guest_event gp = {
		.type = GUEST_EVENT_EXCEPTION, .vector = VECTOR_GP, .has_error_code = true};

	vmx_inject(v->vcpu, &gp);
}

/* A window opens once. */
static void on_irq_window(struct vmx_vcpu *v, struct hv_exit *exit)
{
	vmx_set_irq_window(v->vcpu, false);
}

static void on_nmi_window(struct vmx_vcpu *v, struct hv_exit *exit)
{
	vmx_set_nmi_window(v->vcpu, false);
}

/*
 * The event that came by the gate goes back to the queue, so that a fault on the way merges with
 * it.
 * The length is an instruction's, or 0 for an interrupt or a fault.
 */
static void on_task_switch(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u32 event = vmcs_read(VMCS_IDT_VECTORING_INFO), type = event & EVENT_TYPE;
	bool gate, by_insn;

	exit->raw.info1 = vmcs_read(VMCS_EXIT_QUALIFICATION);
	vmx_decode_task(exit->raw.info1, &exit->task);
	gate = exit->task.source == TASK_GATE && event & EVENT_VALID;
	by_insn = !gate || type == EVENT_TYPE_SOFT_INT || type == EVENT_TYPE_ICEBP ||
		  type == EVENT_TYPE_SOFT;
	exit->insn_len = by_insn ? vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH) : 0;
	exit->task.nmi = gate && type == EVENT_TYPE_NMI;
	exit->task.has_error_code = gate && event & EVENT_HAS_ERROR;
	exit->task.error_code =
		exit->task.has_error_code ? vmcs_read(VMCS_IDT_VECTORING_ERROR_CODE) : 0;
	vmx_requeue_event(v);
}

static void on_end(struct vmx_vcpu *v, struct hv_exit *exit)
{
	exit->raw.info1 = 0;
}

/* Whatever else interrupted a delivery, or needs its qualification in a message. */
static void on_other(struct vmx_vcpu *v, struct hv_exit *exit)
{
	vmx_requeue_event(v);
	exit->raw.info1 = vmcs_read(VMCS_EXIT_QUALIFICATION);
}

static void on_pml_full(struct vmx_vcpu *v, struct hv_exit *exit)
{
	exit->raw.info1 = vmcs_read(VMCS_EXIT_QUALIFICATION);
	vmx_requeue_event(v);
	if ((exit->raw.info1 & EVENT_NMI_UNBLOCKED) && !v->event)
		vmx_block_nmi_again();
}

/*
 * A kick (run.c: it may have cleared the deadline), or one beyond what the timer can hold, ends no
 * slice.
 */
static void on_timer(struct vmx_vcpu *v, struct hv_exit *exit)
{
	if (!v->vcpu->armed || tsc_read() < v->vcpu->armed)
		exit->reason = HV_EXIT_INTERRUPT;
	v->vcpu->armed = 0;
}

/* VMLAUNCH has not launched: the next try is one again. */
static void on_entry_failure(struct vmx_vcpu *v, struct hv_exit *exit)
{
	vmx_clear(v);
	vmx_vmptrld(v->vmcs);
	v->active = percpu_id();
	exit->raw.info1 = vmcs_read(VMCS_EXIT_QUALIFICATION);
	if ((u16)exit->raw.reason == 41)
		asm volatile("int %0" : : "i"(VECTOR_MC) : "memory");
	vmx_explain_entry_failure(v, exit);
}

#define INSN(name_, reason_)                                            \
	{                                                               \
		.name = name_, .reason = reason_, .kind = VMX_EXIT_INSN \
	}
#define PLAIN(name_, reason_, f)                              \
	{                                                     \
		.name = name_, .reason = reason_, .decode = f \
	}
#define OFF(name_)                                                           \
	{                                                                    \
		.name = name_, .reason = HV_EXIT_UNKNOWN, .decode = on_other \
	}

/* clang-format off */
const struct vmx_exit_info vmx_exits[VMX_EXITS] = {
	[0] = PLAIN("exception or NMI", HV_EXIT_INTERRUPT, on_exception),
	[1] = PLAIN("external interrupt", HV_EXIT_INTERRUPT, on_external_interrupt),
	[2] = PLAIN("triple fault", HV_EXIT_SHUTDOWN, on_end),
	[3] = PLAIN("INIT signal", HV_EXIT_INIT_SIPI, on_end),
	[4] = PLAIN("start-up IPI", HV_EXIT_INIT_SIPI, on_other),
	[5] = OFF("I/O SMI"),
	[6] = OFF("other SMI"),
	[7] = PLAIN("interrupt window", HV_EXIT_IRQ_WINDOW, on_irq_window),
	[8] = PLAIN("NMI window", HV_EXIT_NMI_WINDOW, on_nmi_window),
	[9] = PLAIN("task switch", HV_EXIT_TASK_SWITCH, on_task_switch),
	[10] = INSN("CPUID", HV_EXIT_CPUID),
	[11] = INSN("GETSEC", HV_EXIT_VIRT_INSN),
	[12] = INSN("HLT", HV_EXIT_HLT),
	[13] = INSN("INVD", HV_EXIT_CACHE),
	[14] = OFF("INVLPG"),
	[15] = PLAIN("RDPMC", HV_EXIT_INTERRUPT, on_rdpmc),
	[16] = OFF("RDTSC"),
	[17] = OFF("RSM"),
	[18] = INSN("VMCALL", HV_EXIT_HYPERCALL),
	[19] = INSN("VMCLEAR", HV_EXIT_VIRT_INSN),
	[20] = INSN("VMLAUNCH", HV_EXIT_VIRT_INSN),
	[21] = INSN("VMPTRLD", HV_EXIT_VIRT_INSN),
	[22] = INSN("VMPTRST", HV_EXIT_VIRT_INSN),
	[23] = INSN("VMREAD", HV_EXIT_VIRT_INSN),
	[24] = INSN("VMRESUME", HV_EXIT_VIRT_INSN),
	[25] = INSN("VMWRITE", HV_EXIT_VIRT_INSN),
	[26] = INSN("VMXOFF", HV_EXIT_VIRT_INSN),
	[27] = INSN("VMXON", HV_EXIT_VIRT_INSN),
	[28] = PLAIN("control-register access", HV_EXIT_CR, on_cr),
	[29] = OFF("MOV DR"),
	[30] = PLAIN("I/O instruction", HV_EXIT_PIO, on_io),
	[31] = INSN("RDMSR", HV_EXIT_MSR_READ),
	[32] = INSN("WRMSR", HV_EXIT_MSR_WRITE),
	[33] = PLAIN("entry failure: guest state", HV_EXIT_ENTRY_FAILED, on_entry_failure),
	[34] = PLAIN("entry failure: MSR loading", HV_EXIT_ENTRY_FAILED, on_entry_failure),
	[35] = OFF("reason 35"),
	[36] = INSN("MWAIT", HV_EXIT_VIRT_INSN),
	[37] = OFF("monitor trap flag"),
	[38] = OFF("reason 38"),
	[39] = INSN("MONITOR", HV_EXIT_VIRT_INSN),
	[40] = INSN("PAUSE", HV_EXIT_PAUSE),
	[41] = PLAIN("entry failure: machine check", HV_EXIT_ENTRY_FAILED, on_entry_failure),
	[42] = OFF("reason 42"),
	[43] = OFF("TPR below threshold"),
	[44] = OFF("APIC access"),
	[45] = OFF("virtualized EOI"),
	[46] = OFF("GDTR or IDTR access"),
	[47] = OFF("LDTR or TR access"),
	[48] = PLAIN("EPT violation", HV_EXIT_STAGE2, NULL),
	[49] = PLAIN("EPT misconfiguration", HV_EXIT_STAGE2_BROKEN, on_ept_misconfiguration),
	[50] = INSN("INVEPT", HV_EXIT_VIRT_INSN),
	[51] = OFF("RDTSCP"),
	[52] = PLAIN("preemption timer", HV_EXIT_TIMESLICE, on_timer),
	[53] = INSN("INVVPID", HV_EXIT_VIRT_INSN),
	[54] = INSN("WBINVD", HV_EXIT_CACHE),
	[55] = INSN("XSETBV", HV_EXIT_XSETBV),
	[56] = OFF("APIC write"),
	[57] = OFF("RDRAND"),
	[58] = OFF("INVPCID"),
	[59] = INSN("VMFUNC", HV_EXIT_VIRT_INSN),
	[60] = OFF("ENCLS"),
	[61] = OFF("RDSEED"),
	[62] = PLAIN("page-modification log full", HV_EXIT_PML_FULL, on_pml_full),
	[63] = OFF("XSAVES"),
};
/* clang-format on */

const struct vmx_exit_info vmx_exit_unknown = OFF("unknown");
