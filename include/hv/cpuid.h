/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid.h: what a guest sees of the CPU.
 *
 * The policy is a table of rules in hv/cpu/cpuid.c: for each leaf the bits that are let through,
 * the bits that are set, and why. When a VM is made, the rules are applied once to the machine's
 * own CPUID, so that an exit is a lookup. What depends on the vCPU or on its mode is filled in at
 * the exit.
 */
#ifndef SAMEPAGE_HV_CPUID_H
#define SAMEPAGE_HV_CPUID_H

#include <arch/cpu.h>
#include <lib/types.h>

#define CPUID_ENTRIES	  48
#define CPUID_INDEX	  128
#define CPUID_SUBLEAF_ANY 0xffffffffu

/* What is filled in at the exit. */
enum cpuid_fill {
	CPUID_FILL_NONE,
	CPUID_FILL_FEATURES, /* leaf 1: APIC id, APIC enable, OSXSAVE */
	CPUID_FILL_TOPOLOGY, /* leaf 0xB: x2APIC id */
	CPUID_FILL_XSAVE,    /* leaf 0xD.0: size for the XCR0 of now */
	CPUID_FILL_VCPU,     /* 40000001h: number of the vCPU */
};

/* The XCR0 bits leaf 0xD offers: x87, SSE, AVX. */
#define CPUID_XCR0 7ull

struct cpuid_entry {
	u32 leaf, subleaf;
	struct arch_cpuid value;
	u8 fill;
	bool more; /* the next entry is another subleaf of the same leaf */
	u32 plain; /* `leaf` where `value` is the answer for every subleaf and vCPU, else ~leaf */
} __aligned(32);

/*
 * index: the offset in `entry` of a leaf's first one, by the two top bits and the five lowest of
 * its number, which differ for the leaves of all ranges. Entry 0 is for what is not there: all
 * zero, leaf FFFFFFFFh.
 */
struct cpuid_table {
	u16 index[CPUID_INDEX];
	unsigned count;
	struct cpuid_entry entry[CPUID_ENTRIES];
};

static inline unsigned cpuid_slot(u32 leaf)
{
	return (leaf << 2 | leaf >> 30) % CPUID_INDEX;
}

/* The first entry of a leaf, if the entry's `leaf` is `leaf`. Pure. */
static inline const struct cpuid_entry *cpuid_first(const struct cpuid_table *table, u32 leaf)
{
	return (const void *)((const char *)table->entry + table->index[cpuid_slot(leaf)]);
}

/* The local APIC that a VM has; without a board it has none. */
enum cpuid_apic { CPUID_NO_APIC, CPUID_XAPIC, CPUID_X2APIC };

/*
 * Applies the policy for a VM of `vcpus`. `machine` is arch_cpuid(), or a
 * test's. xcr0: arch_xcr0_allowed(). tsc_hz: the TSC's rate. Pure.
 */
void cpuid_table_build(struct cpuid_table *table, unsigned vcpus, enum cpuid_apic apic, u64 xcr0,
		       u64 tsc_hz, struct arch_cpuid (*machine)(u32 leaf, u32 subleaf));

/* The entry for a leaf and subleaf; entry 0, all zero, where the policy has none. Pure. */
const struct cpuid_entry *cpuid_find(const struct cpuid_table *table, u32 leaf, u32 subleaf);

/* The width of a guest-physical address, as leaf 80000008h has it; 36 without the leaf. Pure. */
unsigned cpuid_address_bits(const struct cpuid_table *table);

/* What a vCPU is at this moment, for an entry with a `fill`. Pure. */
struct cpuid_now {
	u32 vcpu;
	bool apic_off; /* IA32_APIC_BASE: the global enable is clear (SDM vol. 3A, 11.4.3) */
	u64 cr4, xcr0;
};
struct arch_cpuid cpuid_fill(const struct cpuid_entry *entry, const struct cpuid_now *now);

/* Walks the policy for a listing: rule `i`, its leaf, subleaf and reason; false past the end. */
bool cpuid_policy_rule(unsigned i, u32 *leaf, u32 *subleaf, const char **why);

#endif
