/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shoot.c: remote flushes: a right that one vCPU takes away is gone on the other one when the call
 * returns (RUN-1, VMX-3).
 *
 *     vCPU 0                               vCPU 1, interrupts off, never exits by itself
 *     ------                               --------------------------------------------
 *     the page is writable; go             writes it for ever
 *     sees it change
 *     PROTECT read-only ... returns        #GP(0) at its next write
 *     the page changes no more
 *
 * Without the flush of the other CPU's TLB, or with a kick that does not reach a guest with
 * interrupts off, the page changes after the call.
 */
#include <guest.h>

#define ROUNDS 40ul
#define PAGE   (8ul << 20)
#define LOOK   100000ul

static volatile u64 *const page = (volatile u64 *)PAGE;
static volatile u64 go, stopped;

static void yield(void)
{
	hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

static void wait_for(const volatile u64 *what, u64 least)
{
	while (*what < least)
		yield();
}

static void write_for_ever(void *unused)
{
	for (;;)
		++*page;
}

static void second(u64 argument)
{
	for (u64 round = 1; round <= ROUNDS; round++) {
		wait_for(&go, round);
		stopped = catch_fault(write_for_ever, NULL).vector == VECTOR_GP ? round : ~0ul;
	}
	for (;;)
		asm volatile("hlt");
}

static void wait_for_change(void)
{
	u64 before = *page;

	for (u64 spins = 1; *page == before; spins++) {
		pause_cpu();
		if (spins % 1024 == 0)
			yield();
	}
}

static s64 protect(enum hypercall_access access)
{
	return hypercall(HYPERCALL_PROTECT, PAGE >> 12, 1, access, 0);
}

/* False: the page changed after it had become read-only. */
static bool shoot(u64 round)
{
	u64 before;
	bool still = true;

	if (protect(HYPERCALL_ACCESS_WRITE) != 0)
		return false;
	go = round;
	wait_for_change();
	if (protect(HYPERCALL_ACCESS_READ) != 0)
		return false;
	before = *page;
	for (u64 i = 0; i < LOOK && still; i++)
		still = *page == before;
	if (still)
		wait_for(&stopped, round);
	return still && stopped == round;
}

void guest_main(void)
{
	unsigned good = 0;

	*page = 0;
	check(vcpu_run(1, second, 0) == 0, "vCPU 1 starts");
	while (good < ROUNDS && shoot(good + 1))
		good++;
	check(good == ROUNDS, "%u of %lu times nothing was written after the page became read-only",
	      good, ROUNDS);
}
