/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space_model.c: address spaces against an array of what their pages must hold.
 */
#include "sim/space_model.h"

#include <arch/exit.h>
#include <mm/audit.h>
#include <mm/cow.h>
#include <mm/reclaim.h>

#include "mm/store/store.h"

struct scene scene;
u64 merged, done[OP_KINDS];

static struct gfn_range pages(u64 gfn, u64 count)
{
	return gfn_range((struct gfn){gfn}, count);
}

ppte_t pte_of(unsigned space, u64 gfn)
{
	return primary_load(&scene.as[space]->primary, (struct gfn){gfn});
}

static u64 *frame_words(struct mfn mfn)
{
	return arch_hpa_to_virt(mfn_to_hpa(mfn));
}

u64 leaf_hpa(const struct stage2 *s2, u64 gfn, unsigned *attr)
{
	struct pgtable table = s2->table;
	struct pgtable_visit visit;

	pgtable_lookup(&table, gfn << PAGE_SHIFT, &visit);
	if (visit.kind != VISIT_LEAF)
		return 0;
	*attr = table.format->attr(visit.pte, visit.level);
	return pte_addr(table.format, visit.pte, visit.level).raw + (gfn << PAGE_SHIFT) -
	       visit.address;
}

/* The first word of a page, wherever its content is. */
static u64 word_of(ppte_t pte)
{
	static u64 page[PAGE_SIZE / 8];

	if (ppte_state(pte) != PPTE_RECLAIMED)
		return ppte_backed(pte) ? *frame_words(ppte_mfn(pte)) : 0;
	store_get(ppte_token(pte), page);
	return page[0];
}

static void check_page(unsigned space, u64 gfn)
{
	u64 expected = scene.word[space][gfn];

	assert_int_equal(word_of(pte_of(space, gfn)), expected);
	for (unsigned i = 0; i < TABLES; i++) {
		unsigned attr;
		u64 hpa = leaf_hpa(scene.s2[space][i], gfn, &attr);

		if (hpa)
			assert_int_equal(*(u64 *)arch_hpa_to_virt((struct hpa){hpa}), expected);
	}
}

void check_some(void)
{
	for (unsigned i = 0; i < 8; i++)
		check_page((unsigned)sim_below(&scene.random, SPACES_TWO),
			   sim_below(&scene.random, PAGES));
}

void check_all(void)
{
	struct audit_report report;

	for (unsigned space = 0; space < SPACES_TWO; space++)
		for (u64 gfn = 0; gfn < PAGES; gfn++)
			check_page(space, gfn);
	if (audit_run(0, &report))
		fail_msg("%s", sim_console());
}

void raise_scene(const struct notifier_policy *policy, enum retry_mode retry, u64 seed)
{
	struct frame_stats stats;

	sim_boot(1, 96 * MIB);
	memset(&scene, 0, sizeof(scene));
	scene.random.state = seed;
	scene.hot = PAGES;
	frame_stats(&stats);
	scene.frames_free = stats.free;
	for (unsigned i = 0; i < SPACES_TWO; i++) {
		assert_int_equal(addrspace_create("model", &scene.as[i]), 0);
		assert_int_equal(addrspace_add_slot(scene.as[i], pages(0, PAGES), SLOT_RAM), 0);
		assert_int_equal(addrspace_set_policy(scene.as[i], policy), 0);
		addrspace_set_retry(scene.as[i], retry);
		assert_int_equal(stage2_create(scene.as[i], &ept_format, &scene.s2[i][0]), 0);
		assert_int_equal(stage2_create(scene.as[i], &npt_format, &scene.s2[i][1]), 0);
	}
}

void strike_scene(void)
{
	struct frame_stats stats;

	reclaim_fini();
	for (unsigned i = 0; i < SPACES_TWO; i++) {
		for (unsigned table = 0; table < TABLES; table++)
			stage2_destroy(scene.s2[i][table]);
		addrspace_destroy(scene.as[i]);
	}
	frame_stats(&stats);
	assert_int_equal(stats.free, scene.frames_free);
}

static u64 choose_gfn(void)
{
	return sim_below(&scene.random, sim_once_in(&scene.random, 8) ? PAGES : scene.hot);
}

struct op choose(void)
{
	struct sim_random *random = &scene.random;
	struct op op = {
		.kind = sim_once_in(random, 3) ? (enum op_kind)sim_below(random, 3)
					       : (enum op_kind)sim_below(random, OP_KINDS),
		.space = (unsigned)sim_below(random, SPACES_TWO),
		.table = (unsigned)sim_below(random, TABLES),
		.other = (unsigned)sim_below(random, SPACES_TWO),
		.gfn = choose_gfn(),
		.other_gfn = choose_gfn(),
		.value = sim_below(random, 4),
	};

	op.count = sim_size(random, MAX(scene.hot / 2, 1));
	op.count = MIN(op.count, PAGES - op.gfn);
	return op;
}

/* A guest's access, with as many faults as it takes. 0, or what ended it. */
static int guest_access(const struct op *op, bool write)
{
	struct stage2 *s2 = scene.s2[op->space][op->table];
	u64 gpa = op->gfn << PAGE_SHIFT;

	for (unsigned faults = 0; faults < 8; faults++) {
		const struct pgtable_format *format = s2->table.format;
		enum fault_outcome outcome;
		struct pgtable_visit visit;
		u64 *word;

		pgtable_lookup(&s2->table, gpa, &visit);
		if (visit.kind == VISIT_LEAF &&
		    (!write || (visit.pte & format->level[visit.level].write))) {
			word = arch_hpa_to_virt(
				(struct hpa){pte_addr(format, visit.pte, visit.level).raw +
					     (gpa - visit.address)});
			if (write)
				*word = op->value;
			else
				assert_int_equal(*word, scene.word[op->space][op->gfn]);
			return 0;
		}
		outcome = fault_handle(s2, (struct gpa){gpa}, write ? HV_WRITE : HV_READ);
		if (outcome == FAULT_NO_MEMORY)
			return ERR_NO_MEMORY;
		if (outcome == FAULT_READ_ONLY) {
			assert_false(pte_of(op->space, op->gfn) & PPTE_WRITE);
			return ERR_PERMISSION;
		}
		assert_true(outcome == FAULT_MAPPED || outcome == FAULT_SPURIOUS ||
			    outcome == FAULT_RACED);
	}
	fail_msg("the access never succeeds");
	return 0;
}

/* Guards and looks at a page; ERR_BUSY when it is not a private one. */
static int protect_page(unsigned space, u64 gfn, struct cow_look *look)
{
	int err = cow_protect(scene.as[space], pages(gfn, 1));

	return err ? err : cow_look(scene.as[space], (struct gfn){gfn}, look);
}

/* The frame that (space, gfn) shares or now begins to share, with a reference for us. */
static int offer(unsigned space, u64 gfn, struct mfn *shared)
{
	ppte_t pte = pte_of(space, gfn);
	struct cow_look look;
	int err;

	if (ppte_state(pte) == PPTE_SHARED) {
		*shared = ppte_mfn(pte);
		frame_get(*shared);
		return 0;
	}
	err = protect_page(space, gfn, &look);
	if (!err)
		err = cow_offer(scene.as[space], (struct gfn){gfn}, &look);
	*shared = look.mfn;
	return err;
}

/* What a merging engine does with two pages; those that differ are left alone. */
static int merge(const struct op *op)
{
	struct cow_look look;
	struct mfn shared;
	int err;

	if (op->space == op->other && op->gfn == op->other_gfn)
		return 0;
	err = offer(op->space, op->gfn, &shared);
	if (err)
		return err;
	err = protect_page(op->other, op->other_gfn, &look);
	if (!err && !memcmp(frame_words(shared), frame_words(look.mfn), PAGE_SIZE))
		err = cow_share(scene.as[op->other], (struct gfn){op->other_gfn}, &look, shared);
	merged += !err && pte_of(op->other, op->other_gfn) != 0 &&
		  ppte_mfn(pte_of(op->other, op->other_gfn)).raw == shared.raw;
	if (frame_put(shared))
		frame_free(shared, 0);
	return err;
}

static int merge_zero(const struct op *op)
{
	struct cow_look look;
	int err = protect_page(op->space, op->gfn, &look);

	if (err || *frame_words(look.mfn))
		return err;
	return cow_share_zero(scene.as[op->space], (struct gfn){op->gfn}, &look);
}

/* Every page of the block its own, so that it can be moved; now and then left as it is. */
static int collapse(const struct op *op)
{
	struct addrspace *as = scene.as[op->space];
	struct gfn_range block = pages(ALIGN_DOWN(op->gfn, 512), 512);
	int err = op->value ? addrspace_populate(as, block) : 0;

	for (struct gfn gfn = block.start; op->value && !err && gfn.raw < block.end.raw; gfn.raw++)
		err = cow_break(as, gfn);
	return err ? err : addrspace_collapse(as, block.start);
}

static int pin_for_a_moment(struct addrspace *as, struct gfn gfn)
{
	int err = addrspace_pin(as, gfn);

	if (err)
		return err;
	err = addrspace_migrate(as, gfn);
	addrspace_unpin(as, gfn);
	assert_true(err == ERR_BUSY || err == ERR_NO_MEMORY);
	return 0;
}

/* All of the range, or as many as are cold; how many that is does not matter. */
static int reclaim(struct addrspace *as, const struct op *op)
{
	u64 count;

	if (op->value)
		return addrspace_reclaim(as, pages(op->gfn, MIN(op->count, 8)), &count);
	reclaim_cold(as, op->count);
	return 0;
}

int perform(const struct op *op)
{
	struct addrspace *as = scene.as[op->space];
	struct gfn_range range = pages(op->gfn, op->count);
	struct gfn gfn = range.start;
	bool young;

	switch (op->kind) {
	case OP_READ:
		return guest_access(op, false);
	case OP_WRITE:
		return guest_access(op, true);
	case OP_OUR_WRITE:
		return addrspace_write(as, gfn_to_gpa(gfn), &op->value, sizeof(op->value));
	case OP_POPULATE:
		return addrspace_populate(as, range);
	case OP_CLEAR:
		return addrspace_clear(as, range, op->value ? ADDRSPACE_NOBLOCK : 0);
	case OP_BALLOON:
		return addrspace_balloon(as, range, 0);
	case OP_PROTECT:
		return addrspace_protect(as, range, op->value > 0);
	case OP_SOFT_DIRTY:
		return addrspace_clear_soft_dirty(as, range);
	case OP_MIGRATE:
		return addrspace_migrate(as, gfn);
	case OP_COLLAPSE:
		return collapse(op);
	case OP_SPLIT:
		return addrspace_split(as, range);
	case OP_EXCLUSIVE:
		return addrspace_exclusive(as, gfn, NULL);
	case OP_AGE:
		return addrspace_age(as, range, &young);
	case OP_MERGE:
		return merge(op);
	case OP_MERGE_ZERO:
		return merge_zero(op);
	case OP_BREAK:
		return cow_break(as, gfn);
	case OP_PIN:
		return pin_for_a_moment(as, gfn);
	case OP_RECLAIM:
		return reclaim(as, op);
	default:
		addrspace_settle(as);
		return 0;
	}
}

/* What the pages must hold after a success. */
static void follow(const struct op *op)
{
	u64 *word = scene.word[op->space];

	if (op->kind == OP_WRITE || op->kind == OP_OUR_WRITE)
		word[op->gfn] = op->value;
	if (op->kind == OP_CLEAR || op->kind == OP_BALLOON)
		for (u64 i = 0; i < op->count; i++)
			word[op->gfn + i] = 0;
}

/* Errors that are answers: the page is not of the kind the operation is for. */
static bool is_answer(const struct op *op, int err)
{
	switch (err) {
	case ERR_BUSY:
		return op->kind == OP_MIGRATE || op->kind == OP_COLLAPSE || op->kind == OP_MERGE ||
		       op->kind == OP_MERGE_ZERO || op->kind == OP_PIN;
	case ERR_PERMISSION:
		return op->kind == OP_WRITE || op->kind == OP_OUR_WRITE || op->kind == OP_BREAK ||
		       op->kind == OP_PIN || op->kind == OP_COLLAPSE;
	case ERR_NO_MEMORY: /* no block of 2 MiB: too fragmented */
		return op->kind == OP_COLLAPSE;
	case ERR_RANGE: /* the last block is not whole */
		return op->kind == OP_COLLAPSE && op->gfn >= ALIGN_DOWN(PAGES, 512);
	default:
		return false;
	}
}

void finish(const struct op *op, int err)
{
	if (!err) {
		follow(op);
		done[op->kind]++;
	} else if (!is_answer(op, err)) {
		fail_msg("operation %u: %s", op->kind, error_name(err));
	}
}
