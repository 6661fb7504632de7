/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.c: from the exit fields of the VMCS to one struct hv_exit.
 *
 * A const table indexed by the basic exit reason (SDM appendix C) says what each reason is in hv's
 * words, whether the instruction's length is wanted, whether the exit can have interrupted the delivery of
 * an event, and who decodes the rest. What no table line names is HV_EXIT_UNKNOWN: hv stops that VM.
 *
 * Exits that concern nobody but this back end (a host interrupt, an exception that only needs to be given
 * back to the guest, CR8) are dealt with here and come out as HV_EXIT_INTERRUPT.
 */
#include "decode.h"
#include "vmx.h"
#include <asm/irq.h>
#include <asm/percpu.h>
#include <asm/regs.h>

#define DR7_GD BIT(13)

struct vmx_exit_info {
	const char *name;
	enum hv_exit_reason reason;
	bool insn;	/* skipping the instruction makes sense: read its length */
	bool vectoring; /* may have interrupted the delivery of an event (28.2.4) */
	void (*decode)(struct vmx_vcpu *v, struct hv_exit *exit);
};

static void on_external_interrupt(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u32 info = vmcs_read(VMCS_EXIT_INTERRUPTION_INFO);

	(void)v;
	exit->raw.info1 = info;
	if (info & EVENT_VALID)
		irq_dispatch(info & EVENT_VECTOR);
}

/*
 * #DB as a fault or a trap: DR6 is ours to set when the exception exits (28.1). Whatever shadow there was is
 * over with it; left in place, the entry check of pending debug exceptions would fail.
 */
static void prepare_debug_exception(void)
{
	u64 cause = vmcs_read(VMCS_EXIT_QUALIFICATION);
	u64 dr7 = vmcs_read(VMCS_GUEST_DR7);
	u32 shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	write_dr6(vmx_debug_status(read_dr6(), cause));
	if (dr7 & DR7_GD)
		vmcs_write(VMCS_GUEST_DR7, dr7 & ~DR7_GD);
	if (shadow & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
			   shadow & ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
}

/* The IRET that unblocked NMIs faulted before it was done: they are blocked again (28.2.3). */
static void block_nmi_again(void)
{
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
		   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
}

/*
 * NMI and #MC are the host's: its own handlers run by INT, whose IRET also unblocks NMIs. #DB and #AC go
 * back to the guest, in place of the event whose delivery they interrupted, if any: both are benign, and
 * a fault's instruction raises it again.
 */
static void on_exception(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u32 info = vmcs_read(VMCS_EXIT_INTERRUPTION_INFO);

	exit->raw.info1 = info;
	if ((info & EVENT_TYPE) == EVENT_TYPE_NMI) {
		asm volatile("int %0" : : "i"(VECTOR_NMI) : "memory");
		return;
	}
	if ((info & EVENT_VECTOR) == VECTOR_MC) {
		asm volatile("int %0" : : "i"(VECTOR_MC) : "memory");
		return;
	}
	if ((info & EVENT_VECTOR) == VECTOR_DB)
		prepare_debug_exception();
	if ((info & EVENT_NMI_UNBLOCKED) && !v->event)
		block_nmi_again();
	vmx_queue_event(v, info, info & EVENT_HAS_ERROR ? vmcs_read(VMCS_EXIT_ERROR_CODE) : 0,
			vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH));
}

static void on_io(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u64 qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);

	(void)v;
	exit->raw.info1 = qualification;
	vmx_decode_io(qualification, &exit->pio);
	if (exit->pio.string)
		exit->pio.address.raw = vmcs_read(VMCS_GUEST_LINEAR_ADDRESS);
}

static void on_ept_violation(struct vmx_vcpu *v, struct hv_exit *exit)
{
	u64 qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);

	exit->raw.info1 = qualification;
	exit->stage2.gpa.raw = vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS);
	vmx_decode_ept_violation(qualification, &exit->stage2);
	exit->stage2.gva.raw = exit->stage2.gva_valid ? vmcs_read(VMCS_GUEST_LINEAR_ADDRESS) : 0;
	if (unlikely(qualification & EVENT_NMI_UNBLOCKED) && !v->event)
		block_nmi_again();
}

static void on_ept_misconfiguration(struct vmx_vcpu *v, struct hv_exit *exit)
{
	(void)v;
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
	if (exit->cr.cr == 8) {
		vmx_access_cr8(v, exit);
		exit->reason = HV_EXIT_INTERRUPT;
		return;
	}
	exit->cr.value = v->vcpu->gpr[exit->cr.gpr];
	if (!vmx_in_64_bit_code())
		exit->cr.value = (u32)exit->cr.value;
	exit->insn_len = 0; /* run again: cr.c */
}

/* No counter is offered, so every index is a wrong one: #GP(0), SDM vol. 2B. */
static void on_rdpmc(struct vmx_vcpu *v, struct hv_exit *exit)
{
	static const struct guest_event gp = {
		.type = GUEST_EVENT_EXCEPTION, .vector = VECTOR_GP, .has_error_code = true};

	(void)exit;
	vmx_inject(v->vcpu, &gp);
}

/* A window is asked for once. */
static void on_irq_window(struct vmx_vcpu *v, struct hv_exit *exit)
{
	(void)exit;
	vmx_set_irq_window(v->vcpu, false);
}

static void on_nmi_window(struct vmx_vcpu *v, struct hv_exit *exit)
{
	(void)exit;
	vmx_set_nmi_window(v->vcpu, false);
}

static void on_qualified(struct vmx_vcpu *v, struct hv_exit *exit)
{
	(void)v;
	exit->raw.info1 = vmcs_read(VMCS_EXIT_QUALIFICATION);
}

#define INSN	  .insn = true
#define VECTORING .vectoring = true

static const struct vmx_exit_info exits[] = {
	[0] = {"exception or NMI", HV_EXIT_INTERRUPT, VECTORING, .decode = on_exception},
	[1] = {"external interrupt", HV_EXIT_INTERRUPT, .decode = on_external_interrupt},
	[2] = {"triple fault", HV_EXIT_SHUTDOWN},
	[3] = {"INIT", HV_EXIT_INIT_SIPI},
	[4] = {"SIPI", HV_EXIT_INIT_SIPI, .decode = on_qualified},
	[7] = {"interrupt window", HV_EXIT_IRQ_WINDOW, .decode = on_irq_window},
	[8] = {"NMI window", HV_EXIT_NMI_WINDOW, .decode = on_nmi_window},
	[9] = {"task switch", HV_EXIT_UNKNOWN, VECTORING, .decode = on_qualified},
	[10] = {"CPUID", HV_EXIT_CPUID, INSN},
	[11] = {"GETSEC", HV_EXIT_VIRT_INSN, INSN},
	[12] = {"HLT", HV_EXIT_HLT, INSN},
	[13] = {"INVD", HV_EXIT_CACHE, INSN},
	[15] = {"RDPMC", HV_EXIT_INTERRUPT, .decode = on_rdpmc},
	[18] = {"VMCALL", HV_EXIT_HYPERCALL, INSN},
	[19] = {"VMCLEAR", HV_EXIT_VIRT_INSN, INSN},
	[20] = {"VMLAUNCH", HV_EXIT_VIRT_INSN, INSN},
	[21] = {"VMPTRLD", HV_EXIT_VIRT_INSN, INSN},
	[22] = {"VMPTRST", HV_EXIT_VIRT_INSN, INSN},
	[23] = {"VMREAD", HV_EXIT_VIRT_INSN, INSN},
	[24] = {"VMRESUME", HV_EXIT_VIRT_INSN, INSN},
	[25] = {"VMWRITE", HV_EXIT_VIRT_INSN, INSN},
	[26] = {"VMXOFF", HV_EXIT_VIRT_INSN, INSN},
	[27] = {"VMXON", HV_EXIT_VIRT_INSN, INSN},
	[28] = {"control-register access", HV_EXIT_CR, INSN, .decode = on_cr},
	[30] = {"I/O instruction", HV_EXIT_PIO, INSN, .decode = on_io},
	[31] = {"RDMSR", HV_EXIT_MSR_READ, INSN},
	[32] = {"WRMSR", HV_EXIT_MSR_WRITE, INSN},
	[33] = {"entry failure: guest state", HV_EXIT_ENTRY_FAILED, .decode = on_qualified},
	[34] = {"entry failure: MSR loading", HV_EXIT_ENTRY_FAILED, .decode = on_qualified},
	[36] = {"MWAIT", HV_EXIT_VIRT_INSN, INSN},
	[39] = {"MONITOR", HV_EXIT_VIRT_INSN, INSN},
	[40] = {"PAUSE", HV_EXIT_PAUSE, INSN},
	[41] = {"entry failure: machine check", HV_EXIT_ENTRY_FAILED, .decode = on_qualified},
	[48] = {"EPT violation", HV_EXIT_STAGE2, VECTORING, .decode = on_ept_violation},
	[49] = {"EPT misconfiguration", HV_EXIT_STAGE2_BROKEN, VECTORING,
		.decode = on_ept_misconfiguration},
	[50] = {"INVEPT", HV_EXIT_VIRT_INSN, INSN},
	[52] = {"preemption timer", HV_EXIT_TIMESLICE},
	[53] = {"INVVPID", HV_EXIT_VIRT_INSN, INSN},
	[54] = {"WBINVD", HV_EXIT_CACHE, INSN},
	[55] = {"XSETBV", HV_EXIT_XSETBV, INSN},
	[59] = {"VMFUNC", HV_EXIT_VIRT_INSN, INSN},
	[62] = {"page-modification log full", HV_EXIT_PML_FULL, VECTORING},
};

static const struct vmx_exit_info unknown = {NULL, HV_EXIT_UNKNOWN, VECTORING,
					     .decode = on_qualified};

static const struct vmx_exit_info *exit_info(u32 reason)
{
	u16 basic = reason;

	return basic < ARRAY_SIZE(exits) && exits[basic].name ? &exits[basic] : &unknown;
}

const char *vmx_exit_name(u32 reason)
{
	const char *name = exit_info(reason)->name;

	return name ? name : "unknown";
}

void vmx_decode_exit(struct vmx_vcpu *v, u32 reason, struct hv_exit *exit)
{
	const struct vmx_exit_info *info = exit_info(reason);

	exit->reason = info->reason;
	exit->raw = (struct hv_exit_raw){reason, 0, 0};
	exit->insn_len = info->insn ? vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH) : 0;
	if (info->vectoring)
		vmx_requeue_event(v);
	if (info->decode)
		info->decode(v, exit);
}
