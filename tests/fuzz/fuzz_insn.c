/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_insn.c: the MMIO instruction decoder against Zydis (INSN-1, INSN-2).
 *
 * The first input byte chooses the mode and how many bytes may be read; the rest is the
 * instruction. Whatever we accept Zydis must decode to the same length, operand size, register and
 * immediate; what Zydis calls one of our mnemonics with a memory operand, we must accept.
 */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hv/insn.h>
#include <lib/error.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define DEMAND(condition)                                          \
	do {                                                       \
		if (!(condition)) {                                \
			fprintf(stderr, "insn: %s\n", #condition); \
			abort();                                   \
		}                                                  \
	} while (0)

struct oracle {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	bool valid;
};

static const struct {
	ZydisMnemonic mnemonic;
	enum insn_op op;
} names[] = {
	{ZYDIS_MNEMONIC_MOV, INSN_MOV},
	{ZYDIS_MNEMONIC_MOVNTI, INSN_MOV},
	{ZYDIS_MNEMONIC_XLAT, INSN_MOV},
	{ZYDIS_MNEMONIC_MOVZX, INSN_MOVZX},
	{ZYDIS_MNEMONIC_MOVSX, INSN_MOVSX},
	{ZYDIS_MNEMONIC_MOVSXD, INSN_MOVSX},
	{ZYDIS_MNEMONIC_MOVBE, INSN_MOVBE},
	{ZYDIS_MNEMONIC_ADD, INSN_ADD},
	{ZYDIS_MNEMONIC_OR, INSN_OR},
	{ZYDIS_MNEMONIC_ADC, INSN_ADC},
	{ZYDIS_MNEMONIC_SBB, INSN_SBB},
	{ZYDIS_MNEMONIC_AND, INSN_AND},
	{ZYDIS_MNEMONIC_SUB, INSN_SUB},
	{ZYDIS_MNEMONIC_XOR, INSN_XOR},
	{ZYDIS_MNEMONIC_CMP, INSN_CMP},
	{ZYDIS_MNEMONIC_TEST, INSN_TEST},
	{ZYDIS_MNEMONIC_XCHG, INSN_XCHG},
	{ZYDIS_MNEMONIC_INC, INSN_INC},
	{ZYDIS_MNEMONIC_DEC, INSN_DEC},
	{ZYDIS_MNEMONIC_NOT, INSN_NOT},
	{ZYDIS_MNEMONIC_NEG, INSN_NEG},
	{ZYDIS_MNEMONIC_MUL, INSN_MUL},
	{ZYDIS_MNEMONIC_DIV, INSN_DIV},
	{ZYDIS_MNEMONIC_IDIV, INSN_IDIV},
	{ZYDIS_MNEMONIC_ROL, INSN_ROL},
	{ZYDIS_MNEMONIC_ROR, INSN_ROR},
	{ZYDIS_MNEMONIC_RCL, INSN_RCL},
	{ZYDIS_MNEMONIC_RCR, INSN_RCR},
	{ZYDIS_MNEMONIC_SHL, INSN_SHL},
	{ZYDIS_MNEMONIC_SHR, INSN_SHR},
	{ZYDIS_MNEMONIC_SAR, INSN_SAR},
	{ZYDIS_MNEMONIC_SHLD, INSN_SHLD},
	{ZYDIS_MNEMONIC_SHRD, INSN_SHRD},
	{ZYDIS_MNEMONIC_BT, INSN_BT},
	{ZYDIS_MNEMONIC_BTS, INSN_BTS},
	{ZYDIS_MNEMONIC_BTR, INSN_BTR},
	{ZYDIS_MNEMONIC_BTC, INSN_BTC},
	{ZYDIS_MNEMONIC_BSF, INSN_BSF},
	{ZYDIS_MNEMONIC_BSR, INSN_BSR},
	{ZYDIS_MNEMONIC_TZCNT, INSN_TZCNT},
	{ZYDIS_MNEMONIC_LZCNT, INSN_LZCNT},
	{ZYDIS_MNEMONIC_POPCNT, INSN_POPCNT},
	{ZYDIS_MNEMONIC_XADD, INSN_XADD},
	{ZYDIS_MNEMONIC_CMPXCHG, INSN_CMPXCHG},
	{ZYDIS_MNEMONIC_CMPXCHG8B, INSN_CMPXCHG8B},
	{ZYDIS_MNEMONIC_PUSH, INSN_PUSH},
	{ZYDIS_MNEMONIC_POP, INSN_POP},
	{ZYDIS_MNEMONIC_CMOVO, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNO, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVB, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNB, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVZ, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNZ, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVBE, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNBE, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVS, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNS, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVP, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNP, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVL, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNL, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVLE, INSN_CMOV},
	{ZYDIS_MNEMONIC_CMOVNLE, INSN_CMOV},
	{ZYDIS_MNEMONIC_SETO, INSN_SET},
	{ZYDIS_MNEMONIC_SETNO, INSN_SET},
	{ZYDIS_MNEMONIC_SETB, INSN_SET},
	{ZYDIS_MNEMONIC_SETNB, INSN_SET},
	{ZYDIS_MNEMONIC_SETZ, INSN_SET},
	{ZYDIS_MNEMONIC_SETNZ, INSN_SET},
	{ZYDIS_MNEMONIC_SETBE, INSN_SET},
	{ZYDIS_MNEMONIC_SETNBE, INSN_SET},
	{ZYDIS_MNEMONIC_SETS, INSN_SET},
	{ZYDIS_MNEMONIC_SETNS, INSN_SET},
	{ZYDIS_MNEMONIC_SETP, INSN_SET},
	{ZYDIS_MNEMONIC_SETNP, INSN_SET},
	{ZYDIS_MNEMONIC_SETL, INSN_SET},
	{ZYDIS_MNEMONIC_SETNL, INSN_SET},
	{ZYDIS_MNEMONIC_SETLE, INSN_SET},
	{ZYDIS_MNEMONIC_SETNLE, INSN_SET},
	{ZYDIS_MNEMONIC_STOSB, INSN_STOS},
	{ZYDIS_MNEMONIC_STOSW, INSN_STOS},
	{ZYDIS_MNEMONIC_STOSD, INSN_STOS},
	{ZYDIS_MNEMONIC_STOSQ, INSN_STOS},
	{ZYDIS_MNEMONIC_LODSB, INSN_LODS},
	{ZYDIS_MNEMONIC_LODSW, INSN_LODS},
	{ZYDIS_MNEMONIC_LODSD, INSN_LODS},
	{ZYDIS_MNEMONIC_LODSQ, INSN_LODS},
	{ZYDIS_MNEMONIC_MOVSB, INSN_MOVS},
	{ZYDIS_MNEMONIC_MOVSW, INSN_MOVS},
	{ZYDIS_MNEMONIC_MOVSD, INSN_MOVS},
	{ZYDIS_MNEMONIC_MOVSQ, INSN_MOVS},
	{ZYDIS_MNEMONIC_CMPSB, INSN_CMPS},
	{ZYDIS_MNEMONIC_CMPSW, INSN_CMPS},
	{ZYDIS_MNEMONIC_CMPSD, INSN_CMPS},
	{ZYDIS_MNEMONIC_CMPSQ, INSN_CMPS},
	{ZYDIS_MNEMONIC_SCASB, INSN_SCAS},
	{ZYDIS_MNEMONIC_SCASW, INSN_SCAS},
	{ZYDIS_MNEMONIC_SCASD, INSN_SCAS},
	{ZYDIS_MNEMONIC_SCASQ, INSN_SCAS},
	{ZYDIS_MNEMONIC_INSB, INSN_INS},
	{ZYDIS_MNEMONIC_INSW, INSN_INS},
	{ZYDIS_MNEMONIC_INSD, INSN_INS},
	{ZYDIS_MNEMONIC_OUTSB, INSN_OUTS},
	{ZYDIS_MNEMONIC_OUTSW, INSN_OUTS},
	{ZYDIS_MNEMONIC_OUTSD, INSN_OUTS},
	{ZYDIS_MNEMONIC_IMUL, INSN_IMUL}, /* or INSN_IMUL_A */
};

static int op_of(ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].mnemonic == mnemonic)
			return names[i].op;
	}
	return -1;
}

static void run_oracle(const u8 *bytes, unsigned available, enum insn_mode mode, struct oracle *o)
{
	static const struct {
		ZydisMachineMode machine;
		ZydisStackWidth stack;
	} modes[] = {
		{ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
		{ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
		{ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
	};
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, modes[mode].machine, modes[mode].stack);
	o->valid = ZYAN_SUCCESS(
		ZydisDecoderDecodeFull(&decoder, bytes, available, &o->insn, o->operands));
}

/*
 * The operand that is memory, or -1: not the stack of a PUSH of a register. MOVS has two of the
 * same size.
 */
static int memory_operand(const struct oracle *o)
{
	bool hidden =
		o->insn.mnemonic == ZYDIS_MNEMONIC_XLAT || op_of(o->insn.mnemonic) >= INSN_STOS;
	int count = hidden ? o->insn.operand_count : o->insn.operand_count_visible;

	for (int i = 0; i < count; i++) {
		if (o->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return i;
	}
	return -1;
}

static void compare_register(const struct insn *insn, const ZydisDecodedOperand *operand)
{
	int id = ZydisRegisterGetId(operand->reg.value);

	DEMAND(operand->size == insn->reg_size * 8);
	if (insn->size == 1 && insn->high_byte) {
		DEMAND(operand->reg.value >= ZYDIS_REGISTER_AH &&
		       operand->reg.value <= ZYDIS_REGISTER_BH);
		DEMAND(operand->reg.value - ZYDIS_REGISTER_AH == insn->reg);
		return;
	}
	if (insn->reg_size == 1 && id >= 8) /* Zydis counts AH..BH among the byte registers */
		id -= 4;
	DEMAND(id == insn->reg);
}

static const struct {
	ZydisMnemonic mnemonic;
	enum insn_part part;
} xmm_names[] = {
	{ZYDIS_MNEMONIC_MOVUPS, INSN_LOW},	{ZYDIS_MNEMONIC_MOVUPD, INSN_LOW},
	{ZYDIS_MNEMONIC_MOVAPS, INSN_LOW},	{ZYDIS_MNEMONIC_MOVAPD, INSN_LOW},
	{ZYDIS_MNEMONIC_MOVDQU, INSN_LOW},	{ZYDIS_MNEMONIC_MOVDQA, INSN_LOW},
	{ZYDIS_MNEMONIC_MOVNTPS, INSN_LOW},	{ZYDIS_MNEMONIC_MOVNTPD, INSN_LOW},
	{ZYDIS_MNEMONIC_MOVNTDQ, INSN_LOW},	{ZYDIS_MNEMONIC_MOVNTDQA, INSN_LOW},
	{ZYDIS_MNEMONIC_LDDQU, INSN_LOW},	{ZYDIS_MNEMONIC_MOVLPS, INSN_LOW},
	{ZYDIS_MNEMONIC_MOVLPD, INSN_LOW},	{ZYDIS_MNEMONIC_MOVHPS, INSN_HIGH},
	{ZYDIS_MNEMONIC_MOVHPD, INSN_HIGH},	{ZYDIS_MNEMONIC_MOVSS, INSN_LOW_ALONE},
	{ZYDIS_MNEMONIC_MOVSD, INSN_LOW_ALONE}, {ZYDIS_MNEMONIC_MOVD, INSN_LOW_ALONE},
	{ZYDIS_MNEMONIC_MOVQ, INSN_LOW_ALONE},
};

/* A move between memory and an XMM register, in the legacy encoding: which part; -1: it is none. */
static int xmm_part(const struct oracle *o)
{
	const ZydisDecodedOperand *a = &o->operands[0], *b = &o->operands[1];
	const ZydisDecodedOperand *reg = a->type == ZYDIS_OPERAND_TYPE_REGISTER ? a : b;

	if (!o->valid || o->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    o->insn.operand_count_visible != 2 || a->type == b->type ||
	    reg->type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    ZydisRegisterGetClass(reg->reg.value) != ZYDIS_REGCLASS_XMM)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(xmm_names); i++) {
		if (xmm_names[i].mnemonic == o->insn.mnemonic)
			return (int)xmm_names[i].part;
	}
	return -1;
}

static void compare_address(const struct insn *insn, const ZydisDecodedOperand *memory)
{
	static const u64 gpr[16] = {0x1000001, 0x200020,  0x3000300, 0x4004000, 0x50005,  0x6000060,
				    0x7700000, 0x808080,  0x919191,  0xa0a0a0,	0xb0b0b0, 0xc1c1c1,
				    0xd2d2d2,  0xe3e3e30, 0xf4f4f4,  0x1050505};
	u64 mask = BITS(8 * insn->address_size - 1, 0), expected = 0, rip = 0x123456;
	bool bit = insn->op >= INSN_BT && insn->op <= INSN_BTC && !insn->immediate;

	if (memory->mem.disp.has_displacement)
		expected = (u64)memory->mem.disp.value;
	if (memory->mem.base == ZYDIS_REGISTER_RIP || memory->mem.base == ZYDIS_REGISTER_EIP)
		expected += rip + insn->length;
	else if (memory->mem.base != ZYDIS_REGISTER_NONE)
		expected += gpr[ZydisRegisterGetId(memory->mem.base)];
	if (memory->mem.index != ZYDIS_REGISTER_NONE)
		expected += gpr[ZydisRegisterGetId(memory->mem.index)] * memory->mem.scale;
	if (!bit)
		DEMAND(insn_offset(insn, gpr, rip) == (expected & mask));
	DEMAND(memory->mem.segment == ZYDIS_REGISTER_ES + insn->segment);
}

static void compare_xmm(const struct insn *insn, const struct oracle *o)
{
	bool to_memory = o->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	const ZydisDecodedOperand *memory = &o->operands[to_memory ? 0 : 1];
	const ZydisDecodedOperand *reg = &o->operands[to_memory ? 1 : 0];
	int part = xmm_part(o);

	DEMAND(part >= 0 && insn->op == INSN_MOV_XMM);
	DEMAND(o->insn.length == insn->length);
	DEMAND(insn->to_memory == to_memory);
	DEMAND(insn->size * 8 == memory->size);
	DEMAND(insn->reg == ZydisRegisterGetId(reg->reg.value));
	if (to_memory && part == INSN_LOW_ALONE)
		part = INSN_LOW;
	DEMAND((int)insn->part == part);
	compare_address(insn, memory);
}

static bool is_shift(const struct insn *insn)
{
	return insn->op >= INSN_ROL && insn->op <= INSN_SHRD;
}

/* The first visible operand of a type; NULL: none. */
static const ZydisDecodedOperand *find_operand(const struct oracle *o, ZydisOperandType type)
{
	for (int i = 0; i < o->insn.operand_count_visible; i++) {
		if (o->operands[i].type == type)
			return &o->operands[i];
	}
	return NULL;
}

static bool same_operation(const struct insn *insn, const struct oracle *o)
{
	int op = op_of(o->insn.mnemonic);

	if (insn->op == INSN_SAL)
		return op == INSN_SHL;
	return op == (int)insn->op || (op == INSN_IMUL && insn->op == INSN_IMUL_A);
}

static bool changes_memory(const struct insn *insn)
{
	return insn->to_memory && insn->op != INSN_CMP && insn->op != INSN_TEST &&
	       insn->op != INSN_BT && !(insn->op >= INSN_MUL && insn->op <= INSN_IDIV) &&
	       insn->op != INSN_PUSH;
}

static void compare(const struct insn *insn, const struct oracle *o)
{
	int memory = memory_operand(o);
	const ZydisDecodedOperand *reg = find_operand(o, ZYDIS_OPERAND_TYPE_REGISTER);
	const ZydisDecodedOperand *immediate = find_operand(o, ZYDIS_OPERAND_TYPE_IMMEDIATE);
	u64 bits = BITS(8 * insn->size - 1, 0);

	DEMAND(memory >= 0);
	DEMAND(o->insn.length == insn->length);
	DEMAND(same_operation(insn, o));
	DEMAND(o->operands[memory].size == insn->size * 8);
	DEMAND(o->insn.address_width == insn->address_size * 8);
	if (insn->op == INSN_MOVS || insn->op == INSN_OUTS)
		DEMAND(o->operands[1].mem.segment == ZYDIS_REGISTER_ES + insn->segment);
	if (insn->op == INSN_CMPS)
		DEMAND(o->operands[0].mem.segment == ZYDIS_REGISTER_ES + insn->segment);
	if (insn_is_string(insn))
		return;
	DEMAND(changes_memory(insn) ==
	       !!(o->operands[memory].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE));
	DEMAND(insn->immediate == (immediate != NULL));
	if (immediate)
		DEMAND(((immediate->imm.value.u ^ insn->value) & bits & 0xff) == 0 &&
		       (is_shift(insn) || ((immediate->imm.value.u ^ insn->value) & bits) == 0 ||
			(insn->op >= INSN_BT && insn->op <= INSN_BTC)));
	DEMAND(insn->by_cl ==
	       (reg && o->insn.operand_count_visible == (insn->reg_size ? 3 : 2) &&
		o->operands[o->insn.operand_count_visible - 1].type ==
			ZYDIS_OPERAND_TYPE_REGISTER &&
		o->operands[o->insn.operand_count_visible - 1].reg.value == ZYDIS_REGISTER_CL &&
		is_shift(insn)));
	if (insn->reg_size && reg)
		compare_register(insn, reg);
	if (o->insn.mnemonic != ZYDIS_MNEMONIC_XLAT)
		compare_address(insn, &o->operands[memory]);
}

/*
 * Zydis sees one of our operations on general registers and memory: then we must have seen it too.
 */
static bool must_accept(const struct oracle *o)
{
	if (!o->valid || op_of(o->insn.mnemonic) < 0 || memory_operand(o) < 0)
		return false;
	if (o->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    (o->insn.opcode_map > ZYDIS_OPCODE_MAP_0F && o->insn.mnemonic != ZYDIS_MNEMONIC_MOVBE))
		return false;
	if (o->insn.mnemonic == ZYDIS_MNEMONIC_MOVSXD && o->insn.operand_width == 16)
		return false;
	for (int i = 0; i < o->insn.operand_count_visible; i++) {
		ZydisRegisterClass class;

		if (o->operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		class = ZydisRegisterGetClass(o->operands[i].reg.value);
		if (class < ZYDIS_REGCLASS_GPR8 || class > ZYDIS_REGCLASS_GPR64)
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct oracle o;
	struct insn insn;
	unsigned available;
	u8 *bytes;
	int err;

	if (size < 2)
		return 0;
	available = MIN(size - 1, (size_t)(data[0] >> 2 ? INSN_MAX : data[0] & 3));
	bytes = malloc(available ? available : 1); /* exact, so that ASan sees a read past it */
	memcpy(bytes, data + 1, available);
	err = insn_decode(bytes, available, data[0] % 3, &insn);
	run_oracle(bytes, available, data[0] % 3, &o);
	if (!err) {
		DEMAND(o.valid);
		if (insn.op == INSN_MOV_XMM)
			compare_xmm(&insn, &o);
		else
			compare(&insn, &o);
	} else {
		DEMAND(!must_accept(&o) && xmm_part(&o) < 0);
	}
	free(bytes);
	return 0;
}
