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
#include <hv/lapic.h>
#include <hv/pc.h>
#include <hv/vcpu.h>
#include <mm/peek.h>

#define INSN_MEMOS	16 /* by register: a driver has one place that reads or writes it */
#define INSN_MEMO_WORDS 6  /* four levels of page tables, two words of code */

/* A word of guest memory, and what it was. */
struct insn_word {
	const void *at;
	u64 value;
};

/*
 * gpa		of the register; 0: the entry is free. reg: its number; place: lapic_place()
 * gate		of the vCPU's CPU, which is the same for its life
 * generation	of the stage 2 when `word` was looked up (mm/peek.h)
 * access	HV_READ or HV_WRITE
 * word		what was read: the first `words`
 * gpr		the other operand, or with `immediate` it is `value`
 * end		for skip_code()
 */
struct insn_memo {
	struct guest_code code;
	struct gpa gpa;
	struct stage2_gate gate;
	u64 generation;
	u32 value;
	u8 reg, place, words, access, gpr;
	bool immediate;
	struct insn_word word[INSN_MEMO_WORDS];
	struct hv_exit end;
} __aligned(256);

/*
 * Remembers the instruction at RIP, which accesses the register at gpa, if it is a MOV of 4 bytes
 * between memory and a register (not RSP, which is elsewhere: virt.h) or an immediate. A VM with a
 * board; owner, loaded. Takes LOCK_MMU.
 */
void insn_memo_keep(struct vcpu *vcpu, struct gpa gpa, const struct guest_state *state);

static __always_inline struct insn_memo *insn_memo_of(struct vcpu *vcpu, struct gpa gpa)
{
	return &vcpu->memos[gpa.raw / 16 % INSN_MEMOS];
}

/* Free words of an entry point to themselves. */
static __always_inline bool insn_memo_words_hold(const struct insn_memo *memo)
{
	const struct insn_word *word = memo->word;

#define HOLDS(n) (ck_pr_load_64(word[n].at) == word[n].value)
	return HOLDS(0) && HOLDS(1) && HOLDS(2) && HOLDS(3) &&
	       (memo->words <= 4 || (HOLDS(4) && HOLDS(5)));
#undef HOLDS
}

/* Does all of guest memory that the instruction was decoded from read the same? */
static __always_inline bool insn_memo_holds(const struct insn_memo *memo)
{
	bool holds;

	if (unlikely(!stage2_peek_begin(&memo->gate, memo->generation)))
		return false;
	holds = insn_memo_words_hold(memo);
	stage2_peek_end(&memo->gate);
	return holds;
}

static __always_inline u32 insn_memo_read(struct vcpu *vcpu, const struct insn_memo *memo)
{
	if (unlikely(!lapic_is_xapic(vcpu->lapic)))
		return pc_mmio_read(vcpu, memo->gpa);
	if (unlikely(!memo->place))
		return lapic_read_xapic(vcpu->lapic, memo->reg, 0);
	return lapic_load(vcpu->lapic, memo->place);
}

void insn_memo_write(struct vcpu *vcpu, const struct insn_memo *memo) __noinline;

/*
 * Carries out an access of the local APIC's page, if its instruction is remembered; false: nothing
 * is done. Owner, loaded. The instruction is skipped first, so that an interrupt that the access
 * brings follows it.
 */
static __always_inline bool __must_check insn_memo_move(struct vcpu *vcpu,
							const struct hv_exit *exit)
{
	const struct insn_memo *memo = insn_memo_of(vcpu, exit->stage2.gpa);

	if (unlikely(!vcpu->memos || exit->stage2.gpa.raw != memo->gpa.raw ||
		     exit->stage2.access != memo->access || exit->stage2.delivery ||
		     exit->stage2.table_walk || !insn_memo_holds(memo) ||
		     !virt->skip_code(&vcpu->arch, &memo->code, &memo->end)))
		return false;
	if (likely(memo->access == HV_READ))
		vcpu->arch.gpr[memo->gpr] = insn_memo_read(vcpu, memo);
	else
		insn_memo_write(vcpu, memo);
	return true;
}

#endif
