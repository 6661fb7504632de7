/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c: exit qualifications, the MSR bitmap, and the rule of double faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "decode.h"
#include "vmx.h"
#include <asm/guest.h>
#include <asm/msr.h>
#include <asm/regs.h>
#include <string.h>

static void a_port_access_is_decoded_by_its_qualification(void **state)
{
	static const struct {
		u64 qualification;
		struct hv_exit_pio expected;
	} cases[] = {
		{0x03f80000, {.port = 0x3f8, .size = 1}},
		{0x03fd0008, {.port = 0x3fd, .size = 1, .in = true}},
		{0x0cf80003, {.port = 0xcf8, .size = 4}},
		{0xffff0049, {.port = 0xffff, .size = 2, .in = true}},
		{0x00e90030, {.port = 0xe9, .size = 1, .string = true}},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hv_exit_pio got = {0};

		vmx_decode_io(cases[i].qualification, &got);
		assert_int_equal(got.port, cases[i].expected.port);
		assert_int_equal(got.size, cases[i].expected.size);
		assert_int_equal(got.in, cases[i].expected.in);
		assert_int_equal(got.string, cases[i].expected.string);
	}
}

static void an_ept_violation_is_decoded_by_its_qualification(void **state)
{
	static const struct {
		u64 qualification;
		struct hv_exit_stage2 expected;
	} cases[] = {
		{0x181, {.access = HV_READ}},
		{0x18a, {.access = HV_WRITE}},
		{0x19c, {.access = HV_EXEC}},
		/* A walk of the guest's tables with A/D on: by the manual, and by Bochs 2.7. */
		{0x083, {.access = HV_READ | HV_WRITE, .table_walk = true}},
		{0x082, {.access = HV_READ | HV_WRITE, .table_walk = true}},
		/* A PDPTE load by MOV CR3 has no gva, and is not reported as a walk. */
		{0x001, {.access = HV_READ}},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hv_exit_stage2 got = {0};

		vmx_decode_ept_violation(cases[i].qualification, &got);
		assert_int_equal(got.access, cases[i].expected.access);
		assert_int_equal(got.table_walk, cases[i].expected.table_walk);
	}
}

static void only_control_register_accesses_that_can_exit_are_decoded(void **state)
{
	struct hv_exit_cr cr;

	assert_true(vmx_decode_cr(0x300, &cr)); /* MOV CR0, RBX */
	assert_true(cr.write && cr.cr == 0 && cr.gpr == GPR_RBX && cr.has_value);
	assert_true(vmx_decode_cr(0xf04, &cr)); /* MOV CR4, R15 */
	assert_true(cr.write && cr.cr == 4 && cr.gpr == GPR_R15);
	assert_true(vmx_decode_cr(0x018, &cr)); /* MOV RAX, CR8 */
	assert_true(!cr.write && cr.cr == 8 && cr.gpr == GPR_RAX);
	assert_false(vmx_decode_cr(0x003, &cr)); /* MOV CR3 does not exit */
	assert_false(vmx_decode_cr(0x013, &cr));
	assert_false(vmx_decode_cr(0x020, &cr));      /* CLTS */
	assert_false(vmx_decode_cr(0x000f0030, &cr)); /* LMSW */
}

static void debug_status_keeps_what_piles_up(void **state)
{
	assert_int_equal(vmx_debug_status(DR6_RESET | 0xf, 0x4001), DR6_RESET | 0x4001);
	assert_int_equal(vmx_debug_status(DR6_RESET | 0x4000, 0x2002), DR6_RESET | 0x6002);
}

/* VMX-4: SDM vol. 3A table 6-5, row by row. */
static void exceptions_merge_as_the_manual_says(void **state)
{
	static const u8 benign[] = {VECTOR_DB, VECTOR_BP, VECTOR_UD, VECTOR_NM, VECTOR_AC};
	static const u8 contributory[] = {VECTOR_DE, VECTOR_TS, VECTOR_NP, VECTOR_SS, VECTOR_GP};

	for (unsigned i = 0; i < 5; i++) {
		for (unsigned j = 0; j < 5; j++) {
			u8 b = benign[i], c = contributory[j];

			assert_int_equal(guest_merge_exceptions(b, c), c);
			assert_int_equal(guest_merge_exceptions(c, b), b);
			assert_int_equal(guest_merge_exceptions(c, contributory[i]), VECTOR_DF);
			assert_int_equal(guest_merge_exceptions(VECTOR_DF, b), b);
		}
		assert_int_equal(guest_merge_exceptions(benign[i], VECTOR_PF), VECTOR_PF);
		assert_int_equal(guest_merge_exceptions(contributory[i], VECTOR_PF), VECTOR_PF);
		assert_int_equal(guest_merge_exceptions(VECTOR_PF, contributory[i]), VECTOR_DF);
		assert_int_equal(guest_merge_exceptions(VECTOR_DF, contributory[i]),
				 GUEST_SHUTDOWN);
	}
	assert_int_equal(guest_merge_exceptions(VECTOR_PF, VECTOR_PF), VECTOR_DF);
	assert_int_equal(guest_merge_exceptions(VECTOR_DF, VECTOR_PF), GUEST_SHUTDOWN);
}

static unsigned holes(const u8 *page, size_t from, size_t to)
{
	unsigned n = 0;

	for (size_t i = from; i < to; i++)
		n += 8 - (unsigned)__builtin_popcount(page[i]);
	return n;
}

/* VMX-8. */
static void every_msr_exits_but_those_listed(void **state)
{
	static u8 page[4096];
	unsigned reads = 0, writes = 0;

	memset(page, 0xff, sizeof(page));
	vmx_msr_bitmap_build(page, msr_passthrough);
	for (const struct msr_passthrough *m = msr_passthrough; m->index; m++) {
		size_t map = m->index >= 0xc0000000 ? 0x400 : 0;
		u32 bit = m->index & 0x1fff;

		assert_int_equal(!(page[map + bit / 8] >> bit % 8 & 1), m->read);
		assert_int_equal(!(page[0x800 + map + bit / 8] >> bit % 8 & 1), m->write);
		reads += m->read;
		writes += m->write;
	}
	assert_int_equal(holes(page, 0, 0x800), reads);
	assert_int_equal(holes(page, 0x800, 0x1000), writes);
}

static void an_msr_outside_the_two_ranges_has_no_bit(void **state)
{
	static const u32 outside[] = {0x2000, 0x40000000, 0xbfffffff, 0xc0002000, 0xffffffff};
	static u8 page[4096];

	memset(page, 0xff, sizeof(page));
	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++)
		vmx_msr_bitmap_allow(page, outside[i], true, true);
	assert_int_equal(holes(page, 0, sizeof(page)), 0);
	vmx_msr_bitmap_allow(page, 0x1fff, true, true);
	vmx_msr_bitmap_allow(page, 0xc0001fff, true, true);
	assert_int_equal(holes(page, 0, sizeof(page)), 4);
	assert_int_equal(page[0x3ff] & page[0x7ff] & page[0xbff] & page[0xfff], 0x7f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_access_is_decoded_by_its_qualification),
		cmocka_unit_test(an_ept_violation_is_decoded_by_its_qualification),
		cmocka_unit_test(only_control_register_accesses_that_can_exit_are_decoded),
		cmocka_unit_test(debug_status_keeps_what_piles_up),
		cmocka_unit_test(exceptions_merge_as_the_manual_says),
		cmocka_unit_test(every_msr_exits_but_those_listed),
		cmocka_unit_test(an_msr_outside_the_two_ranges_has_no_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
