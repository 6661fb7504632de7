/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr.c: RDMSR and WRMSR that exited, answered by the policy's rules.
 *
 * Most of these are state that a back end lets through; they come here only on hardware where it
 * cannot, and then by the slow view, which is right everywhere.
 */
#include <hv/msr.h>
#include <arch/regs.h>
#include <hv/pc.h>
#include <hv/vm.h>

static u64 *field_of(struct guest_state *state, const struct msr_rule *rule)
{
	return (u64 *)((char *)state + rule->field);
}

static u64 read_state(struct vcpu *vcpu, const struct msr_rule *rule)
{
	struct guest_state state;

	virt->get_state(&vcpu->arch, &state);
	if (rule->kind == MSR_EFER)
		return state.efer;
	if (rule->kind == MSR_SEGMENT)
		return state.seg[rule->field].base;
	return *field_of(&state, rule);
}

bool msr_read(struct vcpu *vcpu, u32 index, u64 *value)
{
	const struct msr_rule *rule = msr_find(index);

	if (!rule)
		return vcpu->vm->pc && pc_msr_read(vcpu, index, value);
	switch ((enum msr_kind)rule->kind) {
	case MSR_SCRATCH:
		*value = vcpu->scratch;
		return true;
	case MSR_CONSTANT:
	case MSR_FIXED:
	case MSR_READ_ONLY:
		*value = rule->value;
		return true;
	case MSR_TSC:
		*value = arch_ticks() + vcpu->arch.tsc_offset;
		return true;
	case MSR_STATE:
	case MSR_SEGMENT:
	case MSR_EFER:
	case MSR_PAT:
		*value = read_state(vcpu, rule);
		return true;
	}
	return false;
}

/* The slow view again: read, check, change, write back. */
static bool write_state(struct vcpu *vcpu, const struct msr_rule *rule, u64 value)
{
	struct guest_state state;

	virt->get_state(&vcpu->arch, &state);
	if (rule->canonical && !msr_canonical(value))
		return false;
	if (rule->kind == MSR_EFER) {
		if (!msr_efer_valid(state.efer, value, state.cr0))
			return false;
		state.efer = (value & ~EFER_LMA) | (state.efer & EFER_LMA);
	} else if (rule->kind == MSR_SEGMENT) {
		state.seg[rule->field].base = value;
	} else {
		if (rule->kind == MSR_PAT && !msr_pat_valid(value))
			return false;
		*field_of(&state, rule) = value;
	}
	return virt->set_state(&vcpu->arch, &state) == 0;
}

/* A back end takes the offset over at vcpu_load. */
static bool write_tsc(struct vcpu *vcpu, u64 value)
{
	vcpu->arch.tsc_offset = value - arch_ticks();
	virt->vcpu_put(&vcpu->arch);
	virt->vcpu_load(&vcpu->arch);
	return true;
}

bool msr_write(struct vcpu *vcpu, u32 index, u64 value)
{
	const struct msr_rule *rule = msr_find(index);

	if (!rule)
		return vcpu->vm->pc && pc_msr_write(vcpu, index, value);
	switch ((enum msr_kind)rule->kind) {
	case MSR_SCRATCH:
		vcpu->scratch = value;
		return true;
	case MSR_CONSTANT:
		return true;
	case MSR_FIXED:
		return value == rule->value;
	case MSR_READ_ONLY:
		return false;
	case MSR_TSC:
		return write_tsc(vcpu, value);
	case MSR_STATE:
	case MSR_SEGMENT:
	case MSR_EFER:
	case MSR_PAT:
		return write_state(vcpu, rule, value);
	}
	return false;
}
