/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn_table.c: the decoder's table.
 *
 * The rows cover the integer instructions with a memory operand that compilers and assemblers
 * write, and the moves of XMM registers, which have a row for each mandatory prefix.
 * docs/devices.md lists them, out of this table (tests/checks/decoder.py).
 */
#include "hv/emulate/opcodes.h"
#include <hv/insn.h>

/*
 * The eight ALU operations at 00, 08, ... 38: memory-register forms in both directions (SDM vol. 2D
 * table A-2).
 */
#define ALU(base, operation)                                                            \
	[(base)] = {EB | GB | TO, operation}, [(base) + 1] = {EV | GV | TO, operation}, \
	[(base) + 2] = {EB | GB, operation}, [(base) + 3] = {EV | GV, operation}

const struct opcode opcodes_one_byte[256] = {
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

const struct opcode opcodes_two_byte[256] = {
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

const struct opcode opcodes_three_byte[256] = {
	[0xf0] = {EV | GV | NO_F3, INSN_MOVBE},
	[0xf1] = {EV | GV | TO | NO_F3, INSN_MOVBE},
};

static const struct xmm_move xmm_moves[] = {
	{0x0f, 0x10, NP, 16, INSN_LOW, false},	     /* MOVUPS */
	{0x0f, 0x11, NP, 16, INSN_LOW, true},	     /* MOVUPS */
	{0x0f, 0x10, P66, 16, INSN_LOW, false},	     /* MOVUPD */
	{0x0f, 0x11, P66, 16, INSN_LOW, true},	     /* MOVUPD */
	{0x0f, 0x10, PF3, 4, INSN_LOW_ALONE, false}, /* MOVSS */
	{0x0f, 0x11, PF3, 4, INSN_LOW, true},	     /* MOVSS */
	{0x0f, 0x10, PF2, 8, INSN_LOW_ALONE, false}, /* MOVSD */
	{0x0f, 0x11, PF2, 8, INSN_LOW, true},	     /* MOVSD */
	{0x0f, 0x12, NP, 8, INSN_LOW, false},	     /* MOVLPS */
	{0x0f, 0x13, NP, 8, INSN_LOW, true},	     /* MOVLPS */
	{0x0f, 0x12, P66, 8, INSN_LOW, false},	     /* MOVLPD */
	{0x0f, 0x13, P66, 8, INSN_LOW, true},	     /* MOVLPD */
	{0x0f, 0x16, NP, 8, INSN_HIGH, false},	     /* MOVHPS */
	{0x0f, 0x17, NP, 8, INSN_HIGH, true},	     /* MOVHPS */
	{0x0f, 0x16, P66, 8, INSN_HIGH, false},	     /* MOVHPD */
	{0x0f, 0x17, P66, 8, INSN_HIGH, true},	     /* MOVHPD */
	{0x0f, 0x28, NP, 16, INSN_LOW, false},	     /* MOVAPS */
	{0x0f, 0x29, NP, 16, INSN_LOW, true},	     /* MOVAPS */
	{0x0f, 0x28, P66, 16, INSN_LOW, false},	     /* MOVAPD */
	{0x0f, 0x29, P66, 16, INSN_LOW, true},	     /* MOVAPD */
	{0x0f, 0x2b, NP, 16, INSN_LOW, true},	     /* MOVNTPS */
	{0x0f, 0x2b, P66, 16, INSN_LOW, true},	     /* MOVNTPD */
	{0x0f, 0x6e, P66, 0, INSN_LOW_ALONE, false}, /* MOVD */
	{0x0f, 0x7e, P66, 0, INSN_LOW, true},	     /* MOVD */
	{0x0f, 0x7e, PF3, 8, INSN_LOW_ALONE, false}, /* MOVQ */
	{0x0f, 0xd6, P66, 8, INSN_LOW, true},	     /* MOVQ */
	{0x0f, 0x6f, P66, 16, INSN_LOW, false},	     /* MOVDQA */
	{0x0f, 0x7f, P66, 16, INSN_LOW, true},	     /* MOVDQA */
	{0x0f, 0x6f, PF3, 16, INSN_LOW, false},	     /* MOVDQU */
	{0x0f, 0x7f, PF3, 16, INSN_LOW, true},	     /* MOVDQU */
	{0x0f, 0xe7, P66, 16, INSN_LOW, true},	     /* MOVNTDQ */
	{0x0f, 0xf0, PF2, 16, INSN_LOW, false},	     /* LDDQU */
	{0x38, 0x2a, P66, 16, INSN_LOW, false},	     /* MOVNTDQA */
};

const struct xmm_move *opcode_xmm_move(u8 map, u8 opcode, enum mandatory prefix)
{
	for (size_t i = 0; i < ARRAY_SIZE(xmm_moves); i++) {
		const struct xmm_move *move = &xmm_moves[i];

		if (move->map == map && move->opcode == opcode && move->prefix == prefix)
			return move;
	}
	return NULL;
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
	{true, 0x10, 0x17, "an SSE move that duplicates or unpacks"},
	{true, 0x28, 0x2f, "SSE arithmetic"},
	{true, 0x38, 0x3a, "SSE arithmetic, CRC32 or ADX"},
	{true, 0x50, 0x6d, "SSE or MMX arithmetic"},
	{true, 0x6e, 0x6f, "a move of an MMX register"},
	{true, 0x70, 0x7d, "SSE or MMX arithmetic"},
	{true, 0x7e, 0x7f, "a move of an MMX register"},
	{true, 0xae, 0xae, "FXSAVE, XSAVE or CLFLUSH"},
	{true, 0xb2, 0xb5, "a far pointer"},
	{true, 0xc2, 0xc6, "SSE arithmetic"},
	{true, 0xc7, 0xc7, "CMPXCHG16B or XSAVES"},
	{true, 0xe7, 0xe7, "a move of an MMX register"},
	{true, 0xd0, 0xff, "SSE or MMX arithmetic"},
};

const char *opcode_family(bool wide, u8 opcode)
{
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
		if (unsupported[i].wide == wide && opcode >= unsupported[i].first &&
		    opcode <= unsupported[i].last)
			return unsupported[i].name;
	}
	return "an instruction without a name here";
}
