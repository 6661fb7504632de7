/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.c: the MMIO instruction decoder.
 *
 *      prefixes   REX    opcode              ModRM  SIB  displacement  immediate
 *     |66 67 F0..|40-4F|XX, 0F XX, 0F 38 XX |  m  |  s  | 0 1 2 4     | 0 1 2 4 8 |
 *
 * insn_table.c has the table: an opcode's row says which operand is where; the rest of the encoding
 * is common.
 *
 * INSN-1 Never reads past bytes[available] or past INSN_MAX.
 * INSN-2 What it accepts, Zydis accepts with the same length, operand size and immediate.
 */
#include <hv/insn.h>
#include <arch/virt.h>
#include "hv/emulate/opcodes.h"
#include <lib/error.h>

struct decoder {
	const u8 *bytes;
	unsigned available, at;
	enum insn_mode mode;
	bool operand_prefix, address_prefix;
	u8 opcode;
	u8 rex;
	u8 modrm, sib;
	bool segment_prefix;
	struct insn insn;
};

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

static int next_byte(struct decoder *d, u8 *byte)
{
	if (d->at >= INSN_MAX)
		return ERR_INVALID;
	if (d->at >= d->available)
		return ERR_RANGE;
	*byte = d->bytes[d->at++];
	return 0;
}

/* A little-endian number of `size` bytes, sign-extended to 64 bits. */
static int next_signed(struct decoder *d, unsigned size, u64 *value)
{
	u64 raw = 0;

	for (unsigned i = 0; i < size; i++) {
		u8 byte;
		int err = next_byte(d, &byte);

		if (err)
			return err;
		raw |= (u64)byte << (8 * i);
	}
	*value = size ? (u64)((s64)(raw << (64 - 8 * size)) >> (64 - 8 * size)) : 0;
	return 0;
}

/* Takes one legacy prefix (SDM vol. 2A, 2.1.1); false when `byte` is none. */
static bool take_prefix(struct decoder *d, u8 byte)
{
	switch (byte) {
	case 0x66:
		d->operand_prefix = true;
		return true;
	case 0x67:
		d->address_prefix = true;
		return true;
	case 0xf0:
		d->insn.lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		d->insn.rep = byte == 0xf3 ? INSN_REPE : INSN_REPNE;
		return true;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		if (d->mode == INSN_64)
			return true;
		d->insn.segment = byte >> 3 & 3;
		d->segment_prefix = true;
		return true;
	case 0x64:
	case 0x65:
		d->insn.segment = byte - 0x60;
		d->segment_prefix = true;
		return true;
	default:
		return false;
	}
}

/*
 * Prefixes and REX; leaves the first opcode byte in *opcode. A REX that a prefix follows is void
 * (SDM 2.2.1).
 */
static int take_prefixes(struct decoder *d, u8 *opcode)
{
	for (;;) {
		int err = next_byte(d, opcode);

		if (err)
			return err;
		if (d->mode == INSN_64 && (*opcode & 0xf0) == 0x40)
			d->rex = *opcode;
		else if (take_prefix(d, *opcode))
			d->rex = 0;
		else
			return 0;
	}
}

static unsigned operand_size(const struct decoder *d)
{
	if (d->rex & REX_W)
		return 8;
	return (d->mode == INSN_16) != d->operand_prefix ? 2 : 4;
}

static unsigned address_size(const struct decoder *d)
{
	static const u8 sizes[][2] = {{2, 4}, {4, 2}, {8, 4}};

	return sizes[d->mode][d->address_prefix];
}

/* Bytes of displacement that follow ModRM and SIB (SDM vol. 2A, tables 2-1, 2-2 and 2-3). */
static int displacement_size(struct decoder *d, unsigned *size)
{
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	*size = mod == 1 ? 1 : 0;
	if (address_size(d) == 2) {
		if (mod == 2 || (mod == 0 && rm == 6))
			*size = 2;
		return 0;
	}
	if (mod == 2 || (mod == 0 && rm == 5))
		*size = 4;
	if (rm == 4) {
		int err = next_byte(d, &d->sib);

		if (err)
			return err;
		if (mod == 0 && (d->sib & 7) == 5)
			*size = 4;
	}
	return 0;
}

/* Table 2-1. */
static void set_address_16(struct decoder *d)
{
	static const u8 bases[] = {GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
				   GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	if (mod != 0 || rm != 6)
		d->insn.base = bases[rm];
	if (rm < 4)
		d->insn.index = rm & 1 ? GPR_RDI : GPR_RSI;
}

/* Tables 2-2 and 2-3; RIP in place of no base: 2.2.1.6. */
static void set_address(struct decoder *d)
{
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
	unsigned low = rm == 4 ? d->sib & 7 : rm, index = d->sib >> 3 & 7;

	index |= d->rex & REX_X ? 8 : 0;
	if (mod != 0 || low != 5)
		d->insn.base = low | (d->rex & REX_B ? 8 : 0);
	else if (rm == 5 && d->mode == INSN_64)
		d->insn.base = INSN_RIP;
	if (rm == 4 && index != 4) {
		d->insn.index = index;
		d->insn.scale = d->sib >> 6;
	}
}

/* ModRM with its SIB and displacement. A register operand is none of ours: ERR_UNSUPPORTED. */
static int take_modrm(struct decoder *d)
{
	unsigned size;
	int err = next_byte(d, &d->modrm);

	if (err)
		return err;
	if (d->modrm >> 6 == 3)
		return ERR_UNSUPPORTED;
	err = displacement_size(d, &size);
	if (err)
		return err;
	if (address_size(d) == 2)
		set_address_16(d);
	else
		set_address(d);
	if (!d->segment_prefix && (d->insn.base == GPR_RBP || d->insn.base == GPR_RSP))
		d->insn.segment = SEG_SS;
	return next_signed(d, size, &d->insn.displacement);
}

static int take_immediate(struct decoder *d, unsigned size)
{
	d->insn.immediate = true;
	return next_signed(d, size, &d->insn.value);
}

static void set_register(struct decoder *d, unsigned size)
{
	struct insn *insn = &d->insn;

	insn->reg = ((d->modrm >> 3) & 7) | (d->rex & REX_R ? 8 : 0);
	insn->reg_size = size;
	if (size == 1 && !d->rex && insn->reg >= 4) {
		insn->reg -= 4;
		insn->high_byte = true;
	}
}

/* Groups 3 to 9; the others are one range of operations. 0: a member that is not of the table. */
static enum insn_op group_member(const struct decoder *d, enum group group)
{
	unsigned reg = (d->modrm >> 3) & 7;

	switch (group) {
	case GROUP_3:
		return reg < 2 ? INSN_TEST : INSN_NOT + (reg - 2);
	case GROUP_4:
		return reg < 2 ? INSN_INC + reg : INSN_NONE;
	case GROUP_5:
		return reg < 2 ? INSN_INC + reg : reg == 6 ? INSN_PUSH : INSN_NONE;
	case GROUP_8:
		return reg >= 4 ? INSN_BT + (reg - 4) : INSN_NONE;
	case GROUP_9:
		return reg == 1 && !(d->rex & REX_W) ? INSN_CMPXCHG8B : INSN_NONE;
	case GROUP_MOV:
		return reg == 0 ? INSN_MOV : INSN_NONE;
	default:
		return reg == 0 ? INSN_POP : INSN_NONE;
	}
}

static int take_operation(struct decoder *d, const struct opcode *opcode)
{
	unsigned reg = (d->modrm >> 3) & 7;
	enum insn_op op = opcode->op;

	if (opcode->group == GROUP_1)
		op = INSN_ADD + reg;
	else if (opcode->group == GROUP_2)
		op = INSN_ROL + reg;
	else if (opcode->group != GROUP_NONE)
		op = group_member(d, opcode->group);
	if (d->insn.rep == INSN_REPE && (op == INSN_BSF || op == INSN_BSR))
		op = op == INSN_BSF ? INSN_TZCNT : INSN_LZCNT;
	d->insn.op = op;
	return op == INSN_NONE ? ERR_UNSUPPORTED : 0;
}

/* PUSH and POP have 8 bytes in 64-bit mode, and no 4. */
static unsigned stack_size(const struct decoder *d)
{
	if (d->mode != INSN_64)
		return operand_size(d);
	return d->operand_prefix && !(d->rex & REX_W) ? 2 : 8;
}

static unsigned memory_size(const struct decoder *d, u32 form)
{
	if (form & (EB | AL))
		return 1;
	if (form & EW)
		return 2;
	if (d->insn.op == INSN_PUSH || d->insn.op == INSN_POP)
		return stack_size(d);
	if (d->insn.op == INSN_CMPXCHG8B)
		return 8;
	if (form & Y)
		return MAX(operand_size(d), 4u);
	return form & (ED | D4) ? MIN(operand_size(d), 4u) : operand_size(d);
}

static int take_operands(struct decoder *d, u32 form)
{
	struct insn *insn = &d->insn;
	unsigned wide = form & Y ? MAX(operand_size(d), 4u) : operand_size(d);

	insn->size = memory_size(d, form);
	insn->to_memory = (form & TO) != 0;
	insn->by_cl = (form & CL) != 0;
	insn->condition = form & CONDITION ? d->opcode & 15 : 0;
	if (form & (GB | GV))
		set_register(d, form & GB ? 1 : wide);
	if (form & (AL | AX))
		insn->reg_size = insn->size;
	if (form & MOFFS)
		return next_signed(d, address_size(d), &insn->displacement);
	if (form & ONE) {
		insn->immediate = true;
		insn->value = 1;
	}
	if (form & IZ || (insn->op == INSN_TEST && !(form & (GB | GV))))
		return take_immediate(d, MIN(form & EB ? 1 : wide, 4u));
	return form & IB ? take_immediate(d, 1) : 0;
}

/* LOCK is #UD but on a read-modify-write of memory (SDM vol. 2A, LOCK). */
static bool lock_allowed(const struct insn *insn)
{
	switch (insn->op) {
	case INSN_XCHG:
	case INSN_XADD:
	case INSN_CMPXCHG:
	case INSN_CMPXCHG8B:
		return true;
	default:
		return insn->to_memory && ((insn->op >= INSN_ADD && insn->op <= INSN_XOR) ||
					   (insn->op >= INSN_INC && insn->op <= INSN_NEG) ||
					   (insn->op >= INSN_BTS && insn->op <= INSN_BTC));
	}
}

/* Does a prefix make another instruction of the opcode? */
static bool prefix_excludes(const struct decoder *d, u32 form)
{
	bool f3 = d->insn.rep == INSN_REPE;

	if (form & NO_66 && d->operand_prefix && (form & Y || !(d->rex & REX_W)))
		return true;
	if (form & NO_F3 && d->insn.rep != INSN_NO_REP)
		return true;
	return form & ONLY_F3 && !f3;
}

static enum mandatory mandatory_prefix(const struct decoder *d)
{
	if (d->insn.rep != INSN_NO_REP)
		return d->insn.rep == INSN_REPE ? PF3 : PF2;
	return d->operand_prefix ? P66 : NP;
}

/* A row of xmm_moves; ERR_UNSUPPORTED: there is none. map: the byte before the opcode. */
static int take_xmm_move(struct decoder *d, u8 map)
{
	const struct xmm_move *move = opcode_xmm_move(map, d->opcode, mandatory_prefix(d));

	if (!move)
		return ERR_UNSUPPORTED;
	d->insn.op = INSN_MOV_XMM;
	d->insn.size = move->size ? move->size : d->rex & REX_W ? 8 : 4;
	d->insn.part = move->part;
	d->insn.to_memory = move->to_memory;
	return 0;
}

static int decode_xmm_move(struct decoder *d, u8 map)
{
	int err = take_xmm_move(d, map);

	if (!err)
		err = take_modrm(d);
	if (err)
		return err;
	d->insn.reg = ((d->modrm >> 3) & 7) | (d->rex & REX_R ? 8 : 0);
	return 0;
}

/* *map: the byte before the opcode, 0 for none. */
static int find_opcode(struct decoder *d, const struct opcode **found, u8 *map)
{
	const struct opcode *table = opcodes_one_byte;
	int err = take_prefixes(d, &d->opcode);

	*map = 0;
	if (!err && d->opcode == 0x0f) {
		table = opcodes_two_byte;
		*map = 0x0f;
		err = next_byte(d, &d->opcode);
		if (!err && d->opcode == 0x38) {
			table = opcodes_three_byte;
			*map = 0x38;
			err = next_byte(d, &d->opcode);
		}
	}
	if (err)
		return err;
	if (table == opcodes_one_byte && d->opcode == (d->mode == INSN_64 ? 0x82 : 0x63))
		return ERR_UNSUPPORTED; /* #UD in 64-bit mode; ARPL outside it */
	*found = &table[d->opcode];
	return 0;
}

static int decode_integer(struct decoder *d, const struct opcode *opcode)
{
	int err = 0;

	if (opcode->form == 0 || prefix_excludes(d, opcode->form))
		return ERR_UNSUPPORTED;
	if (opcode->form & MODRM)
		err = take_modrm(d);
	if (!err)
		err = take_operation(d, opcode);
	return err ? err : take_operands(d, opcode->form);
}

int insn_decode(const u8 *bytes, unsigned available, enum insn_mode mode, struct insn *out)
{
	struct decoder d = {
		.bytes = bytes,
		.available = available,
		.mode = mode,
		.insn = {.segment = SEG_DS, .base = INSN_NONE_REG, .index = INSN_NONE_REG}};
	const struct opcode *opcode;
	u8 map;
	int err = find_opcode(&d, &opcode, &map);

	if (err)
		return err;
	err = opcode->form || !map ? decode_integer(&d, opcode) : decode_xmm_move(&d, map);
	if (err)
		return err;
	if (d.insn.lock && !lock_allowed(&d.insn))
		return ERR_INVALID;
	d.insn.address_size = address_size(&d);
	d.insn.length = d.at;
	*out = d.insn;
	return 0;
}

/* A bit's index is signed, but in an immediate: then it stays in the operand. */
static u64 bit_offset(const struct insn *insn, const u64 *gpr)
{
	unsigned shift = 64 - 8 * insn->size;
	s64 index;

	if (insn->op < INSN_BT || insn->op > INSN_BTC || insn->immediate)
		return 0;
	index = (s64)(gpr[insn->reg] << shift) >> shift;
	return (u64)(index >> 3) & ~(u64)(insn->size - 1);
}

u64 insn_offset(const struct insn *insn, const u64 *gpr, u64 rip)
{
	u64 offset = insn->displacement + bit_offset(insn, gpr);

	if (insn->base == INSN_RIP)
		offset += rip + insn->length;
	else if (insn->base != INSN_NONE_REG)
		offset += gpr[insn->base];
	if (insn->index != INSN_NONE_REG)
		offset += gpr[insn->index] << insn->scale;
	return offset & (insn->address_size == 8 ? ~0ull : BIT(8 * insn->address_size) - 1);
}

const char *insn_unsupported(const u8 *bytes, unsigned available, enum insn_mode mode)
{
	struct decoder d = {.bytes = bytes, .available = available, .mode = mode};
	bool wide;
	u8 opcode;

	if (take_prefixes(&d, &opcode))
		return "an instruction that cannot be read";
	wide = opcode == 0x0f;
	if (wide && next_byte(&d, &opcode))
		return "an instruction that cannot be read";
	return opcode_family(wide, opcode);
}
