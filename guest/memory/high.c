/* SPDX-License-Identifier: Apache-2.0 */
/*
 * high.c: a VM with memory on both sides of the hole below 4 GiB: the map, the pages, and the calls
 * that take ranges.
 *
 *     step=N       touches each N-th page only, so that a VM may have more memory than the machine
 */
#include <guest.h>

#define PAGE	4096ul
#define LARGE	(2ul << 20)
#define GIB	(1ul << 30)
#define START	(4ul << 20)
#define LOW_END ((u64)MACHINE_DEVICES_START)
#define HIGH	((u64)MACHINE_DEVICES_END)
#define TABLES	8ul /* GiB of high memory that the guest's tables map */

static u64 step, high_end;

extern u64 guest_pdpt[];

static volatile u64 *word(u64 address)
{
	return (volatile u64 *)address;
}

static void map_high(void)
{
	static u64 directory[TABLES * 512] __attribute__((aligned(4096)));

	for (u64 i = 0; i < TABLES * 512; i++)
		directory[i] = (HIGH + i * LARGE) | 0x87;
	for (u64 i = 0; i < TABLES; i++)
		guest_pdpt[HIGH / GIB + i] = (u64)(directory + i * 512) | 7;
	asm volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
}

static void check_map(void)
{
	u64 at = guest_info->map, end = at + guest_info->map_length, count = 0, base = 0, size = 0;

	for (const struct multiboot_map_entry *e; at < end; at += e->size + 4, count++) {
		e = (const struct multiboot_map_entry *)at;
		base = (u64)e->base_high << 32 | e->base_low;
		size = (u64)e->length_high << 32 | e->length_low;
		print("RAM from %lx to %lx\n", base, base + size);
	}
	high_end = base + size;
	check(count == 3 && base == HIGH, "the last of three ranges begins at 4 GiB");
	check(guest_info->mem_upper == (LOW_END - 0x100000) >> 10, "upper memory ends at 3 GiB");
}

static u64 pattern(u64 address)
{
	return address * 0x9e3779b97f4a7c15 ^ 0x5a5a;
}

static u64 write_patterns(u64 from, u64 to)
{
	u64 pages = 0;

	for (u64 at = from; at < to; at += step, pages++)
		*word(at) = pattern(at);
	*word(to - 8) = pattern(to - 8);
	return pages;
}

static u64 count_wrong(u64 from, u64 to)
{
	u64 wrong = *word(to - 8) != pattern(to - 8);

	for (u64 at = from; at < to; at += step)
		wrong += *word(at) != pattern(at);
	return wrong;
}

static void check_patterns(void)
{
	u64 pages = write_patterns(START, LOW_END) + write_patterns(HIGH, high_end);

	check(count_wrong(START, LOW_END) == 0, "pages below the hole keep their patterns");
	check(count_wrong(HIGH, high_end) == 0, "pages above it keep theirs, of %lu in all", pages);
}

static void touch(void *address)
{
	*(volatile u64 *)address;
}

static bool is_nowhere(u64 address)
{
	return catch_fault(touch, (void *)address).vector == VECTOR_GP;
}

static void check_hole(void)
{
	check(is_nowhere(LOW_END), "nothing is at 3 GiB");
	check(is_nowhere(HIGH - 8), "nothing is just below 4 GiB");
	check(is_nowhere(high_end), "nothing is past the last range");
}

/* A range of frames must lie in one piece of RAM. */
static void check_range(u64 call, u64 argument, const char *name)
{
	u64 last = LOW_END / PAGE - 1, whole = (HIGH - LOW_END) / PAGE + 2;

	check(hypercall(call, last, 2, argument, 0) == HYPERCALL_ERROR_RANGE,
	      "%s refuses a range into the hole", name);
	check(hypercall(call, last, whole, argument, 0) == HYPERCALL_ERROR_RANGE,
	      "%s refuses a range over the hole", name);
	check(hypercall(call, HIGH / PAGE - 1, 2, argument, 0) == HYPERCALL_ERROR_RANGE,
	      "%s refuses a range out of the hole", name);
	check(hypercall(call, high_end / PAGE - 1, 2, argument, 0) == HYPERCALL_ERROR_RANGE,
	      "%s refuses a range past the end", name);
}

static void check_calls(void)
{
	u64 at = HIGH + step;

	check_range(HYPERCALL_PROTECT, HYPERCALL_ACCESS_READ, "protect");
	check_range(HYPERCALL_DISCARD, 0, "discard");
	check_range(HYPERCALL_MERGE, HYPERCALL_MERGE_MERGEABLE, "merge");
	check(hypercall(HYPERCALL_RECLAIM, HIGH / PAGE, 1, 0, 0) == 1 &&
		      *word(HIGH) == pattern(HIGH),
	      "a high page comes back from reclaim as it was");
	check(hypercall(HYPERCALL_DISCARD, at / PAGE, 1, 0, 0) == 0 && *word(at) == 0,
	      "a high page that is discarded reads zero");
	check(*word(at - HIGH + START) == pattern(at - HIGH + START), "a low one is as it was");
	*word(at) = pattern(at);
}

/* The scanner goes over both ranges; a pass is as long as the VM's memory. */
static void check_merging(void)
{
	u64 low = START + PAGE, high = high_end - 2 * PAGE, pages = high_end / PAGE;
	struct hypercall_merge_stats stats = {0};

	for (u64 i = 0; i < PAGE; i += 8)
		*word(low + i) = *word(high + i) = pattern(i);
	for (u64 n = 0; n < 4 * pages && stats.ksm_merging_pages < 2; n += 512) {
		hypercall(HYPERCALL_MERGE_SCAN, 512, 0, 0, 0);
		merge_statistics(&stats);
	}
	check(stats.ksm_merging_pages == 2, "a low page and a high one share a frame");
	*word(low) = 1;
	check(*word(high) == pattern(0) && *word(low) == 1, "a write to one changes it alone");
}

void guest_main(void)
{
	step = option_number("step", 509) * PAGE;
	map_high();
	check_map();
	check_patterns();
	check_hole();
	check_calls();
	check_merging();
}
