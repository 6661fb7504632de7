/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c: lab 2. Resolving: each state of a primary PTE, read and written. Installing: the leaf
 * that a fault makes, and how many faults a guest has. Both without memory.
 */
#include "harness/audit.h"
#include "sim/mm_world.h"

#include <mm/reclaim.h>

#include "mm/stage2/private.h"

#define GFNS	   1024ull
#define ROM	   2048ull /* its first gfn */
#define DEVICE	   4096ull /* and the device's */
#define DEVICE_MFN 0xfed00ull

static struct addrspace *as;
static struct stage2 *s2;

static void begin(void)
{
	world_begin(2, 16);
	as = world_space(GFNS);
	assert_int_equal(addrspace_add_slot(as, world_range(ROM, 8), SLOT_ROM), 0);
	assert_int_equal(addrspace_add_device(as, world_range(DEVICE, 1), (struct mfn){DEVICE_MFN}),
			 0);
	s2 = world_stage2(as);
}

static void end(void)
{
	guest_out();
	addrspace_settle(as);
	lab_audit();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static ppte_t pte_of(u64 gfn)
{
	return primary_load(&as->primary, (struct gfn){gfn});
}

static void set_pte(u64 gfn, ppte_t pte)
{
	spin_lock(&as->lock);
	primary_store(&as->primary, (struct gfn){gfn},
		      primary_find(&as->primary, (struct gfn){gfn}), pte);
	spin_unlock(&as->lock);
}

static int resolve(u64 gfn, unsigned access)
{
	struct space_page page = {.gfn = {gfn}};
	u64 word = 0;
	int err = space_resolve(as, &page, access, NULL, &word);

	if (!err)
		assert_true(page.pte == pte_of(gfn) && page.slot);
	return err;
}

static u64 word_of(u64 gfn)
{
	return *(u64 *)arch_hpa_to_virt(mfn_to_hpa(ppte_mfn(pte_of(gfn))));
}

static void an_absent_page_gets_a_zeroed_frame(void **state)
{
	begin();
	/* Frames that had a content come back. */
	for (u64 gfn = 5; gfn < 13; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, ~0ull), FAULT_MAPPED);
	guest_out();
	assert_int_equal(addrspace_clear(as, world_range(0, 16), 0), 0);
	assert_int_equal(resolve(5, HV_READ), 0);
	assert_int_equal(ppte_state(pte_of(5)), PPTE_PRIVATE);
	assert_int_equal(pte_of(5) & (PPTE_WRITE | PPTE_SOFT_DIRTY | PPTE_WP),
			 PPTE_WRITE | PPTE_SOFT_DIRTY);
	assert_int_equal(word_of(5), 0);
	assert_int_equal(resolve(ROM, HV_READ), 0);
	assert_false(pte_of(ROM) & PPTE_WRITE);
	assert_int_equal(resolve(ROM, HV_WRITE), ERR_PERMISSION);
	assert_int_equal(resolve(ROM, HV_WRITE | SPACE_OWN), 0);
	sim_fail_frame_alloc(1, 1000); /* no frame, even for a moment */
	assert_int_equal(resolve(ROM + 8, HV_READ), ERR_RANGE);
	sim_fail_frame_alloc(0, 0);
	assert_int_equal(resolve(0, HV_READ), 0);
	assert_int_equal(resolve(GFN_END, HV_READ), ERR_RANGE);
	end();
}

static void a_reclaimed_page_gets_its_content_back(void **state)
{
	u64 done, value;

	begin();
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE, 4711), FAULT_MAPPED);
	guest_out();
	assert_int_equal(addrspace_reclaim(as, world_range(5, 1), &done), 0);
	assert_int_equal(done, 1);
	assert_int_equal(resolve(5, HV_READ), 0);
	assert_int_equal(ppte_state(pte_of(5)), PPTE_PRIVATE);
	assert_true(pte_of(5) & PPTE_YOUNG);
	assert_int_equal(guest_read(s2, 5 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 4711);
	end();
}

static void a_write_ends_the_protection_and_begins_a_generation(void **state)
{
	ppte_t before;

	begin();
	assert_int_equal(addrspace_populate(as, world_range(5, 1)), 0);
	assert_int_equal(addrspace_clear_soft_dirty(as, world_range(5, 1)), 0);
	assert_int_equal(cow_protect(as, world_range(5, 1)), 0);
	before = pte_of(5);
	assert_int_equal(resolve(5, HV_READ), 0);
	assert_true(pte_of(5) == before);
	assert_int_equal(resolve(5, HV_WRITE), 0);
	assert_false(pte_of(5) & PPTE_WP);
	assert_true(pte_of(5) & PPTE_SOFT_DIRTY);
	assert_true((pte_of(5) & PPTE_GENERATION) == ppte_next_generation(before));
	assert_true(ppte_mfn(pte_of(5)).raw == ppte_mfn(before).raw);
	end();
}

static void a_page_that_is_being_changed_is_busy(void **state)
{
	ppte_t before;

	begin();
	assert_int_equal(addrspace_populate(as, world_range(5, 1)), 0);
	before = pte_of(5);
	set_pte(5, before | PPTE_BUSY);
	assert_int_equal(resolve(5, HV_READ), 0);
	assert_int_equal(resolve(5, HV_WRITE), ERR_BUSY);
	assert_true(pte_of(5) == (before | PPTE_BUSY));
	set_pte(5, before);
	end();
}

static void a_shared_page_is_read_as_it_is_and_broken_by_a_write(void **state)
{
	const u64 gfns[] = {3, 4};
	ppte_t before;

	begin();
	world_share(as, gfns, 2, 9);
	before = pte_of(3);
	assert_int_equal(resolve(3, HV_READ), 0);
	assert_true(pte_of(3) == before);
	set_pte(3, before & ~PPTE_WRITE);
	assert_int_equal(resolve(3, HV_WRITE), ERR_PERMISSION);
	assert_true(pte_of(3) == (before & ~PPTE_WRITE));
	set_pte(3, before);
	assert_int_equal(resolve(3, HV_WRITE), 0);
	assert_int_equal(ppte_state(pte_of(3)), PPTE_PRIVATE);
	assert_int_equal(word_of(3), 9);
	end();
}

static void a_device_is_for_the_guest_and_not_for_the_hypervisor(void **state)
{
	begin();
	assert_int_equal(resolve(DEVICE, HV_READ), 0);
	assert_int_equal(resolve(DEVICE, HV_WRITE), 0);
	assert_int_equal(resolve(DEVICE, HV_READ | SPACE_OWN), ERR_RANGE);
	assert_int_equal(resolve(DEVICE, HV_WRITE | SPACE_OWN), ERR_RANGE);
	assert_int_equal(addrspace_protect(as, world_range(DEVICE, 1), false), 0);
	assert_int_equal(resolve(DEVICE, HV_READ), 0);
	assert_int_equal(resolve(DEVICE, HV_WRITE), ERR_PERMISSION);
	end();
}

static void resolving_without_memory_changes_nothing(void **state)
{
	const u64 gfns[] = {3, 4};
	u64 done;

	begin();
	world_share(as, gfns, 2, 9);
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE, 4711), FAULT_MAPPED);
	guest_out();
	assert_int_equal(addrspace_reclaim(as, world_range(5, 1), &done), 0);
	for (u64 gfn = 3; gfn < 7; gfn++) {
		ppte_t before = pte_of(gfn);

		sim_fail_frame_alloc(1, 1000);
		assert_int_equal(resolve(gfn, HV_WRITE), ERR_NO_MEMORY);
		sim_fail_frame_alloc(0, 0);
		assert_true(pte_of(gfn) == before);
		assert_int_equal(resolve(gfn, HV_WRITE), 0);
	}
	end();
}

static unsigned attr_of(u64 gfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn * PAGE_SIZE, &visit);
	return visit.kind == VISIT_LEAF ? s2->table.format->attr(visit.pte, visit.level) : 0;
}

static enum fault_outcome fault(u64 gfn, unsigned access)
{
	return fault_handle(s2, (struct gpa){gfn * PAGE_SIZE}, access);
}

static void a_leaf_has_a_and_for_a_write_d(void **state)
{
	begin();
	assert_int_equal(fault(3, HV_READ), FAULT_MAPPED);
	assert_int_equal(attr_of(3), PT_RWX | PT_ACCESSED);
	assert_int_equal(fault(4, HV_WRITE), FAULT_MAPPED);
	assert_int_equal(attr_of(4), PT_RWX | PT_ACCESSED | PT_DIRTY);
	assert_int_equal(fault(ROM, HV_EXEC), FAULT_MAPPED);
	assert_int_equal(attr_of(ROM), PT_READ | PT_EXEC | PT_ACCESSED);
	assert_int_equal(fault(ROM, HV_WRITE), FAULT_READ_ONLY);
	assert_int_equal(fault(ROM + 100, HV_READ), FAULT_MMIO);
	assert_int_equal(fault(DEVICE, HV_WRITE), FAULT_MAPPED);
	assert_int_equal(attr_of(DEVICE),
			 PT_READ | PT_WRITE | PT_UNCACHED | PT_ACCESSED | PT_DIRTY);
	assert_int_equal(fault(DEVICE, HV_EXEC), FAULT_DENIED);
	end();
}

static void a_clean_page_is_read_only_unless_the_cpu_records_writes(void **state)
{
	begin();
	assert_int_equal(addrspace_populate(as, world_range(0, 16)), 0);
	assert_int_equal(addrspace_clear_soft_dirty(as, world_range(0, 16)), 0);
	assert_int_equal(fault(3, HV_READ), FAULT_MAPPED);
	assert_int_equal(attr_of(3), PT_READ | PT_EXEC | PT_ACCESSED);
	assert_int_equal(fault(3, HV_WRITE), FAULT_MAPPED);
	assert_int_equal(attr_of(3), PT_RWX | PT_ACCESSED | PT_DIRTY);
	assert_int_equal(dirty_log_start(as, world_range(0, 16), DIRTY_BITS), 0);
	assert_int_equal(fault(4, HV_READ), FAULT_MAPPED);
	assert_int_equal(attr_of(4), PT_RWX | PT_ACCESSED);
	end();
}

static void a_second_fault_finds_the_leaf_and_stores_nothing(void **state)
{
	begin();
	assert_int_equal(fault(3, HV_WRITE), FAULT_MAPPED);
	assert_int_equal(fault(3, HV_WRITE), FAULT_SPURIOUS);
	assert_int_equal(fault(3, HV_READ), FAULT_SPURIOUS);
	assert_int_equal(s2->counters.faults[FAULT_MAPPED], 1);
	assert_int_equal(s2->counters.faults[FAULT_SPURIOUS], 2);
	end();
}

static void a_view_denies_what_its_address_space_allows(void **state)
{
	begin();
	assert_int_equal(stage2_view_restrict(s2, world_range(3, 1), PT_READ), 0);
	assert_int_equal(fault(3, HV_WRITE), FAULT_DENIED);
	assert_int_equal(fault(3, HV_READ), FAULT_MAPPED);
	assert_int_equal(fault(3, HV_EXEC), FAULT_DENIED);
	assert_int_equal(fault(3, HV_READ), FAULT_SPURIOUS);
	assert_int_equal(attr_of(3) & PT_RWX, PT_READ);
	end();
}

/* A uniform block is one leaf; and where a table is in the way, a small one. */
static void a_fault_maps_the_largest_leaf_that_fits(void **state)
{
	struct pgtable_visit visit;
	u64 exits, value;

	begin();
	assert_int_equal(addrspace_populate(as, world_range(0, GFNS)), 0);
	assert_int_equal(fault(512, HV_READ), FAULT_MAPPED);
	pgtable_lookup(&s2->table, 700 * PAGE_SIZE, &visit);
	assert_int_equal(visit.kind, VISIT_LEAF);
	assert_int_equal(visit.level, 1);
	exits = guest_counters.exits;
	for (u64 gfn = 512; gfn < 1024; gfn++)
		assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits, exits);
	/* A limit cuts the first block. */
	assert_int_equal(stage2_view_restrict(s2, world_range(9, 1), PT_READ), 0);
	assert_int_equal(fault(3, HV_READ), FAULT_MAPPED);
	pgtable_lookup(&s2->table, 3 * PAGE_SIZE, &visit);
	assert_int_equal(visit.level, 0);
	end();
}

static void a_fault_without_memory_for_a_table_changes_nothing(void **state)
{
	u64 tables, value;

	begin();
	assert_int_equal(addrspace_populate(as, world_range(3, 1)), 0);
	tables = s2->table.tables;
	for (u64 nth = 1; nth < 4; nth++) {
		sim_fail_frame_alloc(nth, 1);
		assert_int_equal(fault(3, HV_READ), FAULT_NO_MEMORY);
		sim_fail_frame_alloc(0, 0);
		assert_int_equal(s2->table.tables, tables);
		assert_int_equal(attr_of(3), 0);
	}
	assert_int_equal(guest_read(s2, 3 * PAGE_SIZE, &value), FAULT_MAPPED);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_absent_page_gets_a_zeroed_frame),
		cmocka_unit_test(a_reclaimed_page_gets_its_content_back),
		cmocka_unit_test(a_write_ends_the_protection_and_begins_a_generation),
		cmocka_unit_test(a_page_that_is_being_changed_is_busy),
		cmocka_unit_test(a_shared_page_is_read_as_it_is_and_broken_by_a_write),
		cmocka_unit_test(a_device_is_for_the_guest_and_not_for_the_hypervisor),
		cmocka_unit_test(resolving_without_memory_changes_nothing),
		cmocka_unit_test(a_leaf_has_a_and_for_a_write_d),
		cmocka_unit_test(a_clean_page_is_read_only_unless_the_cpu_records_writes),
		cmocka_unit_test(a_second_fault_finds_the_leaf_and_stores_nothing),
		cmocka_unit_test(a_view_denies_what_its_address_space_allows),
		cmocka_unit_test(a_fault_maps_the_largest_leaf_that_fits),
		cmocka_unit_test(a_fault_without_memory_for_a_table_changes_nothing),
	};

	return cmocka_run_group_tests_name("lab2_fault", tests, NULL, NULL);
}
