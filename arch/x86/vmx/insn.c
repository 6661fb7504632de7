/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.c: the code that the guest is at, and skipping an instruction.
 */
#include "vmx.h"
#include <asm/guest.h>
#include <asm/regs.h>

#define CODE_64 BIT(1) /* a guest_code.mode that no legacy mode has */

static __always_inline bool in_64_bit_code(void)
{
	return (vmcs_read(VMCS_ENTRY_CONTROLS) & ON_ENTRY_GUEST_64) &&
	       (vmcs_read(VMCS_GUEST_CS_ATTR) & SEG_ATTR_L);
}

bool vmx_in_64_bit_code(void)
{
	return in_64_bit_code();
}

/*
 * The trap of an instruction that was skipped with TF set. Queued as an event and not as a pending
 * debug exception: an entry that injects an interrupt would drop the latter (27.7.3), and the trap
 * of a HLT comes before the interrupt that ends it (SDM vol. 3A table 6-2).
 */
static void queue_single_step(struct vmx_vcpu *v)
{
	if (v->event)
		return;
	write_dr6(read_dr6() | DR6_BS);
	vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~DR7_GD);
	vmx_queue_event(v, EVENT_TYPE_HARD | VECTOR_DB, 0, 0);
}

/*
 * The shadow of STI and MOV SS ends with the instruction, RF too, and with TF a #DB follows. Length
 * 0 is a CR write that the guest executes again (cr.c): no step is due.
 */
static __cold void skip_slowly(struct vmx_vcpu *v, unsigned length)
{
	u64 rip = vmcs_read(VMCS_GUEST_RIP) + length, rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	u32 shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	vmcs_write(VMCS_GUEST_RIP, in_64_bit_code() ? rip : (u32)rip);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, shadow & ~EXT_SHADOWS);
	if (!length)
		return;
	vmcs_write(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	if (rflags & RFLAGS_TF)
		queue_single_step(v);
}

/* The common case without a call: no shadow, no tracing, no wrap of a 32-bit RIP. */
static __always_inline void skip(struct arch_vcpu *vcpu, u64 rip, unsigned length)
{
	u64 next = rip + length, rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	u32 shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	if (unlikely((u32)next < (u32)rip || shadow & EXT_SHADOWS ||
		     rflags & (RFLAGS_TF | RFLAGS_RF)))
		skip_slowly(vmx_of(vcpu), length);
	else
		vmcs_write(VMCS_GUEST_RIP, next);
}

void vmx_skip_insn(struct arch_vcpu *vcpu, const struct hv_exit *exit)
{
	skip(vcpu, vmcs_read(VMCS_GUEST_RIP), exit->insn_len);
}

/* CR0 and CR4 as the CPU has them: of these bits, the guest's. */
static u64 legacy_mode(void)
{
	return (vmcs_read(VMCS_GUEST_CR0) & (CR0_PE | CR0_PG)) |
	       (vmcs_read(VMCS_GUEST_CR4) & (CR4_PSE | CR4_PAE)) |
	       (vmcs_read(VMCS_GUEST_EFER) & EFER_LMA) |
	       (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_VM) |
	       (vmcs_read(VMCS_GUEST_CS_ATTR) & (SEG_ATTR_L | SEG_ATTR_DB)) << 32;
}

/* 64-bit code implies all else of its mode, and CS has no base there: SDM vol. 3A, 2.2.1, 5.2.1. */
void vmx_get_code(struct arch_vcpu *vcpu, struct guest_code *code)
{
	bool wide = in_64_bit_code();

	code->rip = vmcs_read(VMCS_GUEST_RIP);
	code->cr3 = vmcs_read(VMCS_GUEST_CR3);
	code->mode = wide ? CODE_64 : legacy_mode();
	code->base = wide ? 0 : vmcs_read(VMCS_GUEST_CS_BASE);
}

static __noinline bool skip_legacy_code(struct arch_vcpu *vcpu, const struct guest_code *code,
					const struct hv_exit *exit)
{
	if (legacy_mode() != code->mode || vmcs_read(VMCS_GUEST_CS_BASE) != code->base)
		return false;
	vmx_skip_insn(vcpu, exit);
	return true;
}

bool vmx_skip_code(struct arch_vcpu *vcpu, const struct guest_code *code,
		   const struct hv_exit *exit)
{
	if (vmcs_read(VMCS_GUEST_RIP) != code->rip || vmcs_read(VMCS_GUEST_CR3) != code->cr3)
		return false;
	if (unlikely(code->mode != CODE_64))
		return skip_legacy_code(vcpu, code, exit);
	if (!in_64_bit_code())
		return false;
	skip(vcpu, code->rip, exit->insn_len);
	return true;
}
