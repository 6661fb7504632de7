/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c: what merging says of itself: the reason of each page, Linux's names, the profit, and
 * what the knowledge costs (MERGE-4). What is said is held against the frame allocator, which
 * gets no answer.
 */
#include "sim/merge_check.h"

#include <mm/dirty_log.h>

#include "mm/merge/private.h"

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

/* --- MERGE-4: metadata ----------------------------------------------------------------------- */

#define SURE BIT(15) /* pages from which on no rounding matters: 128 MiB */

/*
 * Everything is counted but what a pool's page has room for besides. `hash` has a bound (MERGE-4);
 * a node of `tree` is smaller than one of KSM.
 */
static void check_metadata(const struct merge_engine *engine, const struct merge_stats *stats,
			   u64 pages, u64 taken)
{
	u64 bytes = engine == &merge_engine_hash ? 16 : 64;
	u64 most = bytes * pages + (pages < SURE ? 6 * PAGE_SIZE : 0);

	assert_int_equal(stats->metadata_bytes, stats->metadata_unmerged_bytes);
	assert_in_range(stats->metadata_bytes, (taken - 2) * PAGE_SIZE, taken * PAGE_SIZE);
	assert_in_range(stats->metadata_bytes, 4 * pages, most);
	assert_int_equal(stats->general_profit, -(s64)stats->metadata_bytes);
}

static void fill_unlike(struct addrspace *as, u64 pages)
{
	for (u64 page = 0; page < pages; page++) {
		u64 value = page + 1;

		assert_int_equal(addrspace_write(as, (struct gpa){page << PAGE_SHIFT}, &value, 8),
				 0);
	}
}

/*
 * Pages that are all looked at and none merged: each with a content of its own, or nothing behind
 * it.
 */
static void measure(const struct merge_engine *engine, u64 pages, bool absent)
{
	struct addrspace *as = begin(engine, 128, pages);
	struct merge_stats stats;
	u64 before;

	if (!absent)
		fill_unlike(as, pages);
	assert_int_equal(dirty_log_start(as, world_range(0, pages), DIRTY_BITS), 0);
	before = frames_free();
	assert_int_equal(merge_add(as, world_range(0, pages), 0), 0);
	for (unsigned n = 0; n < 3; n++)
		(void)merge_scan(pages);
	merge_stats(&stats);
	assert_int_equal(stats.by_reason[absent ? MERGE_ABSENT : MERGE_UNIQUE], pages);
	check_metadata(engine, &stats, pages, before - frames_free());
	end(as);
}

/* The numbers of pages at which the tables have just grown are the worst. */
static void metadata_of_an_unmerged_page_is_bounded(void **state)
{
	static const u64 unlike[] = {512, 4096, 7169, 14337, 24577};
	static const u64 absent[] = {SURE, SURE + 1, 57345, 114689, 189349, BIT(18) + 1, 917505};

	for (unsigned e = 0; e < merge_engines(); e++) {
		for (unsigned i = 0; i < ARRAY_SIZE(unlike); i++)
			measure(merge_engine_at(e), unlike[i], false);
		for (unsigned i = 0; i < ARRAY_SIZE(absent); i++)
			measure(merge_engine_at(e), absent[i], true);
	}
}

/*
 * Groups of pages with one content each, which `hash` merges: at most 24 bytes a page, everything
 * counted. What a pool's pages have room for besides is not, at most a page for each size.
 */
static void measure_shared(u64 pages, u64 group)
{
	struct addrspace *as = begin(&merge_engine_hash, 192, pages);
	struct merge_stats stats;

	for (u64 page = 0; page < pages; page++) {
		u64 value = page / group + 1;

		assert_int_equal(addrspace_write(as, (struct gpa){page << PAGE_SHIFT}, &value, 8),
				 0);
	}
	assert_int_equal(dirty_log_start(as, world_range(0, pages), DIRTY_BITS), 0);
	assert_int_equal(merge_add(as, world_range(0, pages), 0), 0);
	for (unsigned n = 0; n < 3; n++)
		(void)merge_scan(pages);
	merge_stats(&stats);
	assert_true(stats.by_reason[MERGE_SHARED] + group > pages);
	assert_true(stats.metadata_bytes <= 24 * pages);
	end(as);
}

static void metadata_of_a_shared_page_is_bounded(void **state)
{
	static const u64 groups[] = {2, 3, 4, 5, 11, 44, 104};

	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
		measure_shared(SURE, groups[i]);
}

/* --- Page numbers ---------------------------------------------------------------------------- */

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

/* Beyond what 24 bits count. */
static void page_numbers_may_be_large(void **state)
{
	struct sim_random random = sim_random_start(29);

	for (unsigned e = 0; e < merge_engines(); e++) {
		struct addrspace *as = begin(merge_engine_at(e), 512, FAR + PAGES);
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
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct addrspace *as = begin(merge_engine_at(e), 256, BIT(30));
		u64 before;

		assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
		before = frames_free();
		assert_int_equal(merge_add(as, world_range(PAGES, MERGE_PAGES_MAX + 1), 0),
				 ERR_UNSUPPORTED);
		assert_int_equal(merge_add(as, world_range(PAGES, MERGE_PAGES_MAX - 1), 0),
				 ERR_UNSUPPORTED);
		assert_int_equal(before, frames_free());
		end(as);
	}
}

/* --- What a pass did -------------------------------------------------------------------------- */

/* Of the pass that ends next. */
static struct merge_work next_work(void)
{
	struct merge_work work;
	u64 before = merge_passes();

	while (merge_passes() == before)
		(void)merge_scan(1);
	merge_work(&work);
	assert_int_equal(work.pass, before + 1);
	return work;
}

/* The sum of `passes` passes. */
static struct merge_work works(unsigned passes)
{
	struct merge_work sum = {0};

	for (unsigned n = 0; n < passes; n++) {
		struct merge_work work = next_work();

		sum.owned = work.owned;
		sum.saved += work.saved;
		sum.read += work.read;
	}
	return sum;
}

/*
 * Two pages of one content, and one of another; then one of the two has a third content. The first
 * pass counts from what the test before has left.
 */
static void a_pass_counts_what_it_saved_and_read(void **state)
{
	struct addrspace *as = begin(merge_engine_at(0), 64, PAGES);
	struct merge_work work;

	assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
	(void)next_work();
	for (u64 page = 0; page < 3; page++)
		fill_page(as, page, page < 2 ? 5 : 6);
	work = works(6);
	assert_int_equal(work.saved, 1);
	assert_in_range(work.read, 3, 9);
	assert_int_equal(work.owned, 3);
	work = works(2);
	assert_int_equal(work.saved, 0);
	assert_int_equal(work.read, 0);
	fill_page(as, 0, 9);
	work = works(3);
	assert_int_equal(work.saved, -1);
	assert_in_range(work.read, 1, 3);
	end(as);
}

/* --- Linux's names --------------------------------------------------------------------------- */

/*
 * Page by page: a frame of content 1 for five, of 2 for two; three alone; four zeroes; one pinned;
 * two that never stand still.
 */
static const u64 contents[] = {1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 0, 0, 0, 0, 1, 6, 7};
#define USED   ARRAY_SIZE(contents)
#define PINNED 14
#define MOVING 15
#define POOLS  5 /* regions, domains, nodes; the rmap's nodes and chains */

static void write_moving(struct addrspace *as, u64 round)
{
	fill_page(as, MOVING, 100 + round);
	fill_page(as, MOVING + 1, 200 + round);
}

static void check_names(struct addrspace *as, s64 frames)
{
	struct merge_stats s;
	u64 sum = 0;

	merge_stats(&s);
	assert_int_equal(s.pages_shared, 2);
	assert_int_equal(s.pages_sharing, 4 + 1);
	assert_int_equal(s.pages_unshared, 3);
	assert_int_equal(s.zero_pages, 4);
	assert_int_equal(s.pages_volatile, 2);
	assert_int_equal(s.by_reason[MERGE_BUSY], 1);
	assert_int_equal(s.by_reason[MERGE_ABSENT], PAGES - USED);
	assert_int_equal(merge_reason(as, (struct gfn){PINNED}), MERGE_BUSY);
	for (unsigned reason = 0; reason < MERGE_REASONS; reason++)
		sum += s.by_reason[reason];
	assert_int_equal(sum, PAGES);
	assert_int_equal(s.zero_frames, 1);
	assert_int_equal(s.general_profit, (s64)((5 + 4 - 1) * PAGE_SIZE) - (s64)s.metadata_bytes);
	/* What the allocator sees, but for what pools' pages have room for besides. */
	assert_in_range(s.general_profit + POOLS * PAGE_SIZE, (frames + POOLS) * PAGE_SIZE,
			(frames + 2 * POOLS) * PAGE_SIZE);
}

/* Documentation/admin-guide/mm/ksm.rst says what they mean. */
static void names_mean_what_linux_means_by_them(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct addrspace *as = begin(merge_engine_at(e), 64, PAGES);
		struct merge_stats before, after;
		u64 unmerged;

		for (u64 page = 0; page < USED; page++)
			fill_page(as, page, contents[page]);
		assert_int_equal(addrspace_pin(as, (struct gfn){PINNED}), 0);
		write_moving(as, 0);
		assert_int_equal(dirty_log_start(as, world_range(0, PAGES), DIRTY_BITS), 0);
		unmerged = frames_free();
		assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
		merge_stats(&before);
		(void)merge_scan(PAGES);
		for (u64 round = 1; round < 5; round++) {
			write_moving(as, round);
			(void)merge_scan(PAGES);
		}
		merge_stats(&after);
		assert_int_equal(after.full_scans - before.full_scans, 4);
		assert_int_equal(after.pages_scanned - before.pages_scanned, 5 * PAGES);
		check_names(as, (s64)frames_free() - (s64)unmerged);
		addrspace_unpin(as, (struct gfn){PINNED});
		end(as);
	}
}

/* --- Counts are true at once --------------------------------------------------------------- */

static void check_now(struct addrspace *as, u64 shared, u64 zero)
{
	struct merge_space_stats of_space;
	struct merge_stats all;

	assert_int_equal(merge_space_stats(as, &of_space), 0);
	merge_stats(&all);
	assert_int_equal(of_space.by_reason[MERGE_SHARED], shared);
	assert_int_equal(of_space.by_reason[MERGE_ZERO], zero);
	assert_int_equal(all.by_reason[MERGE_SHARED], shared);
	assert_int_equal(all.zero_pages, zero);
	assert_int_equal(all.pages_shared + all.pages_sharing, MAX(shared, all.pages_shared));
}

static void written_and_discarded_pages_are_not_counted_as_merged(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct addrspace *as = begin(merge_engine_at(e), 64, PAGES);

		assert_int_equal(merge_add(as, world_range(0, PAGES), 0), 0);
		for (u64 page = 0; page < 200; page++)
			fill_page(as, page, page < 100 ? 0 : 99);
		for (unsigned n = 0; n < 3; n++)
			(void)merge_scan(PAGES);
		check_now(as, 100, 100);
		for (u64 page = 0; page < 200; page += 4)
			fill_page(as, page, 5000 + page);
		check_now(as, 75, 75);
		assert_int_equal(merge_reason(as, (struct gfn){100}), MERGE_NEW);
		assert_int_equal(merge_reason(as, (struct gfn){101}), MERGE_SHARED);
		assert_int_equal(addrspace_clear(as, world_range(0, 200), 0), 0);
		check_now(as, 0, 0);
		for (unsigned n = 0; n < 3; n++)
			(void)merge_scan(PAGES);
		check_now(as, 0, 0);
		end(as);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_of_an_unmerged_page_is_bounded),
		cmocka_unit_test(metadata_of_a_shared_page_is_bounded),
		cmocka_unit_test(page_numbers_may_be_large),
		cmocka_unit_test(more_pages_than_can_be_numbered_are_refused),
		cmocka_unit_test(a_pass_counts_what_it_saved_and_read),
		cmocka_unit_test(written_and_discarded_pages_are_not_counted_as_merged),
		cmocka_unit_test(names_mean_what_linux_means_by_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
