/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overcommit.c: pages that are equal in two VMs, on a machine that has room for one of them only.
 *
 * Words: mib=N of pages; salt=N: afterwards each page becomes different from the other VM's.
 */
#include <guest.h>

#define PAGE  4096ul
#define FIRST (4ul << 20)
#define LOOKS 200000

static u64 xorshift(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static u64 *page_of(u64 page)
{
	return (u64 *)(FIRST + page * PAGE);
}

static void fill(u64 page, u64 seed)
{
	u64 state = page + seed, *word = page_of(page);

	for (unsigned i = 0; i < PAGE / sizeof(u64); i++)
		word[i] = xorshift(&state);
}

static bool reads(u64 page, u64 seed)
{
	u64 state = page + seed, *word = page_of(page);

	for (unsigned i = 0; i < PAGE / sizeof(u64); i++)
		if (word[i] != xorshift(&state))
			return false;
	return true;
}

static void yield(void)
{
	hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

/* Until all are merged, or for so many looks. */
static u64 await_merge(u64 pages)
{
	struct hypercall_merge_stats stats = {0};

	for (unsigned i = 0; i < LOOKS && stats.ksm_merging_pages < pages; i++) {
		yield();
		if (merge_statistics(&stats) < 0)
			return 0;
	}
	return stats.ksm_merging_pages;
}

static u64 wrong_pages(u64 pages, u64 seed)
{
	u64 wrong = 0;

	for (u64 page = 0; page < pages; page++)
		wrong += !reads(page, seed);
	return wrong;
}

void guest_main(void)
{
	u64 pages = option_number("mib", 36) * 256, salt = option_number("salt", 0), seed = 12345;

	for (u64 page = 0; page < pages; page++) {
		fill(page, seed);
		if (page % 64 == 63)
			yield();
	}
	check(await_merge(pages) >= pages, "all pages are merged");
	for (u64 page = 0; salt && page < pages; page++)
		fill(page, seed + (salt << 40));
	seed += salt << 40;
	check(wrong_pages(pages, seed) == 0, "each page reads as it was written");
}
