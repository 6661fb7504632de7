/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.c: pages whose frames are taken read the same when they come back, and what may not go
 * stays.
 *
 * RECLAIM-1 to RECLAIM-3; races with writers are in unit/mm/space/race.c, mixtures with all other
 *           operations in unit/mm/space/model.c and unit/mm/stage2/model.c.
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>
#include <mm/guest_cache.h>
#include <mm/reclaim.h>

#include "mm/store/compress.h"
#include "mm/stage2/private.h"

#define WORDS (PAGE_SIZE / sizeof(u64))
#define KINDS 5

/* Contents of five kinds, from zeroes to chance. */
static void fill_page(u64 *page, unsigned kind, struct sim_random *random)
{
	for (unsigned i = 0; i < WORDS; i++) {
		const u64 words[KINDS] = {0, sim_below(random, 1000),
					  0x7fff00000000 + sim_below(random, 4) * 0x10000 + i * 8,
					  sim_once_in(random, 3) ? sim_random(random) : 0,
					  sim_random(random)};

		page[i] = words[kind];
	}
}

static void a_page_decompresses_to_what_it_was(void **state)
{
	struct sim_random random = sim_random_start(71);
	u64 page[WORDS], back[WORDS];
	size_t size[KINDS];
	u8 out[PAGE_SIZE + 256];

	for (unsigned round = 0; round < 2000; round++) {
		unsigned kind = round % KINDS;

		fill_page(page, kind, &random);
		memset(out, 0xee, sizeof(out));
		size[kind] = page_compress(page, out, PAGE_SIZE + 128);
		assert_true(size[kind] && out[size[kind]] == 0xee);
		page_decompress(out, back);
		assert_memory_equal(page, back, PAGE_SIZE);
		memset(out, 0xee, sizeof(out));
		assert_int_equal(page_compress(page, out, size[kind] - 1), 0);
		assert_int_equal(out[size[kind] - 1], 0xee);
	}
	print_message("# bytes by kind: %zu %zu %zu %zu %zu\n", size[0], size[1], size[2], size[3],
		      size[4]);
	assert_int_equal(size[0], 128);
	assert_true(size[1] < 1800 && size[2] < 1800 && size[3] < 2000);
	assert_int_equal(size[4], PAGE_SIZE + 128);
}

static void *page_of(struct addrspace *as, u64 gfn)
{
	return arch_hpa_to_virt(mfn_to_hpa((struct mfn){world_mfn(as, gfn)}));
}

static u64 frames_now(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.free;
}

/* How many pages of the range gave up their frames; `err`: what else the answer is. */
static u64 reclaim(struct addrspace *as, u64 gfn, u64 frames, int err)
{
	u64 done = 0;

	assert_int_equal(addrspace_reclaim(as, world_range(gfn, frames), &done), err);
	return done;
}

static void audit(void)
{
	struct audit_report report;

	if (audit_run(0, &report))
		fail_msg("%s", sim_console());
}

/* RECLAIM-1, for every kind of content that compresses, and the one that does not stays. */
static void comes_back(const struct notifier_policy *policy, enum retry_mode retry)
{
	struct sim_random random = {.state = 72};
	u64 page[WORDS], value, free;
	struct addrspace *as;
	struct stage2 *s2;

	world_begin(1, 8);
	assert_int_equal(reclaim_init(), 0);
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	addrspace_set_retry(as, retry);
	s2 = world_stage2(as);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		fill_page(page, kind, &random);
		assert_int_equal(guest_write(s2, kind * PAGE_SIZE, 1), FAULT_MAPPED);
		memcpy(page_of(as, kind), page, PAGE_SIZE);
		free = frames_now();
		assert_int_equal(reclaim(as, kind, 1, 0), kind != 4);
		assert_true(kind == 4 ? frames_now() == free : frames_now() >= free);
		assert_int_equal(world_mfn(as, kind) == 0, kind != 4);
		audit();
		assert_int_equal(guest_read(s2, kind * PAGE_SIZE, &value), FAULT_MAPPED);
		assert_memory_equal(page_of(as, kind), page, PAGE_SIZE);
	}
	assert_int_equal(reclaim(as, 15, 1, 0), 0);
	assert_int_equal(reclaim(as, 15, 2, ERR_RANGE), 0);
	assert_int_equal(reclaim(as, 0, 0, ERR_INVALID), 0);
	assert_int_equal(reclaim(as, ~0ull, 2, ERR_INVALID), 0);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

/* STORE-1. */
static void a_reclaimed_page_comes_back_as_it_was(void **state)
{
	world_each_policy(comes_back);
}

static struct addrspace *as;
static struct stage2 *s2;

/* Pages 0 to 7 hold 100 to 107; all but 7 are reclaimed. */
static void open_world(void)
{
	world_begin(1, 8);
	as = world_space(16);
	s2 = world_stage2(as);
	for (u64 gfn = 0; gfn < 8; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, 100 + gfn), FAULT_MAPPED);
	assert_int_equal(reclaim(as, 0, 7, 0), 7);
}

static void close_world(void)
{
	audit();
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static void expect_word(u64 gfn, u64 want)
{
	u64 value;

	assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, want);
}

static void rights_and_marks_outlive_the_frame(void **state)
{
	u64 bitmap;

	open_world();
	assert_true(addrspace_is_soft_dirty(as, (struct gfn){1}));
	assert_int_equal(addrspace_protect(as, world_range(0, 2), false), 0);
	assert_int_equal(guest_write(s2, 0, 1), FAULT_READ_ONLY);
	expect_word(0, 100);
	assert_int_equal(addrspace_protect(as, world_range(0, 2), true), 0);
	assert_int_equal(guest_write(s2, PAGE_SIZE, 1), FAULT_MAPPED);
	expect_word(1, 1);
	assert_int_equal(dirty_log_collect(as, world_range(0, 16), &bitmap), 0);
	assert_int_equal(bitmap, 0xff);
	expect_word(2, 102);
	assert_int_equal(guest_write(s2, 3 * PAGE_SIZE, 1), FAULT_MAPPED);
	assert_int_equal(dirty_log_collect(as, world_range(0, 16), &bitmap), 0);
	assert_int_equal(bitmap, BIT(3));
	close_world();
}

static void every_other_operation_knows_a_reclaimed_page(void **state)
{
	struct guest_cache *cache;
	struct cow_look look;
	u64 word = 7;
	void *place;

	open_world();
	assert_int_equal(guest_cache_create(as, &cache), 0);
	assert_int_equal(addrspace_migrate(as, (struct gfn){0}), ERR_BUSY);
	assert_int_equal(cow_protect(as, world_range(0, 1)), 0);
	assert_int_equal(cow_look(as, (struct gfn){0}, &look), ERR_BUSY);
	assert_int_equal(cow_break(as, (struct gfn){0}), 0);
	assert_int_equal(addrspace_populate(as, world_range(0, 16)), 0);
	assert_int_equal(world_mfn(as, 0), 0);
	assert_int_equal(addrspace_pin(as, (struct gfn){0}), 0);
	assert_int_equal(reclaim(as, 0, 8, 0), 1);
	expect_word(0, 100);
	assert_int_equal(addrspace_read(as, (struct gpa){PAGE_SIZE}, &word, 8), 0);
	assert_int_equal(word, 101);
	assert_int_equal(addrspace_write(as, (struct gpa){2 * PAGE_SIZE + 8}, &word, 8), 0);
	expect_word(2, 102);
	assert_int_equal(guest_cache_get(cache, (struct gpa){3 * PAGE_SIZE}, 8, true, &place), 0);
	assert_int_equal(*(u64 *)place, 103);
	guest_cache_put(cache, (struct gpa){3 * PAGE_SIZE});
	assert_int_equal(addrspace_clear(as, world_range(4, 1), 0), 0);
	expect_word(4, 0);
	assert_int_equal(addrspace_split(as, world_range(0, 16)), 0);
	assert_int_equal(addrspace_exclusive(as, (struct gfn){5}, NULL), 0);
	expect_word(5, 105);
	guest_cache_destroy(cache);
	close_world();
}

/*
 * STORE-2: twice as much content as memory; a fault without a free frame takes those of cold
 * pages, and the guest reads what it wrote.
 */
static void a_guest_outgrows_the_machine(void **state)
{
	const u64 pages = 1536;
	struct reclaim_stats before, stats;

	world_begin(1, 4);
	assert_int_equal(reclaim_init(), 0);
	reclaim_stats(&before);
	as = world_space(pages);
	s2 = world_stage2(as);
	for (u64 round = 0; round < 3; round++)
		for (u64 gfn = 0; gfn < pages; gfn++) {
			u64 value = 0, tries = 0;

			while (guest_read(s2, gfn * PAGE_SIZE, &value) == FAULT_NO_MEMORY)
				assert_true(
					(reclaim_cold(as, 16) > 0 || reclaim_cold(as, 16) > 0) &&
					++tries < 3);
			assert_int_equal(value, round ? gfn * round : 0);
			while (guest_write(s2, gfn * PAGE_SIZE, gfn * (round + 1)) ==
			       FAULT_NO_MEMORY)
				assert_true(
					(reclaim_cold(as, 16) > 0 || reclaim_cold(as, 16) > 0) &&
					++tries < 3);
		}
	audit();
	reclaim_stats(&stats);
	assert_true(stats.reclaimed - before.reclaimed > pages);
	assert_true(stats.restored - before.restored > pages);
	assert_true(stats.kept > 500 && stats.bytes < stats.kept * 300);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
	reclaim_stats(&stats);
	assert_int_equal(stats.kept, 0);
	world_end();
}

/* However large the VM is, and whatever its pages are: a call is a part of somebody's fault. */
static void a_call_looks_at_a_bounded_number_of_pages(void **state)
{
	const u64 pages = 2 * RECLAIM_LOOKS + 8;

	world_begin(1, 32);
	as = world_space(pages);
	s2 = world_stage2(as);
	for (u64 gfn = 0; gfn < pages; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, gfn), FAULT_MAPPED);
	for (u64 gfn = RECLAIM_LOOKS; gfn < 2 * RECLAIM_LOOKS; gfn++)
		assert_int_equal(addrspace_pin(as, (struct gfn){gfn}), 0);
	assert_int_equal(reclaim_cold(as, 4), 0); /* touched, all of them */
	assert_int_equal(as->hand.raw, RECLAIM_LOOKS);
	assert_int_equal(reclaim_cold(as, 4), 0); /* pinned */
	assert_int_equal(as->hand.raw, 2 * RECLAIM_LOOKS);
	assert_int_equal(reclaim_cold(as, 4), 0); /* the end of the round */
	assert_int_equal(as->hand.raw, 0);
	assert_int_equal(reclaim_cold(as, 4), 4);
	assert_int_equal(as->hand.raw, 4);
	for (u64 gfn = RECLAIM_LOOKS; gfn < 2 * RECLAIM_LOOKS; gfn++)
		addrspace_unpin(as, (struct gfn){gfn});
	close_world();
}

/* The hand passes over what was touched since it came by. */
static void only_cold_pages_go(void **state)
{
	world_begin(1, 8);
	as = world_space(16);
	s2 = world_stage2(as);
	for (u64 gfn = 0; gfn < 16; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, gfn), FAULT_MAPPED);
	assert_int_equal(addrspace_pin(as, (struct gfn){0}), 0);
	assert_int_equal(reclaim_cold(as, 4), 0); /* all were touched, and lose the mark */
	assert_int_equal(reclaim_cold(as, 4), 4);
	for (u64 gfn = 0; gfn < 16; gfn++)
		assert_int_equal(world_mfn(as, gfn) == 0, gfn >= 1 && gfn <= 4);
	/* The simulated TLB still has them; after this it asks again. */
	assert_int_equal(addrspace_exclusive(as, (struct gfn){5}, NULL), 0);
	assert_int_equal(addrspace_exclusive(as, (struct gfn){7}, NULL), 0);
	expect_word(5, 5);
	expect_word(7, 7);
	assert_int_equal(reclaim_cold(as, 2), 2);
	for (u64 gfn = 5; gfn < 9; gfn++)
		assert_int_equal(world_mfn(as, gfn) == 0, gfn == 6 || gfn == 8);
	assert_int_equal(reclaim_cold(as, 100), 7);
	assert_int_equal(reclaim_cold(as, 100), 2);
	assert_int_equal(reclaim_cold(as, 100), 0);
	for (u64 gfn = 0; gfn < 16; gfn++)
		expect_word(gfn, gfn);
	close_world();
}

/* One notification each way for 32 pages, and one flush. */
static void neighbours_go_together(void **state)
{
	struct stage2_stats before, after;

	world_begin(1, 8);
	as = world_space(256);
	s2 = world_stage2(as);
	for (u64 gfn = 0; gfn < 256; gfn++)
		assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, gfn), FAULT_MAPPED);
	guest_out();
	stage2_stats(s2, &before);
	assert_int_equal(reclaim(as, 0, 256, 0), 256);
	stage2_stats(s2, &after);
	assert_int_equal(after.flushes - before.flushes, 2 * 256 / 32);
	expect_word(77, 77);
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_decompresses_to_what_it_was),
		cmocka_unit_test(a_reclaimed_page_comes_back_as_it_was),
		cmocka_unit_test(rights_and_marks_outlive_the_frame),
		cmocka_unit_test(every_other_operation_knows_a_reclaimed_page),
		cmocka_unit_test(a_guest_outgrows_the_machine),
		cmocka_unit_test(a_call_looks_at_a_bounded_number_of_pages),
		cmocka_unit_test(only_cold_pages_go),
		cmocka_unit_test(neighbours_go_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
