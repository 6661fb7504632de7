/* SPDX-License-Identifier: Apache-2.0 */
/*
 * written.c: D bits, PML entries and A bits outlive the leaf, the mode and the view that had them:
 * DIRTY-1, STAGE2-4.
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>
#include <mm/reclaim.h>

#include <mm/policy.h>
#include "mm/stage2/private.h"

#define GFNS  2048ull
#define WORDS (GFNS / 64)

static struct addrspace *as;
static struct stage2 *s2;
static u64 bitmap[WORDS];

static struct pgtable_visit leaf_of(u64 gfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn << PAGE_SHIFT, &visit);
	return visit;
}

static unsigned leaf_level(u64 gfn)
{
	struct pgtable_visit visit = leaf_of(gfn);

	return visit.kind == VISIT_LEAF ? visit.level : 9;
}

/* Will the CPU set D in the leaf at a write? */
static bool sets_dirty(u64 gfn)
{
	const unsigned bits = PT_WRITE | PT_DIRTY;
	struct pgtable_visit visit = leaf_of(gfn);

	return visit.kind == VISIT_LEAF &&
	       (s2->table.format->attr(visit.pte, visit.level) & bits) == PT_WRITE;
}

static void write_page(u64 gfn)
{
	struct gpa gpa = {gfn << PAGE_SHIFT};
	bool listed = sets_dirty(gfn);

	assert_int_equal(guest_write(s2, gpa.raw, gfn + 1), FAULT_MAPPED);
	if (listed && dirty_log_mode(as) == DIRTY_PML)
		dirty_log_pml(s2, &gpa, 1);
}

static void read_page(u64 gfn)
{
	u64 value;

	assert_int_equal(guest_read(s2, gfn << PAGE_SHIFT, &value), FAULT_MAPPED);
}

static bool collected(u64 gfn)
{
	return bitmap[gfn / 64] & BIT(gfn % 64);
}

static void start(enum dirty_mode mode)
{
	assert_int_equal(dirty_log_start(as, world_range(0, GFNS), mode), 0);
}

static void collect(void)
{
	assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
}

static void begin(const struct notifier_policy *policy)
{
	world_begin(2, 64);
	as = world_space(GFNS);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	s2 = world_stage2(as);
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

/* Under each policy, because each takes leaves away at another moment. */
static void each_policy(void (*body)(void))
{
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		begin(notifier_policy(i));
		body();
		end();
	}
}

static void write_and_reclaim(enum dirty_mode mode)
{
	u64 done;

	start(mode);
	write_page(5);
	collect();
	write_page(5);
	guest_out();
	assert_int_equal(addrspace_reclaim(as, world_range(5, 1), &done), 0);
	assert_int_equal(done, 1);
	collect();
	assert_true(collected(5));
	collect();
	assert_false(collected(5));
}

static void reclaim_in_each_mode(void)
{
	for (enum dirty_mode mode = DIRTY_WRITE_PROTECT; mode <= DIRTY_PML; mode++)
		write_and_reclaim(mode);
}

static void a_page_written_then_reclaimed_is_in_the_answer(void **state)
{
	(void)state;
	each_policy(reclaim_in_each_mode);
}

/* D bits that no collection has read yet would keep the CPU from listing the page. */
static void bits_then_list(void)
{
	start(DIRTY_BITS);
	read_page(5);
	collect();
	write_page(5);
	start(DIRTY_PML);
	for (unsigned round = 0; round < 3; round++) {
		write_page(5);
		collect();
		assert_true(collected(5));
	}
}

static void a_change_of_mode_loses_no_later_write(void **state)
{
	(void)state;
	each_policy(bits_then_list);
}

static void two_pages_of_a_collapsed_block(void)
{
	assert_int_equal(addrspace_populate(as, world_range(0, GFNS)), 0);
	start(DIRTY_PML);
	assert_int_equal(addrspace_collapse(as, (struct gfn){0}), 0);
	read_page(0);
	assert_int_equal(leaf_level(0), 1);
	write_page(5);
	write_page(6);
	collect();
	assert_true(collected(5) && collected(6));
}

static void each_page_behind_a_large_leaf_is_in_an_exact_answer(void **state)
{
	(void)state;
	each_policy(two_pages_of_a_collapsed_block);
}

static void large_and_coarse(void)
{
	assert_int_equal(addrspace_populate(as, world_range(0, GFNS)), 0);
	dirty_log_coarse(as, true);
	start(DIRTY_PML);
	read_page(0);
	assert_int_equal(leaf_level(0), 1);
}

/* UPDATE-4: the 33rd page of the range is the first of the second batch. */
static void protect_behind_a_large_leaf(void)
{
	large_and_coarse();
	write_page(32);
	collect();
	read_page(0);
	write_page(7);
	write_page(32); /* finds D set: is not listed */
	assert_int_equal(addrspace_protect(as, world_range(0, 64), false), 0);
	collect();
	for (u64 gfn = 0; gfn < 64; gfn++)
		assert_true(collected(gfn));
}

static void protecting_part_of_a_large_leaf_loses_no_write(void **state)
{
	(void)state;
	each_policy(protect_behind_a_large_leaf);
}

static void protect_and_permit(void)
{
	large_and_coarse();
	write_page(7);
	assert_int_equal(addrspace_protect(as, world_range(0, 64), false), 0);
	assert_int_equal(addrspace_protect(as, world_range(0, 64), true), 0);
	collect();
	for (unsigned round = 0; round < 5; round++) {
		write_page(32);
		write_page(100); /* its leaf stayed writable, with the D of the large one */
		collect();
		assert_true(collected(32) && collected(100));
	}
}

static void the_small_leaves_of_a_split_one_list_their_writes(void **state)
{
	(void)state;
	each_policy(protect_and_permit);
}

static void destroy_a_view(void)
{
	struct stage2 *other = s2, *view = world_stage2(as);

	start(DIRTY_BITS);
	s2 = view;
	read_page(5);
	collect();
	write_page(5);
	guest_out();
	stage2_destroy(view);
	s2 = other;
	collect();
	assert_true(collected(5));
}

static void the_dirty_bits_of_a_view_outlive_it(void **state)
{
	(void)state;
	each_policy(destroy_a_view);
}

static void touch_all(void)
{
	assert_int_equal(addrspace_populate(as, world_range(0, 512)), 0);
	for (u64 gfn = 0; gfn < 512; gfn++)
		read_page(gfn);
	assert_int_equal(leaf_level(0), 1);
	guest_out();
	assert_int_equal(reclaim_cold(as, 512), 0);
	assert_true(reclaim_cold(as, 512) > 0); /* untouched since */
}

static void a_touched_large_leaf_keeps_all_its_pages_for_a_round(void **state)
{
	(void)state;
	each_policy(touch_all);
}

static void collapse_after_a_write(enum dirty_mode mode)
{
	start(mode);
	for (u64 gfn = 512; gfn > 0; gfn--)
		read_page(gfn - 1);
	collect();
	write_page(5);
	guest_out();
	assert_int_equal(addrspace_collapse(as, (struct gfn){0}), 0);
	read_page(0);
	assert_int_equal(leaf_level(0), 1);
	collect();
	assert_true(collected(5));
	dirty_log_stop(as);
}

static void collapse_in_each_mode(void)
{
	for (enum dirty_mode mode = DIRTY_WRITE_PROTECT; mode <= DIRTY_PML; mode++) {
		collapse_after_a_write(mode);
		guest_out();
		assert_int_equal(addrspace_clear(as, world_range(0, GFNS), 0), 0);
	}
}

static void a_block_collapses_whatever_the_log_says_of_its_pages(void **state)
{
	(void)state;
	each_policy(collapse_in_each_mode);
}

static void split_then_collapse(void)
{
	assert_int_equal(addrspace_populate(as, world_range(0, 512)), 0);
	read_page(0);
	assert_int_equal(leaf_level(0), 1);
	assert_int_equal(addrspace_split(as, world_range(0, 512)), 0);
	read_page(0);
	assert_int_equal(leaf_level(0), 0);
	assert_int_equal(addrspace_collapse(as, (struct gfn){0}), 0);
	read_page(0);
	assert_int_equal(leaf_level(0), 1);
}

static void a_block_that_was_split_collapses_again(void **state)
{
	(void)state;
	each_policy(split_then_collapse);
}

static void read_through_an_execute_only_view(void)
{
	assert_int_equal(stage2_view_restrict(s2, world_range(0, 16), PT_EXEC), 0);
	assert_int_equal(fault_handle(s2, (struct gpa){0}, HV_EXEC), FAULT_MAPPED);
	assert_int_equal(fault_handle(s2, (struct gpa){0}, HV_EXEC), FAULT_SPURIOUS);
	assert_int_equal(fault_handle(s2, (struct gpa){0}, HV_READ), FAULT_DENIED);
}

static void an_execute_only_view_denies_reads(void **state)
{
	(void)state;
	each_policy(read_through_an_execute_only_view);
}

static void protect_what_is_absent(void)
{
	u64 value;

	assert_int_equal(addrspace_protect(as, world_range(3, 2), false), 0);
	assert_int_equal(guest_write(s2, 3 << PAGE_SHIFT, 1), FAULT_READ_ONLY);
	assert_int_equal(guest_read(s2, 3 << PAGE_SHIFT, &value), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 3 << PAGE_SHIFT, 1), FAULT_READ_ONLY);
	guest_out();
	assert_int_equal(addrspace_clear(as, world_range(3, 1), 0), 0);
	assert_int_equal(guest_write(s2, 3 << PAGE_SHIFT, 1), FAULT_READ_ONLY);
	guest_out();
	assert_int_equal(addrspace_populate(as, world_range(0, 16)), 0);
	assert_int_equal(guest_write(s2, 4 << PAGE_SHIFT, 1), FAULT_READ_ONLY);
	guest_out();
	assert_int_equal(addrspace_protect(as, world_range(3, 2), true), 0);
	assert_int_equal(guest_write(s2, 3 << PAGE_SHIFT, 1), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 5 << PAGE_SHIFT, 1), FAULT_MAPPED);
}

static void protection_holds_before_a_page_is_backed_and_after(void **state)
{
	(void)state;
	each_policy(protect_what_is_absent);
}

static void a_page_stays_pinned_until_its_last_user_unpins(void **state)
{
	const struct gfn gfn = {5};

	(void)state;
	begin(notifier_policy(0));
	for (unsigned user = 0; user < 8; user++)
		assert_int_equal(addrspace_pin(as, gfn), 0);
	assert_int_equal(addrspace_pin(as, gfn), ERR_BUSY);
	for (unsigned user = 0; user < 8; user++) {
		assert_int_equal(addrspace_migrate(as, gfn), ERR_BUSY);
		addrspace_unpin(as, gfn);
	}
	assert_int_equal(addrspace_migrate(as, gfn), 0);
	addrspace_unpin(as, gfn); /* one too many changes nothing */
	assert_int_equal(addrspace_pin(as, gfn), 0);
	assert_int_equal(addrspace_migrate(as, gfn), ERR_BUSY);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_written_then_reclaimed_is_in_the_answer),
		cmocka_unit_test(a_change_of_mode_loses_no_later_write),
		cmocka_unit_test(each_page_behind_a_large_leaf_is_in_an_exact_answer),
		cmocka_unit_test(protecting_part_of_a_large_leaf_loses_no_write),
		cmocka_unit_test(the_small_leaves_of_a_split_one_list_their_writes),
		cmocka_unit_test(the_dirty_bits_of_a_view_outlive_it),
		cmocka_unit_test(a_touched_large_leaf_keeps_all_its_pages_for_a_round),
		cmocka_unit_test(a_block_collapses_whatever_the_log_says_of_its_pages),
		cmocka_unit_test(a_block_that_was_split_collapses_again),
		cmocka_unit_test(an_execute_only_view_denies_reads),
		cmocka_unit_test(protection_holds_before_a_page_is_backed_and_after),
		cmocka_unit_test(a_page_stays_pinned_until_its_last_user_unpins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
