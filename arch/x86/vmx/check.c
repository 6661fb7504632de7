/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: the checks on the guest-state area (SDM 27.3.1), by name.
 *
 * Why: set_state refuses with them what the CPU would refuse at the next entry, and a failed entry
 * is explained with them, because the CPU only says "guest state". Each rule is one small predicate
 * in a table; the rules are those for an unrestricted guest.
 *
 * VMX-6  a state that the CPU would refuse never reaches the VMCS through set_state().
 */
#include "check.h"
#include "vmx.h"
#include <asm/guest.h>
#include <asm/regs.h>

/* Segment attributes, SDM 25.4.1. */
#define ATTR_RESERVED 0xfffe0f00u
#define V86_ATTR      0xf3u

#define EFER_ALLOWED   (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define RFLAGS_ALLOWED 0x3f7fd7ull

struct rule {
	const char *name;
	bool (*holds)(const struct guest_state *s, const struct vmx_limits *limits);
};

static bool paging(const struct guest_state *s)
{
	return s->cr0 & CR0_PG;
}

static bool v86(const struct guest_state *s)
{
	return s->rflags & RFLAGS_VM;
}

static bool code_64(const struct guest_state *s)
{
	return (s->efer & EFER_LMA) && (s->seg[SEG_CS].attr & SEG_ATTR_L);
}

static bool usable(const struct guest_segment_state *seg)
{
	return !(seg->attr & SEG_ATTR_UNUSABLE);
}

static bool cr0_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	return guest_cr0_valid(s->cr0);
}

static bool cr3_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	return !(s->cr3 >> limits->physical_bits);
}

/* SDM table 4-8. */
static bool pdptes_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	u64 reserved = BITS(63, limits->physical_bits) | BITS(8, 5) | BITS(2, 1);

	for (unsigned i = 0; vmx_has_pdptes(s) && i < 4; i++) {
		if (s->pdpte[i] & 1 && s->pdpte[i] & reserved)
			return false;
	}
	return true;
}

static bool cr4_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	if (s->cr4 & ~limits->cr4_allowed)
		return false;
	return !(s->cr4 & CR4_PCIDE) || (s->efer & EFER_LMA);
}

static bool efer_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	bool active = (s->efer & EFER_LME) && paging(s);

	if (s->efer & ~(u64)EFER_ALLOWED)
		return false;
	return active == !!(s->efer & EFER_LMA) && (!active || (s->cr4 & CR4_PAE));
}

static bool debug_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	return !(s->dr7 >> 32) && !(s->dr6 >> 32);
}

static bool pat_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	return guest_pat_valid(s->pat);
}

static bool msrs_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	return guest_canonical(s->sysenter_esp) && guest_canonical(s->sysenter_eip) &&
	       guest_canonical(s->lstar) && guest_canonical(s->cstar) &&
	       guest_canonical(s->kernel_gs_base) && !(s->sysenter_cs >> 32) && !(s->sfmask >> 32);
}

static bool tables_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	return guest_canonical(s->gdtr.base) && guest_canonical(s->idtr.base) &&
	       s->gdtr.limit <= 0xffff && s->idtr.limit <= 0xffff;
}

static bool rip_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	return code_64(s) ? guest_canonical(s->rip) : !(s->rip >> 32);
}

static bool rflags_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	if ((s->rflags & ~RFLAGS_ALLOWED) || !(s->rflags & RFLAGS_R1))
		return false;
	return !v86(s) || ((s->cr0 & CR0_PE) && !(s->efer & EFER_LMA));
}

static bool shadow_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	u32 both = GUEST_BLOCKED_BY_STI | GUEST_BLOCKED_BY_MOV_SS;

	if (s->interruptibility & ~(both | GUEST_BLOCKED_BY_NMI))
		return false;
	if ((s->interruptibility & both) == both)
		return false;
	return !(s->interruptibility & GUEST_BLOCKED_BY_STI) || (s->rflags & RFLAGS_IF);
}

/* G says in which unit the limit counts, so it and the limit's ends must agree. */
static bool limit_ok(const struct guest_segment_state *seg)
{
	if ((seg->attr & SEG_ATTR_G) && (seg->limit & 0xfff) != 0xfff)
		return false;
	return (seg->attr & SEG_ATTR_G) || !(seg->limit >> 20);
}

static bool v86_segments_ok(const struct guest_state *s)
{
	for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
		const struct guest_segment_state *seg = &s->seg[i];

		if (seg->base != (u64)seg->selector << 4 || seg->limit != 0xffff ||
		    seg->attr != V86_ATTR)
			return false;
	}
	return true;
}

static bool cs_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	const struct guest_segment_state *cs = &s->seg[SEG_CS];
	unsigned type = SEG_ATTR_TYPE(cs->attr), ss_dpl = SEG_ATTR_DPL(s->seg[SEG_SS].attr);

	if (v86(s))
		return v86_segments_ok(s);
	if (!usable(cs) || (cs->attr & ATTR_RESERVED) || !(cs->attr & SEG_ATTR_S) ||
	    !(cs->attr & SEG_ATTR_P) || cs->base >> 32 || !limit_ok(cs))
		return false;
	if (code_64(s) && (cs->attr & SEG_ATTR_DB))
		return false;
	if (type == 3)
		return SEG_ATTR_DPL(cs->attr) == 0;
	if (type == 9 || type == 11)
		return SEG_ATTR_DPL(cs->attr) == ss_dpl;
	return (type == 13 || type == 15) && SEG_ATTR_DPL(cs->attr) <= ss_dpl;
}

static bool ss_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	const struct guest_segment_state *ss = &s->seg[SEG_SS];
	unsigned type = SEG_ATTR_TYPE(ss->attr);

	if (v86(s))
		return true;
	if (SEG_ATTR_TYPE(s->seg[SEG_CS].attr) == 3 || !(s->cr0 & CR0_PE))
		if (SEG_ATTR_DPL(ss->attr) != 0)
			return false;
	if (!usable(ss))
		return true;
	return !(ss->attr & ATTR_RESERVED) && (type == 3 || type == 7) && (ss->attr & SEG_ATTR_S) &&
	       (ss->attr & SEG_ATTR_P) && !(ss->base >> 32) && limit_ok(ss);
}

static bool data_segment_ok(const struct guest_segment_state *seg)
{
	unsigned type = SEG_ATTR_TYPE(seg->attr);

	if (!usable(seg))
		return true;
	/* Accessed, and readable if it is code. */
	if (!(type & 1) || ((type & 8) && !(type & 2)))
		return false;
	return !(seg->attr & ATTR_RESERVED) && (seg->attr & SEG_ATTR_S) &&
	       (seg->attr & SEG_ATTR_P) && limit_ok(seg);
}

static bool data_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	static const u8 data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS};

	if (!guest_canonical(s->seg[SEG_FS].base) || !guest_canonical(s->seg[SEG_GS].base))
		return false;
	if (v86(s))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
		const struct guest_segment_state *seg = &s->seg[data[i]];
		bool high_base = data[i] == SEG_FS || data[i] == SEG_GS;

		if (!data_segment_ok(seg) || (usable(seg) && !high_base && seg->base >> 32))
			return false;
	}
	return true;
}

static bool tr_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	const struct guest_segment_state *tr = &s->seg[SEG_TR];
	unsigned type = SEG_ATTR_TYPE(tr->attr);

	if (!usable(tr) || (tr->attr & (ATTR_RESERVED | SEG_ATTR_S)) || !(tr->attr & SEG_ATTR_P))
		return false;
	if (!guest_canonical(tr->base) || (tr->selector & 4) || !limit_ok(tr))
		return false;
	return type == 11 || (type == 3 && !(s->efer & EFER_LMA));
}

static bool ldtr_ok(const struct guest_state *s, const struct vmx_limits *limits)
{
	const struct guest_segment_state *ldtr = &s->seg[SEG_LDTR];

	if (!usable(ldtr))
		return true;
	return !(ldtr->attr & (ATTR_RESERVED | SEG_ATTR_S)) && SEG_ATTR_TYPE(ldtr->attr) == 2 &&
	       (ldtr->attr & SEG_ATTR_P) && guest_canonical(ldtr->base) && !(ldtr->selector & 4) &&
	       limit_ok(ldtr);
}

static const struct rule rules[] = {
	{"CR0: reserved bits, PG without PE, or NW without CD", cr0_ok},
	{"CR3: beyond the physical address width", cr3_ok},
	{"PDPTEs: reserved bits", pdptes_ok},
	{"CR4: a bit this guest may not have, or PCIDE outside long mode", cr4_ok},
	{"EFER: reserved bits, or LMA is not LME and PG, or no PAE", efer_ok},
	{"DR6, DR7: high half", debug_ok},
	{"PAT: reserved memory type", pat_ok},
	{"SYSENTER, SYSCALL and KERNEL_GS_BASE: not canonical or too wide", msrs_ok},
	{"GDTR, IDTR: base not canonical or limit over 64 KiB", tables_ok},
	{"RIP: not canonical, or over 4 GiB outside 64-bit code", rip_ok},
	{"RFLAGS: reserved bits, or VM in real or long mode", rflags_ok},
	{"interruptibility: reserved or contradictory bits", shadow_ok},
	{"CS (or a segment in virtual-8086 mode)", cs_ok},
	{"SS", ss_ok},
	{"DS, ES, FS, GS", data_ok},
	{"TR", tr_ok},
	{"LDTR", ldtr_ok},
};

const char *vmx_check_state(const struct guest_state *s, const struct vmx_limits *limits)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!rules[i].holds(s, limits))
			return rules[i].name;
	}
	return NULL;
}
