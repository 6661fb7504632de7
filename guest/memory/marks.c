/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks.c: a guest that marks its pages as mergeable and checks the result.
 *
 * Needs mergeable=marked merge_control=yes, and with words:
 *     large     large leaves; needs populate=yes, too
 *     none      this VM is not merged        secure    no statistics        off    merging is off
 *     beside    a VM of the same domain changes the engine, too
 */
#include <guest.h>

#define PAGE  4096ul
#define START (8ul << 20)
#define GFN   (START / PAGE)
#define PAGES 576u /* more than one piece */
#define WAIT  2000000u

static u64 end_of_memory;

static volatile u64 *word(unsigned page, unsigned i)
{
	return (volatile u64 *)(START + page * PAGE + 8ul * i);
}

/* Three contents, and each eighth page zero. */
static u64 content(unsigned page)
{
	return page % 8 == 7 ? 0 : 1000 + page % 3;
}

static void fill(unsigned page)
{
	for (unsigned i = 0; i < PAGE / 8; i++)
		*word(page, i) = content(page);
}

static unsigned wrong_pages(void)
{
	unsigned wrong = 0;

	for (unsigned page = 0; page < PAGES; page++)
		for (unsigned i = 0; i < PAGE / 8; i += 73)
			wrong += *word(page, i) != content(page);
	return wrong;
}

static struct hypercall_merge_stats stats(void)
{
	struct hypercall_merge_stats now = {0};

	if (merge_statistics(&now) != 0)
		check(false, "statistics");
	return now;
}

/* Waits until so many pages are merged, zero pages too. */
static bool merged(u64 pages)
{
	for (unsigned i = 0; i < WAIT; i++) {
		struct hypercall_merge_stats now = stats();

		if (now.ksm_merging_pages + now.ksm_zero_pages == pages)
			return true;
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	}
	return false;
}

/* So many passes later. */
static void let_pass(u64 passes)
{
	u64 until = stats().full_scans + passes;

	for (unsigned i = 0; i < WAIT && stats().full_scans < until; i++)
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

static s64 merge(u64 gfn, u64 frames, u64 advice)
{
	return hypercall(HYPERCALL_MERGE, gfn, frames, advice, 0);
}

static void hostile_ranges(void)
{
	u64 end = end_of_memory / PAGE;

	for (u64 advice = 0; advice < HYPERCALL_MERGES; advice++)
		check(merge(GFN, 0, advice) == HYPERCALL_ERROR_INVALID &&
			      merge(~0ul - 1, 4, advice) == HYPERCALL_ERROR_INVALID &&
			      merge(GFN, ~0ul, advice) == HYPERCALL_ERROR_INVALID &&
			      merge(1, 1ul << 62, advice) == HYPERCALL_ERROR_INVALID &&
			      merge(GFN, 1ul << 39, advice) == HYPERCALL_ERROR_RANGE &&
			      merge(end, 1, advice) == HYPERCALL_ERROR_RANGE &&
			      merge(end - 1, 2, advice) == HYPERCALL_ERROR_RANGE &&
			      merge(MACHINE_HOLE_START / PAGE, 1, advice) == HYPERCALL_ERROR_RANGE,
		      "advice %lu: empty, wrapping and foreign ranges are refused", advice);
	check(merge(GFN, 1, HYPERCALL_MERGES) == HYPERCALL_ERROR_INVALID &&
		      merge(GFN, 1, ~0ul) == HYPERCALL_ERROR_INVALID,
	      "there is no such advice");
	check(merge(GFN + 5, PAGES, HYPERCALL_MERGE_VOLATILE) == 507,
	      "a long range goes in pieces");
}

static s64 statistics_at(u64 address, u64 bytes)
{
	return hypercall(HYPERCALL_MERGE_STATS, address, bytes, 0, 0);
}

static void hostile_statistics(void)
{
	u64 at = START + PAGES * PAGE;
	volatile u64 *place = (volatile u64 *)at;
	s64 size = sizeof(struct hypercall_merge_stats);

	check(statistics_at(at + 4, 8) == HYPERCALL_ERROR_INVALID &&
		      statistics_at(at, 0) == HYPERCALL_ERROR_INVALID &&
		      statistics_at(at + PAGE - 8, 16) == HYPERCALL_ERROR_INVALID &&
		      statistics_at(~0ul - 7, 16) < 0 && statistics_at(1ul << 63, 8) < 0,
	      "statistics need an aligned place in one page");
	check(statistics_at(end_of_memory, 8) == HYPERCALL_ERROR_RANGE &&
		      statistics_at(MACHINE_HOLE_START, 8) == HYPERCALL_ERROR_RANGE,
	      "and in this VM's memory");
	place[1] = 77;
	check(statistics_at(at, 8) == size && place[1] == 77,
	      "no more is written than there is room");
	check((u32)place[0] == HYPERCALL_MERGE_STATS_VERSION, "version %u", (u32)place[0]);
	check(statistics_at(at + PAGE - 8, 8) == size, "also at the end of a page");
	check(statistics_at(at, ~0ul) == size, "and if there is room for anything");
	check(hypercall(HYPERCALL_PROTECT, at / PAGE, 1, HYPERCALL_ACCESS_READ, 0) == 0 &&
		      statistics_at(at, 8) == HYPERCALL_ERROR_PERMISSION,
	      "but not where it may not write itself");
	hypercall(HYPERCALL_PROTECT, at / PAGE, 1, HYPERCALL_ACCESS_WRITE, 0);
}

static s64 switch_to(u64 engine)
{
	return hypercall(HYPERCALL_MERGE_ENGINE, engine, 0, 0, 0);
}

static void refused(s64 error, const char *why)
{
	struct hypercall_merge_stats now;

	check(merge(GFN, 1, HYPERCALL_MERGE_MERGEABLE) == error &&
		      merge_statistics(&now) == error && switch_to(HYPERCALL_ENGINE_TREE) == error,
	      "%s", why);
}

static void mark(void)
{
	struct hypercall_merge_stats now;

	let_pass(3);
	now = stats();
	check(now.ksm_merging_pages + now.ksm_zero_pages == 0 && now.pages_new == 0,
	      "nothing is marked, and nothing merged");
	check(merge_pages(GFN, PAGES, HYPERCALL_MERGE_MERGEABLE) == 0, "mark %u pages", PAGES);
	check(merged(PAGES), "all of them are merged");
	now = stats();
	check(now.ksm_zero_pages == PAGES / 8, "%u to the frame of zeroes", PAGES / 8);
	check(now.ksm_process_profit > 0 && now.ksm_process_profit < (s64)(PAGES * PAGE),
	      "the profit is net of what it costs");
	check(wrong_pages() == 0, "every page reads as it was written");
}

static void exclude(void)
{
	check(merge_pages(GFN + 100, 300, HYPERCALL_MERGE_UNMERGEABLE) == 0, "300 pages no more");
	check(stats().ksm_merging_pages + stats().ksm_zero_pages == PAGES - 300,
	      "they are private when the call is back");
	let_pass(4);
	check(stats().ksm_merging_pages + stats().ksm_zero_pages == PAGES - 300, "and stay so");
	check(wrong_pages() == 0, "every page reads as it was written");
	check(merge_pages(GFN + 100, 300, HYPERCALL_MERGE_MERGEABLE) == 0 &&
		      merge_pages(GFN + 100, 300, HYPERCALL_MERGE_LIKELY) == 0 && merged(PAGES),
	      "allowed and hinted at, all are merged again");
}

/* Wrong hints about pages that change: nothing of it shows. */
static void lie(void)
{
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned page = round; page < PAGES; page += 8)
			fill(page);
		merge_pages(GFN, PAGES, HYPERCALL_MERGE_LIKELY);
		merge_pages(GFN + 100, 300, HYPERCALL_MERGE_VOLATILE);
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	}
	check(wrong_pages() == 0, "hints that are wrong change no content");
	check(merged(PAGES), "and all are merged in the end");
}

/* Whether the domain has the engine that was just chosen, or that of a VM beside. */
static bool has_engine(u64 engine)
{
	return stats().engine == engine || option("beside");
}

static void change_engines(void)
{
	check(switch_to(HYPERCALL_ENGINES) == HYPERCALL_ERROR_INVALID &&
		      switch_to(~0ul) == HYPERCALL_ERROR_INVALID,
	      "there is no such engine");
	for (u64 i = 0; i < 4; i++) {
		u64 engine = i % 2 ? HYPERCALL_ENGINE_HASH : HYPERCALL_ENGINE_TREE;

		for (unsigned page = (unsigned)i; page < PAGES; page += 16)
			fill(page);
		check(switch_to(engine) == 0 && has_engine(engine) && wrong_pages() == 0,
		      "engine %lu from now on", engine);
	}
	check(merged(PAGES) && wrong_pages() == 0, "all are merged under either");
}

/*
 * Each page of two large leaves has a content of its own, but the first 2 * `pairs` of the second
 * are pairs.
 */
static void fill_leaves(u64 salt, unsigned pairs)
{
	for (unsigned page = 0; page < 1024; page++) {
		bool paired = page >= 512 && page < 512 + 2 * pairs;

		*word(page, 0) = salt + (paired ? page / 2 : 10000 + page);
	}
}

static bool becomes(u64 large, u64 merging)
{
	for (unsigned i = 0; i < WAIT; i++) {
		struct hypercall_merge_stats now = stats();

		if (now.pages_large == large && now.ksm_merging_pages == merging &&
		    now.pages_unshared == 1024 - large - merging)
			return true;
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	}
	return false;
}

static void large_leaves(void)
{
	s64 faults;

	fill_leaves(1, 20);
	check(merge_pages(GFN, 1024, HYPERCALL_MERGE_MERGEABLE) == 0 && becomes(40, 0),
	      "20 pairs are seen, and not merged");
	faults = hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_FAULTS, 0, 0, 0);
	fill_leaves(100000, 20);
	check(hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_FAULTS, 0, 0, 0) - faults <= 2,
	      "writing to all pages faults once a leaf at most");
	fill_leaves(200000, 100);
	check(becomes(0, 200), "for 100 pairs the leaf is split");
	fill_leaves(300000, 0);
	check(becomes(0, 0), "no pair is left");
	let_pass(2);
	print("writes are noticed by source %lu\n", (u64)stats().dirty_source);
}

void guest_main(void)
{
	end_of_memory = 16ul << 20;
	if (option("none"))
		return refused(HYPERCALL_ERROR_PERMISSION, "this VM is not merged");
	if (option("off"))
		return refused(HYPERCALL_ERROR_UNSUPPORTED, "merging is off");
	if (option("large"))
		return large_leaves();
	for (unsigned page = 0; page < PAGES; page++)
		fill(page);
	if (option("secure")) {
		struct hypercall_merge_stats now;

		check(merge_pages(GFN, PAGES, HYPERCALL_MERGE_MERGEABLE) == 0 &&
			      merge_statistics(&now) == HYPERCALL_ERROR_PERMISSION,
		      "in secure mode there are no statistics");
		check(switch_to(HYPERCALL_ENGINE_TREE) == HYPERCALL_ERROR_PERMISSION,
		      "this VM has no say in the engine");
		return;
	}
	mark();
	exclude();
	lie();
	change_engines();
	hostile_ranges();
	hostile_statistics();
	check(wrong_pages() == 0, "every page reads as it was written");
}
