/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr.c: RDMSR and WRMSR that exited, answered by the policy's rules.
 *
 * Most of these are state that a back end lets through; they come here only on hardware where it
 * cannot, and then by the slow view, which is right everywhere.
 */
#include <hv/msr.h>
#include <arch/regs.h>
#include <ck_pr.h>
#include <hv/mtrr.h>
#include <hv/pc.h>
#include <hv/vm.h>
#include <lib/log.h>

#define LOG_THIS LOG_VM

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

static bool read_msr(struct vcpu *vcpu, u32 index, u64 *value)
{
	const struct msr_rule *rule = msr_find(index);

	if (!rule)
		return (vcpu->vm->pc && pc_msr_read(vcpu, index, value)) ||
		       mtrr_read(&vcpu->mtrrs, index, value);
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

static bool write_msr(struct vcpu *vcpu, u32 index, u64 value)
{
	const struct msr_rule *rule = msr_find(index);

	if (!rule)
		return (vcpu->vm->pc && pc_msr_write(vcpu, index, value)) ||
		       mtrr_write(&vcpu->mtrrs, index, value);
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

/*
 * Takes a place in the VM's list of refused MSRs; false: the index is there, or the list is full.
 * So a guest causes VM_REFUSED_MSRS lines at most.
 */
static bool note_refusal(struct vm *vm, u32 index)
{
	for (unsigned i = 0; i < VM_REFUSED_MSRS; i++) {
		u32 *place = &vm->refused_msr[i];

		if (ck_pr_load_32(place) == index)
			return false;
		if (ck_pr_load_32(place) == 0 && ck_pr_cas_32(place, 0, index))
			return true;
		if (ck_pr_load_32(place) == index)
			return false;
	}
	return false;
}

/* The reason of a #GP that a guest may not survive. MSR 0 is not noted: it is no index here. */
static bool refused(struct vcpu *vcpu, u32 index, const char *what)
{
	if (index != 0 && note_refusal(vcpu->vm, index))
		log_info("%s: MSR %x: %s is refused, #GP(0)", vcpu->vm->config.name, index, what);
	return false;
}

bool msr_read(struct vcpu *vcpu, u32 index, u64 *value)
{
	return read_msr(vcpu, index, value) || refused(vcpu, index, "a read");
}

bool msr_write(struct vcpu *vcpu, u32 index, u64 value)
{
	return write_msr(vcpu, index, value) || refused(vcpu, index, "a write");
}
