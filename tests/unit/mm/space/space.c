/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.c: slots, populating, guest copies, and what they refuse.
 */
#include "sim/mm_world.h"

#include "mm/space/space.h"

#define GFNS 4096

/* SPACE-1. */
static void slots_refuse_what_is_malformed_or_overlaps(void **state)
{
	struct addrspace *as;
	const u64 top = GFN_END;

	world_begin(1, 16);
	assert_int_equal(addrspace_create("a name far too long for the place it has got", &as), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(10, 10), SLOT_RAM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(30, 0), SLOT_RAM), ERR_INVALID);
	assert_int_equal(addrspace_add_slot(as, world_range(~0ull - 5, 10), SLOT_RAM), ERR_INVALID);
	assert_int_equal(addrspace_add_slot(as, world_range(top - 5, 6), SLOT_RAM), ERR_INVALID);
	assert_int_equal(addrspace_add_slot(as, world_range(30, 1), 7), ERR_INVALID);
	assert_int_equal(addrspace_add_slot(as, world_range(10, 10), SLOT_RAM), ERR_EXISTS);
	assert_int_equal(addrspace_add_slot(as, world_range(0, 11), SLOT_RAM), ERR_EXISTS);
	assert_int_equal(addrspace_add_slot(as, world_range(19, 1), SLOT_RAM), ERR_EXISTS);
	assert_int_equal(addrspace_add_slot(as, world_range(0, 100), SLOT_RAM), ERR_EXISTS);
	assert_int_equal(as->slot_count, 1);
	assert_int_equal(addrspace_add_slot(as, world_range(20, 1), SLOT_RAM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(9, 1), SLOT_ROM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(top - 1, 1), SLOT_RAM), 0);
	assert_int_equal(addrspace_remove_slot(as, world_range(10, 9)), ERR_NOT_FOUND);
	assert_int_equal(addrspace_remove_slot(as, world_range(10, 10)), 0);
	assert_int_equal(as->slot_count, 3);
	addrspace_destroy(as);
	world_end();
}

/* Every operation on a range, called with one that it must refuse. */
static void refused(struct addrspace *as, struct gfn_range range, int expected)
{
	bool young;

	assert_int_equal(addrspace_populate(as, range), expected);
	assert_int_equal(addrspace_clear(as, range, 0), expected);
	assert_int_equal(addrspace_balloon(as, range, 0), expected);
	assert_int_equal(addrspace_protect(as, range, false), expected);
	assert_int_equal(addrspace_protect(as, range, true), expected);
	assert_int_equal(addrspace_clear_soft_dirty(as, range), expected);
	assert_int_equal(addrspace_split(as, range), expected);
	assert_int_equal(addrspace_age(as, range, &young), expected);
	assert_int_equal(cow_protect(as, range), expected);
}

/* SPACE-2. */
static void every_operation_refuses_ranges_outside_slots(void **state)
{
	struct addrspace *as;
	struct stage2 *s2;
	u64 value, mfn;

	world_begin(1, 16);
	as = world_space(100);
	s2 = world_stage2(as);
	assert_int_equal(guest_write(s2, 99 * PAGE_SIZE, 7), FAULT_MAPPED);
	mfn = world_mfn(as, 99);
	refused(as, world_range(99, 2), ERR_RANGE);
	refused(as, world_range(100, 1), ERR_RANGE);
	refused(as, world_range(99, 0), ERR_INVALID);
	refused(as, world_range(~0ull, 2), ERR_INVALID);
	refused(as, world_range(99, ~0ull - 50), ERR_INVALID);
	assert_int_equal(addrspace_migrate(as, (struct gfn){100}), ERR_RANGE);
	assert_int_equal(addrspace_collapse(as, (struct gfn){100}), ERR_RANGE);
	assert_int_equal(addrspace_pin(as, (struct gfn){~0ull}), ERR_INVALID);
	assert_int_equal(addrspace_write(as, (struct gpa){100 * PAGE_SIZE - 4}, &value, 8),
			 ERR_RANGE);
	assert_int_equal(addrspace_read(as, (struct gpa){~0ull - 3}, &value, 8), ERR_INVALID);
	sim_fail_frame_alloc(1, 1000); /* RESOLVE-2: no frame is taken for it */
	assert_int_equal(guest_read(s2, 100 * PAGE_SIZE, &value), FAULT_MMIO);
	assert_int_equal(guest_read(s2, 1ull << 47, &value), FAULT_MMIO);
	assert_int_equal(sim_frame_allocs(), 0);
	sim_fail_frame_alloc(0, 0);
	assert_int_equal(world_mfn(as, 99), mfn);
	assert_int_equal(guest_read(s2, 99 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 7);
	assert_int_equal(guest_counters.exits, 3);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void a_read_only_slot_takes_the_loader_but_not_the_guest(void **state)
{
	struct addrspace *as;
	struct stage2 *s2;
	u64 value = 5;

	world_begin(1, 16);
	as = world_space(8);
	assert_int_equal(addrspace_add_slot(as, world_range(8, 8), SLOT_ROM), 0);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_write(as, (struct gpa){9 * PAGE_SIZE - 4}, &value, 8), 0);
	assert_int_equal(guest_write(s2, 9 * PAGE_SIZE, 1), FAULT_READ_ONLY);
	value = 0;
	assert_int_equal(guest_read(s2, 9 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 9 * PAGE_SIZE, 1), FAULT_READ_ONLY);
	assert_int_equal(value, 0);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void populated_blocks_are_mapped_by_large_leaves(void **state)
{
	struct addrspace *as;
	struct stage2 *s2;
	u64 value;

	world_begin(1, 16);
	as = world_space(GFNS);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(100, 1500)), 0);
	for (u64 gfn = 512; gfn < 1536; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, gfn), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits, 2);
	assert_int_equal(guest_read(s2, 511 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_read(s2, 510 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits, 4);
	/* One page of a block goes: the rest stays as it is. */
	assert_int_equal(addrspace_clear(as, world_range(700, 1), 0), 0);
	assert_int_equal(guest_read(s2, 701 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 701);
	assert_int_equal(guest_counters.exits, 4);
	assert_int_equal(guest_read(s2, 700 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 0);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void a_gigabyte_is_one_leaf(void **state)
{
	struct addrspace *as;
	struct stage2 *s2;
	u64 value;

	world_begin(1, 3072);
	as = world_space(1 << 19);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(1 << 18, 1 << 18)), 0);
	assert_int_equal(guest_read(s2, GIB + 5 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 2 * GIB - 8, 9), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits, 1);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/* As a guest's A and D bits are set, in a page table that is merged with another one. */
static void a_swap_in_a_shared_page_breaks_the_sharing(void **state)
{
	const u64 gfns[] = {5, 6};
	struct gpa at = {5 * PAGE_SIZE};
	struct addrspace *as;
	struct stage2 *s2;
	bool swapped;
	u64 value;

	world_begin(1, 64);
	as = world_space(16);
	s2 = world_stage2(as);
	world_share(as, gfns, 2, 77);
	assert_int_equal(world_mfn(as, 5), world_mfn(as, 6));
	assert_int_equal(addrspace_swap(as, at, 8, 76, 1, &swapped), 0);
	assert_false(swapped);
	assert_int_equal(addrspace_swap(as, at, 8, 77, 78, &swapped), 0);
	assert_true(swapped);
	assert_int_not_equal(world_mfn(as, 5), world_mfn(as, 6));
	assert_int_equal(guest_read(s2, 5 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 78);
	assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 77);
	assert_int_equal(addrspace_swap(as, at, 4, 77, 1, &swapped), 0);
	assert_false(swapped);
	assert_int_equal(addrspace_swap(as, at, 3, 77, 1, &swapped), ERR_INVALID);
	assert_int_equal(addrspace_swap(as, (struct gpa){at.raw + 4}, 8, 0, 1, &swapped),
			 ERR_INVALID);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void migration_and_collapse_keep_the_content(void **state)
{
	struct addrspace *as;
	struct stage2 *s2;
	u64 value, before;

	world_begin(1, 32);
	as = world_space(GFNS);
	s2 = world_stage2(as);
	for (u64 gfn = 512; gfn < 1024; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, gfn), FAULT_MAPPED);
	before = world_mfn(as, 600);
	assert_int_equal(addrspace_migrate(as, (struct gfn){600}), 0);
	assert_true(world_mfn(as, 600) != before);
	assert_int_equal(addrspace_collapse(as, (struct gfn){600}), 0);
	assert_true(IS_ALIGNED(world_mfn(as, 512), 512));
	guest_counters.exits = 0;
	for (u64 gfn = 512; gfn < 1024; gfn++) {
		assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
		assert_int_equal(value, gfn);
	}
	assert_int_equal(guest_counters.exits, 1);
	assert_int_equal(guest_write(s2, 512 * PAGE_SIZE, 1), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits, 1);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static int add_calls(struct subscription *sub, void *argument)
{
	u64 *sum = argument;

	assert_string_equal(sub->ops->name, "stage2");
	for (unsigned event = 0; event < EVENTS; event++)
		*sum += sub->counters[event].starts + sub->counters[event].changed_gfns;
	return 0;
}

static void pages_are_counted_by_what_stands_behind_them(void **state)
{
	struct addrspace_pages pages;
	struct addrspace *as;
	struct stage2 *s2;
	u64 calls = 0;

	world_begin(1, 16);
	as = world_space(GFNS);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(100, 50)), 0);
	world_share(as, (const u64[]){100, 149, 3000}, 3, 7);
	addrspace_count(as, &pages);
	assert_int_equal(pages.private, 48);
	assert_int_equal(pages.shared, 3);
	assert_int_equal(pages.zero + pages.reclaimed + pages.device, 0);
	assert_int_equal(addrspace_clear(as, world_range(100, 25), 0), 0);
	addrspace_count(as, &pages);
	assert_int_equal(pages.private, 24);
	assert_int_equal(pages.shared, 2);
	notifier_each(addrspace_notifier(as), add_calls, &calls);
	assert_true(calls > 0);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_refuse_what_is_malformed_or_overlaps),
		cmocka_unit_test(every_operation_refuses_ranges_outside_slots),
		cmocka_unit_test(a_read_only_slot_takes_the_loader_but_not_the_guest),
		cmocka_unit_test(populated_blocks_are_mapped_by_large_leaves),
		cmocka_unit_test(a_gigabyte_is_one_leaf),
		cmocka_unit_test(pages_are_counted_by_what_stands_behind_them),
		cmocka_unit_test(a_swap_in_a_shared_page_breaks_the_sharing),
		cmocka_unit_test(migration_and_collapse_keep_the_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
