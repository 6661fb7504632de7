/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fpu.c: x87, SSE and AVX registers are kept apart. Two VMs with different seeds share a CPU;
 * each fills its registers from its seed, lets the other one run, and compares (XSAVE-2).
 *
 *     seed=N    seed of the contents      rounds=N    how often
 */
#include <guest.h>

#define STATE_SIZE 4096
/*
 * The layout of SDM vol. 1, 10.5.1 and 13.4, in words of 8 bytes: x87, XMM, XSTATE_BV, upper YMM.
 */
#define X87_WORD 4
#define XMM_WORD 20
#define BV_WORD	 64
#define YMM_WORD 72
#define NONE	 ~0u

struct state {
	u8 bytes[STATE_SIZE];
} __attribute__((aligned(64)));

static struct state expected, have;
static bool avx;
static u32 features; /* of XCR0 */

static u64 next(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void save(struct state *state)
{
	if (features)
		asm volatile("xsave64 %0" : "+m"(*state) : "a"(features), "d"(0));
	else
		asm volatile("fxsave64 %0" : "=m"(*state));
}

static void restore(const struct state *state)
{
	if (features)
		asm volatile("xrstor64 %0" : : "m"(*state), "a"(features), "d"(0));
	else
		asm volatile("fxrstor64 %0" : : "m"(*state));
}

static void fill(u64 seed)
{
	u64 *words = (u64 *)expected.bytes;

	save(&expected);
	for (unsigned i = 0; i < 8; i++)
		words[X87_WORD + 2 * i] = next(&seed);
	for (unsigned i = 0; i < 32; i++)
		words[XMM_WORD + i] = next(&seed);
	if (avx)
		for (unsigned i = 0; i < 32; i++)
			words[YMM_WORD + i] = next(&seed);
	if (features)
		words[BV_WORD] = features; /* XSTATE_BV: all in use */
	restore(&expected);
}

/* The first word that differs, or a number past all of them. */
static unsigned first_difference(unsigned from, unsigned to, unsigned step)
{
	const u64 *a = (const u64 *)expected.bytes, *b = (const u64 *)have.bytes;

	for (unsigned i = from; i < to; i += step)
		if (a[i] != b[i])
			return i;
	return NONE;
}

static unsigned look_again(void)
{
	unsigned at;

	save(&have);
	at = first_difference(X87_WORD, X87_WORD + 16, 2);
	if (at == NONE)
		at = first_difference(XMM_WORD, XMM_WORD + 32, 1);
	if (at == NONE && avx)
		at = first_difference(YMM_WORD, YMM_WORD + 32, 1);
	return at;
}

static void turn_on(void)
{
	struct cpuid one = cpuid(1, 0);
	u64 cr4;

	if (!(one.ecx & BIT(26)))
		return;
	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	asm volatile("movq %0, %%cr4" : : "r"(cr4 | BIT(18)));
	features = cpuid(0xd, 0).eax;
	avx = features & BIT(2);
	asm volatile("xsetbv" : : "c"(0), "a"(features), "d"(0));
}

void guest_main(void)
{
	u64 seed = option_number("seed", 1), rounds = option_number("rounds", 40);
	unsigned at = NONE;

	turn_on();
	print("x87 and SSE%s, seed %lu\n", avx ? " and AVX" : "", seed);
	fill(seed * 0x9e3779b97f4a7c15);
	for (u64 i = 0; i < rounds; i++) {
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
		at = look_again();
		if (at != NONE)
			break;
	}
	check(at == NONE, "registers unchanged over %lu turns of the other VM", rounds);
	if (at != NONE)
		print("word %u: %lx, not %lx\n", at, ((u64 *)have.bytes)[at],
		      ((u64 *)expected.bytes)[at]);
}
