/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: running out of memory at every place: what fails has changed nothing, and goes on when
 * memory is back.
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/guest_cache.h>
#include <mm/rmap.h>

#include "mm/stage2/private.h"

/* Runs `operation` with the n-th allocation failing, for every n, until it makes fewer than n. */
static void fail_each(int (*operation)(void *world), void (*check_unchanged)(void *world),
		      void *world)
{
	for (u64 n = 1;; n++) {
		struct audit_report report;
		int err;

		sim_fail_frame_alloc(n, 1);
		err = operation(world);
		if (sim_frame_allocs() < n) {
			sim_fail_frame_alloc(0, 0);
			assert_int_equal(err, 0);
			return;
		}
		sim_fail_frame_alloc(0, 0);
		assert_true(err == ERR_NO_MEMORY || err == 0);
		assert_int_equal(audit_run(0, &report), 0);
		if (!err)
			return;
		check_unchanged(world);
	}
}

static struct addrspace *as;
static struct stage2 *s2;

static void nothing(void *world)
{
}

static int everything(void *world)
{
	struct guest_cache *cache = NULL;
	struct addrspace *fresh;
	struct stage2 *view = NULL;
	int err = addrspace_create("fresh", &fresh);

	if (err)
		return err;
	err = addrspace_add_slot(fresh, world_range(0, 600), SLOT_RAM);
	if (!err)
		err = stage2_create(fresh, &npt_format, &view);
	if (!err)
		err = guest_cache_create(fresh, &cache);
	if (!err)
		err = addrspace_populate(fresh, world_range(0, 600));
	if (cache)
		guest_cache_destroy(cache);
	if (view)
		stage2_destroy(view);
	addrspace_destroy(fresh);
	return err;
}

static void creating_a_vm_fails_cleanly_at_every_allocation(void **state)
{
	struct frame_stats before, after;

	world_begin(1, 16);
	frame_stats(&before);
	fail_each(everything, nothing, NULL);
	frame_stats(&after);
	assert_int_equal(before.free, after.free);
	world_end();
}

static int break_by_write(void *world)
{
	enum fault_outcome outcome = guest_write(s2, PAGE_SIZE, 2);

	assert_true(outcome == FAULT_MAPPED || outcome == FAULT_NO_MEMORY);
	return outcome == FAULT_MAPPED ? 0 : ERR_NO_MEMORY;
}

static void still_shared(void *world)
{
	u64 value;

	assert_int_equal(world_mfn(as, 1), world_mfn(as, 2));
	assert_int_equal(guest_read(s2, PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 1);
}

static void oom_in_break(const struct notifier_policy *policy, enum retry_mode retry)
{
	const u64 gfns[] = {1, 2};
	u64 value;

	world_begin(1, 4);
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	addrspace_set_retry(as, retry);
	s2 = world_stage2(as);
	world_share(as, gfns, 2, 1);
	fail_each(break_by_write, still_shared, NULL);
	assert_int_equal(guest_read(s2, PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 2);
	assert_int_equal(guest_read(s2, 2 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 1);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/*
 * COW-3, FAULT-2: FAULT_NO_MEMORY, the page is as it was, and the same write succeeds when
 * memory is back.
 */
static void a_break_without_memory_changes_nothing_and_goes_on_later(void **state)
{
	world_each_policy(oom_in_break);
}

static int share_two(void *world)
{
	struct cow_look a, b;
	int err;

	assert_int_equal(cow_protect(as, world_range(3, 2)), 0);
	assert_int_equal(cow_look(as, (struct gfn){3}, &a), 0);
	assert_int_equal(cow_look(as, (struct gfn){4}, &b), 0);
	assert_int_equal(cow_offer(as, (struct gfn){3}, &a), 0);
	err = cow_share(as, (struct gfn){4}, &b, a.mfn);
	if (err)
		assert_int_equal(cow_break(as, (struct gfn){3}), 0);
	frame_put(a.mfn);
	if (err)
		frame_free(a.mfn, 0);
	return err;
}

static void not_shared(void *world)
{
	assert_true(world_mfn(as, 3) != world_mfn(as, 4));
	assert_int_equal(rmap_count((struct mfn){world_mfn(as, 4)}), 1);
}

static void sharing_without_memory_for_the_rmap_changes_nothing(void **state)
{
	world_begin(1, 4);
	as = world_space(16);
	assert_int_equal(addrspace_populate(as, world_range(3, 2)), 0);
	fail_each(share_two, not_shared, NULL);
	assert_int_equal(world_mfn(as, 3), world_mfn(as, 4));
	addrspace_destroy(as);
	world_end();
}

/* Dropping needs no memory: without it, a large leaf goes as a whole. */
static void a_drop_succeeds_without_any_memory(void **state)
{
	struct frame_stats stats;
	struct audit_report report;
	u64 value;

	world_begin(1, 16);
	as = world_space(1024);
	s2 = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(0, 1024)), 0);
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE, 1), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 700 * PAGE_SIZE, 2), FAULT_MAPPED);
	guest_out();
	sim_fail_frame_alloc(1, ~0ull >> 1);
	assert_int_equal(addrspace_clear(as, world_range(100, 500), 0), 0);
	assert_int_equal(cow_protect(as, world_range(700, 1)), 0);
	assert_int_equal(audit_run(0, &report), 0);
	sim_fail_frame_alloc(0, 0);
	assert_int_equal(guest_read(s2, 700 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 2);
	assert_int_equal(guest_read(s2, 5 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 1);
	guest_out();
	frame_stats(&stats);
	assert_true(stats.guest >= 524);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/* Each allocation of a chain fails in turn: the two inline users stay. */
static void a_third_user_without_memory_changes_nothing(void **state)
{
	struct rmap_entry found[4];
	struct mfn mfn;
	int err = ERR_NO_MEMORY;

	world_begin(1, 4);
	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &mfn), 0);
	assert_int_equal(rmap_add(mfn, 1, (struct gfn){7}), 0);
	assert_int_equal(rmap_add(mfn, 1, (struct gfn){5}), 0);
	for (unsigned n = 1; err; n++) {
		assert_int_equal(rmap_list(mfn, NULL, found, ARRAY_SIZE(found)), 2);
		assert_int_equal(found[0].gfn.raw, 5);
		assert_int_equal(found[1].gfn.raw, 7);
		assert_int_equal(rmap_bytes(), 0);
		assert_true(frame_record(mfn)->owner & frame_record(mfn)->link & 1);
		sim_fail_frame_alloc(n, 1);
		err = rmap_add(mfn, 1, (struct gfn){6});
		sim_fail_frame_alloc(0, 0);
		assert_true(!err || n < 8);
	}
	assert_int_equal(rmap_count(mfn), 3);
	for (u64 gfn = 5; gfn <= 7; gfn++)
		rmap_remove(mfn, 1, (struct gfn){gfn});
	assert_int_equal(rmap_count(mfn), 0);
	frame_free(mfn, 0);
	world_end();
}

#define USERS 100000ull

static void the_rmap_lists_every_user_of_a_popular_frame(void **state)
{
	struct rmap_entry page[64], *last = NULL;
	u64 found = 0;
	unsigned count;
	struct mfn mfn;

	world_begin(1, 64);
	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &mfn), 0);
	for (u64 i = 0; i < USERS; i++) {
		u64 key = i * 7919 % USERS;

		assert_int_equal(rmap_add(mfn, 1 + key % 3, (struct gfn){key}), 0);
	}
	assert_int_equal(rmap_count(mfn), USERS);
	while ((count = rmap_list(mfn, last, page, ARRAY_SIZE(page)))) {
		for (unsigned i = 0; i < count; i++)
			assert_int_equal(page[i].space, 1 + page[i].gfn.raw % 3);
		found += count;
		last = &page[count - 1];
	}
	assert_int_equal(found, USERS);
	for (u64 i = 0; i < USERS; i++) {
		u64 key = i * 104729 % USERS;

		rmap_remove(mfn, 1 + key % 3, (struct gfn){key});
	}
	assert_int_equal(rmap_count(mfn), 0);
	frame_free(mfn, 0);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creating_a_vm_fails_cleanly_at_every_allocation),
		cmocka_unit_test(a_break_without_memory_changes_nothing_and_goes_on_later),
		cmocka_unit_test(sharing_without_memory_for_the_rmap_changes_nothing),
		cmocka_unit_test(a_drop_succeeds_without_any_memory),
		cmocka_unit_test(a_third_user_without_memory_changes_nothing),
		cmocka_unit_test(the_rmap_lists_every_user_of_a_popular_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
