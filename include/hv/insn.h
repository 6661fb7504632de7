/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.h: decoding the one instruction that touched a device's memory.
 *
 * Why: a device page has no stage-2 mapping, so an access to it exits with a gpa and nothing about
 * the instruction. The decoder returns the rest: operand size, direction, register or immediate, the
 * effect on the flags, and the instruction's length. It does not compute the address: the exit has
 * it.
 *
 * Pure: no guest memory, no state. Fuzzed against Zydis on the host (tests/fuzz/fuzz_insn.c).
 */
#ifndef SAMEPAGE_HV_INSN_H
#define SAMEPAGE_HV_INSN_H

#include <lib/types.h>

#define INSN_MAX 15 /* Intel SDM vol. 2A, 2.3.11: the longest instruction */

/*
 * What the instruction does with its memory operand M and its other operand O (register or
 * immediate).
 */
enum insn_op {
	INSN_MOV,   /* M = O, or O = M */
	INSN_MOVZX, /* O = zero-extended M */
	INSN_MOVSX, /* O = sign-extended M */
	INSN_ADD,
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP, /* in opcode order: x86 group 1 */
	INSN_TEST,
	INSN_XCHG,
	INSN_INC,
	INSN_DEC,
	INSN_NOT,
	INSN_NEG,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC, /* bit index in the immediate */
	INSN_STOS,
	INSN_LODS,
	INSN_MOVS,
	INSN_OPS
};

enum insn_mode { INSN_16, INSN_32, INSN_64 };

/*
 * op		what it does
 * length	of the whole instruction, prefixes included
 * size		bytes of the memory operand: 1, 2, 4, 8
 * reg_size	bytes of the other operand where that is a register (MOVZX, MOVSX: its destination)
 * to_memory	the memory operand is the destination (an ALU operation on memory reads and writes it)
 * immediate	the other operand is `value`, sign-extended to 64 bits; else it is register `reg`
 * high_byte	reg 0-3 means AH, CH, DH, BH
 * rep, lock	prefix present
 * segment	of the source of MOVS: 0 ES, 1 CS, 2 SS, 3 DS (without an override), 4 FS, 5 GS; in 64-bit mode only the
 * 		last two override
 */
struct insn {
	enum insn_op op;
	u8 length;
	u8 size;
	u8 reg_size;
	u8 reg;
	bool to_memory;
	bool immediate;
	bool high_byte;
	bool rep;
	bool lock;
	u8 segment;
	u64 value;
};

/*
 * Decodes the instruction that starts at bytes[0], of which `available` may be read (at most
 * INSN_MAX are looked at). ERR_UNSUPPORTED: not an instruction of this list with a memory operand.
 * ERR_RANGE: it goes on past `available`. ERR_INVALID: no valid encoding (longer than INSN_MAX;
 * LOCK where #UD is due). *out is written on success only. Intel SDM vol. 2A, chapter 2 and
 * appendix A. Any context.
 */
int insn_decode(const u8 *bytes, unsigned available, enum insn_mode mode,
		struct insn *out) __must_check;

#endif
