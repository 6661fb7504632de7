/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smp.c: two vCPUs of one VM: shared counters, ping-pong through memory, and interrupts that wake
 * HLT.
 *
 *     spin    vCPU 1 ends in a loop with interrupts off, which only the hypervisor can end
 */
#include <guest.h>

#define ROUNDS	   20000ul
#define PINGS	   200ul
#define IRQS	   50ul
#define IRQ_WAKE   40
#define PAGES_HELD 64
#define PAGE	   4096ul

static volatile u64 shared, plain[2], turn, stop, ready;
static volatile u8 *const pages = (volatile u8 *)(8ul << 20);

static void count(unsigned self)
{
	for (u64 i = 0; i < ROUNDS; i++) {
		__atomic_add_fetch(&shared, 1, __ATOMIC_SEQ_CST);
		plain[self]++;
	}
}

/* Waits for its turn, takes it, hands it over. Yields now and then: both may share one CPU. */
static void play(unsigned self)
{
	for (u64 i = 0; i < PINGS; i++) {
		for (u64 spins = 0; turn % 2 != self; spins++) {
			pause_cpu();
			if (spins % 256 == 255)
				hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
		}
		turn++;
	}
}

/* Both write their own bytes of the same pages, which fault in on either. */
static void write_pages(unsigned self)
{
	for (unsigned i = 0; i < PAGES_HELD; i++)
		pages[i * PAGE + self] = (u8)(i + 1);
}

static void sleep_until_stopped(void)
{
	ready = 1;
	while (!stop)
		asm volatile("sti; hlt; cli" : : : "memory");
	ready = 2;
}

static void second(u64 argument)
{
	check(vcpu_number() == 1 && argument == 77, "vCPU 1 runs with its argument");
	count(1);
	play(1);
	write_pages(1);
	sleep_until_stopped();
	while (option("spin"))
		asm volatile("cli");
}

static void wait_for(const volatile u64 *what, u64 least)
{
	while (*what < least)
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
}

/*
 * What counts is that each interrupt is taken, which in HLT takes a wake-up. It may also be taken
 * just before the HLT: QEMU 7.2 does not load the interrupt shadow at VMRUN, so an exit between STI
 * and HLT loses it. Hence the last one is repeated.
 */
static void wake_second(void)
{
	wait_for(&ready, 1);
	for (u64 i = 1; i <= IRQS; i++) {
		hypercall(HYPERCALL_IPI, 1, IRQ_WAKE, 0, 0);
		while (irq_count_of(1, IRQ_WAKE) < i)
			hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	}
	check(irq_count_of(1, IRQ_WAKE) == IRQS, "vCPU 1 took %lu of %lu interrupts",
	      irq_count_of(1, IRQ_WAKE), IRQS);
	for (stop = 1; ready != 2;) {
		hypercall(HYPERCALL_IPI, 1, IRQ_WAKE, 0, 0);
		for (unsigned i = 0; i < 256 && ready != 2; i++)
			hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
	}
}

static void check_pages(void)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < PAGES_HELD; i++)
		wrong += pages[i * PAGE] != (u8)(i + 1) || pages[i * PAGE + 1] != (u8)(i + 1);
	check(wrong == 0, "both vCPUs see one memory");
}

void guest_main(void)
{
	check(hypercall(HYPERCALL_VCPU_COUNT, 0, 0, 0, 0) == 2, "the VM has two vCPUs");
	check(hypercall(HYPERCALL_VCPU_START, 1, 1ul << 62, 0, 0) < 0,
	      "a vCPU is not started at an address that is not canonical");
	check(vcpu_run(1, second, 77) == 0, "vCPU 1 starts");
	check(vcpu_run(1, second, 77) == HYPERCALL_ERROR_BUSY, "but not twice");
	count(0);
	play(0);
	write_pages(0);
	wake_second();
	check(shared == 2 * ROUNDS, "the shared counter lost nothing: %lu", shared);
	check(plain[0] == ROUNDS && plain[1] == ROUNDS, "each counted for itself");
	check(turn == 2 * PINGS, "the ball came back each time");
	check_pages();
}
