/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.c: what all repeated instructions share, on ports and on memory: the size of their
 * pointers and of their count, the wrap, and the single step.
 */
#include "hv/emulate/private.h"
#include <arch/regs.h>
#include <hv/vcpu.h>

#define DR6_BS BIT(14)

enum insn_mode mode_of(const struct guest_state *state)
{
	u32 attr = state->seg[SEG_CS].attr;

	if (state->efer & EFER_LMA && attr & SEG_ATTR_L)
		return INSN_64;
	if (!(state->cr0 & CR0_PE) || state->rflags & RFLAGS_VM)
		return INSN_16;
	return attr & SEG_ATTR_DB ? INSN_32 : INSN_16;
}

struct gva linear_of(const struct guest_state *state, enum insn_mode mode, unsigned segment,
		     u64 offset)
{
	u64 base = state->seg[segment].base;

	if (mode != INSN_64)
		return (struct gva){(u32)(base + offset)};
	return (struct gva){segment >= SEG_FS ? base + offset : offset}; /* others have no base */
}

u64 string_register(const u64 *gpr, const struct insn *insn, unsigned reg)
{
	return gpr[reg] & size_mask(insn->address_size);
}

static void move_register(u64 *gpr, const struct insn *insn, unsigned reg, u64 step)
{
	register_set(gpr, reg, insn->address_size, gpr[reg] + step);
}

static bool uses_source(const struct insn *insn)
{
	return insn->op != INSN_STOS && insn->op != INSN_SCAS && insn->op != INSN_INS;
}

static bool uses_destination(const struct insn *insn)
{
	return insn->op != INSN_LODS && insn->op != INSN_OUTS;
}

bool string_step(u64 *gpr, const struct insn *insn, u64 flags)
{
	u64 step = flags & RFLAGS_DF ? -(u64)insn->size : insn->size;
	bool compares = insn->op == INSN_CMPS || insn->op == INSN_SCAS;

	if (uses_source(insn))
		move_register(gpr, insn, GPR_RSI, step);
	if (uses_destination(insn))
		move_register(gpr, insn, GPR_RDI, step);
	if (insn->rep == INSN_NO_REP)
		return false;
	move_register(gpr, insn, GPR_RCX, -1ull);
	if (compares && !(flags & RFLAGS_ZF) != (insn->rep == INSN_REPNE))
		return false;
	return string_register(gpr, insn, GPR_RCX) != 0;
}

void raise_single_step(struct vcpu *vcpu, struct guest_state *state)
{
	state->dr6 |= DR6_BS;
	(void)virt->set_state(&vcpu->arch, state); /* DR6 makes no state invalid */
	vcpu_raise(vcpu, VECTOR_DB, false, 0, 0);
}
