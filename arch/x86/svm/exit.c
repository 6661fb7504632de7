/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.c: the exit codes of AMD-V (AMD APM vol. 2, appendix C) as two tables, 0 to a6h and from
 * 400h on, each code in hv's words.
 *
 * A code outside both, or in a hole, is HV_EXIT_UNKNOWN: the VM stops with a dump, the machine goes
 * on.
 */
#include <asm/errata.h>
#include <asm/regs.h>
#include <lib/log.h>
#include "svm.h"

/*
 * The host's own: leaving the guest and STGI let a pending NMI, SMI or INIT happen.
 *
 * Between STI and HLT it is the HLT's exit, a moment early, and hv looks for interrupts when it
 * carries that out. To enter the guest before it would be as good where VMRUN loads the interrupt
 * shadow. QEMU 7.2 does not load it:
 *
 *     guest                                hypervisor
 *     STI
 *                                          an exit; a byte was typed: IRQ 4, not in the shadow; VMRUN
 *                                          IRQ 4 injected: the shadow is gone
 *     handler: wakes a task; IRET
 *     HLT: nothing is pending              sleeps with the task, until another interrupt comes
 */
static void decode_host_event(struct svm_vcpu *svm, struct hv_exit *exit)
{
	svm_host_window(svm, exit);
	if (unlikely(svm->nmi_window))
		svm_open_nmi_window(svm, exit);
	if (errata.lost_shadow && svm->vmcb.control.interrupt_shadow & 1)
		exit->reason = HV_EXIT_SHADOW; /* svm_complete_exit() looks whether it is a HLT */
}

/* An intercepted #MC is not pending any more: raise it again where its handler is the host's. */
static void decode_machine_check(struct svm_vcpu *svm, struct hv_exit *exit)
{
	(void)svm, (void)exit;
	asm volatile("int $18" : : : "memory");
}

static void decode_exception(struct svm_vcpu *svm, struct hv_exit *exit)
{
	u8 vector = (u8)(exit->raw.reason - SVM_EXIT_EXCEPTION);

	exit->exception = (struct hv_exit_exception){
		.vector = vector,
		.has_error_code = BIT(vector) & (BIT(VECTOR_DF) | BITS(VECTOR_PF, VECTOR_TS) |
						 BIT(VECTOR_AC) | BIT(VECTOR_CP)),
		.error_code = (u32)exit->raw.info1,
		.address = exit->raw.info2,
	};
}

static void decode_pio(struct svm_vcpu *svm, struct hv_exit *exit)
{
	u64 info = exit->raw.info1;

	exit->pio.port = IOIO_PORT(info);
	exit->pio.size = IOIO_SIZE(info);
	exit->pio.in = info & IOIO_IN;
	exit->pio.string = info & IOIO_STRING;
	exit->insn_len = (u8)(exit->raw.info2 - svm->vmcb.save.rip);
}

static void decode_msr(struct svm_vcpu *svm, struct hv_exit *exit)
{
	if (exit->raw.info1 & 1)
		exit->reason = HV_EXIT_MSR_WRITE;
}

static void decode_cr_write(struct svm_vcpu *svm, struct hv_exit *exit)
{
	exit->cr.cr = (u8)(exit->raw.reason - SVM_EXIT_CR_WRITE);
	exit->cr.write = true;
	exit->cr.has_value = false;
	exit->cr.gpr = (u8)(exit->raw.info1 & CR_EXIT_GPR);
}

/* CR8 only. */
static void decode_cr_read(struct svm_vcpu *svm, struct hv_exit *exit)
{
	decode_cr_write(svm, exit);
	exit->cr.cr = (u8)(exit->raw.reason - SVM_EXIT_CR_READ);
	exit->cr.write = false;
}

/* MOV to CR0 or LMSW: svm_complete_exit() finds out which. */
static void decode_cr0_write(struct svm_vcpu *svm, struct hv_exit *exit)
{
	decode_cr_write(svm, exit);
	exit->cr.cr = 0;
}

/*
 * A walk of guest page tables counts as a write at the nested level even when the guest only reads
 * (APM 15.25.6), so the access is what info1 says, not what the guest meant.
 */
static void decode_npf(struct svm_vcpu *svm, struct hv_exit *exit)
{
	u64 info = exit->raw.info1;

	exit->stage2 = (struct hv_exit_stage2){
		.gpa = {exit->raw.info2},
		.access = info & NPF_EXEC    ? HV_EXEC
			  : info & NPF_WRITE ? HV_WRITE
					     : HV_READ,
		.table_walk = info & NPF_TABLE_WALK,
		.delivery = svm->vmcb.control.exit_int_info & EVENT_VALID,
	};
	if (unlikely(info & NPF_RESERVED))
		exit->reason = HV_EXIT_STAGE2_BROKEN;
}

/*
 * A task switch (APM 15.14.1). The event that came by a task gate is in exit_int_info, and queued
 * again; insn.c finds the length of an instruction. A trap that the NMI window planted is not the
 * old task's.
 */
static void decode_task(struct svm_vcpu *svm, struct hv_exit *exit)
{
	u64 event = svm->vmcb.control.exit_int_info, info = exit->raw.info2;
	bool gate = event & EVENT_VALID;

	exit->task = (struct hv_exit_task){
		.selector = (u16)exit->raw.info1,
		.source = info & TASK_EXIT_IRET	 ? TASK_IRET
			  : info & TASK_EXIT_JMP ? TASK_JMP
			  : gate		 ? TASK_GATE
						 : TASK_CALL,
		.nmi = gate && (event & EVENT_TYPE) == EVENT_NMI,
		.has_error_code = info & TASK_EXIT_HAS_ERROR,
		.error_code = (u32)info,
	};
	if (info & TASK_EXIT_RF)
		svm->vmcb.save.rflags |= RFLAGS_RF;
	svm_end_nmi_step(svm);
}

/*
 * A shutdown (svm_shut_down() in event.c), or a state the CPU refuses. The manual does not say
 * whether a refused VMRUN flushes the TLB.
 */
static void decode_invalid(struct svm_vcpu *svm, struct hv_exit *exit)
{
	svm->cpu->asids.flush_pending = true;
	if (svm->shut_down)
		exit->reason = HV_EXIT_SHUTDOWN;
}

/* Nothing to add to the raw values, which only an exit with a decoder carries. */
static void decode_unknown(struct svm_vcpu *svm, struct hv_exit *exit)
{
	(void)svm, (void)exit;
}

/* Codes that are never intercepted have names for the dump. */
#define ROW(code, title, why, len, decoder) \
	[SVM_EXIT_##code] = {HV_EXIT_##why, len, HV_EXIT_##why == HV_EXIT_PIO, decoder, title}
#define NOT_USED(code, title) ROW(code, title, UNKNOWN, 0, decode_unknown)
#define SOME(code, first, last, title, why, len, decoder)                                     \
	[SVM_EXIT_##code + (first)... SVM_EXIT_##code + (last)] = {HV_EXIT_##why, len, false, \
								   decoder, title}
#define SIXTEEN(code, title, why, len, decoder) SOME(code, 0, 15, title, why, len, decoder)
#define EXCEPTION(vector, title, decoder) \
	[SVM_EXIT_EXCEPTION + (vector)] = {HV_EXIT_INTERRUPT, 0, false, decoder, title}
#define EXCEPTIONS(first, last)                               \
	[SVM_EXIT_EXCEPTION + (first)... SVM_EXIT_EXCEPTION + \
		(last)] = {HV_EXIT_EXCEPTION, 0, false, decode_exception, "exception"}

const struct svm_exit_row svm_exits_low[SVM_EXIT_LOW_END] = {
	SOME(CR_READ, 0, 7, "CR read", UNKNOWN, 0, decode_unknown),
	SOME(CR_READ, 8, 8, "CR8 read", CR, 3, decode_cr_read),
	SOME(CR_READ, 9, 15, "CR read", UNKNOWN, 0, decode_unknown),
	SIXTEEN(CR_WRITE, "CR write", CR, 3, decode_cr_write),
	SOME(DR_READ, 0, 6, "DR read", UNKNOWN, 0, decode_unknown),
	SOME(DR_READ, 7, 7, "DR7 read", DR, 3, NULL),
	SOME(DR_READ, 8, 15, "DR read", UNKNOWN, 0, decode_unknown),
	SOME(DR_WRITE, 0, 6, "DR write", UNKNOWN, 0, decode_unknown),
	SOME(DR_WRITE, 7, 7, "DR7 write", DR, 3, NULL),
	SOME(DR_WRITE, 8, 15, "DR write", UNKNOWN, 0, decode_unknown),
	EXCEPTIONS(0, VECTOR_DB - 1),
	EXCEPTION(VECTOR_DB, "#DB", svm_exit_db),
	EXCEPTIONS(VECTOR_DB + 1, VECTOR_AC - 1),
	EXCEPTION(VECTOR_AC, "#AC", svm_exit_ac),
	EXCEPTION(VECTOR_MC, "#MC", decode_machine_check),
	EXCEPTIONS(VECTOR_MC + 1, 31),
	ROW(INTR, "INTR", INTERRUPT, 0, decode_host_event),
	ROW(NMI, "NMI", INTERRUPT, 0, decode_host_event),
	ROW(SMI, "SMI", INTERRUPT, 0, decode_host_event),
	ROW(INIT, "INIT", INTERRUPT, 0, decode_host_event),
	ROW(VINTR, "VINTR", IRQ_WINDOW, 0, svm_exit_vintr),
	ROW(CR0_SEL_WRITE, "CR0 selective write", CR, 3, decode_cr0_write),
	NOT_USED(IDTR_READ, "IDTR read"),
	NOT_USED(GDTR_READ, "GDTR read"),
	NOT_USED(LDTR_READ, "LDTR read"),
	NOT_USED(TR_READ, "TR read"),
	NOT_USED(IDTR_WRITE, "IDTR write"),
	NOT_USED(GDTR_WRITE, "GDTR write"),
	NOT_USED(LDTR_WRITE, "LDTR write"),
	NOT_USED(TR_WRITE, "TR write"),
	ROW(RDTSC, "RDTSC", TSC, 2, NULL),
	ROW(RDPMC, "RDPMC", INTERRUPT, 0, svm_exit_rdpmc),
	NOT_USED(PUSHF, "PUSHF"),
	NOT_USED(POPF, "POPF"),
	ROW(CPUID, "CPUID", CPUID, 2, NULL),
	NOT_USED(RSM, "RSM"),
	ROW(IRET, "IRET", INTERRUPT, 0, svm_exit_iret),
	NOT_USED(SWINT, "INT n"),
	ROW(INVD, "INVD", CACHE, 2, NULL),
	ROW(PAUSE, "PAUSE", PAUSE, 2, NULL),
	ROW(HLT, "HLT", HLT, 1, NULL),
	NOT_USED(INVLPG, "INVLPG"),
	ROW(INVLPGA, "INVLPGA", VIRT_INSN, 0, NULL),
	ROW(IOIO, "IOIO", PIO, 0, decode_pio),
	ROW(MSR, "MSR", MSR_READ, 2, decode_msr),
	ROW(TASK_SWITCH, "task switch", TASK_SWITCH, 0, decode_task),
	NOT_USED(FERR_FREEZE, "FERR freeze"),
	ROW(SHUTDOWN, "shutdown", SHUTDOWN, 0, NULL),
	ROW(VMRUN, "VMRUN", VIRT_INSN, 0, NULL),
	ROW(VMMCALL, "VMMCALL", HYPERCALL, 3, NULL),
	ROW(VMLOAD, "VMLOAD", VIRT_INSN, 0, NULL),
	ROW(VMSAVE, "VMSAVE", VIRT_INSN, 0, NULL),
	ROW(STGI, "STGI", VIRT_INSN, 0, NULL),
	ROW(CLGI, "CLGI", VIRT_INSN, 0, NULL),
	ROW(SKINIT, "SKINIT", VIRT_INSN, 0, NULL),
	ROW(RDTSCP, "RDTSCP", VIRT_INSN, 0, NULL),
	NOT_USED(ICEBP, "ICEBP"),
	ROW(WBINVD, "WBINVD", CACHE, 2, NULL),
	ROW(MONITOR, "MONITOR", VIRT_INSN, 0, NULL),
	ROW(MWAIT, "MWAIT", VIRT_INSN, 0, NULL),
	ROW(MWAIT_ARMED, "MWAIT armed", VIRT_INSN, 0, NULL),
	ROW(XSETBV, "XSETBV", XSETBV, 3, NULL),
	ROW(RDPRU, "RDPRU", VIRT_INSN, 0, NULL),
	NOT_USED(EFER_WRITE_TRAP, "EFER write trap"),
	SIXTEEN(CR_WRITE_TRAP, "CR write trap", UNKNOWN, 0, decode_unknown),
	ROW(INVLPGB, "INVLPGB", VIRT_INSN, 0, NULL),
	ROW(INVLPGB_ILLEGAL, "INVLPGB illegal", VIRT_INSN, 0, NULL),
	ROW(INVPCID, "INVPCID", VIRT_INSN, 0, NULL),
	ROW(MCOMMIT, "MCOMMIT", VIRT_INSN, 0, NULL),
	ROW(TLBSYNC, "TLBSYNC", VIRT_INSN, 0, NULL),
	NOT_USED(BUSLOCK, "bus lock"),
	NOT_USED(IDLE_HLT, "idle HLT"),
};

#define HIGH(code, title, why, decoder)                                                        \
	[SVM_EXIT_##code - SVM_EXIT_NPF] = {HV_EXIT_##why, 0, HV_EXIT_##why == HV_EXIT_STAGE2, \
					    decoder, title}

const struct svm_exit_row svm_exits_high[SVM_EXIT_HIGH_END - SVM_EXIT_NPF] = {
	HIGH(NPF, "#NPF", STAGE2, decode_npf),
	HIGH(AVIC_INCOMPLETE_IPI, "AVIC incomplete IPI", UNKNOWN, decode_unknown),
	HIGH(AVIC_NOACCEL, "AVIC no acceleration", UNKNOWN, decode_unknown),
	HIGH(VMGEXIT, "VMGEXIT", UNKNOWN, decode_unknown),
};

const struct svm_exit_row svm_exit_invalid = {HV_EXIT_ENTRY_FAILED, 0, false, decode_invalid,
					      "invalid guest state"};
const struct svm_exit_row svm_exit_unknown = {HV_EXIT_UNKNOWN, 0, false, decode_unknown,
					      "no such code"};

const struct svm_exit_row *svm_exit_row(u64 code)
{
	if (code < ARRAY_SIZE(svm_exits_low))
		return &svm_exits_low[code];
	if (code - SVM_EXIT_NPF < ARRAY_SIZE(svm_exits_high))
		return &svm_exits_high[code - SVM_EXIT_NPF];
	/* QEMU 7.2 writes 32 bits of the -1. */
	if ((u32)code == SVM_EXIT_INVALID)
		return &svm_exit_invalid;
	return &svm_exit_unknown;
}

void svm_exit_decode(struct svm_vcpu *svm, struct hv_exit *exit)
{
	u64 code = svm->vmcb.control.exit_code;

	/* The most frequent one by a constant row: its decoder is inlined. */
	if (likely(code == SVM_EXIT_NPF))
		svm_exit_by_row(svm, &svm_exits_high[0], code, exit);
	else
		svm_exit_by_row(svm, svm_exit_row(code), code, exit);
}
