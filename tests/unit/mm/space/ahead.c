/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c: breaks of sharing ahead of a guest that writes page after page (AHEAD-1, AHEAD-2), and
 * `establish` beside another operation on the page.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"
#include "writer.h"

#include <mm/frame.h>

#define PAGES  64
#define SHARED 60 /* of them, from the first; the others are absent */
#define MOST   16
#define VALUE  77

static void setup(void *world)
{
	u64 gfns[SHARED], value;

	for (unsigned i = 0; i < SHARED; i++)
		gfns[i] = i;
	as = world_space(PAGES);
	addrspace_set_ahead(as, MOST);
	world_share(as, gfns, SHARED, VALUE);
	s2 = world_stage2(as);
	for (unsigned i = 0; i < SHARED; i++)
		assert_int_equal(guest_read(s2, i * PAGE_SIZE, &value), FAULT_MAPPED);
}

static void expect_word(u64 gfn, u64 expected)
{
	u64 value;

	assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, expected);
}

static void expect_breaks(u64 all, u64 ahead)
{
	u64 found;

	assert_int_equal(addrspace_breaks(as, &found), all);
	assert_int_equal(found, ahead);
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
	expect_breaks(47, 41);
	for (u64 gfn = 0; gfn < SHARED; gfn++)
		expect_word(gfn, gfn >= 10 && gfn < 57 ? gfn : VALUE);
	end();
}

static void a_window_has_one_notification_and_one_flush(void **state)
{
	struct stage2_stats before, after;

	begin();
	for (u64 gfn = 10; gfn < 25; gfn++)
		write_page(gfn);
	stage2_stats(s2, &before);
	write_page(25);
	stage2_stats(s2, &after);
	expect_breaks(31, 26);
	assert_int_equal(notifier_events(addrspace_notifier(as), EVENT_COW_BREAK), 9);
	assert_int_equal(after.flushes - before.flushes, 2);
	end();
}

static void a_single_write_breaks_its_page_alone(void **state)
{
	begin();
	for (u64 gfn = 0; gfn < SHARED; gfn += 3)
		write_page(gfn);
	expect_breaks(SHARED / 3, 0);
	end();
}

static void four_streams_go_on_side_by_side(void **state)
{
	begin();
	for (u64 i = 0; i < 2; i++)
		for (u64 stream = 0; stream < 4; stream++)
			write_page(stream * 15 + i);
	expect_breaks(12, 4);
	end();
}

static void pages_of_their_own_and_absent_ones_stay(void **state)
{
	u64 frame;

	begin();
	write_page(58);
	frame = world_mfn(as, 58);
	for (u64 gfn = 54; gfn < 58; gfn++)
		write_page(gfn);
	assert_int_equal(world_mfn(as, 58), frame);
	assert_int_equal(world_mfn(as, 60), 0);
	expect_word(58, 58);
	expect_breaks(6, 2);
	end();
}

/* What the guest may not write stays shared: a page of ROM between pages of RAM. */
static void read_only_pages_stay(void **state)
{
	const u64 gfns[] = {8, 9, 10, 11, 12};
	u64 frame;

	world_begin(2, 64);
	assert_int_equal(addrspace_create("test", &as), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(0, 10), SLOT_RAM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(10, 1), SLOT_ROM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(11, 8), SLOT_RAM), 0);
	addrspace_set_ahead(as, MOST);
	world_share(as, gfns, ARRAY_SIZE(gfns), VALUE);
	s2 = world_stage2(as);
	frame = world_mfn(as, 10);
	write_page(8);
	write_page(9);
	assert_int_equal(world_mfn(as, 10), frame);
	expect_word(10, VALUE);
	expect_breaks(2, 0);
	end();
}

/* The last gfn of all has none after it, and the first one is not that. */
static void a_stream_ends_at_the_last_gfn(void **state)
{
	const u64 gfns[] = {0, 1, GFN_END - 3, GFN_END - 2, GFN_END - 1};
	u64 frame;

	world_begin(2, 64);
	assert_int_equal(addrspace_create("test", &as), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(0, 2), SLOT_RAM), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(GFN_END - 3, 3), SLOT_RAM), 0);
	addrspace_set_ahead(as, MOST);
	world_share(as, gfns, ARRAY_SIZE(gfns), VALUE);
	s2 = world_stage2(as);
	frame = world_mfn(as, 0);
	write_page(GFN_END - 2);
	write_page(GFN_END - 1);
	assert_int_equal(world_mfn(as, 0), frame);
	expect_breaks(2, 0);
	end();
}

static void one_page_is_the_page_itself(void **state)
{
	begin();
	addrspace_set_ahead(as, 1);
	for (u64 gfn = 10; gfn < 41; gfn++)
		assert_int_equal(write_exits(gfn), 1);
	expect_breaks(31, 0);
	end();
}

/* The stream's third fault, with the n-th allocation failing and all after it. */
static u64 breaks_with_frames(u64 n)
{
	u64 ahead, all;

	begin();
	for (u64 gfn = 10; gfn < 17; gfn++)
		write_page(gfn);
	sim_fail_frame_alloc(n, 100);
	write_page(17);
	sim_fail_frame_alloc(0, 0);
	all = addrspace_breaks(as, &ahead);
	assert_int_equal(all - ahead, 4);
	for (u64 gfn = 18; gfn < 26; gfn++)
		expect_word(gfn, VALUE);
	end();
	return ahead;
}

/* The page that faulted has its frame. As many more are broken as there are frames for. */
static void without_frames_the_pages_ahead_stay(void **state)
{
	u64 last = 4;

	for (u64 n = 2; last < 11; n++) {
		u64 now = breaks_with_frames(n);

		assert_in_range(now, last, last + 1);
		last = now;
		assert_true(n < 4 * MOST);
	}
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
	for (u64 gfn = 10; gfn < 20; gfn++)
		write_page(gfn);
	expect_breaks(10, 0);
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

static void clearer(void *world)
{
	assert_int_equal(addrspace_clear(as, world_range(13, 1), 0), 0);
}

static void check(void *world)
{
	static const u64 word[20] = {[8] = 8, [9] = 9, [11] = 11, [12] = 12};

	sim_set_cpu(0);
	for (u64 gfn = 0; gfn < ARRAY_SIZE(word); gfn++)
		expect_word(gfn, gfn == 13 || word[gfn] ? word[gfn] : VALUE);
	teardown();
}

static void beside_writes_and_clears(const struct notifier_policy *policy, enum retry_mode retry)
{
	struct sched_scenario scenario = {
		.setup = setup,
		.task = {streamer, neighbour, clearer},
		.check = check,
		.preemptions = 1,
	};

	if (!strcmp(notifier_policy_name(policy), "late"))
		return;
	addrspace_configure(policy, retry, READ_AS_READ, 1, 1);
	world_begin(4, 64);
	print_message("# %s: %lu schedules\n", notifier_policy_name(policy),
		      (unsigned long)sched_explore(&scenario));
	world_end();
	addrspace_configure(NULL, RETRY_INPLACE, READ_AS_READ, 1, 1);
}

/* In every schedule of one preemption no write is lost and no page shows another's content. */
static void pages_that_change_meanwhile_keep_what_they_have(void **state)
{
	world_each_policy(beside_writes_and_clears);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_faults_where_its_last_window_ended),
		cmocka_unit_test(a_window_has_one_notification_and_one_flush),
		cmocka_unit_test(a_single_write_breaks_its_page_alone),
		cmocka_unit_test(four_streams_go_on_side_by_side),
		cmocka_unit_test(pages_of_their_own_and_absent_ones_stay),
		cmocka_unit_test(read_only_pages_stay),
		cmocka_unit_test(a_stream_ends_at_the_last_gfn),
		cmocka_unit_test(one_page_is_the_page_itself),
		cmocka_unit_test(without_frames_the_pages_ahead_stay),
		cmocka_unit_test(without_memory_to_spare_the_pages_ahead_stay),
		cmocka_unit_test(pages_that_change_meanwhile_keep_what_they_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
