/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio.c: results and flags of mmio_compute() against this CPU (MMIO-1).
 *
 * Each operation is carried out twice on the same operands: by the instruction itself on a variable
 * in memory, and by mmio_compute(). Operands are random bits, or the values at which carries and
 * signs change. Flags that the manual calls undefined are not compared.
 */
#include <hv/mmio.h>
#include "sim/sim.h"

#define CF	     0x001ull
#define AF	     0x010ull
#define ZF	     0x040ull
#define STATUS_FLAGS 0x8d5ull
#define FLAGS_BASE   0x202ull
#define TRIES	     4000

typedef void on_cpu(void *memory, u64 *reg, u64 *flags);

/*
 * The instruction with the given flags before it; the stack is moved off the compiler's red zone.
 */
#define ON_CPU(name, text)                                                               \
	static void name(void *memory, u64 *reg, u64 *flags)                             \
	{                                                                                \
		u64 r = *reg, f = *flags;                                                \
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %[f]\n\tpopfq\n\t" text \
				 "\n\tpushfq\n\tpop %[f]\n\tlea 128(%%rsp), %%rsp"       \
				 : [r] "+&r"(r), [f] "+&r"(f)                            \
				 : [m] "r"(memory)                                       \
				 : "memory", "cc");                                      \
		*reg = r;                                                                \
		*flags = f;                                                              \
	}

#define TO_MEMORY(insn)                              \
	ON_CPU(insn##_to_1, #insn "b %b[r], (%[m])") \
	ON_CPU(insn##_to_2, #insn "w %w[r], (%[m])") \
	ON_CPU(insn##_to_4, #insn "l %k[r], (%[m])") \
	ON_CPU(insn##_to_8, #insn "q %q[r], (%[m])")
#define FROM_MEMORY(insn)                              \
	ON_CPU(insn##_from_1, #insn "b (%[m]), %b[r]") \
	ON_CPU(insn##_from_2, #insn "w (%[m]), %w[r]") \
	ON_CPU(insn##_from_4, #insn "l (%[m]), %k[r]") \
	ON_CPU(insn##_from_8, #insn "q (%[m]), %q[r]")
#define BOTH(insn) TO_MEMORY(insn) FROM_MEMORY(insn)
#define UNARY(insn)                           \
	ON_CPU(insn##_to_1, #insn "b (%[m])") \
	ON_CPU(insn##_to_2, #insn "w (%[m])") \
	ON_CPU(insn##_to_4, #insn "l (%[m])") \
	ON_CPU(insn##_to_8, #insn "q (%[m])")
#define BITS_OF(insn)                                \
	ON_CPU(insn##_to_2, #insn "w %w[r], (%[m])") \
	ON_CPU(insn##_to_4, #insn "l %k[r], (%[m])") \
	ON_CPU(insn##_to_8, #insn "q %q[r], (%[m])")
#define EXTEND(insn, reg) ON_CPU(insn, #insn " (%[m]), %" #reg "[r]")

BOTH(mov)
BOTH(add)
BOTH(or)
BOTH(adc)
BOTH(sbb)
BOTH(and)
BOTH(sub)
BOTH(xor)
BOTH(cmp)
TO_MEMORY(test)
TO_MEMORY(xchg)
UNARY(inc)
UNARY(dec)
UNARY(not )
UNARY(neg)
BITS_OF(bt)
BITS_OF(bts)
BITS_OF(btr)
BITS_OF(btc)
EXTEND(movzbw, w)
EXTEND(movzbl, k)
EXTEND(movzbq, q)
EXTEND(movzwl, k)
EXTEND(movzwq, q)
EXTEND(movsbw, w)
EXTEND(movsbl, k)
EXTEND(movsbq, q)
EXTEND(movswl, k)
EXTEND(movswq, q)
EXTEND(movslq, q)

struct operation {
	const char *name;
	on_cpu *run;
	enum insn_op op;
	u8 size, reg_size;
	bool to_memory;
	u64 defined; /* of the status flags */
};

#define ROW(fn, op, size, to, defined)               \
	{                                            \
#fn, fn, op, size, size, to, defined \
	}
#define TO_ROWS(insn, op, defined)                                                      \
	ROW(insn##_to_1, op, 1, true, defined), ROW(insn##_to_2, op, 2, true, defined), \
		ROW(insn##_to_4, op, 4, true, defined), ROW(insn##_to_8, op, 8, true, defined)
#define FROM_ROWS(insn, op, defined)                                                          \
	ROW(insn##_from_1, op, 1, false, defined), ROW(insn##_from_2, op, 2, false, defined), \
		ROW(insn##_from_4, op, 4, false, defined),                                    \
		ROW(insn##_from_8, op, 8, false, defined)
#define BOTH_ROWS(insn, op, defined) TO_ROWS(insn, op, defined), FROM_ROWS(insn, op, defined)
#define BIT_ROWS(insn, op)                                                              \
	ROW(insn##_to_2, op, 2, true, CF | ZF), ROW(insn##_to_4, op, 4, true, CF | ZF), \
		ROW(insn##_to_8, op, 8, true, CF | ZF)
#define EXTEND_ROW(insn, op, size, reg_size)                         \
	{                                                            \
#insn, insn, op, size, reg_size, false, STATUS_FLAGS \
	}
#define LOGIC (STATUS_FLAGS & ~AF)

static const struct operation operations[] = {
	BOTH_ROWS(mov, INSN_MOV, STATUS_FLAGS),
	BOTH_ROWS(add, INSN_ADD, STATUS_FLAGS),
	BOTH_ROWS(or, INSN_OR, LOGIC),
	BOTH_ROWS(adc, INSN_ADC, STATUS_FLAGS),
	BOTH_ROWS(sbb, INSN_SBB, STATUS_FLAGS),
	BOTH_ROWS(and, INSN_AND, LOGIC),
	BOTH_ROWS(sub, INSN_SUB, STATUS_FLAGS),
	BOTH_ROWS(xor, INSN_XOR, LOGIC),
	BOTH_ROWS(cmp, INSN_CMP, STATUS_FLAGS),
	TO_ROWS(test, INSN_TEST, LOGIC),
	TO_ROWS(xchg, INSN_XCHG, STATUS_FLAGS),
	TO_ROWS(inc, INSN_INC, STATUS_FLAGS),
	TO_ROWS(dec, INSN_DEC, STATUS_FLAGS),
	TO_ROWS(not, INSN_NOT, STATUS_FLAGS),
	TO_ROWS(neg, INSN_NEG, STATUS_FLAGS),
	BIT_ROWS(bt, INSN_BT),
	BIT_ROWS(bts, INSN_BTS),
	BIT_ROWS(btr, INSN_BTR),
	BIT_ROWS(btc, INSN_BTC),
	EXTEND_ROW(movzbw, INSN_MOVZX, 1, 2),
	EXTEND_ROW(movzbl, INSN_MOVZX, 1, 4),
	EXTEND_ROW(movzbq, INSN_MOVZX, 1, 8),
	EXTEND_ROW(movzwl, INSN_MOVZX, 2, 4),
	EXTEND_ROW(movzwq, INSN_MOVZX, 2, 8),
	EXTEND_ROW(movsbw, INSN_MOVSX, 1, 2),
	EXTEND_ROW(movsbl, INSN_MOVSX, 1, 4),
	EXTEND_ROW(movsbq, INSN_MOVSX, 1, 8),
	EXTEND_ROW(movswl, INSN_MOVSX, 2, 4),
	EXTEND_ROW(movswq, INSN_MOVSX, 2, 8),
	EXTEND_ROW(movslq, INSN_MOVSX, 4, 8),
};

static struct sim_random dice;

/* Random bits, or next to a power of two, where carries and signs change. */
static u64 operand(void)
{
	u64 edge = BIT(sim_below(&dice, 64));

	switch (sim_below(&dice, 4)) {
	case 0:
		return edge - 1;
	case 1:
		return -edge;
	default:
		return sim_random(&dice);
	}
}

static u64 low(u64 value, unsigned size)
{
	return value & BITS(8 * size - 1, 0);
}

static bool takes_bit_index(enum insn_op op)
{
	return op >= INSN_BT && op <= INSN_BTC;
}

static void compare(const struct operation *o)
{
	const struct insn insn = {
		.op = o->op, .size = o->size, .reg_size = o->reg_size, .to_memory = o->to_memory};
	u64 real_memory = operand(), memory = low(real_memory, o->size), before = memory;
	u64 real_reg = takes_bit_index(o->op) ? sim_below(&dice, 8 * o->size) : operand();
	u64 reg = real_reg, flags = FLAGS_BASE | (sim_random(&dice) & STATUS_FLAGS);
	u64 real_flags = flags;
	bool writes;

	o->run(&real_memory, &real_reg, &real_flags);
	writes = mmio_compute(&insn, &memory, &reg, &flags);
	if (low(real_memory, o->size) != (writes ? low(memory, o->size) : before) ||
	    low(real_reg, o->reg_size) != low(reg, o->reg_size) ||
	    (real_flags ^ flags) & o->defined)
		fail_msg("%s: memory %llx is %llx, register %llx is %llx, flags %llx are %llx",
			 o->name, (unsigned long long)memory, (unsigned long long)real_memory,
			 (unsigned long long)reg, (unsigned long long)real_reg,
			 (unsigned long long)flags, (unsigned long long)real_flags);
	assert_int_equal(flags & ~STATUS_FLAGS, FLAGS_BASE);
}

static void results_and_flags_are_those_of_the_cpu(void **state)
{
	dice = sim_random_start(1);
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		for (unsigned n = 0; n < TRIES; n++)
			compare(&operations[i]);
	}
}

static void a_string_instruction_moves_its_operand(void **state)
{
	const struct insn stos = {.op = INSN_STOS, .size = 4, .reg_size = 4, .to_memory = true};
	const struct insn lods = {.op = INSN_LODS, .size = 4, .reg_size = 4};
	u64 memory = 1, rax = 0x89abcdef, flags = FLAGS_BASE;

	assert_true(mmio_compute(&stos, &memory, &rax, &flags));
	assert_int_equal(memory, 0x89abcdef);
	memory = 0x12345678;
	assert_false(mmio_compute(&lods, &memory, &rax, &flags));
	assert_int_equal(rax, 0x12345678);
	assert_int_equal(flags, FLAGS_BASE);
}

static struct insn decoded(enum insn_mode mode, const u8 *bytes, unsigned count)
{
	struct insn insn;

	assert_int_equal(insn_decode(bytes, count, mode, &insn), 0);
	return insn;
}
#define DECODED(mode, ...) \
	decoded(mode, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static u64 movs_at(struct insn insn, enum insn_mode mode, u64 offset, bool source)
{
	struct guest_state state = {0};

	for (unsigned i = 0; i <= SEG_GS; i++)
		state.seg[i].base = (i + 1) * 0x10000;
	return mmio_movs_operand(&insn, mode, &state, offset, source).raw;
}

static void movs_takes_its_source_where_the_override_says(void **state)
{
	assert_int_equal(movs_at(DECODED(INSN_16, 0xa5), INSN_16, 0x12345, true), 0x42345);
	assert_int_equal(movs_at(DECODED(INSN_16, 0x2e, 0xa5), INSN_16, 0x345, true), 0x20345);
	assert_int_equal(movs_at(DECODED(INSN_16, 0x2e, 0xa5), INSN_16, 0x345, false), 0x10345);
	assert_int_equal(movs_at(DECODED(INSN_32, 0x64, 0xa5), INSN_32, 0x12345, true), 0x62345);
	assert_int_equal(movs_at(DECODED(INSN_32, 0x64, 0x36, 0xa4), INSN_32, 1, true), 0x30001);
	assert_int_equal(movs_at(DECODED(INSN_32, 0xa4), INSN_32, 0xffffffff, true), 0x3ffff);
	assert_int_equal(movs_at(DECODED(INSN_64, 0x48, 0xa5), INSN_64, 0x12345, true), 0x12345);
	assert_int_equal(movs_at(DECODED(INSN_64, 0x26, 0xa5), INSN_64, 0x12345, true), 0x12345);
	assert_int_equal(movs_at(DECODED(INSN_64, 0x65, 0xa5), INSN_64, 0x12345, true), 0x72345);
	assert_int_equal(movs_at(DECODED(INSN_64, 0x65, 0x2e, 0xa5), INSN_64, 0x5, true), 0x60005);
	assert_int_equal(movs_at(DECODED(INSN_64, 0x65, 0xa5), INSN_64, 0x12345, false), 0x12345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(movs_takes_its_source_where_the_override_says),
		cmocka_unit_test(results_and_flags_are_those_of_the_cpu),
		cmocka_unit_test(a_string_instruction_moves_its_operand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
