/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replaced.c: a frame or a right that is taken away stays usable for no CPU and no device model:
 * UPDATE-1, VIEW-1, PEEK-1, and the recheck of a break.
 */
#include "sim/mm_world.h"

#include <mm/guest_cache.h>
#include <mm/peek.h>

#include <mm/policy.h>
#include "mm/space/space.h"
#include "mm/stage2/private.h"

#define INSIDE 12ull /* pages that CPU 1 has in its TLB */

static struct addrspace *as;
static struct stage2 *s2;

static const struct notifier_policy *policy_named(const char *name)
{
	return notifier_policy_find(name, strlen(name));
}

static void begin(u64 frames, const char *policy)
{
	world_begin(2, 32);
	as = world_space(frames);
	assert_int_equal(addrspace_set_policy(as, policy_named(policy)), 0);
	s2 = world_stage2(as);
}

static void end(void)
{
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static struct gpa gpa_of(u64 gfn)
{
	return (struct gpa){gfn << PAGE_SHIFT};
}

static void put_value(u64 gfn, u64 value)
{
	assert_int_equal(addrspace_write(as, gpa_of(gfn), &value, sizeof(value)), 0);
}

/* Whatever is free now is allocated, written to, and freed again. */
static void spoil_free_frames(void)
{
	struct mfn mfn[256];

	for (unsigned i = 0; i < ARRAY_SIZE(mfn); i++) {
		assert_int_equal(frame_alloc(0, FRAME_HYPERVISOR, 0, &mfn[i]), 0);
		memset(arch_hpa_to_virt(mfn_to_hpa(mfn[i])), 0xee, PAGE_SIZE);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(mfn); i++)
		frame_free(mfn[i], 0);
}

/* CPU 1 stays inside, with these translations. */
static void read_all_inside(u64 first, u64 last)
{
	u64 value;

	sim_set_cpu(1);
	for (u64 gfn = first; gfn <= last; gfn++) {
		assert_int_equal(guest_read(s2, gfn << PAGE_SHIFT, &value), FAULT_MAPPED);
		assert_int_equal(value, 7);
	}
	sim_set_cpu(0);
}

/*
 * How the frames that a merge replaces are freed.
 *
 * FREE_FULL	there is no room for more
 * FREE_SETTLE	addrspace_settle()
 * FREE_BEGUN	the same while a flush has begun that CPU 1 has not seen
 */
enum freed_by { FREE_FULL, FREE_SETTLE, FREE_BEGUN };

/* gfn 1 to `pages` get the frame of gfn 0 while CPU 1 is inside, with translations of the last. */
static struct mfn merge_inside(u64 inside, u64 pages)
{
	struct cow_look look, first;

	for (u64 gfn = 0; gfn <= pages; gfn++)
		put_value(gfn, 7);
	assert_int_equal(cow_protect_look(as, (struct gfn){0}, &first), 0);
	assert_int_equal(cow_offer(as, (struct gfn){0}, &first), 0);
	for (u64 gfn = 1; gfn <= pages; gfn++)
		assert_int_equal(cow_protect(as, world_range(gfn, 1)), 0);
	read_all_inside(inside, pages);
	for (u64 gfn = 1; gfn <= pages; gfn++) {
		assert_int_equal(cow_look(as, (struct gfn){gfn}, &look), 0);
		assert_int_equal(cow_share(as, (struct gfn){gfn}, &look, first.mfn), 0);
	}
	return first.mfn;
}

static void end_merged(struct mfn first)
{
	sim_set_cpu(1);
	guest_out();
	sim_set_cpu(0);
	if (frame_put(first))
		frame_free(first, 0);
	end();
}

static void merge_behind_a_cpu(const char *policy, u64 pages, enum freed_by freed)
{
	u64 inside = pages > INSIDE ? pages - INSIDE + 1 : 1;
	struct mfn first;

	begin(256, policy);
	first = merge_inside(inside, pages);
	if (freed == FREE_BEGUN)
		addrspace_try_settle(as);
	if (freed != FREE_FULL)
		addrspace_settle(as);
	spoil_free_frames();
	read_all_inside(inside, pages);
	end_merged(first);
}

/* CPU 1 stays inside; its next access to gfn 1 is by the translation that it has. */
static u64 kicks_of_protecting(bool written)
{
	u64 before;

	begin(256, "masked");
	put_value(1, 7);
	assert_int_equal(dirty_log_start(as, world_range(0, 256), DIRTY_BITS), 0);
	read_all_inside(1, 1);
	sim_set_cpu(1);
	if (written)
		assert_int_equal(guest_write(s2, PAGE_SIZE, 7), FAULT_MAPPED);
	sim_set_cpu(0);
	before = guest_counters.kicks;
	assert_int_equal(cow_protect(as, world_range(1, 1)), 0);
	return guest_counters.kicks - before;
}

/* The CPU that writes finds no right to, whatever its TLB has: COW-2. */
static void write_and_end(void)
{
	struct cow_look look;
	u64 value;

	assert_int_equal(cow_look(as, (struct gfn){1}, &look), 0);
	sim_set_cpu(1);
	assert_int_equal(guest_write(s2, PAGE_SIZE, 9), FAULT_MAPPED);
	guest_out();
	sim_set_cpu(0);
	assert_int_equal(cow_offer(as, (struct gfn){1}, &look), ERR_BUSY);
	assert_int_equal(addrspace_read(as, gpa_of(1), &value, sizeof(value)), 0);
	assert_int_equal(value, 9);
	end();
}

static void a_clean_page_is_protected_without_a_kick(void **state)
{
	assert_int_equal(kicks_of_protecting(false), 0);
	write_and_end();
}

static void a_written_page_is_protected_with_a_flush(void **state)
{
	assert_int_equal(kicks_of_protecting(true), 1);
	write_and_end();
}

/* CPU 1 writes between the look at the clean leaf and the swap that takes it away. */
static bool write_before_swap(void *context, pte_t *slot, pte_t old, pte_t value)
{
	s2->memory.swap = NULL;
	sim_set_cpu(1);
	assert_int_equal(guest_write(s2, PAGE_SIZE, 8), FAULT_MAPPED);
	sim_set_cpu(0);
	return ck_pr_cas_64(slot, old, value);
}

static void a_page_that_is_written_while_its_leaf_goes_is_flushed(void **state)
{
	begin(256, "bracket");
	put_value(1, 7);
	assert_int_equal(dirty_log_start(as, world_range(0, 256), DIRTY_BITS), 0);
	read_all_inside(1, 1);
	s2->memory.swap = write_before_swap;
	assert_int_equal(cow_protect(as, world_range(1, 1)), 0);
	assert_null(s2->memory.swap);
	write_and_end();
}

static u64 free_frames(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.free;
}

/* STAGE2-2 without a kick: the frames are free once the CPU inside has left by itself. */
static void deferred_frames_are_freed_when_each_cpu_has_passed(void **state)
{
	const u64 pages = 8;
	u64 kicks, before;
	struct mfn first;

	begin(256, "masked");
	first = merge_inside(1, pages);
	kicks = guest_counters.kicks;
	before = free_frames();
	addrspace_try_settle(as);
	assert_int_equal(free_frames(), before);
	spoil_free_frames();
	read_all_inside(1, pages);
	sim_set_cpu(1);
	guest_out();
	sim_set_cpu(0);
	addrspace_try_settle(as);
	assert_int_equal(free_frames(), before + pages);
	assert_int_equal(guest_counters.kicks, kicks);
	end_merged(first);
}

/* STAGE2-2: their leaves changed in place, or were dropped. */
static void deferred_frames_are_freed_after_a_flush(void **state)
{
	merge_behind_a_cpu("masked", 8, FREE_SETTLE);
	merge_behind_a_cpu("bracket", 8, FREE_SETTLE);
}

static void deferred_frames_wait_for_a_flush_that_has_begun(void **state)
{
	merge_behind_a_cpu("masked", 8, FREE_BEGUN);
	merge_behind_a_cpu("bracket", 8, FREE_BEGUN);
}

/* The old frames have the old content: a write may not go by them. */
static void write_after_a_merge(const char *policy, bool begun)
{
	struct mfn first;
	u64 value;

	begin(256, policy);
	first = merge_inside(1, 8);
	if (begun)
		addrspace_try_settle(as);
	put_value(1, 9);
	sim_set_cpu(1);
	assert_int_equal(guest_read(s2, PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 9);
	end_merged(first);
}

static void a_write_after_a_merge_is_read_at_once(void **state)
{
	static const char *const policies[] = {"masked", "bracket", "invalidate"};

	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
		write_after_a_merge(policies[i], false);
		write_after_a_merge(policies[i], true);
	}
}

static void more_deferred_frames_than_there_is_room_for_wait_too(void **state)
{
	merge_behind_a_cpu("masked", SPACE_DEFERRED + 2, FREE_FULL);
}

/* CPU 1 stays inside: the flush kicks it, and the frame is free when the merge returns. */
static void an_eager_policy_frees_the_frame_of_a_merge_at_once(void **state)
{
	struct notifier_policy eager = *policy_named("masked");
	struct cow_look look, first;

	eager.flush = POLICY_EAGER;
	begin(8, "masked");
	assert_int_equal(addrspace_set_policy(as, &eager), 0);
	put_value(0, 7);
	put_value(1, 7);
	assert_int_equal(cow_protect_look(as, (struct gfn){0}, &first), 0);
	assert_int_equal(cow_offer(as, (struct gfn){0}, &first), 0);
	assert_int_equal(cow_protect_look(as, (struct gfn){1}, &look), 0);
	read_all_inside(1, 1);
	assert_int_equal(cow_share(as, (struct gfn){1}, &look, first.mfn), 0);
	assert_int_not_equal(frame_kind(look.mfn), FRAME_GUEST);
	end_merged(first.mfn);
}

/* A device model that reads the old frame for a while. */
static struct guest_cache *cache;
static struct mfn old;
static bool freed_early;
static unsigned relaxed;

static void device_lets_go_in_the_end(void)
{
	freed_early |= frame_kind(old) != FRAME_GUEST;
	if (relaxed++ == 3)
		guest_cache_put(cache, gpa_of(0));
}

static void device_takes_a_pointer(void)
{
	void *pointer;

	assert_int_equal(guest_cache_get(cache, gpa_of(0), 8, false, &pointer), 0);
	old.raw = world_mfn(as, 0);
}

static void device_reads_what_is_copied(const char *point)
{
	if (!strcmp(point, "migrate: copied"))
		device_takes_a_pointer();
}

static void begin_with_a_device(const char *policy)
{
	begin(8, policy);
	assert_int_equal(guest_cache_create(as, &cache), 0);
	put_value(0, 7);
	freed_early = false;
	relaxed = 0;
}

static void end_with_a_device(void)
{
	sim_on_relax = NULL;
	sim_on_race_point = NULL;
	assert_true(relaxed > 3);
	assert_false(freed_early);
	guest_cache_destroy(cache);
	end();
}

static void break_under_a_device(const char *policy)
{
	struct cow_look look;

	begin_with_a_device(policy);
	assert_int_equal(cow_protect_look(as, (struct gfn){0}, &look), 0);
	assert_int_equal(cow_offer(as, (struct gfn){0}, &look), 0);
	assert_false(frame_put(look.mfn)); /* the page is its only sharer */
	device_takes_a_pointer();
	sim_on_relax = device_lets_go_in_the_end;
	assert_int_equal(cow_break(as, (struct gfn){0}), 0);
	end_with_a_device();
}

static void migrate_under_a_device(const char *policy)
{
	begin_with_a_device(policy);
	old.raw = world_mfn(as, 0);
	sim_on_race_point = device_reads_what_is_copied;
	sim_on_relax = device_lets_go_in_the_end;
	assert_int_equal(addrspace_migrate(as, (struct gfn){0}), 0);
	end_with_a_device();
}

/* Meanwhile another CPU frees what the end of a visit may free. */
static void device_lets_go_and_others_settle(void)
{
	sim_set_cpu(1);
	addrspace_settle(as);
	sim_set_cpu(0);
	device_lets_go_in_the_end();
}

static void merge_under_a_device(const char *policy)
{
	struct cow_look look, first;

	begin_with_a_device(policy);
	put_value(1, 7);
	assert_int_equal(cow_protect_look(as, (struct gfn){1}, &first), 0);
	assert_int_equal(cow_offer(as, (struct gfn){1}, &first), 0);
	assert_int_equal(cow_protect_look(as, (struct gfn){0}, &look), 0);
	device_takes_a_pointer();
	sim_on_relax = device_lets_go_and_others_settle;
	assert_int_equal(cow_share(as, (struct gfn){0}, &look, first.mfn), 0);
	assert_false(frame_put(first.mfn)); /* the pages are its only sharers */
	end_with_a_device();
}

static void a_frame_outlives_the_subscribers_that_drop_it_afterwards(void **state)
{
	merge_under_a_device("late");
	merge_under_a_device("late_wp");
	break_under_a_device("late");
	break_under_a_device("late_wp");
	migrate_under_a_device("late");
	migrate_under_a_device("late_wp");
}

/* Another CPU breaks the page, writes 9 to it and merges it with a page of that content. */
static struct mfn nine;
static bool merged_again;

static void merge_again(const char *point)
{
	struct cow_look look;

	if (merged_again || strcmp(point, "cow: copied") != 0)
		return;
	merged_again = true;
	sim_set_cpu(1);
	assert_int_equal(cow_break(as, (struct gfn){0}), 0);
	put_value(0, 9);
	assert_int_equal(cow_protect_look(as, (struct gfn){0}, &look), 0);
	frame_get(nine);
	assert_int_equal(cow_share(as, (struct gfn){0}, &look, nine), 0);
	if (frame_put(nine))
		frame_free(nine, 0);
	sim_set_cpu(0);
}

static void a_copy_of_an_older_content_is_not_installed(void **state)
{
	u64 value;

	begin(8, "masked");
	world_share(as, (u64[]){0, 1}, 2, 7);
	world_share(as, (u64[]){2, 3}, 2, 9);
	nine.raw = world_mfn(as, 2);
	merged_again = false;
	sim_on_race_point = merge_again;
	assert_int_equal(cow_break(as, (struct gfn){0}), 0);
	sim_on_race_point = NULL;
	assert_true(merged_again);
	assert_int_equal(addrspace_read(as, gpa_of(0), &value, sizeof(value)), 0);
	assert_int_equal(value, 9);
	end();
}

static void a_limit_holds_for_a_cpu_that_is_inside(void **state)
{
	begin(8, "masked");
	sim_set_cpu(1);
	assert_int_equal(guest_write(s2, 0, 1), FAULT_MAPPED);
	sim_set_cpu(0);
	assert_int_equal(stage2_view_restrict(s2, world_range(0, 1), PT_READ | PT_EXEC), 0);
	sim_set_cpu(1);
	assert_int_equal(guest_write(s2, 0, 2), FAULT_DENIED);
	guest_out();
	sim_set_cpu(0);
	end();
}

static void a_limit_cuts_a_leaf_of_a_gigabyte_down_to_pages(void **state)
{
	world_begin(1, 2200);
	as = world_space(1 << 18);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(0, 1 << 18)), 0);
	assert_int_equal(stage2_view_restrict(s2, world_range(5, 2), PT_READ | PT_EXEC), 0);
	assert_int_equal(guest_write(s2, 0, 1), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 5 << PAGE_SHIFT, 1), FAULT_DENIED);
	guest_out();
	end();
}

/* PEEK-1: the pointer is one more translation of the CPU's. */
static void a_pointer_from_before_a_flush_is_not_used(void **state)
{
	struct stage2_gate gate;
	const u64 *word;
	u64 value, generation;

	begin(64, "masked");
	put_value(1, 7);
	assert_int_equal(guest_read(s2, PAGE_SIZE, &value), FAULT_MAPPED);
	guest_out();
	gate = stage2_gate(s2);
	generation = stage2_peek_generation(s2);
	word = stage2_peek(s2, gpa_of(1));
	assert_null(stage2_peek(s2, gpa_of(2)));
	assert_true(stage2_peek_begin(&gate, generation));
	assert_int_equal(*word, 7);
	stage2_peek_end(&gate);
	assert_int_equal(addrspace_migrate(as, (struct gfn){1}), 0);
	assert_false(stage2_peek_begin(&gate, generation));
	end();
}

/* PEEK-1: the frame is not freed before the end. */
static void a_flush_waits_for_a_reader(void **state)
{
	struct stage2_gate gate;
	u64 generation;

	begin(64, "masked");
	gate = stage2_gate(s2);
	assert_true(stage2_peek_begin(&gate, stage2_peek_generation(s2)));
	generation = stage2_flush_begin(s2);
	assert_false(stage2_flush_ended(s2, generation));
	stage2_peek_end(&gate);
	assert_true(stage2_flush_ended(s2, generation));
	end();
}

/* VIEW-1: each limit holds until it is lifted, and there is room for STAGE2_LIMITS. */
static void limits_are_kept_one_by_one(void **state)
{
	world_begin(1, 16);
	as = world_space(4096);
	s2 = world_stage2(as);
	for (unsigned i = 0; i < STAGE2_LIMITS; i++)
		assert_int_equal(stage2_view_restrict(s2, world_range(2 * i, 1), PT_READ), 0);
	assert_int_equal(stage2_view_restrict(s2, world_range(2 * STAGE2_LIMITS, 1), PT_READ),
			 ERR_NO_MEMORY);
	assert_int_equal(stage2_view_restrict(s2, world_range(0, 1), PT_RWX), 0);
	assert_int_equal(stage2_view_limit(s2, (struct gfn){0}), PT_RWX);
	for (unsigned i = 1; i < STAGE2_LIMITS; i++)
		assert_int_equal(stage2_view_limit(s2, (struct gfn){2 * i}), PT_READ);
	end();
}

/* A block of 512 pages is cut by a limit that begins, or ends, inside. */
static void a_limit_cuts_a_block_from_either_end(void **state)
{
	world_begin(1, 16);
	as = world_space(4096);
	s2 = world_stage2(as);
	assert_int_equal(stage2_view_restrict(s2, world_range(512, 100), PT_READ), 0);
	assert_int_equal(stage2_view_restrict(s2, world_range(1500, 36), PT_READ), 0);
	assert_int_equal(stage2_view_level(s2, (struct gfn){600}, 1), 0);
	assert_int_equal(stage2_view_level(s2, (struct gfn){1100}, 1), 0);
	assert_int_equal(stage2_view_level(s2, (struct gfn){2048}, 1), 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pointer_from_before_a_flush_is_not_used),
		cmocka_unit_test(a_flush_waits_for_a_reader),
		cmocka_unit_test(a_clean_page_is_protected_without_a_kick),
		cmocka_unit_test(a_written_page_is_protected_with_a_flush),
		cmocka_unit_test(a_page_that_is_written_while_its_leaf_goes_is_flushed),
		cmocka_unit_test(deferred_frames_are_freed_when_each_cpu_has_passed),
		cmocka_unit_test(deferred_frames_are_freed_after_a_flush),
		cmocka_unit_test(deferred_frames_wait_for_a_flush_that_has_begun),
		cmocka_unit_test(a_write_after_a_merge_is_read_at_once),
		cmocka_unit_test(more_deferred_frames_than_there_is_room_for_wait_too),
		cmocka_unit_test(an_eager_policy_frees_the_frame_of_a_merge_at_once),
		cmocka_unit_test(a_frame_outlives_the_subscribers_that_drop_it_afterwards),
		cmocka_unit_test(a_copy_of_an_older_content_is_not_installed),
		cmocka_unit_test(a_limit_holds_for_a_cpu_that_is_inside),
		cmocka_unit_test(a_limit_cuts_a_leaf_of_a_gigabyte_down_to_pages),
		cmocka_unit_test(limits_are_kept_one_by_one),
		cmocka_unit_test(a_limit_cuts_a_block_from_either_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
