/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr.c: the MSR policy is sorted, complete in itself and hides what is ours (MSR-1, MSR-2).
 */
#include "sim/sim.h"
#include <arch/regs.h>
#include <abi/machine.h>
#include <hv/msr.h>
#include <hv/mtrr.h>

/* MSR-1 */
static void the_rules_are_sorted_and_each_is_found(void **state)
{
	const struct msr_rule *rule, *last = NULL;

	for (unsigned i = 0; (rule = msr_policy_rule(i)); i++) {
		assert_ptr_equal(msr_find(rule->index), rule);
		assert_true(strlen(rule->why) > 3);
		assert_true(!last || last->index < rule->index);
		last = rule;
	}
	assert_non_null(last);
	assert_null(msr_find(last->index + 1));
	assert_null(msr_find(0));
	assert_null(msr_find(~0u));
}

/* MSR-2 */
static void what_is_the_hypervisors_own_has_no_rule(void **state)
{
	static const u32 hidden[] = {0x1b,	 0x3a,	     0x48,	 0x49,	     0x6e0,
				     0xc0000103, 0xc0010114, 0xc0010117, 0xc001011f, 0x4b564d00};

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		assert_null(msr_find(hidden[i]));
	for (u32 index = 0x480; index <= 0x493; index++) /* VMX capabilities */
		assert_null(msr_find(index));
	for (u32 index = 0x800; index <= 0x8ff; index++) /* x2APIC */
		assert_null(msr_find(index));
}

/* K7's counters: kernels clear them without a look at CPUID. */
static void counters_that_are_not_there_read_zero_and_take_writes(void **state)
{
	for (u32 index = 0xc0010000; index <= 0xc0010007; index++) {
		assert_non_null(msr_find(index));
		assert_int_equal(msr_find(index)->kind, MSR_CONSTANT);
		assert_int_equal(msr_find(index)->value, 0);
	}
}

/* As a BIOS leaves them: memory is write-back, no range register is on. */
static void the_mtrrs_say_that_memory_is_write_back(void **state)
{
	struct mtrrs mtrrs;
	u64 value;

	mtrr_init(&mtrrs);
	assert_true(mtrr_read(&mtrrs, MTRR_CAP, &value));
	assert_int_equal(value, 0x100);
	assert_true(mtrr_read(&mtrrs, MTRR_DEFAULT_TYPE, &value));
	assert_int_equal(value, 0x806);
	assert_false(mtrr_read(&mtrrs, 0x200, &value));
	assert_false(mtrr_write(&mtrrs, MTRR_CAP, 0x100));
}

/* SDM vol. 3A, 11.11.2: types 2, 3 and those above 6 are reserved. */
static void an_mtrr_keeps_the_types_that_it_takes(void **state)
{
	static const u32 index[MTRRS_FIXED] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
					       0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
	struct mtrrs mtrrs;
	u64 value;

	mtrr_init(&mtrrs);
	for (unsigned i = 0; i < MTRRS_FIXED; i++)
		assert_true(mtrr_write(&mtrrs, index[i], 0x0605040100000000ull + i % 2));
	for (unsigned i = 0; i < MTRRS_FIXED; i++) {
		assert_false(mtrr_write(&mtrrs, index[i], 0x0206060606060606ull));
		assert_false(mtrr_write(&mtrrs, index[i], 7));
		assert_true(mtrr_read(&mtrrs, index[i], &value));
		assert_int_equal(value, 0x0605040100000000ull + i % 2);
	}
	assert_true(mtrr_write(&mtrrs, MTRR_DEFAULT_TYPE, 0xc00));
	assert_false(mtrr_write(&mtrrs, MTRR_DEFAULT_TYPE, 0x803));
	assert_false(mtrr_write(&mtrrs, MTRR_DEFAULT_TYPE, 0x1806));
	assert_true(mtrr_read(&mtrrs, MTRR_DEFAULT_TYPE, &value));
	assert_int_equal(value, 0xc00);
}

static void state_rules_name_a_field_of_the_state(void **state)
{
	const struct msr_rule *rule;

	for (unsigned i = 0; (rule = msr_policy_rule(i)); i++) {
		if (rule->kind == MSR_STATE || rule->kind == MSR_PAT)
			assert_true(rule->field + sizeof(u64) <= sizeof(struct guest_state));
		if (rule->kind == MSR_SEGMENT)
			assert_true(rule->field == SEG_FS || rule->field == SEG_GS);
	}
	assert_int_equal(msr_find(MACHINE_MSR_SCRATCH)->kind, MSR_SCRATCH);
	assert_int_equal(msr_find(0xc0000080)->kind, MSR_EFER);
}

static void efer_takes_what_the_guest_may_have(void **state)
{
	assert_true(msr_efer_valid(0, EFER_SCE | EFER_LME | EFER_NXE, 0));
	assert_true(msr_efer_valid(EFER_LME | EFER_LMA, EFER_LME | EFER_LMA | EFER_NXE, CR0_PG));
	assert_false(msr_efer_valid(0, EFER_SVME, 0));
	assert_false(msr_efer_valid(0, BIT(1), 0));
	assert_false(msr_efer_valid(0, BIT(63), 0));
}

static void long_mode_is_not_switched_under_paging(void **state)
{
	assert_false(msr_efer_valid(0, EFER_LME, CR0_PG));
	assert_false(msr_efer_valid(EFER_LME | EFER_LMA, 0, CR0_PG));
	assert_true(msr_efer_valid(EFER_LME, 0, 0));
}

static void a_pat_holds_memory_types_only(void **state)
{
	assert_true(msr_pat_valid(0x0007040600070406));
	for (unsigned i = 0; i < 8; i++) {
		assert_true(msr_pat_valid(5ull << (8 * i)));
		assert_false(msr_pat_valid(2ull << (8 * i)));
		assert_false(msr_pat_valid(3ull << (8 * i)));
		assert_false(msr_pat_valid(8ull << (8 * i)));
	}
}

static void canonical_addresses_differ_from_others(void **state)
{
	assert_true(msr_canonical(0));
	assert_true(msr_canonical(0x00007fffffffffff));
	assert_true(msr_canonical(0xffff800000000000));
	assert_true(msr_canonical(~0ull));
	assert_false(msr_canonical(0x0000800000000000));
	assert_false(msr_canonical(0xffff7fffffffffff));
	assert_false(msr_canonical(1ull << 63));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rules_are_sorted_and_each_is_found),
		cmocka_unit_test(what_is_the_hypervisors_own_has_no_rule),
		cmocka_unit_test(counters_that_are_not_there_read_zero_and_take_writes),
		cmocka_unit_test(the_mtrrs_say_that_memory_is_write_back),
		cmocka_unit_test(an_mtrr_keeps_the_types_that_it_takes),
		cmocka_unit_test(state_rules_name_a_field_of_the_state),
		cmocka_unit_test(efer_takes_what_the_guest_may_have),
		cmocka_unit_test(long_mode_is_not_switched_under_paging),
		cmocka_unit_test(a_pat_holds_memory_types_only),
		cmocka_unit_test(canonical_addresses_differ_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
