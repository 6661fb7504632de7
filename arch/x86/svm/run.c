/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: one run of a guest: in, out, and past the instruction that exited.
 *
 * Every exit takes this path, so it holds nothing that can be done at load or put. What is left:
 *
 *     - the general registers, which VMRUN does not switch, but for RAX and RSP;
 *     - VMLOAD and VMSAVE of the guest and VMLOAD of the host: the hypervisor needs its own GS
 * 	 (per-CPU data) and TR (stacks of NMI, #DF, #MC) before its next C line. The host's VMSAVE is
 * 	 spared: what it saves never changes;
 *     - CLGI and STGI: between them no interrupt or NMI can find half-switched state. Interrupts are
 * 	 on (IF) inside, because with V_INTR_MASKING the host's IF decides whether one ends the guest
 * 	 (APM 15.21.1); they are off again before STGI;
 *     - RAX between the VMCB and struct arch_vcpu. RIP, RSP and RFLAGS stay in the VMCB.
 *
 * The FPU, DR0-3 and XCR0 stay the guest's until vcpu_put. The APIC timer is programmed when the
 * deadline changes, not at each entry.
 */
#include <arch/cpu.h>
#include <asm/apic.h>
#include <asm/percpu.h>
#include <asm/regs.h>
#include <lib/log.h>
#include "svm.h"

/* The registers but for RAX, RSP and RDI, each with its place in gpr[]; RDI has the vCPU. */
#define GUEST_REGISTERS(op)                                                                    \
	op(rcx, 1) op(rdx, 2) op(rbx, 3) op(rbp, 5) op(rsi, 6) op(r8, 8) op(r9, 9) op(r10, 10) \
		op(r11, 11) op(r12, 12) op(r13, 13) op(r14, 14) op(r15, 15)
#define LOAD(name, place)  "mov 8*" #place "(%%rdi), %%" #name "\n\t"
#define STORE(name, place) "mov %%" #name ", 8*" #place "(%%rax)\n\t"

_Static_assert(offsetof(struct arch_vcpu, gpr) == 0 && GPR_RCX == 1 && GPR_RBX == 3 &&
		       GPR_RDI == 7 && GPR_R15 == 15,
	       "the registers have these places");

/*
 * Into the guest and out of it; returns the exit code. GIF is set and interrupts are off, before
 * and after. The callee-saved registers are saved here and not by the compiler, which keeps nothing
 * around the guest: an exit reloads them from the stack at once, and only the others have to be
 * cleared. Inline, as a call would cost each exit two instructions.
 */
static __always_inline u64 svm_enter(struct arch_vcpu *vcpu, struct svm_vcpu **svm,
				     struct hv_exit **exit)
{
	u64 guest = (*svm)->vmcb_pa.raw, code;

	asm volatile(".irp r, rbp, rbx, r12, r13, r14, r15, rdx, rdi\n\t"
		     "push %%\\r\n\t"
		     ".endr\n\t"
		     "clgi\n\t"
		     "sti\n\t"
		     "vmload %%rax\n\t" /* clang-format off */
		     GUEST_REGISTERS(LOAD) /* clang-format on */
		     "mov 8*7(%%rdi), %%rdi\n\t"
		     "vmrun %%rax\n\t"
		     "vmsave %%rax\n\t"
		     "pop %%rax\n\t" /* clang-format off */
		     GUEST_REGISTERS(STORE) /* clang-format on */
		     "mov %%rdi, 8*7(%%rax)\n\t"
		     "mov %c[backend](%%rax), %%rdi\n\t" /* RDI and RCX are loaded: no clear */
		     "mov %c[rax](%%rdi), %%rcx\n\t"
		     "mov %%rcx, (%%rax)\n\t"
		     "mov %c[host_vmcb](%%rdi), %%rax\n\t"
		     "vmload %%rax\n\t"
		     "mov %c[exit_code](%%rdi), %%rcx\n\t"
		     /* no guest value is left to speculate with */
		     ".irp r, esi, r8d, r9d, r10d, r11d\n\t"
		     "xor %%\\r, %%\\r\n\t"
		     ".endr\n\t"
		     ".irp r, rdx, r15, r14, r13, r12, rbx, rbp\n\t"
		     "pop %%\\r\n\t"
		     ".endr\n\t"
		     "cli\n\t"
		     "stgi"
		     : "+a"(guest), "+D"(vcpu), "=c"(code), "+d"(*exit)
		     : [backend] "i"(offsetof(struct arch_vcpu, backend)),
		       [rax] "i"(offsetof(struct svm_vcpu, vmcb.save.rax)),
		       [host_vmcb] "i"(offsetof(struct svm_vcpu, host_vmcb)),
		       [exit_code] "i"(offsetof(struct svm_vcpu, vmcb.control.exit_code))
		     : "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
	*svm = (struct svm_vcpu *)vcpu;
	return code;
}

/*
 * Another deadline than last time. Interrupts are off, so it is armed when svm_run() looks again.
 */
static __cold void svm_arm_and_run(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit)
{
	if (deadline == TICK_NEVER)
		apic_timer_disarm();
	else
		apic_timer_arm(deadline);
	svm_of(vcpu)->cpu->deadline = deadline;
	svm_run(vcpu, deadline, exit);
}

/* The exit interrupted the delivery of an event. */
static __cold void svm_exit_delivering(struct svm_vcpu *svm, struct hv_exit *exit)
{
	svm_event_requeue(svm);
	svm_exit_decode(svm, exit);
}

void svm_run(struct arch_vcpu *vcpu, u64 deadline, struct hv_exit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	u64 code;

	if (unlikely(!percpu_timer_armed_for(deadline)))
		return svm_arm_and_run(vcpu, deadline, exit);
	svm->vmcb.save.rax = vcpu->gpr[GPR_RAX];
	code = svm_enter(vcpu, &svm, &exit);
	svm->vmcb.control.tlb_control = TLB_FLUSH_NONE;
	svm->vmcb.control.clean = CLEAN_ALL;
	if (unlikely(svm->vmcb.control.exit_int_info & EVENT_VALID))
		return svm_exit_delivering(svm, exit);
	if (unlikely(code >= SVM_EXIT_LOW_END))
		return svm_exit_decode(svm, exit);
	svm_exit_by_row(svm, &svm_exits_low[code], code, exit);
}

/* Outside 64-bit mode RIP has 32 bits. */
static u64 svm_wrap_rip(const struct svm_vcpu *svm, u64 rip)
{
	const struct vmcb_save *save = &svm->vmcb.save;

	return save->efer & EFER_LMA && save->cs.attrib & VMCB_SEG_LONG ? rip : (u32)rip;
}

/* The length is in the VMCB (IN, OUT, and all with NRIPS), or insn.c reads the code. */
static u64 svm_insn_len(struct svm_vcpu *svm, const struct hv_exit *exit, u64 rip)
{
	u64 next = svm->vmcb.control.next_rip;

	if (next)
		return next - rip;
	return exit->insn_exact ? exit->insn_len : svm_insn_measure(svm, exit);
}

static __cold void svm_skip_slowly(struct svm_vcpu *svm, const struct hv_exit *exit)
{
	struct vmcb_save *save = &svm->vmcb.save;

	save->rip = svm_wrap_rip(svm, save->rip + svm_insn_len(svm, exit, save->rip));
	svm->vmcb.control.interrupt_shadow = 0;
	save->rflags &= ~RFLAGS_RF;
	if (save->rflags & RFLAGS_TF)
		svm_single_step(svm);
}

/* Prefixes that insn.c has seen at this RIP and CR3, or NULL; never any on a CPU with NRIPS. */
static __always_inline const struct insn_prefixes *svm_known_insn(const struct svm_vcpu *svm,
								  u64 rip)
{
	u64 at = rip % INSN_CACHE * sizeof(struct insn_prefixes);
	const struct insn_prefixes *known = (const void *)((const u8 *)svm->insn + at);

	return known->rip == rip && known->cr3 == svm->vmcb.save.cr3 ? known : NULL;
}

/* The length is in the VMCB. False: it is not, or a 32-bit RIP wraps. */
static __always_inline bool svm_next_rip(const struct svm_vcpu *svm, const struct hv_exit *exit,
					 u64 rip, u64 *next)
{
	*next = svm->vmcb.control.next_rip;
	if (!*next && !exit->insn_exact)
		return false;
	if (!*next)
		*next = rip + exit->insn_len;
	return (u32)*next >= (u32)rip;
}

/*
 * The common case without a call: a known length, no tracing. With known prefixes no RIP wraps.
 */
void svm_skip_insn(struct arch_vcpu *vcpu, const struct hv_exit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb_save *save = &svm->vmcb.save;
	const struct insn_prefixes *known;
	u64 rip = save->rip, next;

	if (likely(!exit->insn_exact) && likely((known = svm_known_insn(svm, rip)) != NULL))
		next = rip + exit->insn_len + known->count;
	else if (unlikely(!svm_next_rip(svm, exit, rip, &next)))
		return svm_skip_slowly(svm, exit);
	if (unlikely(save->rflags & (RFLAGS_TF | RFLAGS_RF)))
		return svm_skip_slowly(svm, exit);
	save->rip = next;
	svm->vmcb.control.interrupt_shadow = 0;
}
