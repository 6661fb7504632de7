/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c: frames of a boot module behind pages of guests: slots of an image, and pages that a disk
 * maps in place of a copy (IMAGE-1, IMAGE-2).
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>
#include <mm/image.h>
#include <mm/reclaim.h>
#include <mm/rmap.h>

#include "mm/space/space.h"

#define IMAGE  (16 * MIB)
#define FRAMES 16
#define GFN    0x800
#define DRAWN  50

static struct addrspace *as, *other;
static struct stage2 *s2, *other_s2;
static struct guest_cache *cache;

static struct mfn image_mfn(u64 block)
{
	return (struct mfn){(IMAGE >> PAGE_SHIFT) + block};
}

static u64 *image_word(u64 block)
{
	return arch_hpa_to_virt(mfn_to_hpa(image_mfn(block)));
}

static u64 gpa_of(u64 gfn)
{
	return gfn * PAGE_SIZE;
}

/* Behind the machine's memory, in a section that has records. */
static void make_image(void)
{
	sim_add_memory(IMAGE, FRAMES * PAGE_SIZE);
	for (u64 i = 0; i < FRAMES; i++)
		*image_word(i) = 1000 + i;
	assert_int_equal(image_adopt(image_mfn(0), FRAMES), 0);
}

static void open_world(const struct notifier_policy *policy, enum retry_mode retry)
{
	world_begin(1, 8);
	make_image();
	as = world_space(64);
	other = world_space(64);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	addrspace_set_retry(as, retry);
	s2 = world_stage2(as);
	other_s2 = world_stage2(other);
	assert_int_equal(guest_cache_create(as, &cache), 0);
	assert_int_equal(addrspace_add_image(as, world_range(GFN, FRAMES), image_mfn(0)), 0);
	assert_int_equal(addrspace_add_image(other, world_range(GFN, FRAMES), image_mfn(0)), 0);
}

static void check_audit(void)
{
	struct audit_report report;

	assert_int_equal(audit_run(0, &report), 0);
}

static void close_world(void)
{
	check_audit();
	guest_cache_destroy(cache);
	stage2_destroy(s2);
	stage2_destroy(other_s2);
	addrspace_destroy(as);
	addrspace_destroy(other);
	for (u64 i = 0; i < FRAMES; i++) {
		assert_int_equal(*image_word(i), 1000 + i);
		assert_int_equal(frame_refs(image_mfn(i)), 1);
	}
	world_end();
}

static u64 reads(struct stage2 *from, u64 gfn)
{
	u64 value = 0;

	assert_int_equal(guest_read(from, gpa_of(gfn), &value), FAULT_MAPPED);
	guest_out();
	return value;
}

static void writes(struct stage2 *to, u64 gfn, u64 value)
{
	assert_int_equal(guest_write(to, gpa_of(gfn), value), FAULT_MAPPED);
	guest_out();
}

static void slot_body(const struct notifier_policy *policy, enum retry_mode retry)
{
	open_world(policy, retry);
	assert_int_equal(reads(s2, GFN + 3), 1003);
	assert_int_equal(reads(other_s2, GFN + 3), 1003);
	assert_int_equal(world_mfn(as, GFN + 3), image_mfn(3).raw);
	assert_int_equal(world_mfn(other, GFN + 3), image_mfn(3).raw);
	assert_int_equal(frame_refs(image_mfn(3)), 3);
	writes(s2, GFN + 3, 7);
	assert_int_equal(reads(s2, GFN + 3), 7);
	assert_int_equal(reads(other_s2, GFN + 3), 1003);
	assert_int_equal(frame_refs(image_mfn(3)), 2);
	writes(s2, GFN + 4, 8); /* not read before */
	assert_int_equal(reads(s2, GFN + 4), 8);
	check_audit();
	assert_int_equal(addrspace_clear(as, world_range(GFN, FRAMES), 0), 0);
	assert_int_equal(reads(s2, GFN + 3), 1003);
	close_world();
}

static void a_slot_reads_as_the_image_and_copies_at_a_write(void **state)
{
	world_each_policy(slot_body);
}

static void a_slot_that_goes_gives_its_references_back(void **state)
{
	open_world(notifier_policy_default(), RETRY_REENTER);
	assert_int_equal(reads(s2, GFN), 1000);
	writes(s2, GFN + 1, 9);
	assert_int_equal(addrspace_remove_slot(as, world_range(GFN, FRAMES)), 0);
	assert_int_equal(frame_refs(image_mfn(0)), 1);
	assert_int_equal(guest_write(s2, gpa_of(GFN), 1), FAULT_MMIO);
	guest_out();
	close_world();
}

static void a_slot_is_populated_with_the_image(void **state)
{
	open_world(notifier_policy_default(), RETRY_REENTER);
	assert_int_equal(addrspace_populate(as, world_range(GFN, FRAMES)), 0);
	assert_int_equal(world_mfn(as, GFN + 1), image_mfn(1).raw);
	assert_int_equal(reads(s2, GFN + 1), 1001);
	close_world();
}

static void adopted_frames_are_checked(void **state)
{
	open_world(notifier_policy_default(), RETRY_REENTER);
	assert_int_equal(image_adopt(image_mfn(0), 1), ERR_EXISTS);
	assert_int_equal(image_adopt((struct mfn){300}, 1), ERR_EXISTS); /* the allocator's */
	assert_int_equal(image_adopt((struct mfn){1ull << 40}, 1), ERR_RANGE);
	assert_int_equal(image_adopt(image_mfn(0), ~0ull), ERR_RANGE);
	assert_int_equal(image_adopt(image_mfn(0), 0), ERR_RANGE);
	assert_int_equal(addrspace_add_image(as, world_range(0x900, 2), image_mfn(FRAMES - 1)),
			 ERR_INVALID);
	assert_int_equal(addrspace_add_image(as, world_range(GFN - 1, 2), image_mfn(0)),
			 ERR_EXISTS);
	assert_int_equal(addrspace_add_image(as, world_range(0x900, 0), image_mfn(0)), ERR_INVALID);
	close_world();
}

/* Memory in two ranges, and an image between them. */
static void adopt_between(u64 image, u64 second)
{
	const struct frame_range ranges[] = {{{MIB}, {30 * MIB}}, {{second}, {second + 28 * MIB}}};
	const struct mfn first = {image >> PAGE_SHIFT};

	sim_init(1);
	sim_add_memory(MIB, 127 * MIB);
	assert_int_equal(frame_init(ranges, 2), 0);
	assert_int_equal(image_adopt(first, FRAMES), 0);
	assert_int_equal(frame_kind(first), FRAME_IMAGE);
	assert_int_equal(frame_kind(mfn_add(first, FRAMES - 1)), FRAME_IMAGE);
	assert_int_equal(frame_kind(mfn_add(first, FRAMES)), FRAME_RESERVED);
	assert_int_equal(frame_kind((struct mfn){second >> PAGE_SHIFT}), FRAME_FREE);
	assert_true(frame_near_memory(first));
	check_audit();
}

static void an_image_may_lie_where_records_are_closed_or_none(void **state)
{
	adopt_between(34 * MIB, 40 * MIB);
	adopt_between(40 * MIB, 100 * MIB);
	adopt_between(64 * MIB - 8 * PAGE_SIZE, 100 * MIB); /* in two sections */
}

static int maps(u64 gfn, u64 block)
{
	return addrspace_map_image(as, (struct gfn){gfn}, image_mfn(block));
}

static void nothing(void)
{
}

static void a_private_page(void)
{
	writes(s2, 5, 77);
}

static void a_page_in_a_devices_cache(void)
{
	void *place;

	assert_int_equal(guest_cache_get(cache, (struct gpa){gpa_of(5)}, 8, true, &place), 0);
	*(u64 *)place = 77;
	guest_cache_put(cache, (struct gpa){gpa_of(5)});
}

static void a_reclaimed_page(void)
{
	u64 done = 0;

	writes(s2, 5, 77);
	assert_int_equal(addrspace_reclaim(as, world_range(5, 1), &done), 0);
	assert_int_equal(done, 1);
}

static void a_shared_page(void)
{
	const u64 gfns[] = {5, 6};

	world_share(as, gfns, 2, 77);
}

static void another_block(void)
{
	assert_int_equal(maps(5, 1), 0);
	assert_int_equal(reads(s2, 5), 1001);
}

static void the_same_block(void)
{
	assert_int_equal(maps(5, 2), 0);
	assert_int_equal(reads(s2, 5), 1002);
}

static void (*prepare)(void);

static void map_body(const struct notifier_policy *policy, enum retry_mode retry)
{
	u64 word = 0;

	open_world(policy, retry);
	prepare();
	assert_int_equal(maps(5, 2), 0);
	assert_int_equal(world_mfn(as, 5), image_mfn(2).raw);
	assert_int_equal(frame_refs(image_mfn(2)), 2);
	assert_true(addrspace_is_soft_dirty(as, (struct gfn){5}));
	check_audit();
	assert_int_equal(reads(s2, 5), 1002);
	assert_int_equal(world_read(s2, cache, gpa_of(5)), 1002);
	writes(s2, 5, 99);
	assert_int_equal(reads(s2, 5), 99);
	assert_int_equal(world_read(s2, cache, gpa_of(5)), 99);
	assert_int_equal(addrspace_read(as, (struct gpa){gpa_of(5)}, &word, 8), 0);
	assert_int_equal(word, 99);
	assert_int_equal(frame_refs(image_mfn(2)), 1);
	close_world();
}

static void a_mapped_block_replaces_whatever_was_there(void **state)
{
	void (*const each[])(void) = {nothing,		a_private_page, a_page_in_a_devices_cache,
				      a_reclaimed_page, a_shared_page,	another_block,
				      the_same_block};

	for (unsigned i = 0; i < ARRAY_SIZE(each); i++) {
		prepare = each[i];
		world_each_policy(map_body);
	}
}

/* IMAGE-2: nothing changes. */
static void what_a_guest_may_not_write_is_not_mapped(void **state)
{
	open_world(notifier_policy_default(), RETRY_REENTER);
	assert_int_equal(maps(0x700, 0), ERR_RANGE);
	assert_int_equal(addrspace_map_image(as, (struct gfn){~0ull}, image_mfn(0)), ERR_RANGE);
	assert_int_equal(addrspace_add_slot(as, world_range(0x100, 1), SLOT_ROM), 0);
	assert_int_equal(maps(0x100, 0), ERR_PERMISSION);
	assert_int_equal(addrspace_protect(as, world_range(7, 1), false), 0);
	assert_int_equal(maps(7, 0), ERR_PERMISSION);
	writes(s2, 8, 77);
	assert_int_equal(addrspace_protect(as, world_range(8, 1), false), 0);
	assert_int_equal(maps(8, 0), ERR_PERMISSION);
	writes(s2, 9, 78);
	assert_int_equal(addrspace_pin(as, (struct gfn){9}), 0);
	assert_int_equal(maps(9, 0), ERR_BUSY);
	assert_int_equal(reads(s2, 8), 77);
	assert_int_equal(reads(s2, 9), 78);
	assert_int_equal(frame_refs(image_mfn(0)), 1);
	addrspace_unpin(as, (struct gfn){9});
	close_world();
}

/* A merge that looked at the page before must not take it for what it was. */
static void a_look_from_before_is_stale(void **state)
{
	const u64 gfns[] = {6, 7};
	struct cow_look look;

	open_world(notifier_policy_default(), RETRY_REENTER);
	world_share(as, gfns, 2, 77);
	writes(s2, 5, 77);
	assert_int_equal(cow_protect_look(as, (struct gfn){5}, &look), 0);
	assert_int_equal(maps(5, 2), 0);
	assert_int_equal(cow_share(as, (struct gfn){5}, &look, (struct mfn){world_mfn(as, 6)}),
			 ERR_BUSY);
	assert_int_equal(cow_offer(as, (struct gfn){5}, &look), ERR_BUSY);
	assert_int_equal(reads(s2, 5), 1002);
	close_world();
}

/* --- Against a guest, in every interleaving ------------------------------------------------ */

static void race_setup(void *world)
{
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, world), 0);
	s2 = world_stage2(as);
	assert_int_equal(guest_cache_create(as, &cache), 0);
	assert_int_equal(guest_write(s2, gpa_of(5), 100), FAULT_MAPPED);
	guest_out();
}

static void race_map(void *world)
{
	assert_int_equal(maps(5, 2), 0);
}

/* Its own word, or the image's in its place; the image never gets it. */
static void race_guest(void *world)
{
	u64 value = 0;

	assert_int_equal(guest_write(s2, gpa_of(5), 200), FAULT_MAPPED);
	assert_int_equal(guest_read(s2, gpa_of(5), &value), FAULT_MAPPED);
	assert_true(value == 200 || value == 1002);
	guest_out();
}

static void race_check(void *world)
{
	u64 value = 0;

	check_audit();
	assert_int_equal(*image_word(2), 1002);
	assert_int_equal(guest_read(s2, gpa_of(5), &value), FAULT_MAPPED);
	assert_true(value == 200 || value == 1002);
	guest_out();
	guest_cache_destroy(cache);
	stage2_destroy(s2);
	addrspace_destroy(as);
	assert_int_equal(frame_refs(image_mfn(2)), 1);
}

static void explore_policy(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {.setup = race_setup,
						.task = {race_map, race_guest},
						.check = race_check,
						.world = (void *)(uintptr_t)policy,
						.preemptions = 3};

	if (retry == RETRY_INPLACE)
		return;
	world_begin(2, 4);
	make_image();
	sched_explore_and_draw(scenario, DRAWN);
	world_end();
}

static void a_guest_that_writes_meanwhile_has_its_own_word_or_the_images(void **state)
{
	world_each_policy(explore_policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_reads_as_the_image_and_copies_at_a_write),
		cmocka_unit_test(a_slot_that_goes_gives_its_references_back),
		cmocka_unit_test(a_slot_is_populated_with_the_image),
		cmocka_unit_test(adopted_frames_are_checked),
		cmocka_unit_test(an_image_may_lie_where_records_are_closed_or_none),
		cmocka_unit_test(a_mapped_block_replaces_whatever_was_there),
		cmocka_unit_test(what_a_guest_may_not_write_is_not_mapped),
		cmocka_unit_test(a_look_from_before_is_stale),
		cmocka_unit_test(a_guest_that_writes_meanwhile_has_its_own_word_or_the_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
