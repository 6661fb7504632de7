/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty_large.c: dirty logging when large leaves may stay large (dirty_log_coarse): DIRTY-1 for
 * every page, DIRTY-2 by the block. With PML the CPU lists the one write that finds D clear, and
 * none behind a leaf that has D set.
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>

#include <mm/policy.h>
#include "mm/stage2/private.h"

#define BLOCKS 4ull
#define GFNS   (BLOCKS * 512)
#define WORDS  (GFNS / 64)

static struct addrspace *as;
static struct stage2 *s2;

static unsigned leaf_level(u64 gfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn << PAGE_SHIFT, &visit);
	return visit.kind == VISIT_LEAF ? visit.level : 0;
}

/* Will the CPU set D in a leaf that is there? */
static bool sets_dirty(u64 gfn)
{
	const unsigned bits = PT_WRITE | PT_DIRTY;
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn << PAGE_SHIFT, &visit);
	return visit.kind == VISIT_LEAF &&
	       (s2->table.format->attr(visit.pte, visit.level) & bits) == PT_WRITE;
}

static void write_page(u64 gfn)
{
	struct gpa gpa = {gfn << PAGE_SHIFT};
	bool listed = sets_dirty(gfn);

	assert_int_equal(guest_write(s2, gpa.raw, gfn), FAULT_MAPPED);
	if (listed && dirty_log_mode(as) == DIRTY_PML)
		dirty_log_pml(s2, &gpa, 1);
}

static void begin(enum dirty_mode mode, const struct notifier_policy *policy)
{
	world_begin(2, 32);
	as = world_space(GFNS);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(0, GFNS)), 0);
	dirty_log_coarse(as, true);
	assert_int_equal(dirty_log_start(as, world_range(0, GFNS), mode), 0);
}

static void end(void)
{
	struct audit_report report;

	guest_out();
	assert_int_equal(audit_run(0, &report), 0);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/* The range of a collection: everything, or part of a block. */
static struct gfn_range some_range(struct sim_random *random)
{
	u64 start = sim_below(random, GFNS / 64) * 64;

	if (sim_once_in(random, 2))
		return world_range(0, GFNS);
	return world_range(start, 64 * (1 + sim_below(random, (GFNS - start) / 64)));
}

static void answer(struct sim_random *random, u64 *written)
{
	struct gfn_range range = some_range(random);
	u64 bitmap[WORDS], first = range.start.raw / 64;

	assert_int_equal(dirty_log_collect(as, range, bitmap), 0);
	for (u64 i = 0; i < gfn_range_frames(range) / 64; i++) {
		assert_int_equal(written[first + i] & ~bitmap[i], 0);
		written[first + i] = 0;
	}
}

static void one_round(struct sim_random *random, u64 *written)
{
	u64 value;
	int err;

	for (unsigned i = 0; i < 12; i++) {
		/*
		 * Few pages, each with a place of its own in the TLB: still cached when used again.
		 */
		u64 block = sim_below(random, BLOCKS);
		u64 gfn = block * 512 + block * 4 + sim_below(random, 3) * 65;

		switch (sim_below(random, 8)) {
		case 0:
			assert_int_equal(cow_protect(as, world_range(gfn, 1)), 0);
			break;
		case 1:
			assert_int_equal(addrspace_exclusive(as, (struct gfn){gfn}, NULL), 0);
			break;
		case 2:
			err = addrspace_collapse(as, (struct gfn){gfn});
			assert_true(err == 0 || err == ERR_BUSY); /* its pages differ */
			break;
		case 3:
			assert_int_equal(guest_read(s2, gfn << PAGE_SHIFT, &value), FAULT_MAPPED);
			break;
		default:
			write_page(gfn);
			written[gfn / 64] |= BIT(gfn % 64);
		}
	}
}

/* DIRTY-1 */
static void no_write_is_missed_behind_a_large_leaf(void **state)
{
	for (unsigned policy = 0; policy < notifier_policy_count(); policy++) {
		for (enum dirty_mode mode = DIRTY_WRITE_PROTECT; mode <= DIRTY_PML; mode++) {
			struct sim_random random = sim_random_start(60 + mode);
			u64 written[WORDS] = {0};

			begin(mode, notifier_policy(policy));
			for (unsigned round = 0; round < 60; round++) {
				one_round(&random, written);
				answer(&random, written);
			}
			end();
		}
	}
}

/* DIRTY-2, and a collection splits no leaf. */
static void an_answer_speaks_of_written_blocks_only(void **state)
{
	u64 bitmap[WORDS], value;

	for (enum dirty_mode mode = DIRTY_BITS; mode <= DIRTY_PML; mode++) {
		begin(mode, notifier_policy_default());
		for (u64 block = 0; block < BLOCKS; block++)
			assert_int_equal(guest_read(s2, block << 21, &value), FAULT_MAPPED);
		write_page(512 + 7);
		assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
		for (u64 i = 0; i < WORDS; i++)
			assert_true(bitmap[i] == (i / 8 == 1 ? ~0ull : 0));
		write_page(512 + 7); /* by a translation that a flush has to end */
		assert_int_equal(dirty_log_collect(as, world_range(512, 64), bitmap), 0);
		assert_true(bitmap[0] == ~0ull);
		assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
		for (u64 i = 0; i < WORDS; i++)
			assert_true(bitmap[i] == (i > 8 && i < 16 ? ~0ull : 0));
		for (u64 block = 0; block < BLOCKS; block++)
			assert_int_equal(leaf_level(block * 512), 1);
		end();
	}
}

/* Exact again, and write-protected again: no leaf allows more than it may. */
static void what_was_coarse_can_be_exact_again(void **state)
{
	u64 bitmap[WORDS];

	for (enum dirty_mode mode = DIRTY_BITS; mode <= DIRTY_PML; mode++) {
		begin(mode, notifier_policy_default());
		write_page(5);
		if (mode == DIRTY_PML)
			dirty_log_stop(as);
		else
			dirty_log_coarse(as, false);
		assert_int_equal(dirty_log_start(as, world_range(0, GFNS), mode), 0);
		write_page(6);
		write_page(700);
		assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
		for (u64 i = 0; i < WORDS; i++)
			assert_true(bitmap[i] == (i == 0 ? BIT(6) : i == 10 ? BIT(60) : 0));
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_is_missed_behind_a_large_leaf),
		cmocka_unit_test(an_answer_speaks_of_written_blocks_only),
		cmocka_unit_test(what_was_coarse_can_be_exact_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
