/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alu.c: the arithmetic of the instructions that insn.c decodes.
 *
 * MMIO-1  result and flags are those of the instruction on a real CPU (tests/unit/hv/emulate/mmio.c
 *         runs it on one).
 */
#include <hv/mmio.h>
#include "hv/emulate/private.h"

#define CF	     BIT(0)
#define PF	     BIT(2)
#define AF	     BIT(4)
#define ZF	     BIT(6)
#define SF	     BIT(7)
#define OF	     BIT(11)
#define STATUS_FLAGS (CF | PF | AF | ZF | SF | OF)

static u64 sign_of(unsigned size)
{
	return BIT(8 * size - 1);
}

static void set_flag(u64 *flags, u64 flag, bool on)
{
	*flags = on ? *flags | flag : *flags & ~flag;
}

static u64 result_flags(u64 result, unsigned size)
{
	u64 flags = 0;

	flags |= __builtin_parity((unsigned)(result & 0xff)) ? 0 : PF;
	flags |= result & size_mask(size) ? 0 : ZF;
	flags |= result & sign_of(size) ? SF : 0;
	return flags;
}

/* a + b + carry, or with `subtract` a - b - carry. */
static u64 alu_add(u64 a, u64 b, u64 carry, bool subtract, unsigned size, u64 *flags)
{
	u64 mask = size_mask(size), sign = sign_of(size), result, carries;

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

void mmio_compare(unsigned size, u64 a, u64 b, u64 *flags)
{
	alu_add(a, b, 0, true, size, flags);
}

static u64 alu_logic(u64 result, unsigned size, u64 *flags)
{
	*flags = (*flags & ~STATUS_FLAGS) | result_flags(result, size);
	return result;
}

static s64 sign_extend(u64 value, unsigned size)
{
	unsigned shift = 64 - 8 * size;

	return (s64)(value << shift) >> shift;
}

/* The two-operand group: `to` op `from`, which CMP and TEST do not store. */
static u64 alu_binary(enum insn_op op, unsigned size, u64 to, u64 from, u64 *flags)
{
	u64 carry = op == INSN_ADC || op == INSN_SBB ? *flags & CF : 0;

	switch (op) {
	case INSN_ADD:
	case INSN_ADC:
		return alu_add(to, from, carry, false, size, flags);
	case INSN_SUB:
	case INSN_SBB:
	case INSN_CMP:
		return alu_add(to, from, carry, true, size, flags);
	case INSN_OR:
		return alu_logic(to | from, size, flags);
	case INSN_XOR:
		return alu_logic(to ^ from, size, flags);
	default:
		return alu_logic(to & from, size, flags);
	}
}

/* One operand: INC and DEC keep CF, NOT keeps all flags. */
static u64 alu_unary(enum insn_op op, unsigned size, u64 memory, u64 *flags)
{
	u64 carry = *flags & CF;

	if (op == INSN_NOT)
		return ~memory;
	if (op == INSN_NEG)
		return alu_add(0, memory, 0, true, size, flags);
	memory = alu_add(memory, 1, 0, op == INSN_DEC, size, flags);
	*flags = (*flags & ~CF) | carry;
	return memory;
}

/* Shifts by 1 to 63; above the operand's width everything but SAR's sign has left it. */
static u64 alu_shift(enum insn_op op, unsigned size, u64 value, unsigned count, u64 *flags)
{
	unsigned width = 8 * size;
	u64 sign = sign_of(size), result;
	bool carry;

	value &= size_mask(size);
	if (op == INSN_SAR) {
		s64 wide = sign_extend(value, size);

		result = (u64)(wide >> MIN(count, width - 1));
		carry = wide >> MIN(count - 1, width - 1) & 1;
		set_flag(flags, OF, false);
	} else if (op == INSN_SHR) {
		result = count < width ? value >> count : 0;
		carry = count <= width && value >> (count - 1) & 1;
		set_flag(flags, OF, value & sign);
	} else {
		result = count < width ? value << count : 0;
		carry = count <= width && value >> (width - count) & 1;
		set_flag(flags, OF, !(result & sign) == carry);
	}
	*flags = (*flags & ~(PF | ZF | SF)) | result_flags(result, size);
	set_flag(flags, CF, carry);
	return result & size_mask(size);
}

/* ROL and ROR; RCL and RCR rotate through CF, one bit at a time. */
static u64 alu_rotate(enum insn_op op, unsigned size, u64 value, unsigned count, u64 *flags)
{
	bool left = op == INSN_ROL || op == INSN_RCL, through = op == INSN_RCL || op == INSN_RCR;
	u64 sign = sign_of(size), next = sign >> 1;

	value &= size_mask(size);
	for (count %= 8 * size + through; count; count--) {
		bool out = value & (left ? sign : 1);
		bool in = through ? *flags & CF : out;

		value = left ? value << 1 | in : value >> 1 | (in ? sign : 0);
		value &= size_mask(size);
		set_flag(flags, CF, out);
	}
	if (!through)
		set_flag(flags, CF, value & (left ? 1 : sign));
	if (left)
		set_flag(flags, OF, !(value & sign) == !!(*flags & CF));
	else
		set_flag(flags, OF, !(value & sign) != !(value & next));
	return value;
}

static unsigned shift_count(const struct insn *insn, const u64 *gpr)
{
	u64 count = insn->by_cl ? gpr[GPR_RCX] : insn->value;

	return count & (insn->size == 8 ? 63 : 31);
}

static u64 alu_group2(const struct insn *insn, const u64 *gpr, u64 memory, u64 *flags)
{
	unsigned count = shift_count(insn, gpr);

	if (count == 0)
		return memory;
	return insn->op >= INSN_SHL ? alu_shift(insn->op, insn->size, memory, count, flags)
				    : alu_rotate(insn->op, insn->size, memory, count, flags);
}

/* SHLD and SHRD. A count above the operand's width is undefined: then as if it were less. */
static u64 alu_double_shift(const struct insn *insn, const u64 *gpr, u64 memory, u64 other,
			    u64 *flags)
{
	unsigned width = 8 * insn->size, count = shift_count(insn, gpr) % (width + 1);
	u64 mask = size_mask(insn->size), result;
	bool left = insn->op == INSN_SHLD, carry;

	memory &= mask;
	other &= mask;
	if (count == 0)
		return memory;
	carry = memory >> (left ? width - count : count - 1) & 1;
	if (count == width)
		result = other;
	else if (left)
		result = (memory << count | other >> (width - count)) & mask;
	else
		result = (memory >> count | other << (width - count)) & mask;
	*flags = (*flags & ~(PF | ZF | SF)) | result_flags(result, insn->size);
	set_flag(flags, CF, carry);
	set_flag(flags, OF, (memory ^ result) & sign_of(insn->size));
	return result;
}

static u64 alu_bit_test(enum insn_op op, unsigned size, u64 memory, u64 index, u64 *flags)
{
	u64 bit = BIT(index & (8 * size - 1));

	set_flag(flags, CF, memory & bit);
	switch (op) {
	case INSN_BTS:
		return memory | bit;
	case INSN_BTR:
		return memory & ~bit;
	case INSN_BTC:
		return memory ^ bit;
	default:
		return memory;
	}
}

/* The compiler would call a library for it. */
static u64 count_bits(u64 value)
{
	u64 bits = 0;

	for (; value; value &= value - 1)
		bits++;
	return bits;
}

/* BSF, BSR, TZCNT, LZCNT, POPCNT: the result for the register, which BSF and BSR of 0 keep. */
static u64 alu_scan(enum insn_op op, unsigned size, u64 memory, u64 before, u64 *flags)
{
	unsigned width = 8 * size;
	u64 value = memory & size_mask(size), first, last;

	first = value ? (unsigned)__builtin_ctzll(value) : width;
	last = value ? 63u - (unsigned)__builtin_clzll(value) : 0;
	if (op == INSN_BSF || op == INSN_BSR) {
		set_flag(flags, ZF, !value);
		return !value ? before : op == INSN_BSF ? first : last;
	}
	if (op == INSN_POPCNT) {
		*flags = (*flags & ~STATUS_FLAGS) | (value ? 0 : ZF);
		return count_bits(value);
	}
	first = op == INSN_TZCNT ? first : value ? width - 1 - last : width;
	set_flag(flags, CF, !value);
	set_flag(flags, ZF, first == 0);
	return first;
}

static u64 reverse_bytes(u64 value, unsigned size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

/* The condition codes (SDM vol. 1, appendix B): pairs, of which the odd one is the negation. */
static bool condition_holds(unsigned condition, u64 flags)
{
	bool less = !(flags & SF) != !(flags & OF);
	const bool holds[] = {
		flags & OF, flags & CF, flags & ZF, flags & (CF | ZF),
		flags & SF, flags & PF, less,	    less || flags & ZF,
	};

	return holds[condition >> 1] != (condition & 1);
}

static u64 alu_multiply(unsigned size, u64 a, u64 b, u64 *flags)
{
	__int128 product = (__int128)sign_extend(a, size) * sign_extend(b, size);
	u64 result = (u64)product & size_mask(size);

	set_flag(flags, CF | OF, product != sign_extend(result, size));
	return result;
}

static void set_pair(const struct insn *insn, u64 *gpr, u64 low, u64 high)
{
	if (insn->size == 1) {
		register_set(gpr, GPR_RAX, 2, high << 8 | (low & 0xff));
		return;
	}
	register_set(gpr, GPR_RAX, insn->size, low);
	register_set(gpr, GPR_RDX, insn->size, high);
}

static void multiply_accumulator(const struct insn *insn, u64 *gpr, u64 memory, u64 *flags)
{
	unsigned width = 8 * insn->size;
	u64 mask = size_mask(insn->size), a = gpr[GPR_RAX] & mask;
	unsigned __int128 product = (unsigned __int128)a * (memory & mask);

	if (insn->op == INSN_IMUL_A)
		product = (unsigned __int128)((__int128)sign_extend(a, insn->size) *
					      sign_extend(memory, insn->size));
	if (insn->op == INSN_IMUL_A)
		alu_multiply(insn->size, a, memory, flags);
	else
		set_flag(flags, CF | OF, product >> width);
	set_pair(insn, gpr, (u64)product & mask, (u64)(product >> width) & mask);
}

/* high:low / by, where high < by. The compiler would call a library for it. */
static u64 divide_wide(u64 high, u64 low, u64 by, u64 *rest)
{
	u64 quotient;

	__asm__("divq %4" : "=a"(quotient), "=d"(*rest) : "0"(low), "1"(high), "r"(by) : "cc");
	return quotient;
}

static unsigned __int128 dividend_of(const struct insn *insn, const u64 *gpr)
{
	u64 mask = size_mask(insn->size);

	if (insn->size == 1)
		return gpr[GPR_RAX] & 0xffff;
	return (unsigned __int128)(gpr[GPR_RDX] & mask) << (8 * insn->size) | (gpr[GPR_RAX] & mask);
}

/* DIV and IDIV, by magnitudes. False: #DE. */
static bool divide_accumulator(const struct insn *insn, u64 *gpr, u64 memory)
{
	bool is_signed = insn->op == INSN_IDIV;
	unsigned __int128 dividend = dividend_of(insn, gpr);
	u64 mask = size_mask(insn->size), by = memory & mask, quotient, rest;
	bool minus = is_signed && dividend >> (16 * insn->size - 1) & 1;
	bool by_minus = is_signed && by & sign_of(insn->size);
	u64 limit = is_signed ? sign_of(insn->size) - (minus == by_minus) : mask;

	if (minus)
		dividend = -dividend;
	if (minus && insn->size < 8)
		dividend &= ((unsigned __int128)1 << 16 * insn->size) - 1;
	by = by_minus ? -by & mask : by;
	if ((u64)(dividend >> 64) >= by)
		return false;
	quotient = divide_wide((u64)(dividend >> 64), (u64)dividend, by, &rest);
	if (quotient > limit)
		return false;
	set_pair(insn, gpr, minus == by_minus ? quotient : -quotient, minus ? -rest : rest);
	return true;
}

/* The memory is written in either case, as a locked access always ends with a write. */
static u64 compare_and_exchange(const struct insn *insn, u64 *gpr, u64 memory, u64 other,
				u64 *flags)
{
	mmio_compare(insn->size, gpr[GPR_RAX], memory, flags);
	if (*flags & ZF)
		return other;
	register_set(gpr, GPR_RAX, insn->size, memory);
	return memory;
}

static u64 compare_and_exchange_8(u64 *gpr, u64 memory, u64 *flags)
{
	bool equal = (gpr[GPR_RDX] << 32 | (u32)gpr[GPR_RAX]) == memory;

	set_flag(flags, ZF, equal);
	if (equal)
		return gpr[GPR_RCX] << 32 | (u32)gpr[GPR_RBX];
	register_set(gpr, GPR_RAX, 4, memory);
	register_set(gpr, GPR_RDX, 4, memory >> 32);
	return memory;
}

/* Operations on the memory alone, or on it and the accumulators. */
static u64 compute_memory(const struct insn *insn, u64 *gpr, u64 memory, u64 other, u64 *flags)
{
	switch (insn->op) {
	case INSN_INC:
	case INSN_DEC:
	case INSN_NOT:
	case INSN_NEG:
		return alu_unary(insn->op, insn->size, memory, flags);
	case INSN_ROL ... INSN_SAR:
		return alu_group2(insn, gpr, memory, flags);
	case INSN_SHLD:
	case INSN_SHRD:
		return alu_double_shift(insn, gpr, memory, other, flags);
	case INSN_BT ... INSN_BTC:
		return alu_bit_test(insn->op, insn->size, memory, other, flags);
	case INSN_CMPXCHG:
		return compare_and_exchange(insn, gpr, memory, other, flags);
	case INSN_CMPXCHG8B:
		return compare_and_exchange_8(gpr, memory, flags);
	case INSN_SET:
		return condition_holds(insn->condition, *flags);
	case INSN_MOVBE:
		return reverse_bytes(other, insn->size);
	case INSN_ADD ... INSN_TEST:
		return alu_binary(insn->op, insn->size, memory, other, flags);
	default: /* MOV, STOS */
		return other;
	}
}

/* The value for the register, of reg_size. */
static u64 compute_register(const struct insn *insn, u64 memory, u64 other, u64 *flags)
{
	switch (insn->op) {
	case INSN_MOVSX:
		return (u64)sign_extend(memory, insn->size);
	case INSN_MOVBE:
		return reverse_bytes(memory, insn->size);
	case INSN_CMOV:
		return condition_holds(insn->condition, *flags) ? memory : other;
	case INSN_IMUL:
		return alu_multiply(insn->size, insn->immediate ? insn->value : other, memory,
				    flags);
	case INSN_BSF ... INSN_POPCNT:
		return alu_scan(insn->op, insn->size, memory, other, flags);
	case INSN_ADD ... INSN_CMP:
		return alu_binary(insn->op, insn->size, other, memory, flags);
	default: /* MOV, MOVZX, LODS */
		return memory & size_mask(insn->size);
	}
}

/* The other operand: an immediate but where a register stands beside it. */
static u64 other_operand(const struct insn *insn, const u64 *gpr)
{
	return insn->immediate && !insn->reg_size ? insn->value : register_get(gpr, insn);
}

enum mmio_result mmio_compute(const struct insn *insn, u64 *gpr, u64 *memory, u64 *flags)
{
	u64 before = *memory, other = other_operand(insn, gpr);

	switch (insn->op) {
	case INSN_MUL:
	case INSN_IMUL_A:
		multiply_accumulator(insn, gpr, before, flags);
		return MMIO_READS;
	case INSN_DIV:
	case INSN_IDIV:
		return divide_accumulator(insn, gpr, before) ? MMIO_READS : MMIO_DIVIDE_ERROR;
	case INSN_SCAS:
		mmio_compare(insn->size, gpr[GPR_RAX], before, flags);
		return MMIO_READS;
	case INSN_XCHG:
		*memory = other;
		register_put(gpr, insn, before);
		return MMIO_WRITES;
	case INSN_XADD:
		register_put(gpr, insn, before);
		*memory = alu_add(before, other, 0, false, insn->size, flags);
		return MMIO_WRITES;
	case INSN_CMP:
	case INSN_TEST:
		if (insn->to_memory)
			alu_binary(insn->op, insn->size, before, other, flags);
		else
			alu_binary(insn->op, insn->size, other, before, flags);
		return MMIO_READS;
	default:
		break;
	}
	if (!insn->to_memory) {
		register_put(gpr, insn, compute_register(insn, before, other, flags));
		return MMIO_READS;
	}
	*memory = compute_memory(insn, gpr, before, other, flags);
	return insn->op == INSN_BT ? MMIO_READS : MMIO_WRITES;
}
