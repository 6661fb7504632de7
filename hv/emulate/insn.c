/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.c: the MMIO instruction decoder.
 *
 *      prefixes   REX    opcode          ModRM  SIB  displacement  immediate
 *     |66 67 F0..|40-4F|XX, 0F XX       |  m  |  s  | 0 1 2 4     | 0 1 2 4 8 |
 *
 * Why a table: an opcode's form says which operand is where; all the rest of the encoding is
 * common. 29 rows cover what compilers and kernels use to touch device memory.
 *
 * INSN-1 Never reads past bytes[available] or past INSN_MAX.
 * INSN-2 What it accepts, Zydis accepts with the same length, operand size and immediate.
 */
#include <hv/insn.h>
#include <lib/error.h>

/*
 * Where the operands of an opcode are. E: ModRM r/m; G: ModRM reg; b: byte; v: operand size; z: v,
 * but at most 4
 */
enum form {
	FORM_NONE,
	FORM_EB_GB,
	FORM_EV_GV,
	FORM_GB_EB,
	FORM_GV_EV,
	FORM_EB_IB,
	FORM_EV_IZ,
	FORM_EV_IB,
	FORM_GV_EB,
	FORM_GV_EW,
	FORM_GV_ED,
	FORM_AL_MOFFS,
	FORM_EAX_MOFFS,
	FORM_MOFFS_AL,
	FORM_MOFFS_EAX,
	FORM_STRING_B,
	FORM_STRING_V,
	FORM_EB,
	FORM_EV,
};

/* Which operation: fixed, or taken from ModRM.reg (a group), SDM vol. 2D table A-6. */
enum group { GROUP_NONE, GROUP_1, GROUP_3, GROUP_4, GROUP_5, GROUP_8, GROUP_MOV };

struct opcode {
	u8 form;
	u8 op;
	u8 group;
};

struct decoder {
	const u8 *bytes;
	unsigned available, at;
	enum insn_mode mode;
	bool operand_prefix, address_prefix, lock, rep;
	u8 rex;
	u8 modrm;
	struct insn insn;
};

#define REX_W 8
#define REX_R 4

/*
 * The eight ALU operations at 00, 08, ... 38: memory-register forms in both directions (SDM vol. 2D
 * table A-2).
 */
#define ALU(base, operation)                                                              \
	[(base)] = {FORM_EB_GB, operation, 0}, [(base) + 1] = {FORM_EV_GV, operation, 0}, \
	[(base) + 2] = {FORM_GB_EB, operation, 0}, [(base) + 3] = {FORM_GV_EV, operation, 0}

static const struct opcode one_byte[256] = {
	ALU(0x00, INSN_ADD),
	ALU(0x08, INSN_OR),
	ALU(0x10, INSN_ADC),
	ALU(0x18, INSN_SBB),
	ALU(0x20, INSN_AND),
	ALU(0x28, INSN_SUB),
	ALU(0x30, INSN_XOR),
	ALU(0x38, INSN_CMP),
	[0x63] = {FORM_GV_ED, INSN_MOVSX, 0}, /* MOVSXD, in 64-bit mode */
	[0x80] = {FORM_EB_IB, 0, GROUP_1},
	[0x81] = {FORM_EV_IZ, 0, GROUP_1},
	[0x82] = {FORM_EB_IB, 0, GROUP_1}, /* 0x80 again, but in 64-bit mode */
	[0x83] = {FORM_EV_IB, 0, GROUP_1},
	[0x84] = {FORM_EB_GB, INSN_TEST, 0},
	[0x85] = {FORM_EV_GV, INSN_TEST, 0},
	[0x86] = {FORM_EB_GB, INSN_XCHG, 0},
	[0x87] = {FORM_EV_GV, INSN_XCHG, 0},
	[0x88] = {FORM_EB_GB, INSN_MOV, 0},
	[0x89] = {FORM_EV_GV, INSN_MOV, 0},
	[0x8a] = {FORM_GB_EB, INSN_MOV, 0},
	[0x8b] = {FORM_GV_EV, INSN_MOV, 0},
	[0xa0] = {FORM_AL_MOFFS, INSN_MOV, 0},
	[0xa1] = {FORM_EAX_MOFFS, INSN_MOV, 0},
	[0xa2] = {FORM_MOFFS_AL, INSN_MOV, 0},
	[0xa3] = {FORM_MOFFS_EAX, INSN_MOV, 0},
	[0xa4] = {FORM_STRING_B, INSN_MOVS, 0},
	[0xa5] = {FORM_STRING_V, INSN_MOVS, 0},
	[0xaa] = {FORM_STRING_B, INSN_STOS, 0},
	[0xab] = {FORM_STRING_V, INSN_STOS, 0},
	[0xac] = {FORM_STRING_B, INSN_LODS, 0},
	[0xad] = {FORM_STRING_V, INSN_LODS, 0},
	[0xc6] = {FORM_EB_IB, 0, GROUP_MOV},
	[0xc7] = {FORM_EV_IZ, 0, GROUP_MOV},
	[0xf6] = {FORM_EB, 0, GROUP_3},
	[0xf7] = {FORM_EV, 0, GROUP_3},
	[0xfe] = {FORM_EB, 0, GROUP_4},
	[0xff] = {FORM_EV, 0, GROUP_5},
};

static const struct opcode two_byte[256] = {
	[0xb6] = {FORM_GV_EB, INSN_MOVZX, 0}, [0xb7] = {FORM_GV_EW, INSN_MOVZX, 0},
	[0xbe] = {FORM_GV_EB, INSN_MOVSX, 0}, [0xbf] = {FORM_GV_EW, INSN_MOVSX, 0},
	[0xba] = {FORM_EV_IB, 0, GROUP_8},
};

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
		int error = next_byte(d, &byte);

		if (error)
			return error;
		raw |= (u64)byte << (8 * i);
	}
	*value = size ? (u64)((s64)(raw << (64 - 8 * size)) >> (64 - 8 * size)) : 0;
	return 0;
}

/*
 * Takes one legacy prefix (SDM vol. 2A, 2.1.1); false when `byte` is none. The segment counts for
 * MOVS alone.
 */
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
		d->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		d->rep = true;
		return true;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		if (d->mode != INSN_64)
			d->insn.segment = byte >> 3 & 3;
		return true;
	case 0x64:
	case 0x65:
		d->insn.segment = byte - 0x60;
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
		int error = next_byte(d, opcode);

		if (error)
			return error;
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
	u8 sib;

	*size = mod == 1 ? 1 : 0;
	if (address_size(d) == 2) {
		if (mod == 2 || (mod == 0 && rm == 6))
			*size = 2;
		return 0;
	}
	if (mod == 2 || (mod == 0 && rm == 5))
		*size = 4;
	if (rm == 4) {
		int error = next_byte(d, &sib);

		if (error)
			return error;
		if (mod == 0 && (sib & 7) == 5)
			*size = 4;
	}
	return 0;
}

/* ModRM with its SIB and displacement. A register operand is none of ours: ERR_UNSUPPORTED. */
static int take_modrm(struct decoder *d)
{
	unsigned size;
	u64 displacement;
	int error = next_byte(d, &d->modrm);

	if (error)
		return error;
	if (d->modrm >> 6 == 3)
		return ERR_UNSUPPORTED;
	error = displacement_size(d, &size);
	if (error)
		return error;
	return next_signed(d, size, &displacement);
}

static int take_immediate(struct decoder *d, unsigned size)
{
	d->insn.immediate = true;
	return next_signed(d, size, &d->insn.value);
}

/*
 * The other operand is the register ModRM.reg names; without REX, byte registers 4-7 are AH CH DH
 * BH.
 */
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

/* The operation a group's ModRM.reg names. */
static int group_op(const struct decoder *d, enum group group, enum insn_op *op)
{
	unsigned reg = (d->modrm >> 3) & 7;

	switch (group) {
	case GROUP_1:
		*op = INSN_ADD + reg;
		return 0;
	case GROUP_3:
		if (reg > 3)
			return ERR_UNSUPPORTED; /* MUL, DIV */
		*op = reg < 2 ? INSN_TEST : reg == 2 ? INSN_NOT : INSN_NEG;
		return 0;
	case GROUP_4:
	case GROUP_5:
		if (reg > 1)
			return ERR_UNSUPPORTED; /* CALL, JMP, PUSH */
		*op = INSN_INC + reg;
		return 0;
	case GROUP_8:
		if (reg < 4)
			return ERR_UNSUPPORTED;
		*op = INSN_BT + (reg - 4);
		return 0;
	case GROUP_MOV:
		*op = INSN_MOV;
		return reg ? ERR_UNSUPPORTED : 0;
	default:
		return 0;
	}
}

/* Operands that ModRM names. */
static int take_modrm_operands(struct decoder *d, enum form form)
{
	struct insn *insn = &d->insn;
	unsigned wide = operand_size(d);
	bool byte = form == FORM_EB_GB || form == FORM_GB_EB || form == FORM_EB_IB ||
		    form == FORM_GV_EB || form == FORM_EB;

	insn->size = byte ? 1 : form == FORM_GV_EW ? 2 : form == FORM_GV_ED ? MIN(wide, 4u) : wide;
	insn->to_memory = form == FORM_EB_GB || form == FORM_EV_GV || form == FORM_EB_IB ||
			  form == FORM_EV_IZ || form == FORM_EV_IB || form == FORM_EB ||
			  form == FORM_EV;
	switch (form) {
	case FORM_EB_IB:
	case FORM_EV_IB:
		return take_immediate(d, 1);
	case FORM_EV_IZ:
		return take_immediate(d, MIN(wide, 4u));
	case FORM_EB:
	case FORM_EV:
		return insn->op == INSN_TEST ? take_immediate(d, MIN(insn->size, 4)) : 0;
	case FORM_EB_GB:
	case FORM_GB_EB:
		set_register(d, 1);
		return 0;
	default:
		set_register(d, wide);
		return 0;
	}
}

/* Operands without ModRM: AL or rAX with a full address, and the string instructions. */
static int take_implied_operands(struct decoder *d, enum form form)
{
	struct insn *insn = &d->insn;
	bool byte = form == FORM_AL_MOFFS || form == FORM_MOFFS_AL || form == FORM_STRING_B;
	u64 address;

	insn->size = insn->reg_size = byte ? 1 : operand_size(d);
	insn->to_memory = form == FORM_MOFFS_AL || form == FORM_MOFFS_EAX ||
			  insn->op == INSN_STOS || insn->op == INSN_MOVS;
	if (form == FORM_STRING_B || form == FORM_STRING_V) {
		insn->rep = d->rep;
		return 0;
	}
	return next_signed(d, address_size(d), &address);
}

/* LOCK is #UD but on a read-modify-write of memory (SDM vol. 2A, LOCK). */
static bool lock_allowed(const struct insn *insn)
{
	if (insn->op == INSN_XCHG)
		return true;
	if (!insn->to_memory)
		return false;
	return (insn->op >= INSN_ADD && insn->op <= INSN_XOR) ||
	       (insn->op >= INSN_INC && insn->op <= INSN_NEG) ||
	       (insn->op >= INSN_BTS && insn->op <= INSN_BTC);
}

static int find_opcode(struct decoder *d, const struct opcode **found)
{
	u8 byte;
	int error = take_prefixes(d, &byte);

	if (error)
		return error;
	*found = &one_byte[byte];
	if (byte == 0x0f) {
		error = next_byte(d, &byte);
		if (error)
			return error;
		*found = &two_byte[byte];
	} else if (byte == (d->mode == INSN_64 ? 0x82 : 0x63)) {
		return ERR_UNSUPPORTED; /* #UD in 64-bit mode; ARPL outside it */
	}
	if ((*found)->form == FORM_GV_ED && operand_size(d) == 2)
		return ERR_UNSUPPORTED; /* the manuals differ on how much MOVSXD r16 reads */
	return (*found)->form == FORM_NONE ? ERR_UNSUPPORTED : 0;
}

int insn_decode(const u8 *bytes, unsigned available, enum insn_mode mode, struct insn *out)
{
	struct decoder d = {
		.bytes = bytes, .available = available, .mode = mode, .insn.segment = 3};
	const struct opcode *opcode;
	int error = find_opcode(&d, &opcode);

	if (error)
		return error;
	d.insn.op = opcode->op;
	if (opcode->form >= FORM_AL_MOFFS && opcode->form <= FORM_STRING_V) {
		error = take_implied_operands(&d, opcode->form);
	} else {
		error = take_modrm(&d);
		if (!error)
			error = group_op(&d, opcode->group, &d.insn.op);
		if (!error)
			error = take_modrm_operands(&d, opcode->form);
	}
	if (error)
		return error;
	if (d.lock && !lock_allowed(&d.insn))
		return ERR_INVALID;
	d.insn.lock = d.lock;
	d.insn.length = d.at;
	*out = d.insn;
	return 0;
}
