/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary.c: every page reads as it was last written while the hypervisor merges and splits pages.
 *
 *     vCPU 1: the writer                          vCPU 0: the reader
 *     ------------------                          ------------------
 *     some page: reads it whole, then             each page in turn: reads it whole, unless the
 *     version odd, words 0-510, version even      version moved; word 511 is its own, and it
 *                                                 writes that, too
 *
 * A page is a function of a small counter, 0 for zeroes: many pages are alike at any time, in this
 * VM and in others that run the same guest, and none stays so. Both vCPUs write to the same pages,
 * so that both break the same sharing at once. The first wrong word ends the guest.
 *
 *     faults=N   until the writer has had so many second-level faults
 *     pages=N    how many pages, 4 to 1024         seed=N
 */
#include <guest.h>

#define PAGE_SIZE 4096ul
#define WORDS	  512u
#define OWN	  (WORDS - 1) /* the reader's */
#define FIRST	  (4ul << 20)
#define PAGES_MAX 1024u
#define CONTENTS  5u
#define HAMMER	  16u /* every so many turns, the same page again and again */
#define QUARTERS  4u

/* version: odd while the writer is at it. wrote: words 0 to 510; own: word 511. */
static volatile u32 version[PAGES_MAX];
static volatile u32 wrote[PAGES_MAX], own[PAGES_MAX];
static unsigned pages;
static volatile bool writer_is_done, wrong;
static u64 looked;

static volatile u64 *page(unsigned i)
{
	return (volatile u64 *)(FIRST + i * PAGE_SIZE);
}

static u64 word_of(u32 content, unsigned i)
{
	return content ? (content * 512ul + i) * 0x9e3779b97f4a7c15 : 0;
}

static u64 next(u64 *state)
{
	*state += 0x9e3779b97f4a7c15;
	return (*state ^ *state >> 29) * 0xbf58476d1ce4e5b9 >> 32;
}

/* The first word that is not as it should be, OWN if there is none. */
static unsigned first_wrong(unsigned i, u32 content)
{
	unsigned word = 0;

	while (word < OWN && page(i)[word] == word_of(content, word))
		word++;
	return word;
}

static void report(const char *reader, unsigned i, unsigned word, u64 expected)
{
	if (__atomic_exchange_n(&wrong, true, __ATOMIC_ACQ_REL))
		return;
	check(false, "%s: page %u word %u reads %lx, not %lx", reader, i, word, page(i)[word],
	      expected);
	guest_end();
}

static void look_as_writer(unsigned i)
{
	unsigned word = first_wrong(i, wrote[i]);

	if (word < OWN)
		report("the writer", i, word, word_of(wrote[i], word));
}

static void write_page(unsigned i, u32 content)
{
	version[i]++;
	for (unsigned word = 0; word < OWN; word++)
		page(i)[word] = word_of(content, word);
	wrote[i] = content;
	version[i]++;
}

static u64 faults(void)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_FAULTS, 1, 0, 0);
}

/*
 * A quarter of the pages is written, the others rest: only a page that rests from one pass of the
 * scanner to the next is merged. Where a round over the quarters has brought no fault, the rest was
 * too short.
 *
 * stretch	turns for each quarter
 * seen		faults at the end of the last round
 */
struct quarters {
	unsigned now, turns, stretch;
	u64 seen;
};

static void next_turn(struct quarters *quarters)
{
	u64 seen;

	if (++quarters->turns < quarters->stretch)
		return;
	quarters->turns = 0;
	if (++quarters->now % QUARTERS)
		return;
	seen = faults();
	if (seen == quarters->seen)
		quarters->stretch *= 2;
	quarters->seen = seen;
}

static void write_for_ever(u64 seed)
{
	u64 state = seed, end = faults() + option_number("faults", 1000);
	struct quarters quarters = {.stretch = 256};

	for (unsigned turn = 0; turn % 64 || faults() < end; turn++) {
		unsigned first = quarters.now % QUARTERS * (pages / QUARTERS);
		unsigned i = first + (unsigned)(next(&state) % (pages / QUARTERS));
		unsigned times = turn % HAMMER ? 1 : 20;

		while (times-- > 0) {
			look_as_writer(i);
			write_page(i, (u32)(next(&state) % CONTENTS));
		}
		next_turn(&quarters);
	}
	writer_is_done = true;
	for (;;)
		asm volatile("cli; hlt");
}

/* A version that moved proves nothing: the writer was at the page. */
static void look_as_reader(unsigned i)
{
	u32 before = version[i];
	unsigned word;

	if (before & 1)
		return;
	word = first_wrong(i, wrote[i]);
	if (word < OWN && version[i] == before)
		report("the reader", i, word, word_of(wrote[i], word));
	if (page(i)[OWN] != own[i])
		report("the owner", i, OWN, own[i]);
	looked++;
}

static void read_until_done(u64 seed)
{
	u64 state = seed;

	while (!writer_is_done) {
		for (unsigned i = 0; i < pages; i++) {
			look_as_reader(i);
			if (next(&state) % 64)
				continue;
			own[i] ^= 1;
			page(i)[OWN] = own[i];
		}
	}
}

void guest_main(void)
{
	u64 seed = option_number("seed", 1);

	pages = (unsigned)option_number("pages", 256);
	for (unsigned i = 0; i < pages; i++)
		write_page(i, i % CONTENTS);
	print("seed %lu, %u pages\n", seed, pages);
	check(hypercall(HYPERCALL_MERGE_SCAN, 512, 0, 0, 0) == HYPERCALL_ERROR_PERMISSION,
	      "the scanner is not this guest's to drive");
	check(vcpu_run(1, write_for_ever, seed) == 0, "vCPU 1 writes");
	read_until_done(seed + 1);
	for (unsigned i = 0; i < pages; i++)
		look_as_reader(i);
	check(looked >= pages, "%lu looks at pages, and each read as it was written", looked);
}
