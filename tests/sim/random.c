/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.c: chance that can be repeated, and how much of a search a run does.
 */
#include "sim/sim.h"

bool sim_long(void)
{
	return getenv("SAMEPAGE_LONG");
}

struct sim_random sim_random_start(u64 seed)
{
	const char *given = getenv("SAMEPAGE_SEED");

	if (given)
		seed = strtoull(given, NULL, 0);
	printf("# SAMEPAGE_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return (struct sim_random){seed};
}

u64 sim_random(struct sim_random *random)
{
	u64 z = random->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

u64 sim_below(struct sim_random *random, u64 limit)
{
	return (u64)(((unsigned __int128)sim_random(random) * limit) >> 64);
}

bool sim_once_in(struct sim_random *random, u64 n)
{
	return sim_below(random, n) == 0;
}

u64 sim_size(struct sim_random *random, u64 limit)
{
	u64 bits = 64 - (u64)__builtin_clzll(limit);
	u64 size = 1 + sim_below(random, 1ull << sim_below(random, bits));

	return MIN(size, limit);
}
