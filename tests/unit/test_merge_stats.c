/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_merge_stats.c: what merging says of itself: the reason of each page, Linux's names, the profit, and what the knowledge
 * costs (MERGE-4). What is said is held against the frame allocator, which cannot be told anything.
 */
#include "merge_check.h"

#include "mm/merge_private.h"

static const struct merge_limits limits = {.cap = 256, .zero = true};

static u64 frames_free(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.free;
}

static struct addrspace *begin(const struct merge_engine *engine, u64 mib, u64 pages)
{
	world_begin(1, mib);
	assert_int_equal(merge_configure(engine, &limits), 0);
	return world_space(pages);
}

static void end(struct addrspace *as)
{
	check_audit();
	merge_remove_all(as);
	addrspace_destroy(as);
	world_end();
}

/* --- Page numbers ------------------------------------------------------------------------------------------------------ */

#define FAR   BIT(24)
#define PAGES 512ull

/* As many frames as there are contents, whatever was written and taken back in between. */
static void check_frames(const u64 *wrote)
{
	bool seen[64] = {false};
	struct merge_stats stats;
	u64 distinct = 0;

	for (u64 page = 0; page < PAGES; page++) {
		distinct += !seen[wrote[page] % 64];
		seen[wrote[page] % 64] = true;
	}
	merge_stats(&stats);
	assert_int_equal(stats.pages_shared + stats.pages_unshared, distinct);
	assert_int_equal(stats.pages_sharing, PAGES - distinct);
}

/* Beyond what 24 bits count, a page number has bits in every part of a link. */
static void page_numbers_may_be_large(void **state)
{
	struct sim_random random = sim_random_start(29);

	(void)state;
	for (unsigned e = 0; e < MERGE_ENGINES; e++) {
		struct addrspace *as = begin(merge_engines[e], 512, FAR + PAGES);
		u64 wrote[PAGES];

		assert_int_equal(merge_add_marked(as, world_range(0, FAR), 0), 0);
		assert_int_equal(merge_add(as, world_range(FAR, PAGES), 0), 0);
		for (u64 page = 0; page < PAGES; page++)
			fill_page(as, FAR + page, wrote[page] = 1000 + page);
		for (unsigned round = 0; round < 20; round++) {
			(void)merge_scan(FAR + PAGES);
			for (unsigned i = 0; i < 100; i++) {
				u64 page = sim_below(&random, PAGES);

				wrote[page] = 64 + sim_below(&random, 64);
				fill_page(as, FAR + page, wrote[page]);
			}
		}
		for (u64 page = 0; page < PAGES; page++)
			fill_page(as, FAR + page, wrote[page] = 64 + wrote[page] % 64);
		for (unsigned n = 0; n < 40;
		     n++) /* the most volatile one is looked at every 32nd time */
			(void)merge_scan(FAR + PAGES);
		check_frames(wrote);
		end(as);
	}
}

static void more_pages_than_can_be_numbered_are_refused(void **state)
{
	(void)state;
	for (unsigned e = 0; e < MERGE_ENGINES; e++) {
		struct addrspace *as = begin(merge_engines[e], 256, BIT(30));
		u64 before;

		assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
		before = frames_free();
		assert_int_equal(merge_add(as, world_range(PAGES, MERGE_PAGES_MAX + 1ull), 0),
				 ERR_UNSUPPORTED);
		assert_int_equal(merge_add(as, world_range(PAGES, MERGE_PAGES_MAX - 1), 0),
				 ERR_UNSUPPORTED);
		assert_int_equal(before, frames_free());
		end(as);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_numbers_may_be_large),
		cmocka_unit_test(more_pages_than_can_be_numbered_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
