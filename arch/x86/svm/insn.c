/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.c: length and operands of the instruction that exited, on CPUs that do not report them.
 *
 * With NRIPS the VMCB holds the address of the next instruction, with decode assists the
 * register of a MOV to CR and the segment of a string I/O. QEMU's TCG has neither. Most of what is
 * intercepted has one length, but a redundant prefix makes it longer, and skipping too little would
 * run the guest from the middle of an instruction. So the bytes are read through hv's fetch.
 *
 * Reading takes a walk of the guest's page tables, far more than the rest of an exit, and an
 * instruction that exits once will exit again. So the number of prefixes is remembered by RIP and
 * CR3. It is the number of prefixes, not the length: new code in an old place then goes wrong only
 * if it, too, has redundant prefixes or follows one that had; and it harms only the guest itself.
 */
#include <arch/virt.h>
#include <asm/msr.h>
#include <asm/regs.h>
#include <lib/error.h>
#include "svm.h"

#define INSN_MAX 15
#define CR_NONE	 0xff /* no such register: write_cr() refuses it */

#define OPCODE_TWO_BYTES 0x0f
#define OPCODE_LMSW	 0x01 /* after 0F */
#define OPCODE_RDTSCP	 0x01 /* after 0F; then F9 */
#define OPCODE_MOV_CR	 0x20
#define OPCODE_MOV_TO_CR 0x22
#define OPCODE_MOV_DR	 0x21
#define OPCODE_MOV_TO_DR 0x23
#define OPCODE_HLT	 0xf4
#define OPCODE_CALL_FAR	 0x9a
#define OPCODE_JMP_FAR	 0xea
#define OPCODE_GROUP_5	 0xff /* CALL and JMP by a pointer in memory */
#define OPCODE_INT	 0xcd

struct insn {
	u8 bytes[INSN_MAX];
	unsigned count;	 /* bytes that could be read */
	unsigned opcode; /* where the opcode is: after prefixes and REX */
	bool operand_prefix, address_prefix;
	u8 rex;
};

/* A general register; RSP and RAX are in the VMCB, RAX until it is entered. */
static u64 *svm_gpr(struct svm_vcpu *svm, unsigned gpr)
{
	return gpr == GPR_RSP ? &svm->vmcb.save.rsp : &svm->vcpu->gpr[gpr];
}

static bool insn_in_long_mode(const struct svm_vcpu *svm)
{
	const struct vmcb_save *save = &svm->vmcb.save;

	return save->efer & EFER_LMA && save->cs.attrib & VMCB_SEG_LONG;
}

/* A legacy prefix (APM vol. 3, 1.2). */
static bool insn_is_prefix(u8 byte)
{
	return (byte & 0xe7) == 0x26 || (byte & 0xfc) == 0x64 || byte == 0xf0 || byte == 0xf2 ||
	       byte == 0xf3;
}

static void insn_read(struct svm_vcpu *svm, struct insn *insn)
{
	bool long_mode = insn_in_long_mode(svm);
	u64 base = long_mode ? 0 : svm->vmcb.save.cs.base;
	u64 linear = base + svm->vmcb.save.rip;
	unsigned i = 0;

	*insn = (struct insn){0};
	if (!long_mode)
		linear = (u32)linear;
	if (svm->fetch)
		insn->count = svm->fetch(svm->vcpu, (struct gva){linear}, insn->bytes, INSN_MAX);
	for (; i < insn->count && insn_is_prefix(insn->bytes[i]); i++) {
		insn->operand_prefix |= insn->bytes[i] == 0x66;
		insn->address_prefix |= insn->bytes[i] == 0x67;
	}
	if (long_mode && i < insn->count && (insn->bytes[i] & 0xf0) == 0x40)
		insn->rex = insn->bytes[i++];
	insn->opcode = i;
}

void svm_insn_init(struct svm_vcpu *svm)
{
	for (unsigned i = 0; i < INSN_CACHE; i++)
		svm->insn[i].rip = INSN_NOWHERE;
}

/* 0F 01 F9. QEMU's TCG lets it exit as an RDTSC, which is 0F 31. */
static bool is_rdtscp(const struct insn *insn)
{
	return insn->opcode + 1 < insn->count && insn->bytes[insn->opcode] == OPCODE_TWO_BYTES &&
	       insn->bytes[insn->opcode + 1] == OPCODE_RDTSCP;
}

/*
 * Returns the length. PAUSE's own F3 is in its shortest length already; RDTSCP is an RDTSC with one
 * byte more, which counts as one more prefix.
 */
unsigned svm_insn_measure(struct svm_vcpu *svm, const struct hv_exit *exit)
{
	u64 rip = svm->vmcb.save.rip;
	struct insn insn;

	insn_read(svm, &insn);
	if (exit->reason == HV_EXIT_PAUSE && insn.opcode > 0)
		insn.opcode--;
	if (exit->reason == HV_EXIT_TSC && is_rdtscp(&insn))
		insn.opcode++;
	if (insn.opcode + exit->insn_len > INSN_MAX)
		insn.opcode = 0;
	if ((u32)rip <= ~0u - 2 * INSN_MAX) /* svm_skip_insn() wraps no 32-bit RIP */
		svm->insn[rip % INSN_CACHE] =
			(struct insn_prefixes){rip, svm->vmcb.save.cr3, insn.opcode, 0};
	return insn.opcode + exit->insn_len;
}

/* LMSW, 0F 01 /6, changes PE, MP, EM and TS, and cannot clear PE (APM vol. 3). */
static void complete_lmsw(struct svm_vcpu *svm, struct hv_exit *exit, const struct insn *insn)
{
	u8 modrm = insn->bytes[insn->opcode + 2];
	u64 old = svm->vmcb.save.cr0, bits = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
	u64 source = svm->vcpu->gpr[(modrm & 7) | (insn->rex & 1) << 3];

	if (modrm >> 6 != 3) {
		exit->cr.cr = CR_NONE; /* from memory: not supported; #GP(0) */
		return;
	}
	exit->cr.has_value = true;
	exit->cr.value = (old & ~bits) | (source & bits) | (old & CR0_PE);
}

/*
 * MOV to CR is 0F 22 /r, from CR 0F 20 /r: the register is ModRM's r/m, with REX.B above it. Code
 * that another vCPU has taken away or rewritten in the meantime gets a #GP(0).
 */
static void complete_cr(struct svm_vcpu *svm, struct hv_exit *exit)
{
	struct insn insn;

	if (exit->raw.info1 & CR_EXIT_MOV)
		return;
	insn_read(svm, &insn);
	if (insn.opcode + 2 >= insn.count || insn.bytes[insn.opcode] != OPCODE_TWO_BYTES)
		exit->cr.cr = CR_NONE;
	else if (insn.bytes[insn.opcode + 1] == (exit->cr.write ? OPCODE_MOV_TO_CR : OPCODE_MOV_CR))
		exit->cr.gpr = (u8)((insn.bytes[insn.opcode + 2] & 7) | (insn.rex & 1) << 3);
	else if (insn.bytes[insn.opcode + 1] == OPCODE_LMSW)
		complete_lmsw(svm, exit, &insn);
	else
		exit->cr.cr = CR_NONE;
}

/* An RDTSCP that exited as RDTSC also loads RCX. */
static void complete_tsc(struct svm_vcpu *svm)
{
	struct insn insn;

	insn_read(svm, &insn);
	if (is_rdtscp(&insn))
		svm->vcpu->gpr[GPR_RCX] = (u32)rdmsr(MSR_TSC_AUX);
}

/*
 * MOV to and from DR7 (0F 23 /r, 0F 21 /r) where a breakpoint must not reach the CPU: the guest
 * reads what it wrote, and nothing hits. Other code than at the exit, or a reserved upper half:
 * #GP(0).
 */
static void complete_dr(struct svm_vcpu *svm, struct hv_exit *exit)
{
	bool write = exit->raw.reason >= SVM_EXIT_DR_WRITE, wide = insn_in_long_mode(svm);
	struct insn insn;
	u64 *gpr;

	exit->reason = HV_EXIT_UNKNOWN;
	insn_read(svm, &insn);
	if (insn.opcode + 2 >= insn.count || insn.bytes[insn.opcode] != OPCODE_TWO_BYTES ||
	    insn.bytes[insn.opcode + 1] != (write ? OPCODE_MOV_TO_DR : OPCODE_MOV_DR))
		return;
	gpr = svm_gpr(svm, (insn.bytes[insn.opcode + 2] & 7) | (insn.rex & 1) << 3);
	if (write && wide && *gpr >> 32)
		return;
	if (write)
		svm->dr7 = (u32)*gpr | DR7_RESET;
	else
		*gpr = svm->dr7;
	exit->reason = HV_EXIT_DR;
}

/* An event that is queued comes before the HLT; outside CPL 0 the HLT is a #GP. */
static void complete_shadow(struct svm_vcpu *svm, struct hv_exit *exit)
{
	struct insn insn;

	exit->reason = HV_EXIT_TIMESLICE;
	if (svm_event_is_queued(svm) || svm->vmcb.save.cpl != 0)
		return;
	insn_read(svm, &insn);
	if (insn.opcode >= insn.count || insn.bytes[insn.opcode] != OPCODE_HLT)
		return;
	exit->reason = HV_EXIT_HLT;
	exit->insn_len = 1;
}

/* Bytes of ModRM, SIB and displacement at `at` (APM vol. 3, 1.4). */
static unsigned modrm_length(const struct insn *insn, unsigned at, bool wide)
{
	u8 modrm = insn->bytes[at], sib = insn->bytes[at + 1];
	unsigned mod = modrm >> 6, rm = modrm & 7;

	if (mod == 3)
		return 1;
	if (!wide)
		return mod == 1 ? 2 : mod == 2 || rm == 6 ? 3 : 1;
	if (mod == 0 && rm == 4)
		return (sib & 7) == 5 ? 6 : 2;
	if (mod == 0)
		return rm == 5 ? 5 : 1;
	return 1 + (rm == 4) + (mod == 1 ? 1 : 4);
}

/* Behind its prefixes; 1 for IRET, INT3, INTO and ICEBP. No task switches in 64-bit code. */
static unsigned switch_length(const struct insn *insn, bool code_32)
{
	switch (insn->bytes[insn->opcode]) {
	case OPCODE_CALL_FAR:
	case OPCODE_JMP_FAR:
		return code_32 != insn->operand_prefix ? 7 : 5;
	case OPCODE_GROUP_5:
		return 1 + modrm_length(insn, insn->opcode + 1, code_32 != insn->address_prefix);
	case OPCODE_INT:
		return 2;
	default:
		return 1;
	}
}

/* By an instruction, unless an event came by a task gate that is not INT n, INT3 or INTO. */
static bool insn_switches(const struct svm_vcpu *svm, const struct hv_exit *exit)
{
	return exit->task.source != TASK_GATE || !(svm->vmcb.control.event_inj & EVENT_VALID);
}

/* The address behind the instruction, which the old task's TSS takes. */
static void complete_task(struct svm_vcpu *svm, struct hv_exit *exit)
{
	bool code_32 = svm->vmcb.save.cs.attrib & VMCB_SEG_BIG;
	struct insn insn;

	if (!insn_switches(svm, exit))
		return;
	insn_read(svm, &insn);
	if (insn.opcode + 2 < INSN_MAX)
		exit->insn_len = (u8)(insn.opcode + switch_length(&insn, code_32));
}

void svm_complete_exit(struct arch_vcpu *vcpu, struct hv_exit *exit)
{
	if (exit->reason == HV_EXIT_CR)
		complete_cr(svm_of(vcpu), exit);
	else if (exit->reason == HV_EXIT_TSC)
		complete_tsc(svm_of(vcpu));
	else if (exit->reason == HV_EXIT_DR)
		complete_dr(svm_of(vcpu), exit);
	else if (exit->reason == HV_EXIT_SHADOW)
		complete_shadow(svm_of(vcpu), exit);
	else if (exit->reason == HV_EXIT_TASK_SWITCH)
		complete_task(svm_of(vcpu), exit);
}
