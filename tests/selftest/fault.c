/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c: faults on purpose.
 *
 * Why in the image: a guard page that is mapped, an IST stack that is not, or a text page that can
 * be written shows only when it is needed most. Each test below provokes one of them the way a bug
 * would; the panic that follows must name the fault, the place and the caller. The functions are
 * kept out of line so that the backtrace has them.
 */
#define LOG_THIS LOG_TEST

#include <ck_pr.h>
#include <arch/boot_info.h>
#include <arch/cpu.h>
#include <arch/random.h>
#include <asm/desc.h>
#include <asm/image.h>
#include <asm/insn.h>
#include <asm/layout.h>
#include <asm/msr.h>
#include <asm/paging.h>
#include <asm/regs.h>
#include <asm/time.h>
#include <lib/lock.h>
#include <lib/log.h>
#include <lib/string.h>
#include "tests/selftest/selftest.h"

#define NOT_CANONICAL 0x0123456789abcdefull
#define NO_SUCH_MSR   0x4fffffff
#define LATE_US	      200000
#define RING_ROUNDS   2000
#define UNMAPPED      (DEVICE_BASE + (1ull << 40))

/* [a] the chosen CPU has run its test; the others wait for it */
static unsigned done;

/* Hides a value from the compiler, which would see the fault coming. */
static u64 opaque(u64 value)
{
	asm volatile("" : "+r"(value));
	return value;
}

static void test_read(void)
{
	(void)*(volatile u64 *)opaque(UNMAPPED);
}

static void test_null(void)
{
	*(volatile u64 *)opaque(0) = 1;
}

static void test_null_call(void)
{
	((void (*)(void))opaque(0))();
}

static void test_text_write(void)
{
	*(volatile u8 *)opaque((u64)image_text_start) = 0xc3;
}

/* The same bytes by their other address. */
static void test_text_alias_write(void)
{
	*(volatile u8 *)opaque(DIRECT_MAP_BASE + image_to_hpa(image_text_start).raw) = 0xc3;
}

static void test_rodata_write(void)
{
	*(volatile u8 *)opaque((u64)image_rodata_start) = 0;
}

static void test_idt_write(void)
{
	*(volatile u64 *)opaque((u64)idt) = 0;
}

static void test_data_execute(void)
{
	static u8 code[] = {0xc3};

	((void (*)(void))opaque((u64)code))();
}

static void test_direct_map_execute(void)
{
	((void (*)(void))opaque(DIRECT_MAP_BASE + image_to_hpa(image_text_start).raw))();
}

static void test_general_protection(void)
{
	(void)*(volatile u64 *)opaque(NOT_CANONICAL);
}

static void test_invalid_opcode(void)
{
	asm volatile("ud2");
}

static void test_check(void)
{
	CHECK(opaque(1) == 2);
}

/* The others have gone on meanwhile, into guests if there are any, and must be stopped there. */
static void test_late_fault(void)
{
	ck_pr_store_uint(&done, 1);
	time_delay(LATE_US);
	asm volatile("ud2");
}

static u64 recurse(u64 depth)
{
	volatile u64 room[32];

	room[depth % 32] = depth;
	return depth ? recurse(depth + 1) + room[depth % 32] : 0;
}

static void test_stack_overflow(void)
{
	(void)opaque(recurse(opaque(1)));
}

/* Past the array, over the canary and the saved registers. */
static void test_stack_smash(void)
{
	u8 room[16];
	volatile u8 *at = (volatile u8 *)opaque((u64)room);

	for (u64 i = 0; i < opaque(64); i++)
		at[i] = 0x41;
}

/* No stack at all: the push of the #GP's frame faults, too. */
static void test_double_fault(void)
{
	asm volatile("movq %0, %%rsp\n\t"
		     "pushq $0"
		     :
		     : "r"(opaque(UNMAPPED)));
	__builtin_unreachable();
}

static void test_lock_rank(void)
{
	static struct spinlock frame, mmu;

	spin_init(&frame, LOCK_FRAME, "selftest.frame");
	spin_init(&mmu, LOCK_MMU, "selftest.mmu");
	spin_lock(&frame);
	spin_lock(&mmu);
	spin_unlock(&mmu);
	spin_unlock(&frame);
	log_info("selftest: lock ranks are not checked in this build");
}

/* An MSR no CPU has, read by the variant that may fail. QEMU answers even those. */
static void test_msr(void)
{
	u64 value;

	log_info("selftest: msr %s", rdmsr_safe(NO_SUCH_MSR, &value) ? "answered" : "refused");
}

/* PAGING-1 to PAGING-5. */
static void test_paging(void)
{
	u64 wrong = paging_audit(paging_table());

	log_info("selftest: paging: %lu breaches", wrong);
	CHECK(!wrong);
}

/* An alarm ends arch_idle() once its time has come, and not before. */
static void test_alarm(void)
{
	u64 tenth = arch_ticks_per_second() / 10, start = arch_ticks();

	arch_alarm(start + tenth);
	while (arch_ticks() < start + tenth)
		arch_idle();
	log_info("selftest: alarm came");
}

/*
 * A token goes round all CPUs, each asleep until it comes. A kick lost between the look and the
 * sleep stops it for good.
 */
static void test_ring(void)
{
	static unsigned token;
	unsigned me = arch_cpu_id(), count = arch_cpu_count();

	for (unsigned round = 0; round < RING_ROUNDS; round++) {
		while (ck_pr_load_uint(&token) != round * count + me)
			arch_idle();
		ck_pr_store_uint(&token, round * count + me + 1);
		arch_cpu_kick((me + 1) % count);
	}
	while (ck_pr_load_uint(&token) != RING_ROUNDS * count)
		arch_idle();
	arch_cpu_kick((me + 1) % count);
	if (me == 0)
		log_info("selftest: ring of %u CPUs went round %u times", count, RING_ROUNDS);
}

/* RANDOM-1: nothing draws a number between random_init() and here. */
static void test_random(void)
{
	u64 first = arch_random(), second = arch_random();

	log_info("selftest: random numbers %016lx %016lx", first, second);
}

static const struct selftest {
	const char *name;
	void (*run)(void);
	bool everywhere; /* runs on all CPUs together */
} tests[] = {
	{"page-fault", test_read, false},
	{"null-write", test_null, false},
	{"null-call", test_null_call, false},
	{"text-write", test_text_write, false},
	{"text-alias-write", test_text_alias_write, false},
	{"rodata-write", test_rodata_write, false},
	{"idt-write", test_idt_write, false},
	{"data-execute", test_data_execute, false},
	{"direct-map-execute", test_direct_map_execute, false},
	{"general-protection", test_general_protection, false},
	{"invalid-opcode", test_invalid_opcode, false},
	{"check", test_check, false},
	{"late-fault", test_late_fault, false},
	{"stack-overflow", test_stack_overflow, false},
	{"stack-smash", test_stack_smash, false},
	{"double-fault", test_double_fault, false},
	{"lock-rank", test_lock_rank, false},
	{"msr", test_msr, false},
	{"random", test_random, false},
	{"paging", test_paging, false},
	{"alarm", test_alarm, false},
	{"ring", test_ring, true},
	{"virt", selftest_virt, false},
	{"merge", selftest_merge, false},
};

static const struct selftest *find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	return NULL;
}

void selftest_run(void)
{
	const char *name = boot_option_text("selftest");
	bool chosen = boot_option_number("selftest-cpu") == arch_cpu_id();
	const struct selftest *test = find(name);

	if (!*name)
		return;
	if (!test && chosen)
		log_error("command line: selftest=%s: there is no such test", name);
	if (test && chosen)
		log_info("selftest: %s", name);
	if (!test)
		return;
	if (chosen || test->everywhere)
		test->run();
	if (chosen)
		ck_pr_store_uint(&done, 1);
	while (!ck_pr_load_uint(&done))
		arch_cpu_relax();
}
