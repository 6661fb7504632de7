/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c: the slow view of a guest CPU: VMCB <-> struct guest_state, and what a state must be like
 * (AMD APM vol. 2, 15.5.1).
 *
 * What differs from the shared view: a segment's attributes are 12 bits without a gap, "unusable"
 * is a segment that is not present, EFER.SVME is always set for VMRUN and never shown, the two
 * kinds of interrupt shadow are one bit, and CPL is a field of its own.
 */
#include <asm/errata.h>
#include <asm/guest.h>
#include <asm/regs.h>
#include <lib/error.h>
#include "svm.h"

#define RFLAGS_RESERVED (BITS(63, 22) | BIT(15) | BIT(5) | BIT(3))

static const struct {
	u8 segment;
	u16 offset;
} segments[] = {
	{SEG_ES, offsetof(struct vmcb_save, es)},     {SEG_CS, offsetof(struct vmcb_save, cs)},
	{SEG_SS, offsetof(struct vmcb_save, ss)},     {SEG_DS, offsetof(struct vmcb_save, ds)},
	{SEG_FS, offsetof(struct vmcb_save, fs)},     {SEG_GS, offsetof(struct vmcb_save, gs)},
	{SEG_LDTR, offsetof(struct vmcb_save, ldtr)}, {SEG_TR, offsetof(struct vmcb_save, tr)},
};

_Static_assert(ARRAY_SIZE(segments) == SEGS, "a row for each segment");

static struct vmcb_segment *svm_segment(struct vmcb_save *save, unsigned row)
{
	return (struct vmcb_segment *)((char *)save + segments[row].offset);
}

static struct guest_segment_state segment_to_guest(const struct vmcb_segment *s)
{
	u32 attr = (s->attrib & 0xffu) | (s->attrib & 0xf00u) << 4;

	if (!(s->attrib & VMCB_SEG_PRESENT))
		attr |= SEG_ATTR_UNUSABLE;
	return (struct guest_segment_state){s->selector, s->limit, attr, s->base};
}

static struct vmcb_segment segment_from_guest(const struct guest_segment_state *s)
{
	u32 attr = (s->attr & 0xff) | (s->attr >> 4 & 0xf00);

	if (s->attr & SEG_ATTR_UNUSABLE)
		attr &= ~(u32)VMCB_SEG_PRESENT;
	return (struct vmcb_segment){s->selector, (u16)attr, s->limit, s->base};
}

/* The registers with one home in the VMCB and one in struct guest_state. */
#define SAVE_REGISTERS(X) \
	X(cr0)            \
	X(cr2)            \
	X(cr3)            \
	X(cr4)            \
	X(dr6)            \
	X(star)           \
	X(lstar) X(cstar) X(sfmask) X(kernel_gs_base) X(sysenter_cs) X(sysenter_esp) X(sysenter_eip)

void svm_get_state(struct arch_vcpu *vcpu, struct guest_state *state)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb_save *save = &svm->vmcb.save;

#define GET(name) state->name = save->name;
	SAVE_REGISTERS(GET)
#undef GET
	for (unsigned i = 0; i < SEGS; i++)
		state->seg[segments[i].segment] = segment_to_guest(svm_segment(save, i));
	state->rip = vcpu->rip = save->rip;
	state->rflags = vcpu->rflags = save->rflags;
	vcpu->gpr[GPR_RSP] = save->rsp;
	state->dr7 = errata.no_breakpoints ? svm->dr7 : save->dr7;
	state->efer = svm_efer(svm);
	state->pat = save->g_pat;
	state->gdtr.base = save->gdtr.base;
	state->gdtr.limit = save->gdtr.limit;
	state->idtr.base = save->idtr.base;
	state->idtr.limit = save->idtr.limit;
	state->interruptibility = svm->vmcb.control.interrupt_shadow & 1 ? GUEST_BLOCKED_BY_STI : 0;
	state->interruptibility |= svm->nmi_blocked ? GUEST_BLOCKED_BY_NMI : 0;
}

static bool bases_valid(const struct guest_state *s)
{
	const u64 addresses[] = {s->seg[SEG_FS].base,
				 s->seg[SEG_GS].base,
				 s->seg[SEG_LDTR].base,
				 s->seg[SEG_TR].base,
				 s->gdtr.base,
				 s->idtr.base,
				 s->kernel_gs_base,
				 s->lstar,
				 s->cstar,
				 s->sysenter_esp,
				 s->sysenter_eip};

	for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
		if (!guest_canonical(addresses[i]))
			return false;
	}
	for (unsigned i = SEG_ES; i <= SEG_DS; i++) {
		if (s->seg[i].base >> 32)
			return false;
	}
	return true;
}

static bool flags_valid(const struct guest_state *s)
{
	bool shadow_sti = s->interruptibility & GUEST_BLOCKED_BY_STI;

	if (!(s->rflags & RFLAGS_R1) || s->rflags & RFLAGS_RESERVED)
		return false;
	if (s->rflags & RFLAGS_VM && (s->efer & EFER_LMA || !(s->cr0 & CR0_PE)))
		return false;
	if (s->interruptibility &
	    ~(GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS | GUEST_BLOCKED_BY_NMI))
		return false;
	return !shadow_sti || s->rflags & RFLAGS_IF;
}

static bool rip_valid(const struct guest_state *s)
{
	if (s->efer & EFER_LMA && s->seg[SEG_CS].attr & SEG_ATTR_L)
		return guest_canonical(s->rip);
	return s->rip >> 32 == 0;
}

static bool state_valid(const struct guest_state *s)
{
	return svm_control_valid(s) && flags_valid(s) && rip_valid(s) && bases_valid(s) &&
	       guest_pat_valid(s->pat) && s->dr6 >> 32 == 0 && s->dr7 >> 32 == 0 &&
	       s->seg[SEG_CS].attr & SEG_ATTR_P && !(s->seg[SEG_CS].attr & SEG_ATTR_UNUSABLE);
}

static u8 state_cpl(const struct guest_state *s)
{
	if (!(s->cr0 & CR0_PE))
		return 0;
	return s->rflags & RFLAGS_VM ? 3 : (u8)SEG_ATTR_DPL(s->seg[SEG_SS].attr);
}

/* Do translations made under the old registers still hold? */
static bool same_translation(const struct svm_vcpu *svm, const struct guest_state *s)
{
	const struct vmcb_save *save = &svm->vmcb.save;

	return save->cr0 == s->cr0 && save->cr3 == s->cr3 && save->cr4 == s->cr4 &&
	       svm_efer(svm) == s->efer;
}

int svm_set_state(struct arch_vcpu *vcpu, const struct guest_state *state)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb_save *save = &svm->vmcb.save;

	if (!state_valid(state))
		return ERR_INVALID;
	if (!same_translation(svm, state))
		svm_drop_translations(svm);
#define SET(name) save->name = state->name;
	SAVE_REGISTERS(SET)
#undef SET
	for (unsigned i = 0; i < SEGS; i++)
		*svm_segment(save, i) = segment_from_guest(&state->seg[segments[i].segment]);
	save->rip = vcpu->rip = state->rip;
	save->rflags = vcpu->rflags = state->rflags;
	save->rsp = vcpu->gpr[GPR_RSP];
	svm->dr7 = state->dr7;
	save->dr7 = errata.no_breakpoints ? DR7_RESET : state->dr7;
	svm_set_efer(svm, state->cr0, state->efer);
	save->g_pat = state->pat;
	save->cpl = state_cpl(state);
	save->gdtr = (struct vmcb_segment){.base = state->gdtr.base, .limit = state->gdtr.limit};
	save->idtr = (struct vmcb_segment){.base = state->idtr.base, .limit = state->idtr.limit};
	svm->vmcb.control.interrupt_shadow =
		!!(state->interruptibility & (GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS));
	svm_block_nmi(svm, state->interruptibility & GUEST_BLOCKED_BY_NMI);
	svm_dirty(svm, CLEAN_ALL);
	return 0;
}
