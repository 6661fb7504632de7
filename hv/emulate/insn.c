/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.c: the MMIO instruction decoder.
 *
 *      prefixes   REX    opcode              ModRM  SIB  displacement  immediate
 *     |66 67 F0..|40-4F|XX, 0F XX, 0F 38 XX |  m  |  s  | 0 1 2 4     | 0 1 2 4 8 |
 *
 * Why a table: an opcode's row says which operand is where; the rest of the encoding is common. The
 * rows cover the integer instructions with a memory operand that compilers and assemblers write.
 * docs/devices.md lists them, out of this table (tests/checks/decoder.py).
 *
 * INSN-1 Never reads past bytes[available] or past INSN_MAX.
 * INSN-2 What it accepts, Zydis accepts with the same length, operand size and immediate.
 */
#include <hv/insn.h>
#include <lib/error.h>

/* Where the operands of an opcode are, as the SDM's appendix A abbreviates it. */
enum form {
	EB = 0x1,	     /* memory of a byte, by ModRM */
	EV = 0x2,	     /* of the operand size */
	EW = 0x4,	     /* of 2 bytes */
	ED = 0x8,	     /* of the operand size, but at most 4 */
	EQ = 0x10,	     /* of 8 bytes, 2 in legacy code with 66 */
	GB = 0x20,	     /* the byte register of ModRM */
	GV = 0x40,	     /* the register of ModRM */
	AL = 0x80,	     /* AL, by no ModRM */
	AX = 0x100,	     /* rAX, likewise */
	TO = 0x200,	     /* the memory is the destination */
	IB = 0x400,	     /* immediate of a byte */
	IZ = 0x800,	     /* of the operand size, but at most 4 */
	ONE = 0x1000,	     /* the number 1 */
	CL = 0x2000,	     /* a count in CL */
	MOFFS = 0x4000,	     /* the address follows the opcode */
	STRING = 0x8000,     /* memory by rSI or rDI */
	CONDITION = 0x10000, /* the opcode's low four bits are a condition */
	ONLY_F3 = 0x20000,   /* another instruction without F3 */
	NO_F3 = 0x40000,     /* another instruction with F3 */
	Y = 0x200000,	     /* the operand size is 4, or 8 with REX.W */
	D4 = 0x100000,	     /* at most 4 bytes */
	NO_66 = 0x80000,     /* another instruction, or #UD, with 66 */
};
#define MODRM (EB | EV | EW | ED | EQ)

/* Which operation: fixed, or taken from ModRM.reg (a group), SDM vol. 2D table A-6. */
enum group {
	GROUP_NONE,
	GROUP_1,
	GROUP_2,
	GROUP_3,
	GROUP_4,
	GROUP_5,
	GROUP_8,
	GROUP_9,
	GROUP_MOV,
	GROUP_POP
};

struct opcode {
	u32 form;
	u8 op;
	u8 group;
};

struct decoder {
	const u8 *bytes;
	unsigned available, at;
	enum insn_mode mode;
	bool operand_prefix, address_prefix;
	u8 opcode;
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
#define ALU(base, operation)                                                            \
	[(base)] = {EB | GB | TO, operation}, [(base) + 1] = {EV | GV | TO, operation}, \
	[(base) + 2] = {EB | GB, operation}, [(base) + 3] = {EV | GV, operation}

static const struct opcode one_byte[256] = {
	ALU(0x00, INSN_ADD),
	ALU(0x08, INSN_OR),
	ALU(0x10, INSN_ADC),
	ALU(0x18, INSN_SBB),
	ALU(0x20, INSN_AND),
	ALU(0x28, INSN_SUB),
	ALU(0x30, INSN_XOR),
	ALU(0x38, INSN_CMP),
	[0x63] = {ED | GV | NO_66, INSN_MOVSX}, /* MOVSXD, in 64-bit mode */
	[0x69] = {EV | GV | IZ, INSN_IMUL},
	[0x6b] = {EV | GV | IB, INSN_IMUL},
	[0x6c] = {STRING | AL | TO, INSN_INS}, /* 4 bytes at most */
	[0x6d] = {STRING | D4 | AX | TO, INSN_INS},
	[0x6e] = {STRING | AL, INSN_OUTS},
	[0x6f] = {STRING | D4 | AX, INSN_OUTS},
	[0x80] = {EB | IB | TO, 0, GROUP_1},
	[0x81] = {EV | IZ | TO, 0, GROUP_1},
	[0x82] = {EB | IB | TO, 0, GROUP_1}, /* 0x80 again, but in 64-bit mode */
	[0x83] = {EV | IB | TO, 0, GROUP_1},
	[0x84] = {EB | GB | TO, INSN_TEST},
	[0x85] = {EV | GV | TO, INSN_TEST},
	[0x86] = {EB | GB | TO, INSN_XCHG},
	[0x87] = {EV | GV | TO, INSN_XCHG},
	[0x88] = {EB | GB | TO, INSN_MOV},
	[0x89] = {EV | GV | TO, INSN_MOV},
	[0x8a] = {EB | GB, INSN_MOV},
	[0x8b] = {EV | GV, INSN_MOV},
	[0x8f] = {EQ | TO, 0, GROUP_POP},
	[0xa0] = {MOFFS | AL, INSN_MOV},
	[0xa1] = {MOFFS | AX, INSN_MOV},
	[0xa2] = {MOFFS | AL | TO, INSN_MOV},
	[0xa3] = {MOFFS | AX | TO, INSN_MOV},
	[0xa4] = {STRING | AL | TO, INSN_MOVS},
	[0xa5] = {STRING | AX | TO, INSN_MOVS},
	[0xa6] = {STRING | AL, INSN_CMPS},
	[0xa7] = {STRING | AX, INSN_CMPS},
	[0xaa] = {STRING | AL | TO, INSN_STOS},
	[0xab] = {STRING | AX | TO, INSN_STOS},
	[0xac] = {STRING | AL, INSN_LODS},
	[0xad] = {STRING | AX, INSN_LODS},
	[0xae] = {STRING | AL, INSN_SCAS},
	[0xaf] = {STRING | AX, INSN_SCAS},
	[0xc0] = {EB | IB | TO, 0, GROUP_2},
	[0xc1] = {EV | IB | TO, 0, GROUP_2},
	[0xc6] = {EB | IB | TO, 0, GROUP_MOV},
	[0xc7] = {EV | IZ | TO, 0, GROUP_MOV},
	[0xd0] = {EB | ONE | TO, 0, GROUP_2},
	[0xd1] = {EV | ONE | TO, 0, GROUP_2},
	[0xd2] = {EB | CL | TO, 0, GROUP_2},
	[0xd3] = {EV | CL | TO, 0, GROUP_2},
	[0xd7] = {AL, INSN_MOV}, /* XLAT */
	[0xf6] = {EB | TO, 0, GROUP_3},
	[0xf7] = {EV | TO, 0, GROUP_3},
	[0xfe] = {EB | TO, 0, GROUP_4},
	[0xff] = {EV | TO, 0, GROUP_5},
};

static const struct opcode two_byte[256] = {
	[0x40 ... 0x4f] = {EV | GV | CONDITION, INSN_CMOV},
	[0x90 ... 0x9f] = {EB | TO | CONDITION, INSN_SET},
	[0xa3] = {EV | GV | TO, INSN_BT},
	[0xa4] = {EV | GV | IB | TO, INSN_SHLD},
	[0xa5] = {EV | GV | CL | TO, INSN_SHLD},
	[0xab] = {EV | GV | TO, INSN_BTS},
	[0xac] = {EV | GV | IB | TO, INSN_SHRD},
	[0xad] = {EV | GV | CL | TO, INSN_SHRD},
	[0xaf] = {EV | GV, INSN_IMUL},
	[0xb0] = {EB | GB | TO, INSN_CMPXCHG},
	[0xb1] = {EV | GV | TO, INSN_CMPXCHG},
	[0xb3] = {EV | GV | TO, INSN_BTR},
	[0xb6] = {EB | GV, INSN_MOVZX},
	[0xb7] = {EW | GV, INSN_MOVZX},
	[0xb8] = {EV | GV | ONLY_F3, INSN_POPCNT},
	[0xba] = {EV | IB | TO, 0, GROUP_8},
	[0xbb] = {EV | GV | TO, INSN_BTC},
	[0xbc] = {EV | GV, INSN_BSF}, /* TZCNT and LZCNT with F3 */
	[0xbd] = {EV | GV, INSN_BSR},
	[0xbe] = {EB | GV, INSN_MOVSX},
	[0xbf] = {EW | GV, INSN_MOVSX},
	[0xc0] = {EB | GB | TO, INSN_XADD},
	[0xc1] = {EV | GV | TO, INSN_XADD},
	[0xc3] = {EV | GV | Y | TO | NO_66 | NO_F3, INSN_MOV}, /* MOVNTI */
	[0xc7] = {EV | TO, 0, GROUP_9},
};

static const struct opcode three_byte[256] = {
	[0xf0] = {EV | GV | NO_F3, INSN_MOVBE},
	[0xf1] = {EV | GV | TO | NO_F3, INSN_MOVBE},
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
		int err = next_byte(d, &byte);

		if (err)
			return err;
		raw |= (u64)byte << (8 * i);
	}
	*value = size ? (u64)((s64)(raw << (64 - 8 * size)) >> (64 - 8 * size)) : 0;
	return 0;
}

/*
 * Takes one legacy prefix (SDM vol. 2A, 2.1.1); false when `byte` is none. The segment counts for
 * MOVS and CMPS alone.
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
		int err = next_byte(d, &sib);

		if (err)
			return err;
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
	int err = next_byte(d, &d->modrm);

	if (err)
		return err;
	if (d->modrm >> 6 == 3)
		return ERR_UNSUPPORTED;
	err = displacement_size(d, &size);
	if (err)
		return err;
	return next_signed(d, size, &displacement);
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
	u64 address;

	insn->size = memory_size(d, form);
	insn->to_memory = (form & TO) != 0;
	insn->by_cl = (form & CL) != 0;
	insn->condition = form & CONDITION ? d->opcode & 15 : 0;
	if (form & (GB | GV))
		set_register(d, form & GB ? 1 : wide);
	if (form & (AL | AX))
		insn->reg_size = insn->size;
	if (form & MOFFS)
		return next_signed(d, address_size(d), &address);
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

static int find_opcode(struct decoder *d, const struct opcode **found)
{
	const struct opcode *table = one_byte;
	int err = take_prefixes(d, &d->opcode);

	if (!err && d->opcode == 0x0f) {
		table = two_byte;
		err = next_byte(d, &d->opcode);
		if (!err && d->opcode == 0x38) {
			table = three_byte;
			err = next_byte(d, &d->opcode);
		}
	}
	if (err)
		return err;
	if (table == one_byte && d->opcode == (d->mode == INSN_64 ? 0x82 : 0x63))
		return ERR_UNSUPPORTED; /* #UD in 64-bit mode; ARPL outside it */
	*found = &table[d->opcode];
	return (*found)->form == 0 || prefix_excludes(d, (*found)->form) ? ERR_UNSUPPORTED : 0;
}

int insn_decode(const u8 *bytes, unsigned available, enum insn_mode mode, struct insn *out)
{
	struct decoder d = {
		.bytes = bytes, .available = available, .mode = mode, .insn.segment = 3};
	const struct opcode *opcode;
	int err = find_opcode(&d, &opcode);

	if (!err && opcode->form & MODRM)
		err = take_modrm(&d);
	if (!err)
		err = take_operation(&d, opcode);
	if (!err)
		err = take_operands(&d, opcode->form);
	if (err)
		return err;
	if (d.insn.lock && !lock_allowed(&d.insn))
		return ERR_INVALID;
	d.insn.address_size = address_size(&d);
	d.insn.length = d.at;
	*out = d.insn;
	return 0;
}

/*
 * What an opcode outside of the table belongs to, by ranges; the first that fits counts. wide: the
 * byte after 0F.
 */
static const struct {
	bool wide;
	u8 first, last;
	const char *name;
} unsupported[] = {
	{false, 0x62, 0x62, "BOUND or EVEX"},
	{false, 0x8c, 0x8e, "MOV of a segment register"},
	{false, 0x9a, 0x9a, "a far CALL"},
	{false, 0xc4, 0xc5, "VEX: AVX or BMI, or LDS, LES"},
	{false, 0xd8, 0xdf, "x87"},
	{false, 0xff, 0xff, "CALL or JMP by memory"},
	{true, 0x00, 0x01, "a descriptor table"},
	{true, 0x10, 0x17, "SSE"},
	{true, 0x28, 0x2f, "SSE"},
	{true, 0x38, 0x3a, "SSE, CRC32 or ADX"},
	{true, 0x50, 0x7f, "SSE or MMX"},
	{true, 0xae, 0xae, "FXSAVE, XSAVE or CLFLUSH"},
	{true, 0xb2, 0xb5, "a far pointer"},
	{true, 0xc2, 0xc6, "SSE"},
	{true, 0xc7, 0xc7, "CMPXCHG16B or XSAVES"},
	{true, 0xd0, 0xff, "SSE or MMX"},
};

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
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
		if (unsupported[i].wide == wide && opcode >= unsupported[i].first &&
		    opcode <= unsupported[i].last)
			return unsupported[i].name;
	}
	return "an instruction without a name here";
}
