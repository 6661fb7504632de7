/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid.c: the CPUID policy: one rule a leaf, each with its reason.
 *
 * A bit that no mask names is hidden: a feature without a rule is not offered. A leaf without a
 * rule reads zero, on both vendors, also past the last leaf (there Intel repeats the last basic
 * leaf, SDM vol. 2A; a guest that reads one is wrong on half of the machines).
 *
 * Invariants:
 * CPUID-1  a guest never sees VMX, SVM, a local APIC where its VM has no board, or a feature with
 *          state that is not switched.
 * CPUID-2  EAX of leaves 0, 40000000h and 80000000h names the last leaf that has a rule in its
 *          range.
 * CPUID-3  two VMs with the same configuration read the same on every CPU at any time.
 */
#include <hv/cpuid.h>
#include <abi/hypercall.h>
#include <abi/machine.h>
#include <arch/regs.h>
#include <lib/string.h>

#define ALL 0xffffffffu

#define SUBLEAVES_MAX 4 /* of a rule for any subleaf: caches of one CPU */

/* Leaf 1. */
#define ECX1_PASS                                                                                \
	(BIT(0) /* SSE3 */ | BIT(1) /* PCLMULQDQ */ | BIT(9) /* SSSE3 */ | BIT(12) /* FMA */ |   \
	 BIT(13) /* CX16 */ | BIT(17) /* PCID */ | BIT(19) /* SSE4.1 */ | BIT(20) /* SSE4.2 */ | \
	 BIT(22) /* MOVBE */ | BIT(23) /* POPCNT */ | BIT(25) /* AES */ | BIT(26) /* XSAVE */ |  \
	 BIT(28) /* AVX */ | BIT(29) /* F16C */ | BIT(30) /* RDRAND */)
#define ECX1_X2APIC	BIT(21)
#define ECX1_DEADLINE	BIT(24)
#define ECX1_OSXSAVE	BIT(27)
#define ECX1_XSAVE	BIT(26)
#define ECX1_AVX	(BIT(12) | BIT(28) | BIT(29))
#define ECX1_HYPERVISOR BIT(31)
#define EDX1_PASS                                                                             \
	(BITS(6, 0) /* FPU VME DE PSE TSC MSR PAE */ | BIT(8) /* CX8 */ | BIT(11) /* SEP */ | \
	 BIT(13) /* PGE */ | BIT(15) /* CMOV */ | BITS(17, 16) /* PAT PSE36 */ |              \
	 BIT(19) /* CLFLUSH */ | BITS(26, 23) /* MMX FXSR SSE SSE2 */)
#define EDX1_APIC BIT(9)
#define EDX1_HTT  BIT(28)

#define EAX6_ARAT BIT(2)

/* Leaf 7. */
#define EBX7_PASS                                                                           \
	(BIT(0) /* FSGSBASE */ | BIT(3) /* BMI1 */ | BIT(5) /* AVX2 */ | BIT(6) /* FDP */ | \
	 BIT(7) /* SMEP */ | BIT(8) /* BMI2 */ | BIT(9) /* ERMS */ | BIT(13) /* no FCS */ | \
	 BIT(18) /* RDSEED */ | BIT(19) /* ADX */ | BIT(20) /* SMAP */ |                    \
	 BIT(23) /* CLFLUSHOPT */ | BIT(24) /* CLWB */ | BIT(29) /* SHA */)
#define EBX7_AVX2 BIT(5)
#define ECX7_PASS                                                                            \
	(BIT(2) /* UMIP */ | BIT(8) /* GFNI */ | BIT(9) /* VAES */ | BIT(10) /* VPCLMUL */ | \
	 BIT(22) /* RDPID */)
#define ECX7_AVX  (BIT(9) | BIT(10))
#define EDX7_PASS BIT(4) /* FSRM */

/* Leaf 80000001h. */
#define ECX81_PASS                                                     \
	(BIT(0) /* LAHF */ | BIT(5) /* LZCNT */ | BIT(6) /* SSE4A */ | \
	 BIT(7) /* misaligned SSE */ | BIT(8) /* PREFETCHW */)
#define EDX81_PASS                                                                 \
	((EDX1_PASS & 0x0183f3ff) | BIT(11) /* SYSCALL */ | BIT(20) /* NX */ |     \
	 BIT(22) /* MMXEXT */ | BIT(26) /* 1 GiB pages */ | BIT(27) /* RDTSCP */ | \
	 BIT(29) /* long mode */)

#define XSAVE_LEGACY 576u /* bytes of the legacy area and the header, SDM vol. 1, 13.4 */

/* For a mask that depends on the VM or on another leaf. */
enum build {
	BUILD_MASK,
	BUILD_LAST_LEAF,
	BUILD_FEATURES,
	BUILD_POWER,
	BUILD_FEATURES_7,
	BUILD_CACHES,
	BUILD_TOPOLOGY,
	BUILD_XSAVE,
	BUILD_XSAVE_AVX,
	BUILD_WIDTHS,
	BUILD_TSC,
	BUILD_MHZ,
	BUILD_TIMING,
	BUILD_SIGNATURE,
	BUILD_HYPERCALLS
};

/* A rule for one subleaf, and for a leaf that has none; PASS: the bits that are let through. */
#define PASS(a, b, c, d)   \
	{                  \
		a, b, c, d \
	}
#define EVERYTHING PASS(ALL, ALL, ALL, ALL)
#define NOTHING	   PASS(0, 0, 0, 0)
#define SUBLEAF(number, i, pass, build, why)        \
	{                                           \
		number, i, pass, BUILD_##build, why \
	}
#define LEAF(number, pass, build, why)                              \
	{                                                           \
		number, CPUID_SUBLEAF_ANY, pass, BUILD_##build, why \
	}

static const struct cpuid_rule {
	u32 leaf, subleaf;
	struct arch_cpuid pass;
	enum build build;
	const char *why;
} rules[] = {
	LEAF(0x0, EVERYTHING, LAST_LEAF, "the vendor is real: it says VMCALL or VMMCALL"),
	LEAF(0x1, PASS(ALL, 0xff00, ECX1_PASS, EDX1_PASS), FEATURES,
	     "no VMX, MONITOR, MTRR, MCA, PMU: no model of them; APIC with a board only"),
	LEAF(0x2, EVERYTHING, MASK, "cache descriptors: harmless facts"),
	LEAF(0x4, PASS(0x3ff, ALL, ALL, ALL), CACHES,
	     "caches as they are, shared with no other thread"),
	LEAF(0x6, NOTHING, POWER, "the local APIC's timer never stops, where there is one"),
	SUBLEAF(0x7, 0, PASS(0, EBX7_PASS, ECX7_PASS, EDX7_PASS), FEATURES_7,
		"no TSX, AVX-512, PKU, INVPCID, TSC_ADJUST: not switched or not enabled"),
	SUBLEAF(0xb, 0, NOTHING, TOPOLOGY, "topology is the VM's: one thread a core"),
	SUBLEAF(0xb, 1, NOTHING, TOPOLOGY, "all vCPUs in one package"),
	SUBLEAF(0xd, 0, NOTHING, XSAVE, "x87, SSE and AVX: what vcpu_load switches"),
	SUBLEAF(0xd, 1, PASS(BIT(0), 0, 0, 0), MASK, "XSAVEOPT; the others would need IA32_XSS"),
	SUBLEAF(0xd, 2, PASS(ALL, ALL, ALL, 0), XSAVE_AVX, "where AVX lies is the CPU's choice"),
	LEAF(0x15, NOTHING, TSC,
	     "the TSC's rate, on AMD too: calibration may fail on a busy machine"),
	LEAF(0x16, NOTHING, MHZ, "the same in MHz"),

	LEAF(0x40000000, NOTHING, SIGNATURE, "the hypervisor's signature"),
	LEAF(0x40000001, NOTHING, HYPERCALLS, "the hypercall interface"),
	LEAF(0x40000010, NOTHING, TIMING, "the TSC's rate where hypervisors give it"),

	LEAF(0x80000000, EVERYTHING, LAST_LEAF, "as leaf 0"),
	LEAF(0x80000001, PASS(ALL, 0, ECX81_PASS, EDX81_PASS), MASK,
	     "no SVM, SKINIT, IBS, LWP, topology extensions, FFXSR: no model, no switch"),
	LEAF(0x80000002, EVERYTHING, MASK, "brand string"),
	LEAF(0x80000003, EVERYTHING, MASK, "brand string"),
	LEAF(0x80000004, EVERYTHING, MASK, "brand string"),
	LEAF(0x80000005, EVERYTHING, MASK, "L1 caches and TLBs: facts"),
	LEAF(0x80000006, EVERYTHING, MASK, "L2 and L3 caches: facts"),
	LEAF(0x80000007, PASS(0, 0, 0, BIT(8)), MASK, "invariant TSC, no power management"),
	LEAF(0x80000008, PASS(0xffff, 0, 0, 0), WIDTHS,
	     "address widths, less LA57; core counts and speculation controls hidden: their MSRs "
	     "are"),
};

/* What of a leaf is filled in at the exit. */
static enum cpuid_fill fill_of(enum build build)
{
	switch (build) {
	case BUILD_FEATURES:
		return CPUID_FILL_FEATURES;
	case BUILD_TOPOLOGY:
		return CPUID_FILL_TOPOLOGY;
	case BUILD_XSAVE:
		return CPUID_FILL_XSAVE;
	case BUILD_HYPERCALLS:
		return CPUID_FILL_VCPU;
	default:
		return CPUID_FILL_NONE;
	}
}

static u32 range_of(u32 leaf)
{
	return leaf & 0xf0000000u;
}

/* A rule applies where the machine has its leaf, and always where the answer is made here. */
static bool applies(const struct cpuid_rule *rule, u32 machine_last)
{
	return rule->leaf <= machine_last || rule->build == BUILD_TSC || rule->build == BUILD_MHZ;
}

static u32 last_leaf(u32 range, u32 machine_last)
{
	u32 last = range;

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (range_of(rules[i].leaf) == range && applies(&rules[i], machine_last))
			last = MAX(last, rules[i].leaf);
	}
	return last;
}

struct builder {
	struct cpuid_table *table;
	unsigned vcpus;
	enum cpuid_apic apic;
	u64 xcr0, tsc_hz;
	struct arch_cpuid (*machine)(u32 leaf, u32 subleaf);
};

static struct arch_cpuid build_features(const struct builder *b, struct arch_cpuid v)
{
	v.ebx |= b->vcpus << 16;
	v.edx |= b->vcpus > 1 ? EDX1_HTT : 0;
	v.ecx |= ECX1_HYPERVISOR;
	if (b->apic != CPUID_NO_APIC) {
		v.edx |= EDX1_APIC;
		v.ecx |= ECX1_DEADLINE | (b->apic == CPUID_X2APIC ? ECX1_X2APIC : 0);
	}
	if (b->xcr0 == 0)
		v.ecx &= ~ECX1_XSAVE;
	if (!(b->xcr0 & XCR0_AVX))
		v.ecx &= ~ECX1_AVX;
	return v;
}

static struct arch_cpuid build_features_7(const struct builder *b, struct arch_cpuid v)
{
	if (!(b->xcr0 & XCR0_AVX)) {
		v.ebx &= ~EBX7_AVX2;
		v.ecx &= ~ECX7_AVX;
	}
	return v;
}

/* SDM vol. 2A, CPUID leaf 0BH. Level type 1 is SMT, 2 core. */
static struct arch_cpuid build_topology(const struct builder *b, u32 level)
{
	u32 bits = b->vcpus > 1 ? 32 - (u32)__builtin_clz(b->vcpus - 1) : 0;

	return (struct arch_cpuid){.eax = level ? bits : 0,
				   .ebx = level ? b->vcpus : 1,
				   .ecx = (level + 1) << 8 | level};
}

static struct arch_cpuid build_xsave(const struct builder *b)
{
	struct arch_cpuid avx = b->machine(0xd, 2), v = {.eax = (u32)b->xcr0};

	if (b->xcr0 == 0)
		return v;
	v.ebx = XSAVE_LEGACY;
	v.ecx = b->xcr0 & XCR0_AVX ? avx.ebx + avx.eax : XSAVE_LEGACY;
	return v;
}

/* CR4.LA57 is refused, so addresses have 48 bits whatever the CPU could do. */
static struct arch_cpuid build_widths(struct arch_cpuid v)
{
	u32 virtual_bits = MIN(v.eax >> 8 & 0xff, 48u);

	v.eax = (v.eax & 0xff) | virtual_bits << 8;
	return v;
}

/*
 * The crystal is the TSC itself, as it is the clock of the APIC timer (SDM vol. 2A, leaf 15H); half
 * of it where its rate has more than 32 bits.
 */
static struct arch_cpuid build_tsc(const struct builder *b)
{
	u32 ratio = b->tsc_hz >> 32 ? 2 : 1;

	return (struct arch_cpuid){.eax = 1, .ebx = ratio, .ecx = (u32)(b->tsc_hz / ratio)};
}

static struct arch_cpuid build_signature(void)
{
	struct arch_cpuid v = {.eax = MACHINE_CPUID_TIMING};

	memcpy(&v.ebx, MACHINE_SIGNATURE, 4);
	memcpy(&v.ecx, &MACHINE_SIGNATURE[4], 4);
	memcpy(&v.edx, &MACHINE_SIGNATURE[8], 4);
	return v;
}

static struct arch_cpuid mask_value(struct arch_cpuid v, struct arch_cpuid pass)
{
	return (struct arch_cpuid){v.eax & pass.eax, v.ebx & pass.ebx, v.ecx & pass.ecx,
				   v.edx & pass.edx};
}

static struct arch_cpuid build_value(const struct builder *b, const struct cpuid_rule *rule,
				     u32 subleaf)
{
	struct arch_cpuid machine = b->machine(rule->leaf, subleaf);
	struct arch_cpuid v = mask_value(machine, rule->pass);

	switch (rule->build) {
	case BUILD_LAST_LEAF:
		v.eax = last_leaf(rule->leaf, machine.eax);
		return v;
	case BUILD_FEATURES:
		return build_features(b, v);
	case BUILD_POWER:
		return (struct arch_cpuid){.eax = b->apic != CPUID_NO_APIC ? EAX6_ARAT : 0};
	case BUILD_FEATURES_7:
		return build_features_7(b, v);
	case BUILD_TOPOLOGY:
		return build_topology(b, subleaf);
	case BUILD_XSAVE:
		return build_xsave(b);
	case BUILD_XSAVE_AVX:
		return b->xcr0 & XCR0_AVX ? v : (struct arch_cpuid){0};
	case BUILD_WIDTHS:
		return build_widths(v);
	case BUILD_TSC:
		return build_tsc(b);
	case BUILD_MHZ:
		v.eax = (u32)(b->tsc_hz / 1000000);
		return (struct arch_cpuid){v.eax, v.eax, 0, 0};
	case BUILD_TIMING:
		v.eax = (u32)(b->tsc_hz / 1000);
		return (struct arch_cpuid){v.eax, v.eax, 0, 0};
	case BUILD_SIGNATURE:
		return build_signature();
	case BUILD_HYPERCALLS:
		return (struct arch_cpuid){MACHINE_VERSION, HYPERCALLS, 0, b->vcpus};
	case BUILD_MASK:
	case BUILD_CACHES:
		break;
	}
	return v;
}

static void add_entry(const struct builder *b, const struct cpuid_rule *rule, u32 subleaf, u32 from)
{
	struct cpuid_table *table = b->table;
	u16 *slot = &table->index[cpuid_slot(rule->leaf)];
	enum cpuid_fill fill = fill_of(rule->build);
	bool plain;

	if (table->count == CPUID_ENTRIES)
		return;
	if (*slot == 0)
		*slot = (u16)(table->count * sizeof(table->entry[0]));
	else
		table->entry[table->count - 1].more = true;
	plain = subleaf == CPUID_SUBLEAF_ANY && fill == CPUID_FILL_NONE;
	table->entry[table->count++] = (struct cpuid_entry){
		.leaf = rule->leaf,
		.subleaf = subleaf,
		.value = build_value(b, rule, from),
		.fill = fill,
		.plain = plain ? rule->leaf : ~rule->leaf,
	};
}

static void add_rule(const struct builder *b, const struct cpuid_rule *rule)
{
	if (rule->build != BUILD_CACHES) {
		add_entry(b, rule, rule->subleaf,
			  rule->subleaf == CPUID_SUBLEAF_ANY ? 0 : rule->subleaf);
		return;
	}
	/* Type 0 (EAX[4:0]) ends the list of caches; AMD has none here. */
	for (u32 i = 0; i < SUBLEAVES_MAX && b->machine(rule->leaf, i).eax & 31; i++)
		add_entry(b, rule, i, i);
}

void cpuid_table_build(struct cpuid_table *table, unsigned vcpus, enum cpuid_apic apic, u64 xcr0,
		       u64 tsc_hz, struct arch_cpuid (*machine)(u32 leaf, u32 subleaf))
{
	struct builder b = {table, vcpus, apic, xcr0 & CPUID_XCR0, tsc_hz, machine};

	memset(table, 0, sizeof(*table));
	table->entry[0] = (struct cpuid_entry){.leaf = ~0u, .plain = ~0u};
	table->count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		u32 range = range_of(rules[i].leaf);

		if (range == MACHINE_CPUID_SIGNATURE || applies(&rules[i], machine(range, 0).eax))
			add_rule(&b, &rules[i]);
	}
}

const struct cpuid_entry *cpuid_find(const struct cpuid_table *table, u32 leaf, u32 subleaf)
{
	const struct cpuid_entry *entry = cpuid_first(table, leaf);

	if (entry->leaf != leaf)
		return &table->entry[0];
	while (entry->subleaf != subleaf && entry->subleaf != CPUID_SUBLEAF_ANY) {
		if (!entry->more)
			return &table->entry[0];
		entry++;
	}
	return entry;
}

unsigned cpuid_address_bits(const struct cpuid_table *table)
{
	unsigned bits = cpuid_find(table, 0x80000008, 0)->value.eax & 0xff;

	return bits ? bits : 36;
}

struct arch_cpuid cpuid_fill(const struct cpuid_entry *entry, const struct cpuid_now *now)
{
	struct arch_cpuid v = entry->value;

	switch ((enum cpuid_fill)entry->fill) {
	case CPUID_FILL_FEATURES:
		v.ebx |= now->vcpu << 24;
		v.edx &= now->apic_off ? ~EDX1_APIC : ALL;
		v.ecx |= (v.ecx & ECX1_XSAVE) && (now->cr4 & CR4_OSXSAVE) ? ECX1_OSXSAVE : 0;
		break;
	case CPUID_FILL_TOPOLOGY:
		v.edx = now->vcpu;
		break;
	case CPUID_FILL_XSAVE:
		if (now->xcr0 & XCR0_AVX)
			v.ebx = v.ecx;
		break;
	case CPUID_FILL_VCPU:
		v.ecx = now->vcpu;
		break;
	case CPUID_FILL_NONE:
		break;
	}
	return v;
}

bool cpuid_policy_rule(unsigned i, u32 *leaf, u32 *subleaf, const char **why)
{
	if (i >= ARRAY_SIZE(rules))
		return false;
	*leaf = rules[i].leaf;
	*subleaf = rules[i].subleaf;
	*why = rules[i].why;
	return true;
}
