/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c: does the time of a write show that another VM has a page of the guessed content? Two
 * VMs of one merge domain:
 *
 *     victim                          spy
 *     ------                          ---
 *     64 pages of secret content      the same 64 pages, guessed, and 64 that no other VM has, in random order
 *     rests                           rests while the scanner passes
 *                                     each page: time of a read, time of a write, in ticks of the TSC
 *
 * With merge_secure=yes the time must not depend on it (RMAP-3).
 *
 * Where the clock counts instructions (Bochs, -icount) a time is exact. The distance
 * of the two sets of times is measured by the best test "longer than t: merged". Its lead is the
 * number of pages, of 64, that it sorts rightly beyond chance.
 *
 *     spy         leaks: the lead must be large; else it must be what chance gives
 *     apart       the two are in different domains, so the lead must be chance without secure mode, too
 *     rest=N      million ticks between writing and timing: some passes of the scanner
 */
#include <guest.h>

#define PAGE_SIZE 4096ul
#define WORDS	  512u
#define FIRST	  (4ul << 20)
#define GUESSES	  64u
#define SECRET	  1000u
#define OWN	  5000u
#define REPEATS	  2u
#define MILLION	  1000000ul
#define COPY	  500ul /* a write that copies takes longer than that, another one not */

/* Guessed: the victim has it. Timed in an order that is neither. */
static struct page {
	volatile u64 *words;
	bool guessed;
	u64 read, write;
} pages[2 * GUESSES];

static u64 state = 2017;
static bool considered = true;

static u64 next(void)
{
	state += 0x9e3779b97f4a7c15;
	return (state ^ state >> 29) * 0xbf58476d1ce4e5b9 >> 32;
}

static void fill(volatile u64 *words, u64 content)
{
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = (content * WORDS + i) * 0x9e3779b97f4a7c15;
}

static volatile u64 *place(unsigned i)
{
	return (volatile u64 *)(FIRST + i * PAGE_SIZE);
}

static void rest(u64 millions)
{
	u64 until = rdtsc() + millions * MILLION;

	while (rdtsc() < until)
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

static void make_pages(u64 content)
{
	for (unsigned i = 0; i < 2 * GUESSES; i++) {
		unsigned other = (unsigned)(next() % (i + 1));

		pages[i] = pages[other];
		pages[other] = (struct page){.words = place(i), .guessed = i % 2};
	}
	for (unsigned i = 0, guess = 0, own = 0; i < 2 * GUESSES; i++)
		fill(pages[i].words,
		     pages[i].guessed ? content + SECRET + guess++ : content + OWN + own++);
}

static u64 time_read(volatile u64 *word)
{
	u64 start = rdtsc();

	(void)*word;
	return rdtsc() - start;
}

static u64 time_write(volatile u64 *word)
{
	u64 start = rdtsc();

	*word = 1;
	return rdtsc() - start;
}

static void time_pages(void)
{
	for (unsigned i = 0; i < 2 * GUESSES; i++) {
		pages[i].read = time_read(pages[i].words);
		pages[i].write = time_write(pages[i].words);
	}
}

static u64 time_of(unsigned i, bool write)
{
	return write ? pages[i].write : pages[i].read;
}

/* The lead of "longer than t" or "not longer than t" for the best t. */
static unsigned lead(bool write)
{
	unsigned best = 0;

	for (unsigned t = 0; t < 2 * GUESSES; t++) {
		unsigned guessed = 0, own = 0;

		for (unsigned i = 0; i < 2 * GUESSES; i++) {
			bool longer = time_of(i, write) > time_of(t, write);

			guessed += longer && pages[i].guessed;
			own += longer && !pages[i].guessed;
		}
		guessed = guessed > own ? guessed - own : own - guessed;
		best = guessed > best ? guessed : best;
	}
	return best;
}

/* The middle one of the times of a kind. */
static u64 median(bool guessed, bool write)
{
	for (unsigned t = 0; t < 2 * GUESSES; t++) {
		unsigned less = 0, same = 0;

		if (pages[t].guessed != guessed)
			continue;
		for (unsigned i = 0; i < 2 * GUESSES; i++) {
			less += pages[i].guessed == guessed &&
				time_of(i, write) < time_of(t, write);
			same += pages[i].guessed == guessed &&
				time_of(i, write) == time_of(t, write);
		}
		if (less <= GUESSES / 2 && less + same > GUESSES / 2)
			return time_of(t, write);
	}
	return 0;
}

static unsigned spy_once(u64 content, u64 millions)
{
	unsigned of_write, of_read;

	make_pages(content);
	rest(millions);
	time_pages();
	of_write = lead(true);
	of_read = lead(false);
	print("write: median %lu ticks if merged, %lu if not, lead %u of %u\n", median(true, true),
	      median(false, true), of_write, GUESSES);
	print("read: median %lu ticks if merged, %lu if not, lead %u of %u\n", median(true, false),
	      median(false, false), of_read, GUESSES);
	print("bench: write_lead %u pages\nbench: read_lead %u pages\n", of_write, of_read);
	print("bench: write_merged %lu ticks\nbench: write_own %lu ticks\n", median(true, true),
	      median(false, true));
	considered &= median(true, true) > COPY && (option("leaks") || median(false, true) > COPY);
	return of_write > of_read ? of_write : of_read;
}

static void be_victim(u64 millions)
{
	for (unsigned repeat = 0; repeat < REPEATS; repeat++)
		for (unsigned i = 0; i < GUESSES; i++)
			fill(place(repeat * GUESSES + i), repeat * 10000 + SECRET + i);
	rest((REPEATS + 2) * millions);
}

void guest_main(void)
{
	u64 millions = option_number("rest", 60);
	unsigned worst = 0, least = GUESSES;

	if (!option("spy")) {
		be_victim(millions);
		return;
	}
	rest(millions / 2);
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		unsigned now = spy_once(repeat * 10000, millions);

		worst = now > worst ? now : worst;
		least = now < least ? now : least;
	}
	check(considered || option("apart"), "the scanner had looked at every page");
	if (option("leaks"))
		check(least > GUESSES * 3 / 4,
		      "the spy separates merged pages from others: lead %u", least);
	else
		check(worst < GUESSES / 4, "the lead is what chance gives: %u", worst);
}
