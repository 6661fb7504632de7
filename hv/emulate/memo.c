/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo.c: the memory of decoded moves. insn_memo.h has the rule.
 *
 * keep() decodes what it has recorded, not what was fetched before: so an entry is consistent in
 * itself even if the guest rewrites its code or its page tables meanwhile.
 */
#include <hv/insn_memo.h>
#include <arch/regs.h>
#include <hv/gva.h>
#include <hv/insn.h>
#include <hv/pc.h>
#include "hv/emulate/private.h"
#include <lib/error.h>
#include <lib/string.h>

#define CODE_BYTES 16
_Static_assert(CODE_BYTES > INSN_MAX, "two words hold an instruction");
_Static_assert(sizeof(struct insn_memo) == 256, "its place is a shift away");

void insn_memo_write(struct vcpu *vcpu, const struct insn_memo *memo)
{
	pc_mmio_write(vcpu, memo->gpa,
		      memo->immediate ? memo->value : (u32)vcpu->arch.gpr[memo->gpr]);
}

struct recording {
	struct vcpu *vcpu;
	struct insn_memo *memo;
	unsigned words;
};

/* The word at `gpa`, recorded. */
static int record_word(struct recording *recording, struct gpa gpa, u64 *value)
{
	struct stage2 *s2 = recording->vcpu->stage2;
	struct insn_memo *memo = recording->memo;
	struct insn_word *word = &memo->word[recording->words];

	if (recording->words == INSN_MEMO_WORDS)
		return ERR_RANGE;
	word->at = stage2_peek(s2, gpa);
	if (!word->at)
		return ERR_NOT_FOUND;
	if (!stage2_peek_begin(&memo->gate, memo->generation))
		return ERR_BUSY;
	*value = word->value = ck_pr_load_64(word->at);
	stage2_peek_end(&memo->gate);
	recording->words++;
	return 0;
}

/* An entry of the page tables: 4 or 8 bytes of an aligned word. */
static int record_entry(void *context, struct gpa from, void *to, size_t len)
{
	u64 value;
	int err = record_word(context, (struct gpa){ALIGN_DOWN(from.raw, sizeof(value))}, &value);

	if (!err)
		memcpy(to, (const u8 *)&value + from.raw % sizeof(value), len);
	return err;
}

/* Code that goes on in another page is not recorded. */
static int record_code(struct recording *recording, const struct guest_state *state,
		       u64 bytes[CODE_BYTES / sizeof(u64)])
{
	bool flat = mode_of(state) == INSN_64;
	u64 linear = flat ? state->rip : (u32)(state->seg[SEG_CS].base + state->rip);
	unsigned allowed;
	struct gpa gpa;
	int err = gva_walk(state, record_entry, recording, (struct gva){linear}, &gpa, &allowed,
			   NULL);

	if (!err && page_offset(linear) > PAGE_SIZE - CODE_BYTES)
		err = ERR_RANGE;
	for (unsigned i = 0; !err && i < CODE_BYTES / sizeof(u64); i++)
		err = record_word(recording, (struct gpa){gpa.raw + i * sizeof(u64)}, &bytes[i]);
	return err;
}

static bool is_plain_move(const struct insn *insn)
{
	return insn->op == INSN_MOV && insn->size == 4 &&
	       (insn->immediate || (insn->reg_size == 4 && insn->reg != GPR_RSP));
}

static void keep_insn(struct insn_memo *memo, const struct insn *insn, unsigned words)
{
	memo->access = insn->to_memory ? HV_WRITE : HV_READ;
	memo->gpr = insn->reg;
	memo->immediate = insn->immediate;
	memo->value = (u32)insn->value;
	memo->end = (struct hv_exit){
		.reason = HV_EXIT_STAGE2, .insn_len = insn->length, .insn_exact = true};
	memo->words = words - (insn->length <= sizeof(u64)); /* the last one is not part of it */
	for (unsigned i = memo->words; i < INSN_MEMO_WORDS; i++)
		memo->word[i] = (struct insn_word){&memo->word[i].value, 0};
}

static bool record(struct recording *recording, const struct guest_state *state)
{
	u64 bytes[CODE_BYTES / sizeof(u64)];
	enum insn_mode mode = mode_of(state);
	struct insn insn;

	if (mode == INSN_16 || record_code(recording, state, bytes) ||
	    insn_decode((const u8 *)bytes, INSN_MAX, mode, &insn) || !is_plain_move(&insn))
		return false;
	keep_insn(recording->memo, &insn, recording->words);
	return true;
}

/* The current count of the timer is rarely read, and needs the time. */
static bool may_keep(struct gpa gpa)
{
	return gpa.raw % 16 == 0 && page_offset(gpa.raw) / 16 != LAPIC_TIMER_CURRENT;
}

void insn_memo_keep(struct vcpu *vcpu, struct gpa gpa, const struct guest_state *state)
{
	struct recording recording = {.vcpu = vcpu};
	struct insn_memo *memo = insn_memo_of(vcpu, gpa);

	if (!may_keep(gpa))
		return;
	recording.memo = memo;
	*memo = (struct insn_memo){.reg = page_offset(gpa.raw) / 16};
	memo->place = lapic_place(memo->reg);
	virt->get_code(&vcpu->arch, &memo->code);
	memo->gate = stage2_gate(vcpu->stage2);
	memo->generation = stage2_peek_generation(vcpu->stage2);
	if (record(&recording, state))
		memo->gpa = gpa;
}
