/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch.c: frames and leaves ahead of a guest that touches page after page for the first time
 * (STREAM-1, AHEAD-3, AHEAD-4).
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/dirty_log.h>
#include <mm/frame.h>
#include <mm/reclaim.h>

#include "mm/space/space.h"
#include "writer.h"

#define PAGES 64
#define MOST  16

static void open_slots(void)
{
	addrspace_set_touch(as, MOST);
	s2 = world_stage2(as);
}

static void setup(void *world)
{
	as = world_space(PAGES);
	open_slots();
}

static void write_pages(u64 first, u64 last)
{
	for (u64 gfn = first; gfn <= last; gfn++)
		write_page(gfn);
}

static void expect_word(u64 gfn, u64 expected)
{
	u64 value;

	assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, expected);
}

static u64 mapped_ahead(void)
{
	struct stage2_stats stats;

	stage2_stats(s2, &stats);
	return stats.ahead;
}

static u64 backed(u64 first, u64 last)
{
	u64 sum = 0;

	for (u64 gfn = first; gfn <= last; gfn++)
		sum += world_mfn(as, gfn) != 0;
	return sum;
}

/* 10 begins the stream; 11, 13, 17, 25, 41 go on with it and take 1, 3, 7, 15, 15 pages along. */
static void a_stream_faults_where_its_last_window_ended(void **state)
{
	begin();
	for (u64 gfn = 10; gfn < 57; gfn++) {
		bool faults =
			gfn == 10 || gfn == 11 || gfn == 13 || gfn == 17 || gfn == 25 || gfn == 41;

		assert_int_equal(write_exits(gfn), faults);
	}
	assert_int_equal(mapped_ahead(), 41);
	assert_int_equal(backed(0, PAGES - 1), 47);
	for (u64 gfn = 10; gfn < 57; gfn++)
		expect_word(gfn, gfn);
	end();
}

static void a_stream_may_go_down(void **state)
{
	begin();
	for (u64 gfn = 57; gfn >= 11; gfn--) {
		bool faults =
			gfn == 57 || gfn == 56 || gfn == 54 || gfn == 50 || gfn == 42 || gfn == 26;

		assert_int_equal(write_exits(gfn), faults);
	}
	assert_int_equal(mapped_ahead(), 41);
	assert_int_equal(backed(0, PAGES - 1), 47);
	end();
}

/* At the first gfn there is none before it, and a stream that was there goes nowhere. */
static void a_stream_down_ends_at_the_first_gfn(void **state)
{
	begin();
	for (u64 gfn = 6; gfn-- > 0;)
		assert_int_equal(write_exits(gfn), gfn == 5 || gfn == 4 || gfn == 2);
	assert_int_equal(backed(0, PAGES - 1), 6);
	write_page(40);
	assert_int_equal(backed(0, PAGES - 1), 7);
	end();
}

static void a_single_touch_backs_its_page_alone(void **state)
{
	begin();
	for (u64 gfn = 0; gfn < PAGES; gfn += 3)
		assert_int_equal(write_exits(gfn), 1);
	assert_int_equal(mapped_ahead(), 0);
	assert_int_equal(backed(0, PAGES - 1), 22);
	end();
}

static void four_streams_go_on_side_by_side(void **state)
{
	begin();
	for (u64 i = 0; i < 2; i++)
		for (u64 stream = 0; stream < 4; stream++)
			write_page(stream * 15 + i);
	assert_int_equal(mapped_ahead(), 4);
	end();
}

static void one_page_is_the_page_itself(void **state)
{
	begin();
	addrspace_set_touch(as, 1);
	for (u64 gfn = 10; gfn < 41; gfn++)
		assert_int_equal(write_exits(gfn), 1);
	assert_int_equal(mapped_ahead(), 0);
	end();
}

/* What has a frame and no leaf is mapped, too: a kernel that the hypervisor has loaded. */
static void pages_that_are_backed_are_mapped(void **state)
{
	const u64 word = 99;

	begin();
	for (u64 gfn = 10; gfn < 25; gfn++)
		assert_int_equal(addrspace_write(as, (struct gpa){gfn * PAGE_SIZE}, &word, 8), 0);
	for (u64 gfn = 10; gfn < 25; gfn++) {
		expect_word(gfn, word);
		assert_true(guest_counters.exits <= 4);
	}
	assert_int_equal(mapped_ahead(), 11);
	end();
}

/* 12 is shared and has no leaf. */
static void read_up_to_a_shared_page(enum read_mode read)
{
	static const u64 gfns[] = {12, 40};

	begin();
	addrspace_set_read(as, read);
	world_share(as, gfns, 2, 7);
	for (u64 gfn = 10; gfn < 12; gfn++)
		expect_word(gfn, 0);
	assert_int_equal(mapped_ahead(), read == READ_AS_READ);
	expect_word(12, 7);
	assert_int_equal(world_mfn(as, 12) == world_mfn(as, 40), read == READ_AS_READ);
	end();
}

/* READ_AS_WRITE: a read breaks the sharing, whatever its guest has read before. */
static void shared_pages_as_write_are_left_to_their_fault(void **state)
{
	read_up_to_a_shared_page(READ_AS_READ);
	read_up_to_a_shared_page(READ_AS_WRITE);
}

/* A window is of one slot and one block of 512 pages, and the stream goes on behind the block. */
static void a_window_ends_with_its_slot(void **state)
{
	world_begin(2, 64);
	assert_int_equal(addrspace_create("test", &as), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(0, 8), SLOT_RAM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(8, 12), SLOT_RAM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(20, 8), SLOT_RAM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(28, 8), SLOT_ROM), 0);
	open_slots();
	write_pages(20, 27);
	for (u64 gfn = 19; gfn >= 8; gfn--)
		write_page(gfn);
	assert_int_equal(backed(0, 7), 0);
	assert_int_equal(backed(8, 27), 20);
	assert_int_equal(backed(28, 35), 0);
	expect_word(28, 0);
	expect_word(29, 0);
	assert_int_equal(backed(28, 35), 2);
	end();
}

static void a_window_ends_with_its_block(void **state)
{
	world_begin(2, 64);
	as = world_space(1024);
	open_slots();
	write_pages(490, 511);
	assert_int_equal(backed(512, 1023), 0);
	assert_int_equal(write_exits(512), 1);
	assert_int_equal(backed(512, 1023), MOST);
	assert_int_equal(write_exits(513), 0);
	end();
}

/* Touched and given back, or given back without a touch: it stays so until the guest uses it. */
static void pages_that_were_given_back_stay(void **state)
{
	begin();
	write_page(15);
	assert_int_equal(addrspace_balloon(as, world_range(14, 2), 0), 0);
	write_pages(10, 13);
	assert_int_equal(backed(14, 15), 0);
	assert_int_equal(backed(16, 16), 1);
	expect_word(15, 0);
	assert_int_equal(backed(14, 15), 1);
	end();
	begin();
	write_page(15);
	assert_int_equal(addrspace_balloon(as, world_range(14, 2), 0), 0);
	assert_int_equal(addrspace_protect(as, world_range(14, 2), false), 0);
	assert_int_equal(addrspace_protect(as, world_range(14, 2), true), 0);
	write_pages(10, 13);
	assert_int_equal(backed(14, 15), 0);
	assert_int_equal(backed(16, 16), 1);
	end();
}

static void pages_under_a_token_stay(void **state)
{
	u64 done;

	begin();
	write_pages(14, 15);
	assert_int_equal(reclaim_init(), 0);
	assert_int_equal(addrspace_reclaim(as, world_range(14, 2), &done), 0);
	assert_int_equal(done, 2);
	write_pages(10, 13);
	assert_int_equal(backed(14, 15), 0);
	assert_int_equal(backed(16, 16), 1);
	expect_word(14, 14);
	expect_word(15, 15);
	reclaim_fini();
	end();
}

/* A page that its guest may not write, though absent, keeps that. */
static void protected_pages_stay(void **state)
{
	begin();
	assert_int_equal(addrspace_protect(as, world_range(14, 1), false), 0);
	write_pages(10, 13);
	assert_int_equal(backed(14, 14), 0);
	assert_int_equal(backed(15, 16), 2);
	assert_int_equal(guest_write(s2, 14 * PAGE_SIZE, 1), FAULT_READ_ONLY);
	end();
}

/* VIEW-1 */
static void a_view_gets_what_it_allows(void **state)
{
	begin();
	assert_int_equal(stage2_view_restrict(s2, world_range(14, 1), PT_READ), 0);
	write_pages(10, 13);
	assert_int_equal(guest_write(s2, 14 * PAGE_SIZE, 1), FAULT_DENIED);
	assert_int_equal(stage2_view_restrict(s2, world_range(14, 1), PT_RWX), 0);
	end();
}

/*
 * A page ahead was not written: its leaf has no D. The collection after its frame came names it all
 * the same, since no earlier one has seen this content, and the next one does not.
 */
static void pages_ahead_are_clean(enum dirty_mode mode)
{
	struct stage2_stats before, after;
	u64 bitmap, value;

	begin();
	assert_int_equal(dirty_log_start(as, world_range(0, PAGES), mode), 0);
	for (u64 gfn = 10; gfn < 25; gfn++)
		assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	stage2_stats(s2, &before);
	assert_int_equal(dirty_log_collect(as, world_range(0, PAGES), &bitmap), 0);
	stage2_stats(s2, &after);
	assert_int_equal(bitmap, BITS(24, 10));
	assert_int_equal(after.flushes - before.flushes, mode == DIRTY_WRITE_PROTECT);
	assert_int_equal(dirty_log_collect(as, world_range(0, PAGES), &bitmap), 0);
	assert_int_equal(bitmap, 0);
	for (u64 gfn = 20; gfn < 22; gfn++) {
		struct gpa gpa = {gfn * PAGE_SIZE};

		write_page(gfn);
		if (mode == DIRTY_PML)
			dirty_log_pml(s2, &gpa, 1);
	}
	assert_int_equal(dirty_log_collect(as, world_range(0, PAGES), &bitmap), 0);
	assert_int_equal(bitmap, BITS(21, 20));
	dirty_log_stop(as);
	end();
}

static void a_page_ahead_is_written_when_its_guest_writes(void **state)
{
	pages_ahead_are_clean(DIRTY_WRITE_PROTECT);
	pages_ahead_are_clean(DIRTY_BITS);
	pages_ahead_are_clean(DIRTY_PML);
}

/* For reclaim and AGE a page ahead was not accessed. */
static void a_page_ahead_is_not_young(void **state)
{
	bool young;

	begin();
	write_pages(10, 17);
	assert_int_equal(addrspace_age(as, world_range(18, 7), &young), 0);
	assert_false(young);
	write_page(20);
	assert_int_equal(addrspace_age(as, world_range(18, 7), &young), 0);
	assert_true(young);
	end();
}

/* The stream's fourth fault, with the n-th allocation failing and all after it. */
static u64 backed_with_frames(u64 n)
{
	u64 found;

	begin();
	write_pages(10, 16);
	sim_fail_frame_alloc(n, 100);
	write_page(17);
	sim_fail_frame_alloc(0, 0);
	found = backed(18, PAGES - 1);
	for (u64 gfn = 18; gfn < 26; gfn++)
		expect_word(gfn, 0);
	end();
	return found;
}

/* The page that faulted has its frame. As many more are backed as there are frames for. */
static void without_frames_the_pages_ahead_stay(void **state)
{
	for (u64 n = 0; n <= 7; n++)
		assert_int_equal(backed_with_frames(n + 2), n);
}

/* No free block of 2 MiB: memory is short. */
static void without_memory_to_spare_the_pages_ahead_stay(void **state)
{
	struct mfn taken[8];
	unsigned count = 0;

	world_begin(2, 8);
	setup(NULL);
	while (frame_has_block(9) && count < ARRAY_SIZE(taken))
		assert_int_equal(frame_alloc(9, FRAME_GUEST, 0, &taken[count++]), 0);
	write_pages(10, 19);
	assert_int_equal(backed(0, PAGES - 1), 10);
	while (count)
		frame_free(taken[--count], 9);
	end();
}

static void streamer(void *world)
{
	write_page(8);
	write_page(9);
	write_page(11); /* 12 to 14 with it */
	guest_out();
}

static void neighbour(void *world)
{
	write_page(12);
	expect_word(12, 12);
	guest_out();
}

/* Its CPU is the first: it is preempted when it has dropped the leaves, before the pages change. */
static void clearer(void *world)
{
	const u64 word = 13;

	assert_int_equal(addrspace_clear(as, world_range(13, 2), 0), 0);
	assert_int_equal(addrspace_write(as, (struct gpa){13 * PAGE_SIZE}, &word, 8), 0);
}

static void check(void *world)
{
	static const u64 word[20] = {[8] = 8, [9] = 9, [11] = 11, [12] = 12, [13] = 13};

	sim_set_cpu(0);
	for (u64 gfn = 0; gfn < ARRAY_SIZE(word); gfn++)
		expect_word(gfn, word[gfn]);
	teardown();
}

static void beside_writes_and_clears(const struct notifier_policy *policy, enum retry_mode retry)
{
	struct sched_scenario scenario = {
		.setup = setup,
		.task = {clearer, streamer, neighbour},
		.check = check,
		.preemptions = 1,
	};

	addrspace_configure(policy, retry, READ_AS_READ, 1, 1);
	world_begin(4, 64);
	print_message("# %s: %lu schedules\n", notifier_policy_name(policy),
		      (unsigned long)sched_explore(&scenario));
	world_end();
	addrspace_configure(NULL, RETRY_INPLACE, READ_AS_READ, 1, 1);
}

/* In every schedule of one preemption no write is lost and no leaf outlives its frame. */
static void pages_that_change_meanwhile_keep_what_they_have(void **state)
{
	world_each_policy(beside_writes_and_clears);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_faults_where_its_last_window_ended),
		cmocka_unit_test(a_stream_may_go_down),
		cmocka_unit_test(a_stream_down_ends_at_the_first_gfn),
		cmocka_unit_test(a_single_touch_backs_its_page_alone),
		cmocka_unit_test(four_streams_go_on_side_by_side),
		cmocka_unit_test(one_page_is_the_page_itself),
		cmocka_unit_test(pages_that_are_backed_are_mapped),
		cmocka_unit_test(shared_pages_as_write_are_left_to_their_fault),
		cmocka_unit_test(a_window_ends_with_its_slot),
		cmocka_unit_test(a_window_ends_with_its_block),
		cmocka_unit_test(pages_that_were_given_back_stay),
		cmocka_unit_test(pages_under_a_token_stay),
		cmocka_unit_test(protected_pages_stay),
		cmocka_unit_test(a_view_gets_what_it_allows),
		cmocka_unit_test(a_page_ahead_is_written_when_its_guest_writes),
		cmocka_unit_test(a_page_ahead_is_not_young),
		cmocka_unit_test(without_frames_the_pages_ahead_stay),
		cmocka_unit_test(without_memory_to_spare_the_pages_ahead_stay),
		cmocka_unit_test(pages_that_change_meanwhile_keep_what_they_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
