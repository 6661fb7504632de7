/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid.c: what a guest sees of the CPU (CPUID-1 to CPUID-3).
 *
 * Two machines stand in for the real one: one that has everything, every bit of every leaf, and one
 * that has hardly anything.
 */
#include "sim/sim.h"
#include <abi/hypercall.h>
#include <abi/machine.h>
#include <hv/cpuid.h>

#define TSC_HZ	       2500000000ull
#define CPUID_EXTENDED 0x80000000u

static struct cpuid_table table;

static struct arch_cpuid rich_machine(u32 leaf, u32 subleaf)
{
	if (leaf == 0 || leaf == CPUID_EXTENDED)
		return (struct arch_cpuid){leaf + 0x1f, ~0u, ~0u, ~0u};
	if (leaf == 4 && subleaf == 3)
		return (struct arch_cpuid){0};
	if (leaf == 0xd && subleaf == 2)
		return (struct arch_cpuid){.eax = 256, .ebx = 576};
	return (struct arch_cpuid){~0u, ~0u, ~0u, ~0u};
}

static struct arch_cpuid poor_machine(u32 leaf, u32 subleaf)
{
	if (leaf == 0)
		return (struct arch_cpuid){.eax = 1};
	if (leaf == CPUID_EXTENDED)
		return (struct arch_cpuid){.eax = CPUID_EXTENDED + 1};
	return (struct arch_cpuid){0};
}

static void build(unsigned vcpus)
{
	cpuid_table_build(&table, vcpus, CPUID_NO_APIC, 7, TSC_HZ, rich_machine);
}

static struct arch_cpuid cpuid_of(u32 leaf, u32 subleaf, struct cpuid_now now)
{
	return cpuid_fill(cpuid_find(&table, leaf, subleaf), &now);
}

static struct arch_cpuid get(u32 leaf, u32 subleaf)
{
	return cpuid_of(leaf, subleaf, (struct cpuid_now){0});
}

static bool is_zero(struct arch_cpuid v)
{
	return !(v.eax | v.ebx | v.ecx | v.edx);
}

/* CPUID-1 */
static void what_hv_has_no_model_of_is_hidden(void **state)
{
	struct arch_cpuid one, seven, extended;

	build(1);
	one = get(1, 0);
	seven = get(7, 0);
	extended = get(0x80000001, 0);
	assert_int_equal(one.ecx & (BIT(3) | BIT(5) | BIT(6) | BIT(21) | BIT(24)), 0);
	assert_int_equal(one.edx & (BIT(7) | BIT(9) | BIT(12) | BIT(14)), 0);
	assert_int_equal(seven.ebx & (BIT(1) | BIT(4) | BIT(10) | BIT(11) | BIT(16)), 0);
	assert_int_equal(seven.ecx & (BIT(3) | BIT(16)), 0);
	assert_int_equal(seven.edx & BITS(31, 24), 0);
	assert_int_equal(extended.ecx & (BIT(2) | BIT(12) | BIT(22)), 0);
	/* RDPID and RDTSCP read TSC_AUX, which is switched: both are offered. */
	assert_true(seven.ecx & BIT(22) && extended.edx & BIT(27));
	assert_true(is_zero(get(5, 0)) && is_zero(get(0xa, 0)) && is_zero(get(0x12, 0)));
}

static void a_hypervisor_is_shown_with_its_name(void **state)
{
	struct arch_cpuid v;
	char name[13] = {0};

	build(3);
	assert_true(get(1, 0).ecx & BIT(31));
	v = get(MACHINE_CPUID_SIGNATURE, 0);
	memcpy(name, &v.ebx, 12);
	assert_string_equal(name, "SamepageHv");
	assert_int_equal(v.eax, MACHINE_CPUID_TIMING);
	v = cpuid_of(MACHINE_CPUID_HYPERCALLS, 0, (struct cpuid_now){.vcpu = 2});
	assert_int_equal(v.eax, MACHINE_VERSION);
	assert_int_equal(v.ebx, HYPERCALLS);
	assert_int_equal(v.ecx, 2);
	assert_int_equal(v.edx, 3);
}

/* CPUID-2 */
static void the_last_leaf_is_the_last_rule_the_machine_has_too(void **state)
{
	build(1);
	assert_int_equal(get(0, 0).eax, 0x16);
	assert_int_equal(get(CPUID_EXTENDED, 0).eax, 0x80000008);
	cpuid_table_build(&table, 1, CPUID_NO_APIC, 0, TSC_HZ, poor_machine);
	assert_int_equal(get(0, 0).eax, 0x16);
	assert_int_equal(get(CPUID_EXTENDED, 0).eax, 0x80000001);
	assert_true(is_zero(get(7, 0)));
}

static void a_leaf_without_a_rule_reads_zero(void **state)
{
	static const u32 leaves[] = {3,		 0x17,	     0x20,	 0x21,	     0x2000000,
				     0x3fffffff, 0x40000002, 0x40000020, 0x7fffffff, 0x80000009,
				     0x80000021, 0xc0000000, 0xc0000001, 0xffffffff};

	build(1);
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		for (u32 subleaf = 0; subleaf < 5; subleaf++)
			assert_true(is_zero(get(leaves[i], subleaf)));
}

static void a_leaf_without_subleaves_answers_for_any(void **state)
{
	build(1);
	assert_int_equal(get(0x80000008, 77).eax, 0x30ff);
	assert_true(is_zero(get(7, 1)));
	assert_true(is_zero(get(0xd, 3)));
	assert_false(is_zero(get(4, 2)));
	assert_true(is_zero(get(4, 3)));
}

static void a_cpu_without_the_leaf_has_36_address_bits(void **state)
{
	build(1);
	assert_int_equal(cpuid_address_bits(&table), 0xff);
	cpuid_table_build(&table, 1, CPUID_NO_APIC, 0, TSC_HZ, poor_machine);
	assert_int_equal(cpuid_address_bits(&table), 36);
}

static void topology_is_the_vms_own(void **state)
{
	struct cpuid_now third = {.vcpu = 2};

	build(5);
	assert_int_equal(cpuid_of(1, 0, third).ebx, 2u << 24 | 5 << 16 | 0xff00);
	assert_true(get(1, 0).edx & BIT(28));
	assert_int_equal(cpuid_of(0xb, 0, third).edx, 2);
	assert_int_equal(get(0xb, 0).ebx, 1);
	assert_int_equal(get(0xb, 1).ebx, 5);
	assert_int_equal(get(0xb, 1).eax, 3);
	assert_int_equal(get(4, 0).eax & ~0x3ffu, 0);
	build(1);
	assert_false(get(1, 0).edx & BIT(28));
	assert_int_equal(get(0xb, 1).eax, 0);
}

static void a_board_brings_the_apic(void **state)
{
	build(1);
	assert_int_equal(get(6, 0).eax, 0);
	cpuid_table_build(&table, 1, CPUID_XAPIC, 7, TSC_HZ, rich_machine);
	assert_true(get(1, 0).edx & BIT(9));
	assert_int_equal(get(1, 0).ecx & (BIT(21) | BIT(24)), BIT(24));
	cpuid_table_build(&table, 1, CPUID_X2APIC, 7, TSC_HZ, rich_machine);
	assert_true(get(1, 0).edx & BIT(9));
	assert_int_equal(get(1, 0).ecx & (BIT(21) | BIT(24)), BIT(21) | BIT(24));
	assert_int_equal(get(6, 0).eax, BIT(2));
}

static void osxsave_follows_cr4(void **state)
{
	build(1);
	assert_false(get(1, 0).ecx & BIT(27));
	assert_true(cpuid_of(1, 0, (struct cpuid_now){.cr4 = BIT(18)}).ecx & BIT(27));
	assert_false(cpuid_of(1, 0, (struct cpuid_now){.apic_off = true}).edx & BIT(9));
}

static void the_size_of_xsave_follows_xcr0(void **state)
{
	build(1);
	assert_int_equal(get(0xd, 0).eax, 7);
	assert_int_equal(cpuid_of(0xd, 0, (struct cpuid_now){.xcr0 = 1}).ebx, 576);
	assert_int_equal(cpuid_of(0xd, 0, (struct cpuid_now){.xcr0 = 7}).ebx, 832);
	assert_int_equal(get(0xd, 0).ecx, 832);
}

static void without_xsave_there_is_no_avx(void **state)
{
	cpuid_table_build(&table, 1, CPUID_NO_APIC, 0, TSC_HZ, rich_machine);
	assert_int_equal(cpuid_of(1, 0, (struct cpuid_now){.cr4 = BIT(18)}).ecx &
				 (BIT(12) | BITS(29, 26)),
			 0);
	assert_int_equal(get(7, 0).ebx & BIT(5), 0);
	assert_int_equal(get(0xd, 0).ecx, 0);
	assert_true(is_zero(get(0xd, 2)));
}

/* CPUID-3: nothing but the table and `now` is looked at. */
static void the_same_configuration_reads_the_same(void **state)
{
	struct cpuid_table first;

	build(2);
	first = table;
	build(2);
	assert_memory_equal(&first, &table, sizeof(table));
}

static void each_rule_has_a_reason_and_is_found(void **state)
{
	u32 leaf, subleaf;
	const char *why;

	build(1);
	for (unsigned i = 0; cpuid_policy_rule(i, &leaf, &subleaf, &why); i++) {
		assert_true(strlen(why) > 5);
		assert_int_equal(
			cpuid_find(&table, leaf, subleaf == CPUID_SUBLEAF_ANY ? 0 : subleaf)->leaf,
			leaf);
	}
	assert_true(table.count < CPUID_ENTRIES);
}

static void the_rate_of_the_tsc_is_there_on_every_machine(void **state)
{
	cpuid_table_build(&table, 1, CPUID_NO_APIC, 0, TSC_HZ, poor_machine);
	assert_int_equal(get(0, 0).eax, 0x16);
	assert_int_equal(get(0x15, 0).eax, 1);
	assert_int_equal(get(0x15, 0).ebx, 1);
	assert_int_equal(get(0x15, 0).ecx, TSC_HZ);
	assert_int_equal(get(0x16, 0).eax, 2500);
	assert_int_equal(get(MACHINE_CPUID_TIMING, 0).eax, 2500000);
	cpuid_table_build(&table, 1, CPUID_NO_APIC, 0, 5000000000, poor_machine);
	assert_int_equal(get(0x15, 0).ebx, 2);
	assert_int_equal(get(0x15, 0).ecx, 2500000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_of_the_tsc_is_there_on_every_machine),
		cmocka_unit_test(what_hv_has_no_model_of_is_hidden),
		cmocka_unit_test(a_hypervisor_is_shown_with_its_name),
		cmocka_unit_test(the_last_leaf_is_the_last_rule_the_machine_has_too),
		cmocka_unit_test(a_leaf_without_a_rule_reads_zero),
		cmocka_unit_test(a_leaf_without_subleaves_answers_for_any),
		cmocka_unit_test(a_cpu_without_the_leaf_has_36_address_bits),
		cmocka_unit_test(topology_is_the_vms_own),
		cmocka_unit_test(a_board_brings_the_apic),
		cmocka_unit_test(osxsave_follows_cr4),
		cmocka_unit_test(the_size_of_xsave_follows_xcr0),
		cmocka_unit_test(without_xsave_there_is_no_avx),
		cmocka_unit_test(the_same_configuration_reads_the_same),
		cmocka_unit_test(each_rule_has_a_reason_and_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
