/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c: the slow view of a vCPU: all of its registers in and out, and the dump.
 */
#define LOG_THIS LOG_VMX

#include "check.h"
#include "vmx.h"
#include <asm/cpuid.h>
#include <asm/guest.h>
#include <asm/msr.h>
#include <asm/regs.h>
#include <lib/error.h>
#include <lib/log.h>

#define PENDING_DEBUG_BS BIT(14)

/* The registers that a VMCS field holds as they are. */
static const struct {
	u16 offset;
	u16 field;
} plain[] = {
	{offsetof(struct guest_state, rip), VMCS_GUEST_RIP},
	{offsetof(struct guest_state, rflags), VMCS_GUEST_RFLAGS},
	{offsetof(struct guest_state, cr3), VMCS_GUEST_CR3},
	{offsetof(struct guest_state, efer), VMCS_GUEST_EFER},
	{offsetof(struct guest_state, dr7), VMCS_GUEST_DR7},
	{offsetof(struct guest_state, pat), VMCS_GUEST_PAT},
	{offsetof(struct guest_state, sysenter_cs), VMCS_GUEST_SYSENTER_CS},
	{offsetof(struct guest_state, sysenter_esp), VMCS_GUEST_SYSENTER_ESP},
	{offsetof(struct guest_state, sysenter_eip), VMCS_GUEST_SYSENTER_EIP},
	{offsetof(struct guest_state, gdtr.base), VMCS_GUEST_GDTR_BASE},
	{offsetof(struct guest_state, idtr.base), VMCS_GUEST_IDTR_BASE},
};

/* Those that load and put move, in the order of enum vmx_switched_msr. */
static const u16 switched[] = {
	[SW_STAR] = offsetof(struct guest_state, star),
	[SW_LSTAR] = offsetof(struct guest_state, lstar),
	[SW_CSTAR] = offsetof(struct guest_state, cstar),
	[SW_SFMASK] = offsetof(struct guest_state, sfmask),
	[SW_KERNEL_GS_BASE] = offsetof(struct guest_state, kernel_gs_base),
};
static const u32 switched_index[] = {
	[SW_STAR] = MSR_STAR,
	[SW_LSTAR] = MSR_LSTAR,
	[SW_CSTAR] = MSR_CSTAR,
	[SW_SFMASK] = MSR_SFMASK,
	[SW_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
};

/* Segment i's fields are 2 * i after ES's, in enum guest_segment's order. */
_Static_assert(VMCS_GUEST_TR_SELECTOR == VMCS_GUEST_ES_SELECTOR + 2 * SEG_TR, "selectors");
_Static_assert(VMCS_GUEST_TR_LIMIT == VMCS_GUEST_ES_LIMIT + 2 * SEG_TR, "limits");
_Static_assert(VMCS_GUEST_LDTR_ATTR == VMCS_GUEST_ES_ATTR + 2 * SEG_LDTR, "attributes");
_Static_assert(VMCS_GUEST_LDTR_BASE == VMCS_GUEST_ES_BASE + 2 * SEG_LDTR, "bases");

static u64 *at(struct guest_state *s, u16 offset)
{
	return (u64 *)((char *)s + offset);
}

static u64 value_at(const struct guest_state *s, u16 offset)
{
	return *(const u64 *)((const char *)s + offset);
}

static void read_segment(unsigned i, struct guest_segment_state *seg)
{
	seg->selector = vmcs_read(VMCS_GUEST_ES_SELECTOR + 2 * i);
	seg->limit = vmcs_read(VMCS_GUEST_ES_LIMIT + 2 * i);
	seg->attr = vmcs_read(VMCS_GUEST_ES_ATTR + 2 * i);
	seg->base = vmcs_read(VMCS_GUEST_ES_BASE + 2 * i);
}

static void write_segment(unsigned i, const struct guest_segment_state *seg)
{
	vmcs_write(VMCS_GUEST_ES_SELECTOR + 2 * i, seg->selector);
	vmcs_write(VMCS_GUEST_ES_LIMIT + 2 * i, seg->limit);
	vmcs_write(VMCS_GUEST_ES_ATTR + 2 * i, seg->attr);
	vmcs_write(VMCS_GUEST_ES_BASE + 2 * i, seg->base);
}

static void read_unswitched(struct vmx_vcpu *v, struct guest_state *s)
{
	for (unsigned i = 0; i < ARRAY_SIZE(switched); i++)
		*at(s, switched[i]) = v->loaded ? rdmsr(switched_index[i]) : v->msr[i];
	s->cr2 = v->loaded ? read_cr2() : v->cr2;
	s->dr6 = v->loaded ? read_dr6() : v->dr6;
}

static void write_unswitched(struct vmx_vcpu *v, const struct guest_state *s)
{
	for (unsigned i = 0; i < ARRAY_SIZE(switched); i++) {
		v->msr[i] = value_at(s, switched[i]);
		if (v->loaded)
			wrmsr(switched_index[i], v->msr[i]);
	}
	v->cr2 = s->cr2;
	v->dr6 = s->dr6;
	if (v->loaded) {
		write_cr2(s->cr2);
		write_dr6(s->dr6);
	}
}

/* PAE paging: the four PDPTEs, which the CPU reads from memory with MOV to CR3 only. */
static void read_pdptes(struct guest_state *s)
{
	for (unsigned i = 0; vmx_has_pdptes(s) && i < 4; i++)
		s->pdpte[i] = vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i);
}

static void write_pdptes(const struct guest_state *s)
{
	for (unsigned i = 0; vmx_has_pdptes(s) && i < 4; i++)
		vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, s->pdpte[i]);
}

u64 vmx_cr4(struct arch_vcpu *vcpu)
{
	return (vmcs_read(VMCS_GUEST_CR4) & CR4_GUEST & ~CR4_OWNED) |
	       (vmcs_read(VMCS_CR4_READ_SHADOW) & CR4_OWNED);
}

void vmx_get_state(struct arch_vcpu *vcpu, struct guest_state *s)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before = vmx_borrow(v);

	for (unsigned i = 0; i < ARRAY_SIZE(plain); i++)
		*at(s, plain[i].offset) = vmcs_read(plain[i].field);
	s->gdtr.limit = vmcs_read(VMCS_GUEST_GDTR_LIMIT);
	s->idtr.limit = vmcs_read(VMCS_GUEST_IDTR_LIMIT);
	s->cr0 = (vmcs_read(VMCS_GUEST_CR0) & ~CR0_OWNED) |
		 (vmcs_read(VMCS_CR0_READ_SHADOW) & CR0_OWNED);
	s->cr4 = vmx_cr4(vcpu);
	read_pdptes(s);
	for (unsigned i = 0; i < SEGS; i++)
		read_segment(i, &s->seg[i]);
	s->interruptibility = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	read_unswitched(v, s);
	vcpu->gpr[GPR_RSP] = vmcs_read(VMCS_GUEST_RSP);
	vcpu->rip = s->rip;
	vcpu->rflags = s->rflags;
	vmx_return(v, before);
}

/* Into the current VMCS; the state is valid. */
static void write_state(struct vmx_vcpu *v, const struct guest_state *s)
{
	u32 entry = vmcs_read(VMCS_ENTRY_CONTROLS) & ~ON_ENTRY_GUEST_64;
	bool step = (s->interruptibility & (GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS)) &&
		    (s->rflags & RFLAGS_TF);

	v->vcpu->rip = s->rip;
	v->vcpu->rflags = s->rflags;
	vmcs_write(VMCS_GUEST_RSP, v->vcpu->gpr[GPR_RSP]);
	for (unsigned i = 0; i < ARRAY_SIZE(plain); i++)
		vmcs_write(plain[i].field, value_at(s, plain[i].offset));
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, s->gdtr.limit);
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, s->idtr.limit);
	vmcs_write(VMCS_GUEST_CR0, (s->cr0 & ~CR0_OWNED) | CR0_NE | CR0_ET);
	vmcs_write(VMCS_CR0_READ_SHADOW, s->cr0 & CR0_OWNED);
	vmcs_write(VMCS_GUEST_CR4, s->cr4 | CR4_OWNED | vmx_caps.cr4_fixed0);
	vmcs_write(VMCS_CR4_READ_SHADOW, s->cr4 & CR4_OWNED);
	write_pdptes(s);
	vmcs_write(VMCS_ENTRY_CONTROLS, entry | (s->efer & EFER_LMA ? ON_ENTRY_GUEST_64 : 0));
	for (unsigned i = 0; i < SEGS; i++)
		write_segment(i, &s->seg[i]);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, s->interruptibility);
	vmcs_write(VMCS_GUEST_ACTIVITY, 0);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, step ? PENDING_DEBUG_BS : 0);
	write_unswitched(v, s);
}

static void current_limits(struct vmx_limits *limits)
{
	limits->cr4_allowed = CR4_GUEST & vmx_caps.cr4_fixed1;
	limits->physical_bits = cpuid_has_leaf(0x80000008) ? cpuid(0x80000008, 0).eax & 0xff : 36;
}

int vmx_set_state(struct arch_vcpu *vcpu, const struct guest_state *state)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before;
	struct vmx_limits limits;
	const char *broken;

	current_limits(&limits);
	broken = vmx_check_state(state, &limits);
	if (broken) {
		log_debug("set_state: %s", broken);
		return ERR_INVALID;
	}
	before = vmx_borrow(v);
	write_state(v, state);
	vmx_return(v, before);
	/*
	 * CR3 or CR0 may have changed under translations with our VPID, here or where it ran last.
	 */
	if (v->loaded)
		vmx_invvpid(INV_SINGLE, v->vpid);
	else
		v->cpu = NO_CPU;
	return 0;
}

void vmx_write_reset_state(struct vmx_vcpu *v)
{
	for (unsigned i = 0; i < GPRS; i++)
		v->vcpu->gpr[i] = 0;
	write_state(v, &guest_reset_state);
}

u64 *vmx_gpr(struct vmx_vcpu *v, unsigned gpr)
{
	if (gpr == GPR_RSP)
		v->vcpu->gpr[GPR_RSP] = vmcs_read(VMCS_GUEST_RSP);
	return &v->vcpu->gpr[gpr];
}

unsigned vmx_cpl(struct arch_vcpu *vcpu)
{
	/* SS.DPL is the CPL in every mode, also 0 in real and 3 in virtual-8086 mode (25.4.1). */
	return vmcs_read(VMCS_GUEST_SS_ATTR) >> 5 & 3;
}

void vmx_explain_entry_failure(struct vmx_vcpu *v, const struct hv_exit *exit)
{
	struct vmx_limits limits;
	struct guest_state state;
	const char *broken;

	log_error("VM entry failed: %s, qualification %lu", vmx_exit_info(exit->raw.reason)->name,
		  exit->raw.info1);
	current_limits(&limits);
	vmx_get_state(v->vcpu, &state);
	broken = vmx_check_state(&state, &limits);
	log_error("  rule broken: %s", broken ? broken : "none that is known here; see the dump");
}

const char *vmx_exit_name(u64 reason)
{
	return vmx_exit_info(reason)->name;
}

void vmx_dump(struct arch_vcpu *vcpu)
{
	struct vmx_vcpu *v = vmx_of(vcpu), *before = vmx_borrow(v);
	const u64 *r = vcpu->gpr;

	vcpu->gpr[GPR_RSP] = vmcs_read(VMCS_GUEST_RSP);
	for (unsigned i = 0; i < GPRS; i += 4)
		log_info("  gpr %2u.. %016lx %016lx %016lx %016lx", i, r[i], r[i + 1], r[i + 2],
			 r[i + 3]);
	log_info("  last exit: %s", vmx_exit_info(vmcs_read(VMCS_EXIT_REASON))->name);
	vmcs_dump();
	vmx_return(v, before);
}
