/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large.c: blocks that are mapped by a large leaf: looked at as they are, split when enough of
 * their pages have a partner, collapsed when sharing has ended.
 */
#include "sim/merge_check.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>

#include "mm/merge/private.h"
#include "mm/stage2/private.h"

#define BLOCKS 2ull
#define PAGES  (BLOCKS * 512)
#define VMS    2
#define SPLIT  64

static const struct merge_limits limits = {.cap = 256, .zero = true, .split = SPLIT};

static struct addrspace *as[VMS];
static struct stage2 *s2[VMS];
static u64 wrote[VMS][PAGES];

static void fill(unsigned vm, u64 page, u64 value)
{
	fill_page(as[vm], page, value);
	wrote[vm][page] = value;
}

static u64 own(unsigned vm, u64 page)
{
	return 1000000 * (vm + 1) + page;
}

/* Each page has a content of its own, and is mapped. */
static void begin(const struct merge_engine *engine, enum dirty_mode mode)
{
	u64 value;

	world_begin(2, 64);
	assert_int_equal(merge_configure(engine, &limits), 0);
	for (unsigned vm = 0; vm < VMS; vm++) {
		as[vm] = world_space(PAGES);
		s2[vm] = world_stage2(as[vm]);
		assert_int_equal(addrspace_populate(as[vm], world_range(0, PAGES)), 0);
		dirty_log_coarse(as[vm], true);
		assert_int_equal(dirty_log_start(as[vm], world_range(0, PAGES), mode), 0);
		assert_int_equal(merge_add(as[vm], world_range(0, PAGES), 0), 0);
		for (u64 page = 0; page < PAGES; page++)
			fill(vm, page, own(vm, page));
		for (u64 block = 0; block < BLOCKS; block++)
			assert_int_equal(guest_read(s2[vm], block << 21, &value), FAULT_MAPPED);
		guest_out();
	}
}

static void end(void)
{
	struct audit_report report;

	for (unsigned vm = 0; vm < VMS; vm++) {
		for (u64 page = 0; page < PAGES; page++) {
			u64 value;

			assert_int_equal(guest_read(s2[vm], page << 12, &value), FAULT_MAPPED);
			assert_true(value == wrote[vm][page]);
		}
		guest_out();
		assert_int_equal(audit_space(as[vm], &report), 0);
		merge_remove_all(as[vm]);
	}
	assert_int_equal(audit_run(0, &report), 0);
	for (unsigned vm = 0; vm < VMS; vm++) {
		stage2_destroy(s2[vm]);
		addrspace_destroy(as[vm]);
	}
	world_end();
}

static void pass(unsigned times)
{
	while (times--)
		(void)merge_scan(VMS * PAGES);
}

static bool is_large(unsigned vm, u64 block)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2[vm]->table, block << 21, &visit);
	return visit.kind == VISIT_LEAF && visit.level == 1;
}

static unsigned large_leaves(void)
{
	return is_large(0, 0) + is_large(0, 1) + is_large(1, 0) + is_large(1, 1);
}

static void large_leaves_are_read_and_not_split(void **state)
{
	for (enum dirty_mode mode = DIRTY_BITS; mode <= DIRTY_PML; mode++) {
		for (unsigned e = 0; e < merge_engines(); e++) {
			struct merge_stats before, after;

			begin(merge_engine_at(e), mode);
			merge_stats(&before);
			pass(4);
			merge_stats(&after);
			assert_int_equal(after.by_reason[MERGE_UNIQUE], VMS * PAGES);
			assert_int_equal(after.pages_read - before.pages_read, VMS * PAGES);
			assert_int_equal(large_leaves(), 4);
			before = after;
			pass(3);
			merge_stats(&after);
			assert_int_equal(after.pages_read, before.pages_read);
			assert_int_equal(after.pages_skipped - before.pages_skipped,
					 3 * VMS * PAGES);
			end();
		}
	}
}

/* `count` pages of a block of either VM are the same. */
static void same_pages(u64 count)
{
	for (u64 page = 0; page < count; page++)
		for (unsigned vm = 0; vm < VMS; vm++)
			fill(vm, 512 * vm + page * 3, 77 + page);
}

static void few_partners_do_not_split_a_leaf(void **state)
{
	struct merge_stats before, after;

	for (unsigned e = 0; e < merge_engines(); e++) {
		begin(merge_engine_at(e), DIRTY_BITS);
		same_pages(SPLIT - 1);
		merge_stats(&before);
		pass(5);
		merge_stats(&after);
		assert_int_equal(large_leaves(), 4);
		assert_int_equal(after.by_reason[MERGE_LARGE], 2 * (SPLIT - 1));
		assert_int_equal(after.merged, before.merged);
		assert_int_equal(after.large_split, before.large_split);
		end();
	}
}

static void enough_partners_do_and_the_end_of_sharing_collapses_it(void **state)
{
	struct merge_stats before, after;

	for (unsigned e = 0; e < merge_engines(); e++) {
		begin(merge_engine_at(e), DIRTY_BITS);
		same_pages(SPLIT + 10);
		merge_stats(&before);
		pass(5);
		merge_stats(&after);
		assert_int_equal(after.large_split - before.large_split, 2);
		assert_int_equal(after.merged - before.merged, SPLIT + 10);
		assert_int_equal(after.pages_shared, SPLIT + 10);
		assert_int_equal(after.by_reason[MERGE_LARGE], 0);
		assert_int_equal(large_leaves(), 2);
		for (u64 page = 0; page < 512; page++)
			fill(0, page, own(0, page));
		pass(3);
		merge_stats(&after);
		assert_int_equal(after.large_collapsed - before.large_collapsed, 1);
		for (u64 page = 512; page < 1024; page++)
			fill(1, page, own(1, page));
		pass(3);
		merge_stats(&after);
		assert_int_equal(after.large_collapsed - before.large_collapsed, 2);
		assert_int_equal(after.pages_shared, 0);
		for (unsigned vm = 0; vm < VMS; vm++) {
			u64 value;

			for (u64 block = 0; block < BLOCKS; block++)
				assert_int_equal(guest_read(s2[vm], block << 21, &value),
						 FAULT_MAPPED);
			guest_out();
		}
		assert_int_equal(large_leaves(), 4);
		end();
	}
}

/*
 * One block has many partners, but each where splitting is not worth it: no block is split, and
 * none is weighed again for it.
 */
static void partners_that_cannot_be_had_split_nothing(void **state)
{
	struct merge_stats before, after;

	for (unsigned e = 0; e < merge_engines(); e++) {
		begin(merge_engine_at(e), DIRTY_BITS);
		for (u64 page = 0; page < SPLIT; page++) {
			fill(0, page, 77 + page);
			fill(page % 2, page < SPLIT / 2 ? 512 + page : 512 + 100 + page, 77 + page);
		}
		merge_stats(&before);
		pass(5);
		merge_stats(&after);
		assert_int_equal(large_leaves(), 4);
		assert_int_equal(after.by_reason[MERGE_LARGE], 2 * SPLIT);
		assert_int_equal(after.large_split, before.large_split);
		before = after;
		pass(2);
		merge_stats(&after);
		assert_int_equal(after.pages_skipped - before.pages_skipped, 2 * VMS * PAGES);
		end();
	}
}

static void a_block_of_zeroes_is_worth_it(void **state)
{
	struct merge_stats before, after;

	begin(&merge_engine_hash, DIRTY_PML);
	for (u64 page = 0; page < 512; page++)
		fill(1, page, 0);
	merge_stats(&before);
	pass(3);
	merge_stats(&after);
	assert_int_equal(after.large_split - before.large_split, 1);
	assert_int_equal(after.zero_pages, 512);
	assert_int_equal(large_leaves(), 3);
	end();
}

static void random_writes_lose_nothing_whatever_is_split(void **state)
{
	struct sim_random random = sim_random_start(71);

	for (unsigned policy = 0; policy < notifier_policy_count(); policy++) {
		begin(merge_engine_at(policy % merge_engines()), DIRTY_BITS);
		for (unsigned vm = 0; vm < VMS; vm++)
			assert_int_equal(addrspace_set_policy(as[vm], notifier_policy(policy)), 0);
		for (unsigned round = 0; round < 24; round++) {
			u64 contents = round % 8 < 4 ? 60 : 1000000;

			for (unsigned i = 0; i < 300; i++) {
				unsigned vm = (unsigned)sim_below(&random, VMS);
				u64 page = sim_below(&random, PAGES);
				u64 value = sim_below(&random, contents);

				fill(vm, page, value);
				assert_int_equal(guest_write(s2[vm], page << 12, value),
						 FAULT_MAPPED);
			}
			guest_out();
			pass(2);
		}
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_leaves_are_read_and_not_split),
		cmocka_unit_test(few_partners_do_not_split_a_leaf),
		cmocka_unit_test(enough_partners_do_and_the_end_of_sharing_collapses_it),
		cmocka_unit_test(partners_that_cannot_be_had_split_nothing),
		cmocka_unit_test(a_block_of_zeroes_is_worth_it),
		cmocka_unit_test(random_writes_lose_nothing_whatever_is_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
