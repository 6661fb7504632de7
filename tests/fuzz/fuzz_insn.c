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
	{ZYDIS_MNEMONIC_MOV, INSN_MOV},	    {ZYDIS_MNEMONIC_MOVZX, INSN_MOVZX},
	{ZYDIS_MNEMONIC_MOVSX, INSN_MOVSX}, {ZYDIS_MNEMONIC_MOVSXD, INSN_MOVSX},
	{ZYDIS_MNEMONIC_ADD, INSN_ADD},	    {ZYDIS_MNEMONIC_OR, INSN_OR},
	{ZYDIS_MNEMONIC_ADC, INSN_ADC},	    {ZYDIS_MNEMONIC_SBB, INSN_SBB},
	{ZYDIS_MNEMONIC_AND, INSN_AND},	    {ZYDIS_MNEMONIC_SUB, INSN_SUB},
	{ZYDIS_MNEMONIC_XOR, INSN_XOR},	    {ZYDIS_MNEMONIC_CMP, INSN_CMP},
	{ZYDIS_MNEMONIC_TEST, INSN_TEST},   {ZYDIS_MNEMONIC_XCHG, INSN_XCHG},
	{ZYDIS_MNEMONIC_INC, INSN_INC},	    {ZYDIS_MNEMONIC_DEC, INSN_DEC},
	{ZYDIS_MNEMONIC_NOT, INSN_NOT},	    {ZYDIS_MNEMONIC_NEG, INSN_NEG},
	{ZYDIS_MNEMONIC_STOSB, INSN_STOS},  {ZYDIS_MNEMONIC_STOSW, INSN_STOS},
	{ZYDIS_MNEMONIC_STOSD, INSN_STOS},  {ZYDIS_MNEMONIC_STOSQ, INSN_STOS},
	{ZYDIS_MNEMONIC_LODSB, INSN_LODS},  {ZYDIS_MNEMONIC_LODSW, INSN_LODS},
	{ZYDIS_MNEMONIC_LODSD, INSN_LODS},  {ZYDIS_MNEMONIC_LODSQ, INSN_LODS},
	{ZYDIS_MNEMONIC_MOVSB, INSN_MOVS},  {ZYDIS_MNEMONIC_MOVSW, INSN_MOVS},
	{ZYDIS_MNEMONIC_MOVSD, INSN_MOVS},  {ZYDIS_MNEMONIC_MOVSQ, INSN_MOVS},
};

static int op_of(ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].mnemonic == mnemonic)
			return names[i].op;
	}
	return -1;
}

static void ask_oracle(const u8 *bytes, unsigned available, enum insn_mode mode, struct oracle *o)
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

/* The operand that is memory, or -1. MOVS has two of the same size. */
static int memory_operand(const struct oracle *o)
{
	for (int i = 0; i < o->insn.operand_count; i++) {
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

static void compare(const struct insn *insn, const struct oracle *o)
{
	int memory = memory_operand(o);
	const ZydisDecodedOperand *other = &o->operands[memory == 0 ? 1 : 0];

	DEMAND(memory >= 0);
	DEMAND(o->insn.length == insn->length);
	DEMAND(o->operands[memory].size == insn->size * 8);
	if (insn->op == INSN_MOVS)
		DEMAND(o->operands[1].mem.segment == ZYDIS_REGISTER_ES + insn->segment);
	if (insn->op >= INSN_STOS)
		return;
	if (insn->op != INSN_CMP && insn->op != INSN_TEST && insn->op != INSN_XCHG &&
	    insn->op != INSN_BT)
		DEMAND(insn->to_memory == (memory == 0));
	if (insn->immediate) {
		DEMAND(other->type == ZYDIS_OPERAND_TYPE_IMMEDIATE);
		DEMAND(other->imm.value.u == insn->value ||
		       (insn->op >= INSN_BT && other->imm.value.u == (insn->value & 0xff)) ||
		       other->imm.value.u == (insn->value & ((1ull << (insn->size * 8 % 64)) - 1)));
	} else if (insn->op < INSN_INC || insn->op > INSN_NEG) {
		DEMAND(other->type == ZYDIS_OPERAND_TYPE_REGISTER);
		compare_register(insn, other);
	}
}

/*
 * Zydis sees one of our operations on general registers and memory: then we must have seen it too.
 */
static bool must_accept(const struct oracle *o)
{
	if (!o->valid || op_of(o->insn.mnemonic) < 0 || memory_operand(o) < 0)
		return false;
	if (o->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    o->insn.opcode_map > ZYDIS_OPCODE_MAP_0F)
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
	int error;

	if (size < 2)
		return 0;
	available = MIN(size - 1, (size_t)(data[0] >> 2 ? INSN_MAX : data[0] & 3));
	bytes = malloc(available ? available : 1); /* exact, so that ASan sees a read past it */
	memcpy(bytes, data + 1, available);
	error = insn_decode(bytes, available, data[0] % 3, &insn);
	ask_oracle(bytes, available, data[0] % 3, &o);
	if (!error) {
		DEMAND(o.valid);
		compare(&insn, &o);
	} else {
		DEMAND(!must_accept(&o));
	}
	free(bytes);
	return 0;
}
