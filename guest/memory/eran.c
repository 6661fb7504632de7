/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eran.c: Eran's race (docs/mm/cow.md): is the old page read after the new one has been written and
 * announced?
 *
 *     vCPU 1                          vCPU 2                          vCPU 0
 *     ------                          ------                          ------
 *     page[1] = r: breaks sharing     a moment later
 *     ... notification ...            page[2] = r                     a device reads flag, then page[2],
 *                                     flag[2] = r                     again and again; and so does vCPU 0 itself
 *     flag[1] = r
 *
 * A read of flag[i] == r followed by page[i] != r has seen the page that vCPU 1 had replaced. In
 * each round vCPU 2 waits another moment, so that its write wanders over the whole break. The rest
 * of the page is a pattern that is never written; two pages that differ in it are not shared, and
 * the next round says so.
 *
 *     spread=N    moments that a break takes, and something more
 *     device=N    which of the VM's devices looks: the last one is notified last
 *     counts      stale reads are counted, not checked, with the time since the write's announcement
 *     rounds=N    how many
 *     loses       the policy is known to lose: it must be seen, and the first time is enough
 */
#include <guest.h>

#define PAGE_SIZE 4096ul
#define PAGE_A	  (8ul << 20)
#define PAGE_B	  (PAGE_A + PAGE_SIZE)
#define FLAGS	  (PAGE_A + 3 * PAGE_SIZE)
#define WORDS	  (PAGE_SIZE / sizeof(u32))
#define WRITERS	  2u

static volatile u32 *const page = (volatile u32 *)PAGE_A;
static volatile u32 *const copy = (volatile u32 *)PAGE_B;
static volatile u32 *const flag = (volatile u32 *)FLAGS;
static volatile u32 go, done[WRITERS + 1];
static u64 device;
static unsigned device_old, guest_old, broken;
static bool counts;
static volatile u64 announced[WRITERS + 1]; /* ticks */
static u64 window, write_ticks;

static u32 rounds_to_run(void)
{
	return (u32)option_number("rounds", 50);
}

static void yield(void)
{
	hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

/* Mostly without an exit: a vCPU outside the guest takes no part in the race. */
static void wait_for(const volatile u32 *what, u32 least)
{
	for (unsigned spins = 1; *what < least; spins++)
		if (spins % 65536 == 0)
			yield();
}

static void wait_moments(unsigned count)
{
	while (count-- > 0)
		asm volatile("" : : : "memory");
}

/* The write itself, between two readings of the clock. */
static void write_counted(u64 self, u32 round)
{
	u64 start = rdtsc();

	page[self] = round;
	announced[self] = rdtsc();
	if (self == 1)
		write_ticks += announced[1] - start;
}

static void write_rounds(u64 self)
{
	u32 rounds = rounds_to_run(), spread = (u32)option_number("spread", 1021);

	for (u32 round = 1; round <= rounds; round++) {
		wait_for(&go, round);
		if (self == 2)
			wait_moments(round * 2654435761u % spread);
		if (counts)
			write_counted(self, round);
		page[self] = round;
		flag[self] = round;
		done[self] = round;
	}
	for (;;)
		asm volatile("cli; hlt");
}

/* Both pages read alike, and then they are one. */
static bool share(void)
{
	s64 result;

	for (unsigned i = 0; i <= WRITERS; i++)
		copy[i] = page[i];
	for (unsigned tries = 0; tries < 100; tries++) {
		result = hypercall(HYPERCALL_SHARE, PAGE_A >> 12, PAGE_B >> 12, 0, 0);
		if (result != HYPERCALL_ERROR_BUSY)
			return result == 0;
	}
	return false;
}

static u64 device_read(unsigned i)
{
	return (u64)hypercall(HYPERCALL_DEVICE_READ, (u64)&flag[i], (u64)&page[i], device, 0);
}

static void note_stale(unsigned i)
{
	u64 since = rdtsc() - announced[i];

	device_old++;
	window = counts && since > window ? since : window;
}

/* Reads as the device and as the guest until writer `i` has announced its write. */
static void look(unsigned i, u32 round)
{
	bool device_seen = false, guest_seen = false;

	while (!device_seen || !guest_seen) {
		u64 both = device_read(i);

		device_seen = both >> 32 == round;
		if (device_seen && (u32)both != round)
			note_stale(i);
		guest_seen = flag[i] == round;
		guest_old += guest_seen && page[i] != round;
	}
}

static bool one_round(u32 round)
{
	if (!share())
		return false;
	(void)device_read(1); /* the device and this vCPU have the old page at hand */
	(void)device_read(2);
	(void)page[1];
	go = round;
	look(2, round);
	look(1, round);
	wait_for(&done[1], round);
	wait_for(&done[2], round);
	broken += copy[1] != round - 1 || copy[2] != round - 1;
	return true;
}

static unsigned wrong_words(void)
{
	unsigned wrong = 0;

	for (u32 i = WRITERS + 1; i < WORDS; i++)
		wrong += page[i] != i * 2654435761u || copy[i] != i * 2654435761u;
	return wrong;
}

static void check_refusals(void)
{
	u64 end = (guest_info->mem_upper + 1024ul) * 1024;

	check(hypercall(HYPERCALL_SHARE, PAGE_A >> 12, PAGE_A >> 12, 0, 0) ==
			      HYPERCALL_ERROR_INVALID &&
		      hypercall(HYPERCALL_SHARE, PAGE_A >> 12, end >> 12, 0, 0) ==
			      HYPERCALL_ERROR_RANGE &&
		      hypercall(HYPERCALL_SHARE, PAGE_A >> 12, FLAGS >> 12, 0, 0) ==
			      HYPERCALL_ERROR_INVALID,
	      "a page is not shared with itself, with nothing, or with another content");
	check(hypercall(HYPERCALL_DEVICE_READ, FLAGS + 2, FLAGS, 0, 0) == HYPERCALL_ERROR_INVALID &&
		      hypercall(HYPERCALL_DEVICE_READ, FLAGS, end, 0, 0) == HYPERCALL_ERROR_RANGE &&
		      hypercall(HYPERCALL_DEVICE_READ, FLAGS, FLAGS, 64, 0) ==
			      HYPERCALL_ERROR_RANGE,
	      "a device reads whole words, and only memory");
}

void guest_main(void)
{
	u32 rounds = rounds_to_run(), round = 0;
	bool loses = option("loses");

	device = option_number("device", 0);
	counts = option("counts");

	for (u32 i = 0; i < WORDS; i++)
		page[i] = copy[i] = i <= WRITERS ? 0 : i * 2654435761u;
	flag[1] = flag[2] = 0;
	check_refusals();
	check(vcpu_run(1, write_rounds, 1) == 0 && vcpu_run(2, write_rounds, 2) == 0,
	      "two vCPUs write");
	while (round < rounds && !(loses && device_old) && one_round(round + 1))
		round++;
	check(loses ? device_old > 0 : round == rounds, "%u of %u rounds", round, rounds);
	check(wrong_words() == 0 && broken == 0, "no word changed without a write");
	check(guest_old == 0, "the guest read the old page %u times", guest_old);
	if (!counts)
		check(loses == (device_old > 0), "a device read the old page %u times", device_old);
	print("bench: stale_reads %u reads\nbench: stale_window %lu ticks\n", device_old, window);
	print("bench: write_ticks %lu ticks\n", write_ticks / rounds);
}
