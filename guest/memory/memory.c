/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: every page of the VM keeps what is written to it; outside memory an access faults.
 *
 *     step=N       touches each N-th page only, so that a VM may have more memory than the machine
 *     populated    its memory was backed before it started: then large pages spare the faults
 */
#include <guest.h>

#define PAGE	   4096ul
#define LARGE	   (2ul << 20)
#define TEST_START (4ul << 20)

static u64 memory_size, step;

/* RAM from `start` on, by the boot information. */
static u64 end_of_memory(void)
{
	return 0x100000 + ((u64)guest_info->mem_upper << 10);
}

static volatile u64 *word(u64 address)
{
	return (volatile u64 *)address;
}

static u64 pattern(u64 address)
{
	return address * 0x9e3779b97f4a7c15 ^ 0x5a5a;
}

static void check_zero(void)
{
	u64 sum = 0;

	for (u64 at = TEST_START; at < memory_size; at += step)
		sum |= *word(at) | *word(at + PAGE - 8);
	check(sum == 0, "memory that was not written reads zero");
}

static void check_patterns(void)
{
	u64 wrong = 0;

	for (u64 at = TEST_START; at < memory_size; at += step)
		*word(at) = pattern(at);
	for (u64 at = TEST_START; at < memory_size; at += step)
		wrong += *word(at) != pattern(at);
	check(wrong == 0, "each of %lu pages keeps its own pattern",
	      (memory_size - TEST_START + step - PAGE) / step);
}

static s64 faults(void)
{
	return hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_FAULTS, 0, 0, 0);
}

static void check_no_second_fault(void)
{
	s64 before = faults();
	u64 sum = 0;

	for (u64 at = TEST_START; at < memory_size; at += step)
		sum += *word(at);
	check(faults() == before && sum, "a page that was touched faults no more");
}

static void touch(void *address)
{
	*(volatile u64 *)address;
}

static void store(void *address)
{
	*(volatile u64 *)address = 1;
}

static void jump(void *address)
{
	((void (*)(void))address)();
}

static void check_nowhere(void)
{
	void *hole = (void *)0xb8000ul, *past = (void *)memory_size;

	check(catch_fault(touch, hole).vector == VECTOR_GP, "a read of the hole raises #GP");
	check(catch_fault(store, hole).vector == VECTOR_GP, "a write to the hole raises #GP");
	check(catch_fault(touch, past).vector == VECTOR_GP, "a read past memory raises #GP");
	check(catch_fault(jump, past).vector == VECTOR_GP, "a jump past memory raises #GP");
	check(catch_fault(touch, (void *)(memory_size - 8)).vector == VECTOR_NONE,
	      "the last word of memory is there");
}

extern u64 guest_pd[];

/* The guest's own paging, over the second level. */
static void check_own_paging(void)
{
	static u64 table[512] __attribute__((aligned(4096)));
	u64 slot = TEST_START / LARGE, saved = guest_pd[slot];
	struct guest_fault fault;

	for (u64 i = 0; i < 512; i++)
		table[i] = (TEST_START + i * PAGE) | 3;
	table[7] &= ~2ul;
	table[8] = 0;
	guest_pd[slot] = (u64)table | 3;
	asm volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
	fault = catch_fault(store, (void *)(TEST_START + 7 * PAGE));
	check(fault.vector == VECTOR_PF && fault.error_code == 3 &&
		      fault.address == TEST_START + 7 * PAGE,
	      "a write to the guest's own read-only page raises #PF(3)");
	fault = catch_fault(touch, (void *)(TEST_START + 8 * PAGE));
	check(fault.vector == VECTOR_PF && fault.error_code == 0,
	      "a read of the guest's own absent page raises #PF(0)");
	check(*word(TEST_START + 9 * PAGE) == pattern(TEST_START + 9 * PAGE),
	      "small pages of the guest show the same memory");
	check(table[9] & 0x20, "the CPU set the accessed bit in the guest's table");
	guest_pd[slot] = saved;
	asm volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
}

static void check_ranges(u64 call, u64 argument, const char *name)
{
	u64 gfn = TEST_START / PAGE, end = memory_size / PAGE;

	check(hypercall(call, gfn, 0, argument, 0) == HYPERCALL_ERROR_INVALID,
	      "%s refuses an empty range", name);
	check(hypercall(call, ~0ul - 1, 4, argument, 0) == HYPERCALL_ERROR_INVALID,
	      "%s refuses a range that wraps", name);
	check(hypercall(call, end, 1, argument, 0) == HYPERCALL_ERROR_RANGE,
	      "%s refuses a range outside memory", name);
	check(hypercall(call, end - 1, 2, argument, 0) == HYPERCALL_ERROR_RANGE,
	      "%s refuses a range that ends outside memory", name);
}

static void check_protect(void)
{
	u64 at = TEST_START + 16 * PAGE, gfn = at / PAGE;

	check_ranges(HYPERCALL_PROTECT, HYPERCALL_ACCESS_READ, "protect");
	check(hypercall(HYPERCALL_PROTECT, gfn, 16, 2, 0) == HYPERCALL_ERROR_INVALID,
	      "protect refuses an access that is none");
	check(hypercall(HYPERCALL_PROTECT, gfn, 16, HYPERCALL_ACCESS_READ, 0) == 0, "protect");
	check(*word(at) == pattern(at), "a protected page reads as before");
	check(catch_fault(store, (void *)at).vector == VECTOR_GP, "a write to it raises #GP");
	check(*word(at) == pattern(at), "and changes nothing");
	check(hypercall(HYPERCALL_PROTECT, gfn, 16, HYPERCALL_ACCESS_WRITE, 0) == 0, "allow again");
	check(catch_fault(store, (void *)at).vector == VECTOR_NONE && *word(at) == 1,
	      "a write goes through again");
}

/* The pages are a power of two. Not one after the other: a fault would map those after it. */
static s64 faults_of_writes(u64 from, u64 pages)
{
	s64 before = faults();

	for (u64 i = 0; i < pages; i++)
		*word(from + i * 7 % pages * PAGE + 8) = i;
	return faults() - before;
}

static void check_watch(void)
{
	u64 at = TEST_START + 48 * PAGE;

	check_ranges(HYPERCALL_WATCH, 0, "watch");
	check(hypercall(HYPERCALL_WATCH, at / PAGE, 16, 0, 0) == 0, "watch");
	check(*word(at) == pattern(at), "a watched page reads as before");
	check(faults_of_writes(at, 16) == 16, "the first write to each of 16 pages faults");
	check(faults_of_writes(at, 16) == 0, "the second does not");
	check(*word(at) == pattern(at), "the rest of the page is as it was");
}

static void check_unmap(void)
{
	u64 at = TEST_START + 80 * PAGE;

	check_ranges(HYPERCALL_UNMAP, 0, "unmap");
	check(hypercall(HYPERCALL_UNMAP, at / PAGE, 16, 0, 0) == 0, "unmap");
	check(faults_of_writes(at, 16) == 16, "each of 16 unmapped pages faults once");
	check(faults_of_writes(at, 16) == 0, "and not twice");
	check(*word(at) == pattern(at), "what they held is still there");
}

static void check_discard(void)
{
	u64 at = TEST_START + 112 * PAGE;

	check_ranges(HYPERCALL_DISCARD, 0, "discard");
	check(hypercall(HYPERCALL_DISCARD, at / PAGE, 1, 0, 0) == 0, "discard");
	check(*word(at) == 0, "a discarded page reads zero");
	check(*word(at + PAGE) == pattern(at + PAGE), "its neighbour is as it was");
	*word(at) = 7;
	check(*word(at) == 7, "it can be written again");
}

/* Small pages lie around the hole only; the rest of memory is in 2 MiB leaves. */
static void check_large_pages(void)
{
	s64 least = (s64)((memory_size - TEST_START) / LARGE);

	check(faults() < least + 256, "%ld faults for %lu MiB: memory is in large pages", faults(),
	      memory_size >> 20);
}

/* What counts on a pattern in every page. */
static void check_each_page(void)
{
	check_own_paging();
	check_protect();
	check_watch();
	check_unmap();
	check_discard();
}

void guest_main(void)
{
	memory_size = end_of_memory();
	step = option_number("step", 1) * PAGE;
	print("%lu MiB\n", memory_size >> 20);
	check_zero();
	check_patterns();
	check_no_second_fault();
	if (option("populated"))
		check_large_pages();
	check_nowhere();
	if (step == PAGE)
		check_each_page();
}
