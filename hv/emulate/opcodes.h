/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opcodes.h: the rows of the decoder's table.
 */
#ifndef SAMEPAGE_HV_EMULATE_OPCODES_H
#define SAMEPAGE_HV_EMULATE_OPCODES_H

#include <lib/types.h>

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

extern const struct opcode opcodes_one_byte[256], opcodes_two_byte[256], opcodes_three_byte[256];

/* The mandatory prefix of an XMM opcode (SDM vol. 2A, 2.1.2). F2 and F3 count before 66. */
enum mandatory { NP, P66, PF3, PF2 };

/*
 * map		the byte before the opcode: 0F, or 38 of 0F 38
 * size		0: 4 bytes, 8 with REX.W
 * part		of the register, enum insn_part
 */
struct xmm_move {
	u8 map, opcode, prefix, size, part;
	bool to_memory;
};

/* NULL: there is none. */
const struct xmm_move *opcode_xmm_move(u8 map, u8 opcode, enum mandatory prefix);

/* What an opcode outside of the tables belongs to. wide: it follows 0F. */
const char *opcode_family(bool wide, u8 opcode);

#endif
