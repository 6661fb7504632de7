/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr.h: RDMSR and WRMSR that the hardware does not carry out by itself.
 *
 * Two tables make the whole policy: msr_passthrough (<arch/virt.h>) lists what never exits,
 * hv/cpu/msr.c what is answered here. An MSR in neither raises #GP(0), as one that does not exist
 * (SDM vol. 2B, RDMSR).
 */
#ifndef SAMEPAGE_HV_MSR_H
#define SAMEPAGE_HV_MSR_H

#include <arch/virt.h>
#include <lib/types.h>

enum msr_kind {
	MSR_CONSTANT,  /* reads `value`; every write is accepted and dropped */
	MSR_FIXED,     /* reads `value`; writing anything else is refused */
	MSR_READ_ONLY, /* reads `value`; every write is refused */
	MSR_STATE,     /* a field of struct guest_state */
	MSR_SEGMENT,   /* the base of a segment */
	MSR_EFER,
	MSR_PAT,
	MSR_TSC,
	MSR_SCRATCH,
};

/*
 * field: offset in struct guest_state, or enum guest_segment. canonical: a write must be a
 * canonical address.
 */
struct msr_rule {
	u32 index;
	u8 kind;
	bool canonical;
	u16 field;
	u64 value;
	const char *why;
};

/* The rule for an MSR, or NULL. O(1). Pure. */
const struct msr_rule *msr_find(u32 index);

/*
 * May a guest write `value` to EFER, given what it is and whether paging is on? APM vol. 2, 3.1.7.
 * Pure.
 */
bool msr_efer_valid(u64 old, u64 value, u64 cr0);
/* Is each of the eight fields of a PAT a memory type? SDM vol. 3A, 11.12.2. Pure. */
bool msr_pat_valid(u64 value);
bool msr_canonical(u64 address);

/* Walks the policy for a listing and for tests that it is sorted. */
const struct msr_rule *msr_policy_rule(unsigned i);

struct vcpu;

/* Owner, loaded. false: raise #GP(0). */
bool msr_read(struct vcpu *vcpu, u32 index, u64 *value);
bool msr_write(struct vcpu *vcpu, u32 index, u64 value);

#endif
