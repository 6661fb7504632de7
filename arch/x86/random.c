/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.c: random numbers, and the stack protector's canary.
 *
 *     RDRAND, if any --+
 *     TSC, 64 times ---+--> key: arch_random() = siphash(key, counter, TSC) ^ RDRAND
 *     seed=N -------------> key: arch_random() = siphash(key, counter)
 *
 * Why both sources: RDRAND alone is a black box, and some CPUs have none or a broken one; the TSC
 * alone is weak on a machine that boots in the same time twice. The value is at least as good as
 * the better of the two.
 *
 * The canary is drawn before the first function that has one is entered: random_start() is the
 * first act of arch_early_init(). Its lowest byte is 0, so that a string copied over it ends there.
 *
 * RANDOM-1 With seed=N the sequence of arch_random() is a function of N.
 */
#define LOG_THIS LOG_CPU

#include <asm/random.h>
#include <arch/boot_info.h>
#include <arch/random.h>
#include <asm/cpuid.h>
#include <asm/insn.h>
#include <ck_pr.h>
#include <lib/log.h>
#include <lib/siphash.h>

#define JITTER_ROUNDS 64
#define RDRAND_TRIES  10 /* SDM vol. 1, 7.3.17.1 */

/* counter: [a]; the rest: [I] once random_init() is done */
static struct {
	struct siphash_key key;
	u64 counter;
	bool rdrand; /* the CPU has it */
	bool fixed;  /* seed=N */
} pool;

/*
 * Read by the code that the compiler adds to a function with an array (-fstack-protector-strong).
 */
u64 __stack_chk_guard;
void __stack_chk_fail(void) __noreturn;

static bool rdrand(u64 *out)
{
	bool valid = false;

	for (unsigned i = 0; i < RDRAND_TRIES && !valid; i++)
		asm volatile("rdrand %0" : "=r"(*out), "=@ccc"(valid));
	return valid && *out != ~0ull; /* what an AMD CPU with a broken RDRAND returns */
}

static void pool_absorb(u64 word)
{
	const u64 low[] = {word, 0}, high[] = {word, 1};
	struct siphash_key key = {{siphash(&pool.key, low, 2), siphash(&pool.key, high, 2)}};

	pool.key = key;
}

void __no_stack_protector random_start(void)
{
	u64 word;

	pool.rdrand = cpuid_has(CPUID_RDRAND);
	for (unsigned i = 0; i < JITTER_ROUNDS; i++) {
		pool_absorb(tsc_read());
		if (i < 4 && pool.rdrand && rdrand(&word))
			pool_absorb(word);
	}
	__stack_chk_guard = arch_random() & ~0xffull;
}

void random_init(void)
{
	u64 seed = boot_option_number("seed");

	pool_absorb(tsc_read());
	if (seed) {
		pool.key = (struct siphash_key){{seed, 0}};
		pool.fixed = true;
		ck_pr_store_64(&pool.counter, 0);
	}
	log_info("random numbers: from %s", seed	  ? "seed=, no secret"
					    : pool.rdrand ? "RDRAND and the TSC"
							  : "the TSC alone");
}

u64 arch_random(void)
{
	u64 input[] = {ck_pr_faa_64(&pool.counter, 1), pool.fixed ? 0 : tsc_read()};
	u64 value = siphash(&pool.key, input, ARRAY_SIZE(input)), word;

	if (!pool.fixed && pool.rdrand && rdrand(&word))
		value ^= word;
	return value;
}

void __stack_chk_fail(void)
{
	panic("a function wrote over the end of its frame: the stack canary is gone");
}
