/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.c: pages that were reclaimed come back unchanged at the next access.
 *
 *     pages 0, 4, 8 ...   zeroes            1, 5, 9 ...   a counter in each word
 *     pages 2, 6, 10 ...  one word in 8     3, 7, 11 ...  chance: too much to be kept
 *
 *     grow    writes a word to each page of a memory that may be larger than the machine's, and reads them all
 */
#include <guest.h>

#define PAGE  4096ul
#define WORDS (PAGE / sizeof(u64))
#define FIRST (8ul << 20)
#define PAGES 256l
#define KINDS 4u

static u64 chance(u64 i)
{
	i = (i ^ i >> 31) * 0x9e3779b97f4a7c15ul;
	return (i ^ i >> 29) * 0xbf58476d1ce4e5b9ul;
}

static u64 word_of(u64 page, u64 i)
{
	const u64 words[KINDS] = {0, page + i, i % 8 ? 0 : chance(page * WORDS + i),
				  chance(page * WORDS + i)};

	return words[page % KINDS];
}

static volatile u64 *word(u64 page, u64 i)
{
	return (volatile u64 *)(FIRST + page * PAGE) + i;
}

static void fill(void)
{
	for (u64 page = 0; page < (u64)PAGES; page++)
		for (u64 i = 0; i < WORDS; i++)
			*word(page, i) = word_of(page, i);
}

static unsigned wrong_words(void)
{
	unsigned wrong = 0;

	for (u64 page = 0; page < (u64)PAGES; page++)
		for (u64 i = 0; i < WORDS; i++)
			wrong += *word(page, i) != word_of(page, i);
	return wrong;
}

static s64 faults(void)
{
	return hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_FAULTS, 0, 0, 0);
}

static s64 reclaim(u64 page, u64 count)
{
	return hypercall(HYPERCALL_RECLAIM, FIRST / PAGE + page, count, 0, 0);
}

static void grow(u64 end)
{
	unsigned wrong = 0;

	for (u64 at = FIRST; at < end; at += PAGE)
		*(volatile u64 *)at = chance(at);
	for (u64 at = FIRST; at < end; at += PAGE)
		wrong += *(volatile u64 *)at != chance(at);
	check(wrong == 0, "%lu pages keep what was written", (end - FIRST) / PAGE);
}

static void check_reclaim(u64 end)
{
	s64 before, taken;

	fill();
	taken = reclaim(0, PAGES);
	check(taken == PAGES * 3 / 4, "%ld of %ld pages gave up their frames", taken, PAGES);
	check(reclaim(0, PAGES) == 0, "what has no frame gives up none");
	before = faults();
	check(wrong_words() == 0, "each word is as it was");
	check(faults() - before >= PAGES * 3 / 4, "each of them came back by a fault");
	before = faults();
	check(wrong_words() == 0 && faults() == before, "and stays");
	check(reclaim(1, 1) == 1, "one page goes alone");
	*word(1, 5) = 77;
	check(*word(1, 5) == 77 && *word(1, 6) == word_of(1, 6),
	      "a write to a page that is not there");
	check(reclaim(0, 0) == HYPERCALL_ERROR_INVALID &&
		      reclaim(0, 4097) == HYPERCALL_ERROR_INVALID &&
		      hypercall(HYPERCALL_RECLAIM, end / PAGE, 1, 0, 0) == HYPERCALL_ERROR_RANGE,
	      "a range that is none is refused");
}

void guest_main(void)
{
	u64 end = (guest_info->mem_upper + 1024ul) * 1024;

	if (option("grow"))
		grow(end);
	else
		check_reclaim(end);
}
