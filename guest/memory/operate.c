/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operate.c: the operations of the VM's address space, by HYPERCALL_OPERATE.
 *
 * Contents survive what moves a page and what cuts or joins leaves; a pin holds until its last
 * user; a page that went to the balloon reads as zero; a limit of rights and the end of a slot are
 * seen at once. The faults that each operation costs are printed. A wrong argument is an error code
 * and changes nothing (HYPERCALL-1, HYPERCALL-2).
 */
#include <guest.h>

#define PAGE	4096ul
#define FIRST	(8ul << 20) /* a block of 512 pages */
#define PAGES	512ul
#define BEYOND	(1ul << 30) /* outside the memory that the VM starts with */
#define PATTERN 0x9e3779b97f4a7c15ul

static volatile u64 *page(u64 i)
{
	return (volatile u64 *)(FIRST + i * PAGE);
}

static s64 operate(enum hypercall_operation operation, u64 address, u64 frames)
{
	return hypercall(HYPERCALL_OPERATE, address / PAGE, frames, operation, 0);
}

static bool done(s64 result, u64 frames, u64 count)
{
	return result == HYPERCALL_PROGRESS(frames, count);
}

static u64 faults(void)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, HYPERCALL_STATISTIC_FAULTS, 0, 0, 0);
}

static void fill(void)
{
	for (u64 i = 0; i < PAGES; i++)
		*page(i) = i * PATTERN;
}

/* Every page reads as fill() left it; the faults of reading are printed with `what`. */
static bool intact(const char *what)
{
	u64 before = faults(), wrong = 0;

	for (u64 i = 0; i < PAGES; i++)
		wrong += *page(i) != i * PATTERN;
	print("%s: %lu second-level faults\n", what, faults() - before);
	return wrong == 0;
}

static void moved(void)
{
	u64 count = 0;

	for (u64 i = 0; i < PAGES; i += 2)
		count += done(operate(HYPERCALL_MIGRATE, FIRST + i * PAGE, 1), 1, 1);
	check(count == PAGES / 2 && intact("migrate"), "%lu pages moved, content kept", count);
	check(done(operate(HYPERCALL_COLLAPSE, FIRST, PAGES), PAGES, 0) && intact("collapse"),
	      "512 pages moved together, content kept");
	check(done(operate(HYPERCALL_SPLIT, FIRST, PAGES), PAGES, 0) && intact("split"),
	      "large leaves cut, content kept");
}

static void pinned(void)
{
	bool good = done(operate(HYPERCALL_PIN, FIRST, 1), 1, 0) &&
		    done(operate(HYPERCALL_PIN, FIRST, 1), 1, 0);

	check(good && operate(HYPERCALL_MIGRATE, FIRST, 1) == HYPERCALL_ERROR_BUSY,
	      "a page with two pins does not move");
	good = done(operate(HYPERCALL_UNPIN, FIRST, 1), 1, 0);
	check(good && operate(HYPERCALL_MIGRATE, FIRST, 1) == HYPERCALL_ERROR_BUSY, "nor with one");
	good = done(operate(HYPERCALL_UNPIN, FIRST, 1), 1, 0);
	check(good && done(operate(HYPERCALL_MIGRATE, FIRST, 1), 1, 1) && *page(0) == 0,
	      "after the last unpin it moves");
}

static void aged(void)
{
	bool good = operate(HYPERCALL_AGE, FIRST, PAGES) >= 0;

	check(good && done(operate(HYPERCALL_AGE, FIRST, PAGES), PAGES, 0), "idle: not young");
	*page(7);
	check(done(operate(HYPERCALL_AGE, FIRST, PAGES), PAGES, 1), "one read: young");
}

static void ballooned(void)
{
	bool good = done(operate(HYPERCALL_BALLOON, FIRST, 256), 256, 0);
	u64 sum = 0;

	for (u64 i = 0; i < 256; i++)
		sum += *page(i);
	check(good && sum == 0 && *page(256) == 256 * PATTERN, "a balloon's pages read as zero");
	good = done(operate(HYPERCALL_BALLOON_NOWAIT, FIRST, PAGES), PAGES, 0);
	check(good && *page(256) == 0, "without a device at work, also when it may not wait");
}

static void store(void *address)
{
	*(volatile u64 *)address = 1;
}

static void load(void *address)
{
	*(volatile u64 *)address;
}

static void limited(void)
{
	bool good;

	*page(0) = 5;
	good = done(operate(HYPERCALL_VIEW_READ_ONLY, FIRST, 1), 1, 0);
	check(good && catch_fault(store, (void *)page(0)).vector == VECTOR_GP && *page(0) == 5,
	      "a read-only view reads, and raises #GP at a write");
	*page(1) = 6;
	good = done(operate(HYPERCALL_VIEW_ALL, FIRST, 1), 1, 0);
	check(good && catch_fault(store, (void *)page(0)).vector == VECTOR_NONE && *page(0) == 1,
	      "until the limit ends");
}

static void slots(void)
{
	volatile u64 *far = (volatile u64 *)BEYOND;

	check(operate(HYPERCALL_SLOT_ADD, FIRST, 16) == HYPERCALL_ERROR_BUSY,
	      "no slot where memory is");
	check(catch_fault(load, (void *)far).vector == VECTOR_GP, "no memory at 1 GiB");
	check(done(operate(HYPERCALL_SLOT_ADD, BEYOND, 16), 16, 0) && *far == 0, "a slot is there");
	*far = PATTERN;
	check(*far == PATTERN &&
		      operate(HYPERCALL_SLOT_REMOVE, BEYOND, 15) == HYPERCALL_ERROR_RANGE,
	      "a slot goes as a whole");
	check(done(operate(HYPERCALL_SLOT_REMOVE, BEYOND, 16), 16, 0) &&
		      catch_fault(load, (void *)far).vector == VECTOR_GP,
	      "and is gone at once");
}

static void refused(void)
{
	check(operate(HYPERCALL_OPERATIONS, FIRST, 1) == HYPERCALL_ERROR_INVALID &&
		      operate(HYPERCALL_SLOT_ADD, BEYOND, 513) == HYPERCALL_ERROR_INVALID &&
		      operate(HYPERCALL_MIGRATE, FIRST, 0) == HYPERCALL_ERROR_INVALID &&
		      operate(HYPERCALL_SPLIT, BEYOND, 1) == HYPERCALL_ERROR_RANGE,
	      "no such operation, too long, empty, no memory: refused");
}

void guest_main(void)
{
	fill();
	moved();
	pinned();
	aged();
	ballooned();
	limited();
	slots();
	refused();
}
