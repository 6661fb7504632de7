/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.h: decodes the one instruction that touched a device's memory.
 *
 * Why: a device page has no stage-2 mapping, so an access to it exits with a gpa and nothing about
 * the instruction. The decoder returns the rest: the operation, operand sizes, direction, register
 * or immediate, the terms of the address, and the instruction's length. The exit has the gpa of one
 * page alone: an operand that goes on in the next page is found by its linear address.
 *
 * Pure: no guest memory, no state. Fuzzed against Zydis on the host (tests/fuzz/fuzz_insn.c).
 */
#ifndef SAMEPAGE_HV_INSN_H
#define SAMEPAGE_HV_INSN_H

#include <lib/types.h>

#define INSN_MAX 15 /* Intel SDM vol. 2A, 2.3.11: the longest instruction */

/*
 * What the instruction does with its memory operand M and its other operand O (a register or an
 * immediate). A is rAX, D is rDX.
 */
enum insn_op {
	INSN_NONE,
	INSN_MOV,   /* M = O, or O = M */
	INSN_MOVZX, /* O = zero-extended M */
	INSN_MOVSX, /* O = sign-extended M */
	INSN_MOVBE, /* MOV with the bytes reversed */
	INSN_ADD,   /* from here to CMP in opcode order: x86 group 1 */
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_XCHG,
	INSN_INC,
	INSN_DEC,
	INSN_NOT, /* to IDIV: x86 group 3 from its member 2 on */
	INSN_NEG,
	INSN_MUL, /* D:A = A * M */
	INSN_IMUL_A,
	INSN_DIV, /* A = D:A / M, D the remainder */
	INSN_IDIV,
	INSN_IMUL, /* O = O * M, or with an immediate O = M * value */
	INSN_ROL,  /* to SAR: x86 group 2; by `value`, or by CL */
	INSN_ROR,
	INSN_RCL,
	INSN_RCR,
	INSN_SHL,
	INSN_SHR,
	INSN_SAL, /* the same as SHL */
	INSN_SAR,
	INSN_SHLD, /* shifts bits of O into M, by `value` or by CL */
	INSN_SHRD,
	INSN_BT, /* to BTC: the bit's index in O */
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_BSF,
	INSN_BSR,
	INSN_TZCNT,
	INSN_LZCNT,
	INSN_POPCNT,
	INSN_XADD,
	INSN_CMPXCHG,
	INSN_CMPXCHG8B,
	INSN_CMOV, /* O = M if `condition` */
	INSN_SET,  /* M = `condition` */
	INSN_PUSH,
	INSN_POP,
	INSN_MOV_XMM, /* MOV between memory and an XMM register, `part` of it */
	INSN_STOS,    /* from here on the string instructions */
	INSN_LODS,
	INSN_MOVS,
	INSN_CMPS,
	INSN_SCAS,
	INSN_INS, /* M = the port, and back */
	INSN_OUTS,
	INSN_OPS
};

enum insn_mode { INSN_16, INSN_32, INSN_64 };

/* Of an XMM register: the low bytes, the upper half, or the low bytes with the rest cleared. */
enum insn_part { INSN_LOW, INSN_HIGH, INSN_LOW_ALONE };

/* base and index of an address, beside the registers 0 to 15. */
#define INSN_RIP      16
#define INSN_NONE_REG 17
enum insn_rep { INSN_NO_REP, INSN_REPE, INSN_REPNE };

/*
 * op		what it does
 * length	of the whole instruction, prefixes included
 * size		bytes of the memory operand: 1, 2, 4, 8, 16
 * reg_size	bytes of the other operand where that is a register (MOVZX, MOVSX: its destination)
 * reg		that register
 * address_size	bytes of an address: 2, 4, 8; of the pointers and the count of a string instruction
 * to_memory	the memory operand is the destination (an ALU operation on memory reads and writes it)
 * immediate	`value` is an operand, sign-extended to 64 bits
 * by_cl	a shift by CL
 * high_byte	reg 0-3 means AH, CH, DH, BH
 * condition	the condition code of CMOVcc and SETcc: the low four bits of the opcode
 * rep, lock	prefixes
 * part		of the XMM register, enum insn_part
 * segment	of the memory operand, or of the source of MOVS, CMPS, LODS, OUTS: 0 ES, 1 CS, 2 SS,
 *		3 DS, 4 FS, 5 GS; in 64-bit mode only the last two override
 * base, index, scale, displacement
 *		the address by ModRM: insn_offset()
 */
struct insn {
	enum insn_op op;
	u8 length;
	u8 size;
	u8 reg_size;
	u8 reg;
	u8 address_size;
	bool to_memory;
	bool immediate;
	bool by_cl;
	bool high_byte;
	bool lock;
	u8 condition;
	u8 rep; /* enum insn_rep */
	u8 segment;
	u8 part;
	u8 base, index, scale;
	u64 displacement;
	u64 value;
};

/*
 * Decodes the instruction that starts at bytes[0], of which `available` may be read (at most
 * INSN_MAX are looked at). ERR_UNSUPPORTED: not an instruction of the table with a memory operand;
 * insn_unsupported() names it. ERR_RANGE: it goes on past `available`. ERR_INVALID: no valid
 * encoding (longer than INSN_MAX; LOCK where #UD is due). *out is written on success only. Intel
 * SDM vol. 2A, chapter 2 and appendix A. Any context.
 */
int insn_decode(const u8 *bytes, unsigned available, enum insn_mode mode,
		struct insn *out) __must_check;

/*
 * The offset in its segment of an operand by ModRM or moffs; for BT to BTC of the word with the bit.
 * rip: of the instruction. Pure.
 */
u64 insn_offset(const struct insn *insn, const u64 *gpr, u64 rip);

/* A name for an instruction that insn_decode() refuses, for the log: "x87", "SSE or MMX". Pure. */
const char *insn_unsupported(const u8 *bytes, unsigned available, enum insn_mode mode);

static inline bool insn_is_string(const struct insn *insn)
{
	return insn->op >= INSN_STOS;
}

#endif
