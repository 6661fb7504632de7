/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.c: the pointers and counts of string instructions by address size, and where they point.
 */
#include "hv/emulate/private.h"
#include <arch/regs.h>
#include <hv/vcpu.h>
#include "sim/sim.h"

const struct virt_ops *virt;
static u64 gpr[GPRS];

void vcpu_raise(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code, u64 address)
{
	fail();
}

static struct insn decoded(enum insn_mode mode, const u8 *bytes, unsigned count)
{
	struct insn insn;

	assert_int_equal(insn_decode(bytes, count, mode, &insn), 0);
	return insn;
}
#define DECODED(mode, ...) \
	decoded(mode, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static void set(u64 rsi, u64 rdi, u64 rcx)
{
	gpr[GPR_RSI] = rsi;
	gpr[GPR_RDI] = rdi;
	gpr[GPR_RCX] = rcx;
}

static void are(u64 rsi, u64 rdi, u64 rcx)
{
	assert_int_equal(gpr[GPR_RSI], rsi);
	assert_int_equal(gpr[GPR_RDI], rdi);
	assert_int_equal(gpr[GPR_RCX], rcx);
}

/* INS at the end of a segment goes on at its start. */
static void sixteen_bits_wrap_and_keep_the_upper_half(void **state)
{
	const struct insn insb = DECODED(INSN_16, 0xf3, 0x6c), outsw = DECODED(INSN_16, 0xf3, 0x6f);

	set(7, 0xabcdffff, 0x12340002);
	assert_true(string_step(gpr, &insb, 0));
	are(7, 0xabcd0000, 0x12340001);
	assert_false(string_step(gpr, &insb, 0));
	are(7, 0xabcd0001, 0x12340000);
	set(0, 7, 2);
	assert_true(string_step(gpr, &outsw, RFLAGS_DF));
	are(0xfffe, 7, 1);
}

static void thirty_two_bits_in_64_bit_code_are_zero_extended(void **state)
{
	const struct insn stosl = DECODED(INSN_64, 0x67, 0xf3, 0xab);

	set(7, 0x5fffffffc, 0x100000002);
	assert_int_equal(string_register(gpr, &stosl, GPR_RDI), 0xfffffffc);
	assert_int_equal(string_register(gpr, &stosl, GPR_RCX), 2);
	assert_true(string_step(gpr, &stosl, 0));
	are(7, 0, 1);
	assert_false(string_step(gpr, &stosl, 0));
	are(7, 4, 0);
}

static void a_comparison_ends_by_its_result(void **state)
{
	const struct insn repe = DECODED(INSN_64, 0xf3, 0xa6), repne = DECODED(INSN_64, 0xf2, 0xae);

	set(0, 0, 9);
	assert_true(string_step(gpr, &repe, RFLAGS_ZF));
	assert_false(string_step(gpr, &repe, 0));
	are(2, 2, 7);
	assert_true(string_step(gpr, &repne, 0));
	assert_false(string_step(gpr, &repne, RFLAGS_ZF));
	are(2, 4, 5);
}

static void without_a_prefix_one_element_is_all(void **state)
{
	const struct insn movsq = DECODED(INSN_64, 0x48, 0xa5), lodsb = DECODED(INSN_64, 0xac);

	set(0x10, 0x20, 9);
	assert_false(string_step(gpr, &movsq, 0));
	are(0x18, 0x28, 9);
	assert_false(string_step(gpr, &lodsb, RFLAGS_DF));
	are(0x17, 0x28, 9);
}

static u64 source_at(struct insn insn, enum insn_mode mode, u64 offset)
{
	struct guest_state state = {0};

	for (unsigned i = 0; i <= SEG_GS; i++)
		state.seg[i].base = (i + 1) * 0x10000;
	gpr[GPR_RSI] = offset;
	return linear_of(&state, mode, insn.segment, string_register(gpr, &insn, GPR_RSI)).raw;
}

static void the_source_is_where_the_override_says(void **state)
{
	assert_int_equal(source_at(DECODED(INSN_16, 0xa5), INSN_16, 0x12345), 0x42345);
	assert_int_equal(source_at(DECODED(INSN_16, 0x2e, 0xa5), INSN_16, 0x345), 0x20345);
	assert_int_equal(source_at(DECODED(INSN_32, 0x64, 0x6e), INSN_32, 0x12345), 0x62345);
	assert_int_equal(source_at(DECODED(INSN_32, 0x64, 0x36, 0xa4), INSN_32, 1), 0x30001);
	assert_int_equal(source_at(DECODED(INSN_32, 0xa6), INSN_32, 0xffffffff), 0x3ffff);
	assert_int_equal(source_at(DECODED(INSN_64, 0x48, 0xa5), INSN_64, 0x12345), 0x12345);
	assert_int_equal(source_at(DECODED(INSN_64, 0x26, 0xac), INSN_64, 0x12345), 0x12345);
	assert_int_equal(source_at(DECODED(INSN_64, 0x65, 0xa5), INSN_64, 0x12345), 0x72345);
	assert_int_equal(source_at(DECODED(INSN_64, 0x65, 0x2e, 0xa5), INSN_64, 5), 0x60005);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sixteen_bits_wrap_and_keep_the_upper_half),
		cmocka_unit_test(thirty_two_bits_in_64_bit_code_are_zero_extended),
		cmocka_unit_test(a_comparison_ends_by_its_result),
		cmocka_unit_test(without_a_prefix_one_element_is_all),
		cmocka_unit_test(the_source_is_where_the_override_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
