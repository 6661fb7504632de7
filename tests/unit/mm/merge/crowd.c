/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.c: a guest that makes its pages be in each other's way, as one that knew the hash's key
 * could.
 *
 * HASH-2, TREE-1: every operation of the index is bounded, whatever guests write. The cost is
 * sharing, of those pages; never a content.
 */
#include "sim/merge_check.h"

#include "mm/merge/content_hash.h"
#include "mm/merge/private.h"

#define PAGES	   2048u
#define LONG_PAGES 6000u
#define STRANGERS  8	 /* hash.c's */
#define REACH	   1024u /* hash.c's */
#define SLOTS	   8192u /* of LONG_PAGES */

static enum { ONE_HASH, FIRST_WORD, KEYED } hash;

u64 __real_page_content_hash(const void *page, const void *next);
u64 __wrap_page_content_hash(const void *page, const void *next);
u64 __wrap_page_content_hash(const void *page, const void *next)
{
	if (hash == KEYED)
		return __real_page_content_hash(page, next);
	return hash == ONE_HASH ? 0x5a5a5a : *(const u64 *)page;
}

/* The work of the index is counted by its looks at pages: merge_ref_of() asserts the lock. */
static u64 looks;

bool __real_spin_is_locked(struct spinlock *lock);
bool __wrap_spin_is_locked(struct spinlock *lock);
bool __wrap_spin_is_locked(struct spinlock *lock)
{
	looks++;
	return __real_spin_is_locked(lock);
}

static struct addrspace *as;
static struct stage2 *s2;
static u64 wrote[LONG_PAGES], pages;

static void begin_engine(const struct merge_engine *engine, u64 count)
{
	const struct merge_limits limits = {.cap = 256, .zero = true};

	world_begin(1, 64);
	assert_int_equal(merge_configure(engine, &limits), 0);
	pages = count;
	memset(wrote, 0, sizeof(wrote));
	as = world_space(pages);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, pages), 0), 0);
}

static void begin(u64 count)
{
	begin_engine(&merge_engine_hash, count);
}

static void write_page(u64 page, u64 value)
{
	assert_int_equal(guest_write(s2, page << PAGE_SHIFT, value), FAULT_MAPPED);
	wrote[page] = value;
}

/*
 * A pass, in which no page costs more than its searches may: one among stable frames, one among
 * unstable pages, and the comparisons under write protection.
 */
static void bounded_pass(void)
{
	struct merge_stats before, after;

	guest_out();
	merge_stats(&before);
	assert_int_equal(merge_scan(PAGES), PAGES);
	merge_stats(&after);
	assert_true(after.compares - before.compares <= (2 * STRANGERS + 2) * PAGES);
}

static void end(void)
{
	for (u64 page = 0; page < pages; page++) {
		u64 value;

		assert_int_equal(guest_read(s2, page << PAGE_SHIFT, &value), FAULT_MAPPED);
		assert_int_equal(value, wrote[page]);
	}
	guest_out();
	check_audit();
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	check_audit();
	world_end();
}

static void a_search_among_strangers_with_one_tag_ends(void **state)
{
	hash = ONE_HASH;
	begin(PAGES);
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 1 + page);
	for (unsigned i = 0; i < 4; i++)
		bounded_pass();
	end();
}

/* Pages that were strangers are written alike: all are found. */
static void strangers_that_become_matches_are_merged(void **state)
{
	struct merge_stats stats;

	hash = ONE_HASH;
	begin(PAGES);
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 1 + page);
	bounded_pass();
	bounded_pass();
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 7);
	for (unsigned i = 0; i < 4; i++)
		bounded_pass();
	merge_stats(&stats);
	assert_int_equal(stats.pages_shared, PAGES / 256);
	assert_int_equal(stats.pages_sharing, PAGES - PAGES / 256);
	end();
}

static u64 lost_in_a_pass(void)
{
	struct merge_stats before, after;

	guest_out();
	merge_stats(&before);
	assert_int_equal(merge_scan(pages), pages);
	merge_stats(&after);
	return after.lost_races - before.lost_races;
}

/*
 * One tag, the same first line, and a difference behind it: a stable frame that a search guesses is
 * the wrong one. A wrong guess is made once; then frames are compared in full.
 */
static void pages_that_differ_behind_the_sample_settle(void **state)
{
	struct merge_stats stats;
	u64 lost = 0;

	hash = ONE_HASH;
	begin(STRANGERS);
	for (u64 page = 0; page < pages; page++) {
		u64 behind = (page << PAGE_SHIFT) + 2 * KEY_SAMPLE;

		write_page(page, 7);
		assert_int_equal(guest_write(s2, behind, 1 + page % (STRANGERS - 2)), FAULT_MAPPED);
	}
	for (unsigned i = 0; i < 4; i++)
		lost += lost_in_a_pass();
	assert_true(lost > 0);
	assert_int_equal(lost_in_a_pass(), 0);
	merge_stats(&stats);
	assert_int_equal(stats.pages_shared, 2);
	assert_int_equal(stats.pages_sharing, 2);
	assert_int_equal(stats.pages_unshared, STRANGERS - 4);
	end();
}

static void random_writes_in_a_crowd_lose_nothing(void **state)
{
	struct sim_random random = sim_random_start(2017);

	hash = ONE_HASH;
	begin(PAGES);
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 1 + page);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = 0; i < 600; i++)
			write_page(sim_below(&random, PAGES), 1 + sim_below(&random, 40));
		bounded_pass();
		check_audit();
	}
	end();
}

/* A write past the dirty bits, as between two looks of a search. */
static void write_unseen(u64 page, u64 value)
{
	u64 *words = arch_hpa_to_virt(mfn_to_hpa((struct mfn){world_mfn(as, page)}));

	words[0] = wrote[page] = value;
}

/* tree.c's order: the first byte first. */
static u64 ordered(u64 number)
{
	return __builtin_bswap64(number + 1);
}

/*
 * TREE-1: pages in ascending order, as a list would have them; then each second one changes while
 * it is in the tree, and new ones are searched for among them.
 */
static void a_tree_stays_balanced_whatever_its_contents_become(void **state)
{
	const u64 steps = 2 * 12; /* 2 log2(PAGES + 1), rounded up */
	struct merge_stats before, after;

	begin_engine(&merge_engine_tree, PAGES);
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, ordered(page));
	guest_out();
	for (unsigned round = 0; round < 6; round++) {
		merge_stats(&before);
		assert_int_equal(merge_scan(PAGES), PAGES);
		merge_stats(&after);
		assert_true(after.compares - before.compares <= (2 * steps + 2) * PAGES);
		for (u64 page = round % 2; page < PAGES; page += 2)
			write_unseen(page, ordered((2 * round + 2) * PAGES - page));
		for (u64 page = round % 7; page < PAGES; page += 7)
			write_page(page, ordered((2 * round + 2) * PAGES + page));
		guest_out();
	}
	end();
}

/* hash.c's home_of(). */
static u32 home_of(u32 tag)
{
	return (tag * 2654435769u) >> 7 & (SLOTS - 1);
}

/* A crowd at the first slot, then a page for each slot after it: one run of slots. */
static void write_one_run(u32 crowd)
{
	bool taken[SLOTS] = {false};
	u64 page = 0, after = crowd;

	for (u32 tag = 1; page < crowd || after < pages; tag++) {
		u32 home = home_of(tag);

		if (home == 0 && page < crowd)
			write_page(page++, tag);
		if (home == 0 || home > pages - crowd || taken[home])
			continue;
		taken[home] = true;
		write_page(after++, tag);
	}
}

/* HASH-1, HASH-2. */
static void removals_from_a_run_of_slots_are_bounded(void **state)
{
	const u64 crowd = 500;

	hash = FIRST_WORD;
	begin(LONG_PAGES);
	write_one_run(crowd);
	guest_out();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(merge_scan(LONG_PAGES), LONG_PAGES);
	for (u64 page = 0; page < crowd; page++)
		write_page(page, TAG_MASK - page);
	guest_out();
	looks = 0;
	assert_int_equal(merge_scan(LONG_PAGES), LONG_PAGES);
	/* Half of REACH each, as the run is cut; a run without bound costs twice that. */
	assert_in_range(looks, crowd, crowd * REACH * 3 / 4);
	end();
}

/*
 * A visit makes a content stable that all unstable pages have meanwhile: a few of them are looked
 * up again at once, and all in the end.
 */
static void unstable_pages_are_called_a_few_at_a_time(void **state)
{
	struct merge_stats stats;

	hash = KEYED;
	begin_engine(&merge_engine_tree, PAGES);
	for (u64 page = 0; page < PAGES; page++)
		write_page(page, 1 + page);
	guest_out();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(merge_scan(PAGES), PAGES);
	for (u64 page = 2; page < PAGES; page++)
		write_unseen(page, 1);
	write_page(1, 1);
	guest_out();
	do {
		assert_int_equal(merge_scan(512), 512);
		merge_stats(&stats);
	} while (!stats.by_reason[MERGE_SHARED]);
	assert_in_range(stats.by_reason[MERGE_CANDIDATE], 1, 80);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(merge_scan(PAGES), PAGES);
	merge_stats(&stats);
	assert_int_equal(stats.by_reason[MERGE_SHARED], PAGES);
	end();
}

/* HASH-3: with a key of zeroes all pages with one word each have the same hash. */
static void contents_collide_by_chance_only(void **state)
{
	u64 page[PAGE_SIZE / sizeof(u64)] = {0}, collisions = 0;
	u32 tag[512];

	hash = KEYED;
	begin(PAGES);
	for (unsigned i = 0; i < ARRAY_SIZE(tag); i++) {
		page[i] = 0x123456789abcdef;
		tag[i] = (u32)page_content_hash(page, NULL) & TAG_MASK;
		page[i] = 0;
		for (unsigned j = 0; j < i; j++)
			collisions += tag[i] == tag[j];
	}
	assert_in_range(collisions, 0, 2);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_among_strangers_with_one_tag_ends),
		cmocka_unit_test(strangers_that_become_matches_are_merged),
		cmocka_unit_test(pages_that_differ_behind_the_sample_settle),
		cmocka_unit_test(random_writes_in_a_crowd_lose_nothing),
		cmocka_unit_test(removals_from_a_run_of_slots_are_bounded),
		cmocka_unit_test(unstable_pages_are_called_a_few_at_a_time),
		cmocka_unit_test(contents_collide_by_chance_only),
		cmocka_unit_test(a_tree_stays_balanced_whatever_its_contents_become),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
