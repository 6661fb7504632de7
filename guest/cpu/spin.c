/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin.c: uses its CPU and asks how often it was given it: for fair sharing between VMs.
 *
 *     slices=N    goes on until it has been given the CPU N times
 *     sharers=N   how many like it share the CPU, and so what its part of all turns should be
 *     lines=N     prints N lines on the way, as fast as it can
 */
#include <guest.h>

static u64 statistic(enum hypercall_statistic which)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, which, 0, 0, 0);
}

/* Each turn of the CPU goes to the one that had least so far, so no two differ by more than one. */
static void check_share(u64 mine)
{
	u64 sharers = option_number("sharers", 0);
	u64 all = statistic(HYPERCALL_STATISTIC_TURNS);

	if (sharers)
		check(all + sharers >= mine * sharers && all <= (mine + 1) * sharers,
		      "had %lu of %lu turns, with %lu sharing", mine, all, sharers);
}

void guest_main(void)
{
	u64 wanted = option_number("slices", 50), rounds = 0;
	u64 lines = option_number("lines", 0);

	while (statistic(HYPERCALL_STATISTIC_SLICES) < wanted || rounds < lines) {
		for (volatile unsigned i = 0; i < 1000; i++)
			;
		rounds++;
		if (rounds <= lines)
			print("flood flood flood flood %lu\n", rounds);
	}
	check_share(wanted);
}
