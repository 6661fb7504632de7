/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c: the dirty log of the hypervisor against the pages that were written.
 *
 *     How many second-level faults the noticing cost is printed: with D bits none, else one a page.
 */
#include <guest.h>

#define PAGE_SIZE 4096ul
#define FIRST	  (8ul << 20)
#define PAGES	  1024u /* more than a page-modification log holds */
#define CHUNK	  32u

static volatile u64 *page(unsigned i)
{
	return (volatile u64 *)(FIRST + i * PAGE_SIZE);
}

static void write_every(unsigned step)
{
	for (unsigned i = 0; i < PAGES; i += step)
		++*page(i);
}

static s64 dirty(unsigned first)
{
	return hypercall(HYPERCALL_DIRTY, FIRST / PAGE_SIZE + first, CHUNK, 0, 0);
}

/* Queries all pages; how many answers are not "every step-th page", step 0: none. */
static unsigned wrong_answers(unsigned step)
{
	unsigned wrong = 0;

	for (unsigned first = 0; first < PAGES; first += CHUNK) {
		s64 answer = dirty(first);

		for (unsigned i = 0; i < CHUNK; i++) {
			bool written = step && (first + i) % step == 0;

			wrong += answer < 0 || (answer >> i & 1) != written;
		}
	}
	return wrong;
}

static u64 faults(void)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_FAULTS, 0, 0, 0);
}

/* A page that gives up its frame keeps what was written to it, and that it was. */
static void reclaimed_pages(void)
{
	const u64 gfn = FIRST / PAGE_SIZE;
	s64 went;

	*page(1) = 7;
	went = hypercall(HYPERCALL_RECLAIM, gfn + 1, 1, 0, 0);
	check(went == 1 && dirty(0) == 2, "a page written, then reclaimed, is in the answer");
	check(*page(1) == 7 && dirty(0) == 0, "it comes back as written, and clean");
	for (unsigned i = 0; i < 3; i++)
		*page(i) = 9;
	went = hypercall(HYPERCALL_RECLAIM, gfn + 1, 1, 0, 0);
	check(went == 1 && dirty(0) == 7, "three written, the middle one reclaimed: all three");
}

void guest_main(void)
{
	u64 before, sum = 0;

	check(hypercall(HYPERCALL_DIRTY, FIRST / PAGE_SIZE, CHUNK + 1, 0, 0) ==
			      HYPERCALL_ERROR_INVALID &&
		      hypercall(HYPERCALL_DIRTY, 1ul << 20, 1, 0, 0) == HYPERCALL_ERROR_RANGE,
	      "not more than %u pages at once, and only memory", CHUNK);
	write_every(1);
	check(wrong_answers(1) == 0, "all %u pages were written", PAGES);
	check(wrong_answers(0) == 0, "since then none");
	before = faults();
	write_every(3);
	before = faults() - before;
	check(wrong_answers(3) == 0, "every third was written");
	for (unsigned i = 0; i < PAGES; i++)
		sum += *page(i);
	check(sum == PAGES + (PAGES + 2) / 3 && wrong_answers(0) == 0, "reading is not writing");
	write_every(1);
	check(wrong_answers(1) == 0, "all were written again");
	print("%u writes to pages of the query: %lu second-level faults\n", (PAGES + 2) / 3,
	      before);
	reclaimed_pages();
}
