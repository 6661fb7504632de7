/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin.c: spins and reads the number of its time slices: fair sharing between VMs.
 *
 *     slices=N    until it has had N time slices
 *     sharers=N   VMs on the same CPU, which gives its share of all slices
 *     lines=N     prints N lines meanwhile, without a pause
 *     gap=N       and is never without the CPU for more than N microseconds
 */
#include <guest.h>

static u64 statistic(enum hypercall_statistic which)
{
	return (u64)hypercall(HYPERCALL_STATISTIC, which, 0, 0, 0);
}

static u64 time_now(void)
{
	return (u64)hypercall(HYPERCALL_TIME, 0, 0, 0, 0);
}

/* A slice goes to the VM with the fewest so far, so no two differ by more than one. */
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
	u64 least = option_number("slices", 50), rounds = 0;
	u64 lines = option_number("lines", 0), gap = option_number("gap", 0), longest = 0;
	u64 before = gap ? time_now() : 0;

	while (statistic(HYPERCALL_STATISTIC_SLICES) < least || rounds < lines) {
		for (volatile unsigned i = 0; i < 1000; i++)
			;
		rounds++;
		if (gap) {
			u64 now = time_now();

			longest = now - before > longest ? now - before : longest;
			before = now;
		}
		if (rounds <= lines)
			print("flood flood flood flood %lu\n", rounds);
	}
	if (gap)
		check(longest <= gap * 1000, "the longest time without the CPU: %lu us",
		      longest / 1000);
	check_share(least);
}
