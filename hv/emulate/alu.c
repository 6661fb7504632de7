/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alu.c: the arithmetic of the instructions that insn.c decodes.
 *
 * MMIO-1  result and flags are those of the instruction on a real CPU (tests/unit/hv/emulate/mmio.c
 *         runs it on one).
 */
#include <hv/mmio.h>

#define CF	     BIT(0)
#define PF	     BIT(2)
#define AF	     BIT(4)
#define ZF	     BIT(6)
#define SF	     BIT(7)
#define OF	     BIT(11)
#define STATUS_FLAGS (CF | PF | AF | ZF | SF | OF)

static u64 mask_of(unsigned size)
{
	return BITS(8 * size - 1, 0);
}

static u64 sign_of(unsigned size)
{
	return BIT(8 * size - 1);
}

static u64 result_flags(u64 result, unsigned size)
{
	u64 flags = 0;

	flags |= __builtin_parity((unsigned)(result & 0xff)) ? 0 : PF;
	flags |= result & mask_of(size) ? 0 : ZF;
	flags |= result & sign_of(size) ? SF : 0;
	return flags;
}

/* a + b + carry, or with `subtract` a - b - carry. */
static u64 add(u64 a, u64 b, u64 carry, bool subtract, unsigned size, u64 *flags)
{
	u64 mask = mask_of(size), sign = sign_of(size), result, carries;

	a &= mask;
	b &= mask;
	result = (subtract ? a - b - carry : a + b + carry) & mask;
	/* The carry (borrow) out of each bit, from operands and result alone. */
	carries = subtract ? (~a & b) | ((~a | b) & result) : (a & b) | ((a | b) & ~result);
	*flags = (*flags & ~STATUS_FLAGS) | result_flags(result, size);
	*flags |= carries & sign ? CF : 0;
	*flags |= carries & 8 ? AF : 0;
	*flags |= (subtract ? (a ^ b) & (a ^ result) : ~(a ^ b) & (a ^ result)) & sign ? OF : 0;
	return result;
}

static u64 logic(u64 result, unsigned size, u64 *flags)
{
	*flags = (*flags & ~STATUS_FLAGS) | result_flags(result, size);
	return result;
}

static u64 sign_extend(u64 value, unsigned size)
{
	unsigned shift = 64 - 8 * size;

	return (u64)((s64)(value << shift) >> shift);
}

/* The two-operand group: `to` op= `from`. Returns whether `to` changes. */
static bool arithmetic(enum insn_op op, unsigned size, u64 *to, u64 from, u64 *flags)
{
	u64 carry = op == INSN_ADC || op == INSN_SBB ? *flags & CF : 0;
	u64 result;

	switch (op) {
	case INSN_ADD:
	case INSN_ADC:
		result = add(*to, from, carry, false, size, flags);
		break;
	case INSN_SUB:
	case INSN_SBB:
	case INSN_CMP:
		result = add(*to, from, carry, true, size, flags);
		break;
	case INSN_OR:
		result = logic(*to | from, size, flags);
		break;
	case INSN_XOR:
		result = logic(*to ^ from, size, flags);
		break;
	default:
		result = logic(*to & from, size, flags);
		break;
	}
	if (op == INSN_CMP || op == INSN_TEST)
		return false;
	*to = result;
	return true;
}

/* One operand: INC and DEC keep CF, NOT keeps all flags. */
static void unary(enum insn_op op, unsigned size, u64 *memory, u64 *flags)
{
	u64 carry = *flags & CF;

	if (op == INSN_NOT) {
		*memory = ~*memory;
		return;
	}
	if (op == INSN_NEG) {
		*memory = add(0, *memory, 0, true, size, flags);
		return;
	}
	*memory = add(*memory, 1, 0, op == INSN_DEC, size, flags);
	*flags = (*flags & ~CF) | carry;
}

static bool bit_test(enum insn_op op, unsigned size, u64 *memory, u64 index, u64 *flags)
{
	u64 bit = BIT(index & (8 * size - 1));

	*flags = (*flags & ~CF) | (*memory & bit ? CF : 0);
	if (op == INSN_BTS)
		*memory |= bit;
	else if (op == INSN_BTR)
		*memory &= ~bit;
	else if (op == INSN_BTC)
		*memory ^= bit;
	return op != INSN_BT;
}

static bool move(const struct insn *insn, u64 *memory, u64 *other)
{
	if (insn->to_memory) {
		*memory = *other;
		return true;
	}
	*other = insn->op == INSN_MOVSX ? sign_extend(*memory, insn->size)
					: *memory & mask_of(insn->size);
	return false;
}

bool mmio_compute(const struct insn *insn, u64 *memory, u64 *other, u64 *flags)
{
	u64 swap = *memory;

	switch (insn->op) {
	case INSN_MOV:
	case INSN_MOVZX:
	case INSN_MOVSX:
	case INSN_STOS:
	case INSN_LODS:
		return move(insn, memory, other);
	case INSN_XCHG:
		*memory = *other;
		*other = swap;
		return true;
	case INSN_INC:
	case INSN_DEC:
	case INSN_NOT:
	case INSN_NEG:
		unary(insn->op, insn->size, memory, flags);
		return true;
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		return bit_test(insn->op, insn->size, memory, *other, flags);
	default:
		break;
	}
	if (insn->to_memory)
		return arithmetic(insn->op, insn->size, memory, *other, flags);
	(void)arithmetic(insn->op, insn->size, other, *memory, flags);
	return false;
}

struct gva mmio_movs_operand(const struct insn *insn, enum insn_mode mode,
			     const struct guest_state *state, u64 offset, bool source)
{
	unsigned segment = source ? insn->segment : SEG_ES;
	u64 base = state->seg[segment].base;

	switch (mode) {
	case INSN_64: /* only FS and GS have a base */
		return (struct gva){segment >= SEG_FS ? base + offset : offset};
	case INSN_32:
		return (struct gva){(u32)(base + offset)};
	default:
		return (struct gva){(u32)(base + (u16)offset)};
	}
}
