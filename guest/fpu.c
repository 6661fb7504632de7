/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fpu.c: are a guest's x87, SSE and AVX registers its own? Two VMs with different seeds share a CPU; each
 * fills its registers from its seed, lets the other one run, and looks again.
 *
 *     seed=N    what the registers are filled from      rounds=N    how often
 */
#include <guest.h>

#define STATE_SIZE 4096

struct state {
	u8 bytes[STATE_SIZE];
} __attribute__((aligned(64)));

static struct state want, have;
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

/* The layout of SDM vol. 1, 10.5.1 and 13.4: x87 from byte 32, XMM from 160, the upper YMM from 576. */
static void fill(u64 seed)
{
	u64 *words = (u64 *)want.bytes;

	save(&want);
	for (unsigned i = 0; i < 8; i++)
		words[4 + 2 * i] = next(&seed);
	for (unsigned i = 0; i < 32; i++)
		words[20 + i] = next(&seed);
	if (avx)
		for (unsigned i = 0; i < 32; i++)
			words[72 + i] = next(&seed);
	if (features)
		words[64] = features; /* XSTATE_BV: all in use */
	restore(&want);
}

static bool same(void)
{
	const u64 *a = (const u64 *)want.bytes, *b = (const u64 *)have.bytes;
	bool equal = true;

	save(&have);
	for (unsigned i = 0; i < 8; i++)
		equal &= a[4 + 2 * i] == b[4 + 2 * i];
	for (unsigned i = 0; i < 32; i++)
		equal &= a[20 + i] == b[20 + i];
	for (unsigned i = 0; avx && i < 32; i++)
		equal &= a[72 + i] == b[72 + i];
	return equal;
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
	u64 seed = option_number("seed", 1), rounds = option_number("rounds", 40), wrong = 0;

	turn_on();
	print("x87 and SSE%s, seed %lu\n", avx ? " and AVX" : "", seed);
	fill(seed * 0x9e3779b97f4a7c15);
	for (u64 i = 0; i < rounds; i++) {
		hypercall(HYPERCALL_YIELD, 0, 0, 0, 0);
		wrong += !same();
	}
	check(wrong == 0, "registers unchanged over %lu turns of the other VM", rounds);
}
