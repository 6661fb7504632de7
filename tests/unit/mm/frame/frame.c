/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c: the frame allocator's promises one by one (FRAME-1 to FRAME-6, POISON-1).
 */
#include "sim/frame_check.h"

#include <pthread.h>

#define CPUS  4
#define BYTES (16 * MIB)

static int start(void **state)
{
	sim_boot(CPUS, BYTES);
	return 0;
}

static int finish(void **state)
{
	frame_check();
	return 0;
}

static struct mfn take(unsigned order)
{
	struct mfn mfn = {0};

	assert_int_equal(frame_alloc(order, FRAME_GUEST, 0, &mfn), 0);
	return mfn;
}

static u64 *content(struct mfn mfn)
{
	return arch_hpa_to_virt(mfn_to_hpa(mfn));
}

/* Takes all there is of an order on this CPU; how many. */
static u64 take_all(unsigned order, struct mfn *mfns, u64 room)
{
	u64 count = 0;

	while (count < room && frame_alloc(order, FRAME_GUEST, 0, &mfns[count]) == 0)
		count++;
	assert_true(count < room);
	return count;
}

static void an_allocated_frame_is_fresh(void **state)
{
	struct mfn mfn = take(0);
	struct frame *frame = frame_record(mfn);

	frame->owner = frame->link = 7;
	frame_free(mfn, 0);
	assert_int_equal(frame_alloc(0, FRAME_TABLE, 0, &mfn), 0);
	frame = frame_record(mfn);
	assert_int_equal(frame->owner | frame->link, 0); /* FRAME-2 */
	assert_int_equal(frame_refs(mfn), 1);
	assert_int_equal(frame_kind(mfn), FRAME_TABLE);
}

static void a_block_is_aligned_and_each_of_its_frames_is_in_use(void **state)
{
	for (unsigned order = 0; order <= 9; order++) {
		struct mfn mfn = take(order);

		assert_true(IS_ALIGNED(mfn.raw, 1ull << order));
		for (u64 i = 0; i < 1ull << order; i++) {
			assert_int_equal(frame_kind(mfn_add(mfn, i)), FRAME_GUEST);
			assert_int_equal(frame_refs(mfn_add(mfn, i)), 1);
		}
	}
}

static void a_zeroed_block_is_zero_whatever_was_in_it(void **state)
{
	struct mfn mfn = take(3);

	memset(content(mfn), 0xee, 8 * PAGE_SIZE);
	frame_free(mfn, 3);
	assert_int_equal(frame_alloc(3, FRAME_GUEST, FRAME_ZERO, &mfn), 0);
	for (u64 i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(content(mfn)[i], 0);
}

static void running_out_is_an_error_that_changes_nothing(void **state)
{
	static struct mfn mfns[BYTES / PAGE_SIZE];
	u64 count = take_all(0, mfns, ARRAY_SIZE(mfns));
	struct mfn out = {0x1234};
	struct frame_stats stats;

	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &out), ERR_NO_MEMORY); /* FRAME-4 */
	assert_int_equal(frame_alloc(5, FRAME_GUEST, 0, &out), ERR_NO_MEMORY);
	assert_int_equal(out.raw, 0x1234);
	frame_stats(&stats);
	assert_int_equal(stats.free, 0);
	assert_int_equal(stats.guest, count);
	assert_int_equal(stats.largest, -1);
	frame_free(mfns[17], 0);
	assert_int_equal(take(0).raw, mfns[17].raw);
}

static void an_order_beyond_the_largest_is_refused(void **state)
{
	struct mfn out = {0x1234};

	assert_int_equal(frame_alloc(FRAME_MAX_ORDER + 1, FRAME_GUEST, 0, &out), ERR_INVALID);
	assert_int_equal(frame_alloc(64, FRAME_GUEST, 0, &out), ERR_INVALID);
	assert_int_equal(out.raw, 0x1234);
}

/* The blocks in the lists once every section is open: an allocation that fails has opened them. */
static struct frame_blocks all_blocks(void)
{
	struct mfn none;

	assert_int_equal(frame_alloc(FRAME_MAX_ORDER, FRAME_GUEST, 0, &none), ERR_NO_MEMORY);
	return frame_check_lists();
}

static void freed_frames_join_again_to_the_blocks_they_came_from(void **state)
{
	static struct mfn mfns[BYTES / PAGE_SIZE];
	struct frame_blocks before = all_blocks(), after;
	u64 count = take_all(0, mfns, ARRAY_SIZE(mfns));

	for (u64 i = 0; i < count; i += 2)
		frame_free(mfns[i], 0);
	for (u64 i = 1; i < count; i += 2)
		frame_free(mfns[i], 0);
	/* What the cache still holds comes back when a block cannot be had otherwise. */
	after = all_blocks();
	assert_memory_equal(&before, &after, sizeof(before));
}

static void a_block_may_be_freed_in_pieces_in_any_order(void **state)
{
	struct frame_blocks before = all_blocks(), after;
	struct mfn mfn = take(9);

	frame_free(mfn_add(mfn, 256), 8);
	frame_free(mfn_add(mfn, 1), 0);
	frame_free(mfn_add(mfn, 128), 7);
	for (unsigned i = 2; i < 128; i++)
		frame_free(mfn_add(mfn, i), 0);
	frame_free(mfn, 0);
	after = all_blocks();
	assert_memory_equal(&before, &after, sizeof(before));
}

static void a_cpu_empties_its_own_cache_before_it_gives_up(void **state)
{
	static struct mfn mfns[BYTES / PAGE_SIZE], left[BYTES / PAGE_SIZE];
	u64 count = take_all(0, mfns, ARRAY_SIZE(mfns));
	struct mfn pair;

	for (u64 i = 0; i < count; i++)
		if ((mfns[i].raw | 1) == (mfns[0].raw | 1))
			frame_free(mfns[i], 0);
	assert_int_equal(frame_buddy.free, 0);
	assert_int_equal(frame_alloc(1, FRAME_GUEST, 0, &pair), 0); /* FRAME-5 */
	assert_int_equal(pair.raw, mfns[0].raw & ~1ull);
	assert_int_equal(take_all(0, left, ARRAY_SIZE(left)), 0);
}

static void another_cpus_cache_is_out_of_reach_and_small(void **state)
{
	static struct mfn mfns[BYTES / PAGE_SIZE], more[BYTES / PAGE_SIZE];
	u64 count = take_all(0, mfns, ARRAY_SIZE(mfns));
	struct frame_stats stats;

	sim_set_cpu(1);
	for (unsigned i = 0; i < 200; i++)
		frame_free(mfns[i], 0);
	sim_set_cpu(0);
	frame_stats(&stats);
	assert_true(stats.cached > 0 && stats.cached <= 64);
	assert_int_equal(take_all(0, more, ARRAY_SIZE(more)), 200 - stats.cached);
	sim_set_cpu(1);
	assert_int_equal(take_all(0, more, ARRAY_SIZE(more)), stats.cached);
	assert_true(count > 200);
}

static void a_single_frame_from_the_cache_takes_no_lock(void **state)
{
	struct mfn mfn = take(0);

	spin_lock(&frame_buddy.lock);
	frame_free(mfn, 0);
	mfn = take(0);
	spin_unlock(&frame_buddy.lock);
}

static void statistics_follow_each_kind(void **state)
{
	struct frame_stats before, now;
	struct mfn table, block;

	frame_stats(&before);
	assert_int_equal(frame_alloc(0, FRAME_TABLE, 0, &table), 0);
	assert_int_equal(frame_alloc(4, FRAME_HYPERVISOR, 0, &block), 0);
	frame_stats(&now);
	assert_int_equal(now.table, before.table + 1);
	assert_int_equal(now.hypervisor, before.hypervisor + 16);
	assert_int_equal(now.free, before.free - 17);
	assert_int_equal(now.total, before.total);
	sim_set_cpu(2); /* freed on another CPU than allocated */
	frame_free(table, 0);
	frame_free(block, 4);
	frame_stats(&now);
	assert_int_equal(now.table, before.table);
	assert_int_equal(now.hypervisor, before.hypervisor);
	assert_int_equal(now.free, before.free);
}

static void references_are_counted(void **state)
{
	struct mfn mfn = take(0);

	frame_get(mfn);
	assert_int_equal(frame_refs(mfn), 2);
	assert_false(frame_put(mfn));
	assert_true(frame_put(mfn));
	sim_panics(frame_get(mfn), "CHECK"); /* it has no user any more */
	frame_record(mfn)->refs = 0;
	sim_panics((void)frame_put(mfn), "CHECK");
}

static void freeing_what_is_not_in_use_panics(void **state)
{
	struct mfn mfn = take(0), block = take(2);

	frame_free(mfn, 0);
	sim_panics(frame_free(mfn, 0), "not in use"); /* FRAME-6 */
	frame_free(mfn_add(block, 2), 0);
	sim_panics(frame_free(block, 2), "cannot be freed");
	sim_panics(frame_free((struct mfn){0}, 0), "not in use");
	sim_panics(frame_free((struct mfn){1ull << 40}, 0), "not in use");
	sim_panics(frame_free((struct mfn){(MIB + BYTES) >> PAGE_SHIFT}, 0), "not in use");
}

static int restart(void **state)
{
	sim_boot(CPUS, BYTES); /* after panics nothing adds up */
	return 0;
}

static void freeing_what_is_still_shared_panics(void **state)
{
	struct mfn mfn = take(0);

	frame_get(mfn);
	sim_panics(frame_free(mfn, 0), "2 references");
}

static void freeing_a_piece_that_is_not_aligned_panics(void **state)
{
	struct mfn mfn = take(2);

	sim_panics(frame_free(mfn_add(mfn, 1), 1), "CHECK");
}

static void freeing_frames_of_two_kinds_at_once_panics(void **state)
{
	struct mfn mfn = take(1);

	frame_record(mfn_add(mfn, 1))->kind = FRAME_TABLE;
	sim_panics(frame_free(mfn, 1), "cannot be freed");
}

static void asking_for_a_free_frame_as_such_panics(void **state)
{
	struct mfn mfn;

	sim_panics((void)!frame_alloc(0, FRAME_FREE, 0, &mfn), "CHECK");
	sim_panics((void)!frame_alloc(0, FRAME_RESERVED, 0, &mfn), "CHECK");
}

static void a_write_to_a_free_frame_is_found_at_its_next_allocation(void **state)
{
	struct mfn mfn = take(0);

	if (!IS_ENABLED(CONFIG_FRAME_POISON))
		skip();
	frame_free(mfn, 0);
	content(mfn)[77] = 42;
	sim_panics((void)take(0), "word 77 is 0x2a"); /* POISON-1 */
}

static void a_frame_never_allocated_may_hold_anything(void **state)
{
	struct mfn mfn = take(0), next;

	frame_free(mfn, 0);
	next = take(0);
	assert_int_equal(next.raw, mfn.raw);
	memset(content(mfn_add(mfn, 1)), 0xcc, PAGE_SIZE); /* what firmware left there */
	(void)take(0);
	(void)take(1);
}

/* Which of 64 allocations fail, as bits. */
static u64 failures(u64 one_in, u64 seed)
{
	struct mfn mfns[64];
	u64 failed = 0;

	frame_fail_set(one_in, seed);
	for (unsigned i = 0; i < 64; i++)
		if (frame_alloc(i % 2, FRAME_GUEST, 0, &mfns[i]))
			failed |= BIT(i);
	assert_int_equal(frame_fail_count(), __builtin_popcountll(failed));
	frame_fail_set(0, 0);
	for (unsigned i = 0; i < 64; i++)
		if (!(failed & BIT(i)))
			frame_free(mfns[i], i % 2);
	return failed;
}

static void one_allocation_in_so_many_fails(void **state)
{
	assert_true(failures(0, 1) == 0);
	assert_true(failures(1, 1) == ~0ull);
	assert_in_range(__builtin_popcountll(failures(4, 1)), 6, 28);
}

static void which_allocations_fail_follows_from_seed_and_cpu(void **state)
{
	u64 first = failures(4, 7);

	assert_true(failures(4, 7) == first); /* FAIL-2 */
	assert_true(failures(4, 8) != first);
	sim_set_cpu(1);
	assert_true(failures(4, 7) != first);
	sim_set_cpu(0);
}

/* FAIL-1. */
static void an_allocation_that_fails_on_purpose_changes_nothing(void **state)
{
	struct frame_stats before, after;
	struct mfn mfn = {5};

	frame_stats(&before);
	frame_fail_set(1, 1);
	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &mfn), ERR_NO_MEMORY);
	assert_int_equal(frame_alloc(3, FRAME_GUEST, 0, &mfn), ERR_NO_MEMORY);
	frame_fail_set(0, 0);
	frame_stats(&after);
	assert_int_equal(mfn.raw, 5);
	assert_int_equal(after.free, before.free);
	assert_int_equal(after.cached, before.cached);
}

static void a_gib_can_be_had_in_one_block(void **state)
{
	struct mfn mfn;

	sim_boot(1, 5 * GIB); /* the third and the fourth GiB are buddies, and stay two blocks */
	assert_int_equal(frame_alloc(FRAME_MAX_ORDER, FRAME_HYPERVISOR, 0, &mfn), 0);
	assert_true(IS_ALIGNED(mfn.raw, 1ull << FRAME_MAX_ORDER));
}

#define HELD 200

/* Takes and gives at random; what it holds bears its mark, which no other may overwrite. */
static void *churn(void *argument)
{
	unsigned cpu = (unsigned)(uintptr_t)argument;
	struct sim_random random = {cpu};
	struct {
		struct mfn mfn;
		unsigned order;
	} held[HELD] = {0};

	sim_set_cpu(cpu);
	for (unsigned i = 0; i < 40000; i++) {
		u64 at = sim_below(&random, HELD);
		unsigned order = sim_once_in(&random, 8) ? (unsigned)sim_below(&random, 4) : 0;

		if (held[at].mfn.raw) {
			if (content(held[at].mfn)[5] != (held[at].mfn.raw << 8) + cpu)
				return (char *)argument + 1; /* another writer */
			frame_free(held[at].mfn, held[at].order);
			held[at].mfn.raw = 0;
		} else if (frame_alloc(order, FRAME_GUEST, 0, &held[at].mfn) == 0) {
			held[at].order = order;
			content(held[at].mfn)[5] = (held[at].mfn.raw << 8) + cpu;
		}
	}
	for (unsigned at = 0; at < HELD; at++)
		if (held[at].mfn.raw)
			frame_free(held[at].mfn, held[at].order);
	return NULL;
}

static void four_cpus_at_once_never_hold_the_same_frame(void **state)
{
	pthread_t threads[CPUS];
	struct frame_stats stats;

	for (uintptr_t cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(pthread_create(&threads[cpu], NULL, churn, (void *)cpu), 0);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		void *complaint;

		assert_int_equal(pthread_join(threads[cpu], &complaint), 0);
		assert_null(complaint);
	}
	frame_stats(&stats);
	assert_int_equal(stats.free, stats.total);
}

#define test(name)	  cmocka_unit_test_setup_teardown(name, start, finish)
#define test_panics(name) cmocka_unit_test_setup_teardown(name, start, restart)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_allocated_frame_is_fresh),
		test(a_block_is_aligned_and_each_of_its_frames_is_in_use),
		test(a_zeroed_block_is_zero_whatever_was_in_it),
		test(running_out_is_an_error_that_changes_nothing),
		test(an_order_beyond_the_largest_is_refused),
		test(freed_frames_join_again_to_the_blocks_they_came_from),
		test(a_block_may_be_freed_in_pieces_in_any_order),
		test(a_cpu_empties_its_own_cache_before_it_gives_up),
		test(another_cpus_cache_is_out_of_reach_and_small),
		test(a_single_frame_from_the_cache_takes_no_lock),
		test(statistics_follow_each_kind),
		test_panics(references_are_counted),
		test_panics(freeing_what_is_not_in_use_panics),
		test_panics(freeing_what_is_still_shared_panics),
		test_panics(freeing_a_piece_that_is_not_aligned_panics),
		test_panics(freeing_frames_of_two_kinds_at_once_panics),
		test_panics(asking_for_a_free_frame_as_such_panics),
		test_panics(a_write_to_a_free_frame_is_found_at_its_next_allocation),
		test(a_frame_never_allocated_may_hold_anything),
		test(one_allocation_in_so_many_fails),
		test(which_allocations_fail_follows_from_seed_and_cpu),
		test(an_allocation_that_fails_on_purpose_changes_nothing),
		test(a_gib_can_be_had_in_one_block),
		test(four_cpus_at_once_never_hold_the_same_frame),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
