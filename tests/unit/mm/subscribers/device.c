/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.c: slots of a device's frames: mapped uncached, and left alone by all that handles memory.
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/guest_cache.h>
#include <mm/reclaim.h>

#include "mm/stage2/private.h"

#define FIRST_MFN 0xfed00ull
#define GFN	  0x800

static struct addrspace *as;
static struct stage2 *s2;

static void open_world(const struct notifier_policy *policy)
{
	world_begin(1, 8);
	as = world_space(1024);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_add_device(as, world_range(GFN, 4), (struct mfn){FIRST_MFN}), 0);
}

static void close_world(void)
{
	struct audit_report report;

	assert_int_equal(audit_run(0, &report), 0);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static enum fault_outcome touch(u64 gfn, unsigned access)
{
	return fault_handle(s2, gfn_to_gpa((struct gfn){gfn}), access);
}

/* What stage 2 maps gfn to: PT_ words; 0: nothing. */
static unsigned mapped(u64 gfn, u64 *mfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn * PAGE_SIZE, &visit);
	if (visit.kind != VISIT_LEAF)
		return 0;
	*mfn = hpa_to_mfn(pte_addr(s2->table.format, visit.pte, visit.level)).raw;
	return s2->table.format->attr(visit.pte, visit.level) & (PT_RWX | PT_UNCACHED);
}

static void maps_and_protects(const struct notifier_policy *policy, enum retry_mode retry)
{
	u64 mfn = 0;

	open_world(policy);
	addrspace_set_retry(as, retry);
	assert_int_equal(touch(GFN + 2, HV_READ), FAULT_MAPPED);
	assert_int_equal(mapped(GFN + 2, &mfn), PT_READ | PT_WRITE | PT_UNCACHED);
	assert_int_equal(mfn, FIRST_MFN + 2);
	assert_int_equal(touch(GFN + 2, HV_EXEC), FAULT_DENIED);
	assert_int_equal(addrspace_protect(as, world_range(GFN + 2, 1), false), 0);
	assert_int_equal(touch(GFN + 2, HV_WRITE), FAULT_READ_ONLY);
	assert_int_not_equal(touch(GFN + 2, HV_READ), FAULT_READ_ONLY);
	assert_int_equal(mapped(GFN + 2, &mfn), PT_READ | PT_UNCACHED);
	assert_int_equal(addrspace_protect(as, world_range(GFN + 2, 1), true), 0);
	assert_int_equal(touch(GFN + 2, HV_WRITE), FAULT_MAPPED);
	assert_int_equal(mapped(GFN + 2, &mfn), PT_READ | PT_WRITE | PT_UNCACHED);
	assert_int_equal(mfn, FIRST_MFN + 2);
	assert_int_equal(addrspace_remove_slot(as, world_range(GFN, 4)), 0);
	assert_int_equal(mapped(GFN + 2, &mfn), 0);
	assert_int_equal(touch(GFN + 2, HV_READ), FAULT_MMIO);
	close_world();
}

static void a_device_is_mapped_uncached_and_can_be_protected(void **state)
{
	world_each_policy(maps_and_protects);
}

static const struct notifier_policy *masked(void)
{
	return notifier_policy_find("masked", 6);
}

static void what_handles_memory_leaves_a_device_alone(void **state)
{
	const struct gfn gfn = {GFN};
	struct guest_cache *cache;
	struct cow_look look;
	u64 word = 0, mfn = 0;
	void *place;

	open_world(masked());
	assert_int_equal(guest_cache_create(as, &cache), 0);
	assert_int_equal(touch(GFN, HV_WRITE), FAULT_MAPPED);
	assert_int_equal(addrspace_clear(as, world_range(GFN, 4), 0), 0);
	assert_int_equal(addrspace_balloon(as, world_range(GFN, 4), 0), 0);
	assert_int_equal(addrspace_populate(as, world_range(GFN, 4)), 0);
	assert_int_equal(cow_protect(as, world_range(GFN, 4)), 0);
	assert_int_equal(cow_look(as, gfn, &look), ERR_BUSY);
	assert_int_equal(cow_break(as, gfn), 0);
	assert_int_equal(addrspace_migrate(as, gfn), ERR_BUSY);
	assert_int_equal(addrspace_reclaim(as, world_range(GFN, 4), &word), 0);
	assert_int_equal(word, 0);
	assert_int_equal(reclaim_cold(as, 10), 0);
	assert_int_equal(addrspace_pin(as, gfn), ERR_BUSY);
	assert_int_equal(addrspace_read(as, gfn_to_gpa(gfn), &word, 8), ERR_RANGE);
	assert_int_equal(addrspace_write(as, gfn_to_gpa(gfn), &word, 8), ERR_RANGE);
	assert_int_equal(guest_cache_get(cache, gfn_to_gpa(gfn), 8, false, &place), ERR_RANGE);
	assert_false(addrspace_is_soft_dirty(as, gfn));
	(void)touch(GFN, HV_WRITE);
	assert_int_equal(mapped(GFN, &mfn), PT_READ | PT_WRITE | PT_UNCACHED);
	assert_int_equal(mfn, FIRST_MFN);
	guest_cache_destroy(cache);
	close_world();
}

static void memory_is_no_device(void **state)
{
	const struct mfn device = {0x100000};
	struct addrspace *other;
	struct mfn mine;
	unsigned failed = 0;

	world_begin(1, 8);
	other = world_space(16);
	assert_int_equal(frame_alloc(0, FRAME_HYPERVISOR, 0, &mine), 0);
	assert_int_equal(addrspace_add_device(other, world_range(16, 1), mine), ERR_PERMISSION);
	assert_int_equal(addrspace_add_device(other, world_range(16, 1), (struct mfn){0xa0}),
			 ERR_PERMISSION);
	assert_int_equal(
		addrspace_add_device(other, world_range(16, FRAME_SECTION), (struct mfn){1}),
		ERR_PERMISSION);
	assert_int_equal(addrspace_add_device(other, world_range(15, 2), device), ERR_EXISTS);
	assert_int_equal(addrspace_add_device(other, world_range(16, 0), device), ERR_INVALID);
	assert_int_equal(addrspace_add_device(other, world_range(16, 2), (struct mfn){BIT(40) - 2}),
			 ERR_INVALID);
	assert_int_equal(addrspace_add_device(other, world_range(16, 1), (struct mfn){~0ull}),
			 ERR_INVALID);
	assert_int_equal(addrspace_add_slot(other, world_range(16, 1), SLOT_MMIO), ERR_INVALID);
	for (unsigned n = 1; n <= 4; n++) { /* pages of the tree */
		sim_fail_frame_alloc(n, 1);
		failed += addrspace_add_device(other, world_range(BIT(30) - 1, 2), device) ==
			  ERR_NO_MEMORY;
		assert_int_equal(((struct addrspace *)other)->slot_count, 1 + (failed < n));
	}
	assert_int_equal(failed, 3);
	sim_fail_frame_alloc(0, 0);
	frame_free(mine, 0);
	addrspace_destroy(other);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_mapped_uncached_and_can_be_protected),
		cmocka_unit_test(what_handles_memory_leaves_a_device_alone),
		cmocka_unit_test(memory_is_no_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
