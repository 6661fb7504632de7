/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn_memo.h: remembers a vCPU's moves to and from its local APIC's page, decoded.
 *
 * Why: a system without x2APIC reads its APIC's ID and writes EOI all the time. To fetch and decode
 * the instruction takes a walk of the guest's page tables and some 4,000 instructions; to see that
 * the result would be the same takes 60.
 *
 * An entry has all that the decoded instruction was computed from: RIP, CR3, the mode, each entry
 * of the page tables that the walk read, and the code. It holds while all of these read the same.
 *
 * Invariants:
 * MEMO-1  What insn_memo_move() carries out is what fetching and decoding would give now.
 */
#ifndef SAMEPAGE_HV_INSN_MEMO_H
#define SAMEPAGE_HV_INSN_MEMO_H

#include <arch/virt.h>
#include <mm/tlb.h>

struct vcpu;

#define INSN_MEMOS	16 /* by register: a driver has one place that reads or writes it */
#define INSN_MEMO_WORDS 6  /* four levels of page tables, two words of code */

/* A word of guest memory, and what it was. */
struct insn_word {
	const void *at;
	u64 value;
};

/*
 * gpa		of the register; 0: the entry is free. reg: its number
 * gate		of the vCPU's CPU, which is the same for its life
 * generation	of the stage 2 when `word` was looked up (mm/peek.h)
 * access	HV_READ or HV_WRITE
 * word		what was read: the first `words`
 * gpr		the other operand, or with `immediate` it is `value`
 * end		for skip_insn()
 */
struct insn_memo {
	struct guest_code code;
	struct gpa gpa;
	struct stage2_gate gate;
	u64 generation;
	u32 value;
	u8 reg, words, access, gpr;
	bool immediate;
	struct insn_word word[INSN_MEMO_WORDS];
	struct hv_exit end;
} __aligned(256);

/*
 * Carries out an access of the local APIC's page, if its instruction is remembered; false: nothing
 * is done. Owner, loaded.
 */
bool insn_memo_move(struct vcpu *vcpu, const struct hv_exit *exit) __must_check;

/*
 * Remembers the instruction at RIP, which accesses the register at gpa, if it is a MOV of 4 bytes
 * between memory and a register (not RSP, which is elsewhere: virt.h) or an immediate. A VM with a
 * board; owner, loaded. Takes LOCK_MMU.
 */
void insn_memo_keep(struct vcpu *vcpu, struct gpa gpa, const struct guest_state *state);

#endif
