/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.c: memory with a known share of duplicates, and what it costs a guest when they are
 * merged and come apart.
 *
 *     pages=N (1024)     pages of the workload, 1 to what the VM has above 4 MiB
 *     share=P (50)       percent of them, evenly spread, with a content that others have ...
 *     contents=K (64)    ... one of so many contents in turn, at least 1; all others are alone
 *     writes=W (10)      percent of the pages written in each round, 0 to 100
 *     rounds=R (2)       times: write at random places, a pass, check every page
 *     reads=P (100)      percent of the pages that are read after each pass
 *     rewrites=P (50)    percent of the pages with a duplicate that are written at the break
 *     watches=N (0)      times that all pages are watched for writes, read, and some written; needs
 *                        test_calls=yes
 *     busy=N (0)         vCPUs 1 to N, of those that there are, read all pages in turn
 *     seed=S (1)
 *     devices=N (0)      devices 1 to N of the VM read all pages before each step (test_calls=yes)
 *     spin=M (0)         vCPU 1 stays inside the guest; 1: touches nothing; 2: reads the pages
 *
 * The scanner runs by HYPERCALL_MERGE_SCAN, so that with merge_ms=60000 two runs are the same.
 * After each step every word of every page is checked: what is read is what was written last,
 * merged or not.
 *
 *     step      what happens                          what is reported
 *     look      pages were written; a pass            faults of reading all pages after it
 *     merge     a pass that merges                    faults of reading all, which a merge took away,
 *                                                     and pages un-merged by them
 *     rescan    a pass without a write between        likewise
 *     break     merged pages are written              faults of writing, and of reading them again
 *     watch     all pages are watched                 faults of reading all and writing a tenth
 *     round     pages were written; a pass            instructions of the pass, flushes
 */
#include <guest.h>

#define PAGE	   4096ul
#define WORDS	   (PAGE / sizeof(u64))
#define FIRST	   (4ul << 20)
#define PAGES_MAX  65536u
#define SCAN_MAX   512ul
#define WATCH_STEP 10 /* every so many pages one is written */

static u64 pages, share, contents, writes, rounds, reread, rewrites, watches, busy, seed;
static u64 devices, spin;
static u32 content[PAGES_MAX] __attribute__((aligned(4096))); /* of each page by now */
static u32 next_content;
static u64 mergeable; /* pages of the VM: what a pass is long */
static u64 wrong;

static u64 mix(u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static u64 *page(u64 i)
{
	return (u64 *)(FIRST + i * PAGE);
}

static bool is_shared(u64 i)
{
	return (i + 1) * share / 100 != i * share / 100;
}

/* A content's words: all different, and from the first one on different from another content's. */
static u64 first_word(u64 what)
{
	return mix(seed * 0x9e3779b97f4a7c15 + what);
}

static void fill(u64 i, u64 what)
{
	u64 word = first_word(what), *to = page(i);

	content[i] = (u32)what;
	for (unsigned at = 0; at < WORDS; at++)
		to[at] = word + at;
}

static void verify(u64 i)
{
	u64 word = first_word(content[i]), sum = 0;
	const volatile u64 *from = page(i);

	for (unsigned at = 0; at < WORDS; at++)
		sum |= from[at] ^ (word + at);
	wrong += sum != 0;
}

static u64 statistic(u64 which)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, which, 0, 0, 0);
}

/* --- Counting --- */

struct counts {
	u64 faults, flushes, kicks, callbacks, merges, breaks, waits, waited, ticks;
};

static struct counts now(void)
{
	return (struct counts){
		.faults = statistic(HYPERCALL_STATISTIC_FAULTS),
		.flushes = statistic(HYPERCALL_STATISTIC_FLUSHES),
		.kicks = statistic(HYPERCALL_STATISTIC_KICKS),
		.callbacks = statistic(HYPERCALL_STATISTIC_CALLBACKS),
		.merges = statistic(HYPERCALL_STATISTIC_MERGES),
		.breaks = statistic(HYPERCALL_STATISTIC_BREAKS),
		.waits = statistic(HYPERCALL_STATISTIC_WAITS),
		.waited = statistic(HYPERCALL_STATISTIC_WAITED),
		.ticks = rdtsc(),
	};
}

static struct counts since(struct counts before)
{
	struct counts c = now();

	return (struct counts){
		.faults = c.faults - before.faults,
		.flushes = c.flushes - before.flushes,
		.kicks = c.kicks - before.kicks,
		.callbacks = c.callbacks - before.callbacks,
		.merges = c.merges - before.merges,
		.breaks = c.breaks - before.breaks,
		.waits = c.waits - before.waits,
		.waited = c.waited - before.waited,
		.ticks = c.ticks - before.ticks,
	};
}

static void report(const char *step, const char *what, u64 value, const char *unit)
{
	print("bench: %s_%s %lu %s\n", step, what, value, unit);
}

static void report_counts(const char *step, struct counts c)
{
	report(step, "merges", c.merges, "pages");
	report(step, "flushes", c.flushes, "flushes");
	report(step, "callbacks", c.callbacks, "calls");
	if (spin)
		report(step, "kicks", c.kicks, "CPUs");
	if (devices) {
		report(step, "waits", c.waits, "waits");
		report(step, "waited", c.waited, "ticks");
	}
}

/* --- Steps --- */

/* One whole pass; the instructions of each page, the calls themselves included. */
static u64 pass(void)
{
	u64 start = rdtsc();

	for (u64 left = mergeable; left;) {
		s64 done =
			hypercall(HYPERCALL_MERGE_SCAN, left < SCAN_MAX ? left : SCAN_MAX, 0, 0, 0);

		if (done <= 0) {
			check(false, "a pass: %ld with %lu pages left", done, left);
			return 0;
		}
		left -= (u64)done < left ? (u64)done : left;
	}
	return rdtsc() - start;
}

/* What the guest itself needs for reading its pages faults before it counts. */
static void touch_own(void)
{
	for (u64 i = 0; i < pages; i += PAGE / sizeof(content[0]))
		(void)*(volatile u32 *)&content[i];
	verify(0);
	(void)statistic(HYPERCALL_STATISTIC_FAULTS);
}

/* Whether number n is one of so many percent, evenly spread, 0 first. */
static bool is_one_of(u64 n, u64 percent)
{
	return n * percent % 100 < percent;
}

/* Of the pages that are read, but for the first, which shows that it is there. */
static struct counts counts_of_reading(void)
{
	struct counts before;

	touch_own();
	before = now();
	for (u64 i = 1; i < pages; i++)
		if (is_one_of(i, reread))
			verify(i);
	return since(before);
}

static u64 faults_of_reading(void)
{
	return counts_of_reading().faults;
}

/* A device that is busy answers later. */
static void device_reads(u64 device, u64 i)
{
	u64 at = (u64)page(i);
	s64 result;

	do
		result = hypercall(HYPERCALL_DEVICE_READ, at, at, device, 0);
	while (result == HYPERCALL_ERROR_BUSY);
	wrong += (u32)result != (u32)first_word(content[i]);
}

static void devices_read(void)
{
	for (u64 device = 1; device <= devices; device++)
		for (u64 i = 0; i < pages; i++)
			device_reads(device, i);
}

static void spin_in_guest(u64 reads)
{
	for (u64 i = 0;; i = (i + 1) % pages)
		if (reads)
			(void)*(volatile u64 *)page(i);
}

/* A pass: its instructions of each page, and what it did. */
static void report_pass(const char *step)
{
	struct counts before, did;
	u64 ticks;

	devices_read();
	before = now();
	ticks = pass();
	did = since(before);
	report(step, "instructions", ticks / pages, "instructions");
	report_counts(step, did);
}

static void look(void)
{
	report_pass("look");
	report("look", "faults", faults_of_reading(), "faults");
}

static void merge(void)
{
	struct counts did;

	report_pass("merge");
	did = counts_of_reading();
	report("merge", "faults", did.faults, "faults");
	report("merge", "unmerged", did.breaks, "pages");
}

static void rescan(void)
{
	struct counts before = now(), did;
	u64 ticks = pass();

	did = since(before);
	report("rescan", "instructions", ticks / pages, "instructions");
	report_counts("rescan", did);
	report("rescan", "faults", faults_of_reading(), "faults");
}

/* Pages with a duplicate: one word changes. */
static u64 write_shared(void)
{
	u64 done = 0;

	for (u64 i = 1, duplicates = 0; i < pages; i++) {
		if (!is_shared(i) || !is_one_of(duplicates++, rewrites))
			continue;
		*(volatile u64 *)page(i) = first_word(next_content);
		done++;
	}
	return done;
}

static void read_shared(void)
{
	for (u64 i = 1, duplicates = 0; i < pages; i++) {
		if (is_shared(i) && is_one_of(duplicates++, rewrites))
			(void)*(volatile u64 *)page(i);
	}
}

/* The rest of each page, so that it is what verify() expects. */
static void finish_shared(void)
{
	for (u64 i = 1, duplicates = 0; i < pages; i++) {
		if (is_shared(i) && is_one_of(duplicates++, rewrites))
			fill(i, next_content);
	}
	next_content++;
}

static void break_up(void)
{
	struct counts before, did;
	u64 written;

	devices_read();
	touch_own();
	before = now();
	written = write_shared();
	did = since(before);
	report("break", "writes", written, "pages");
	report("break", "breaks", did.breaks, "pages");
	report("break", "faults", did.faults, "faults");
	report("break", "instructions", written ? did.ticks / written : 0, "instructions");
	report_counts("break", did);
	before = now();
	read_shared();
	report("break", "refaults", since(before).faults, "faults");
	finish_shared();
}

static bool watch_all(void)
{
	return check(hypercall(HYPERCALL_WATCH, FIRST >> 12, pages, 0, 0) == 0, "watch");
}

static void watch(void)
{
	struct counts did, before = now();

	for (u64 n = 0; n < watches; n++) {
		if (!watch_all())
			return;
		(void)faults_of_reading();
		for (u64 i = 1; i < pages; i += WATCH_STEP)
			fill(i, content[i]);
	}
	did = since(before);
	report("watch", "faults", did.faults, "faults");
	report_counts("watch", did);
	report("watch", "instructions", did.ticks / (watches * pages), "instructions");
}

static void random_writes(u64 round)
{
	for (u64 n = 0; n < pages * writes / 100; n++) {
		u64 chance = mix(seed + (round << 32) + n), i = chance % pages;

		fill(i, chance >> 40 & 1 ? chance >> 41 & 1 : next_content++);
	}
}

static void write_and_pass(void)
{
	struct counts before = now(), did;
	u64 ticks = 0;

	for (u64 round = 0; round < rounds; round++) {
		random_writes(round);
		ticks += pass();
		(void)faults_of_reading();
	}
	did = since(before);
	report("round", "instructions", rounds ? ticks / (rounds * pages) : 0, "instructions");
	report("round", "faults", did.faults, "faults");
	report_counts("round", did);
}

/* --- Busy vCPUs --- */

static volatile u64 begun;

static void read_for_ever(u64 vcpu)
{
	__atomic_fetch_add(&begun, 1, __ATOMIC_SEQ_CST);
	for (u64 i = vcpu;; i++)
		(void)*(volatile u64 *)page(i % pages);
}

static void start_busy(void)
{
	u64 last = (u64)hypercall(HYPERCALL_VCPU_COUNT, 0, 0, 0, 0) - 1;

	if (busy > last)
		busy = last;
	for (u64 vcpu = 1; vcpu <= busy; vcpu++)
		check(vcpu_run((unsigned)vcpu, read_for_ever, vcpu) == 0, "vCPU %lu starts", vcpu);
	while (begun < busy)
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

/* --- The command line --- */

static bool read_options(void)
{
	u64 end = 0x100000 + ((u64)guest_info->mem_upper << 10), most = (end - FIRST) / PAGE;

	most = end < FIRST ? 0 : most < PAGES_MAX ? most : PAGES_MAX;
	mergeable = (end >> 12) - ((MACHINE_HOLE_END - MACHINE_HOLE_START) >> 12);
	pages = option_number("pages", 1024);
	share = option_number("share", 50);
	contents = option_number("contents", 64);
	writes = option_number("writes", 10);
	rounds = option_number("rounds", 2);
	reread = option_number("reads", 100);
	rewrites = option_number("rewrites", 50);
	watches = option_number("watches", 0);
	busy = option_number("busy", 0);
	seed = option_number("seed", 1);
	devices = option_number("devices", 0);
	spin = option_number("spin", 0);
	return check(pages >= 1 && pages <= most, "pages=%lu is 1 to %lu", pages, most) &&
	       check(share <= 100, "share=%lu is 0 to 100", share) &&
	       check(contents >= 1, "contents=%lu is at least 1", contents) &&
	       check(writes <= 100, "writes=%lu is 0 to 100", writes) &&
	       check(reread <= 100 && rewrites <= 100, "reads= and rewrites= are 0 to 100");
}

static void check_scan(void)
{
	check(hypercall(HYPERCALL_MERGE_SCAN, 0, 0, 0, 0) == HYPERCALL_ERROR_INVALID &&
		      hypercall(HYPERCALL_MERGE_SCAN, SCAN_MAX + 1, 0, 0, 0) ==
			      HYPERCALL_ERROR_INVALID,
	      "1 to %lu pages are scanned at once", SCAN_MAX);
}

static void start(void)
{
	u64 duplicates = 0;

	next_content = (u32)(contents + pages);
	for (u64 i = 0; i < pages; i++)
		fill(i, is_shared(i) ? duplicates++ % contents : contents + i);
	print("%lu pages, %lu of them with one of %lu contents, seed %lu\n", pages, duplicates,
	      contents, seed);
}

void guest_main(void)
{
	if (!read_options())
		return;
	check_scan();
	start();
	if (spin)
		check(vcpu_run(1, spin_in_guest, spin > 1) == 0, "vCPU 1 stays in the guest");
	start_busy();
	look();
	merge();
	rescan();
	break_up();
	if (watches)
		watch();
	write_and_pass();
	check(wrong == 0, "every page read as it was written, each time: %lu did not", wrong);
}
