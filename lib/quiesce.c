/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiesce.c: the updater's side of quiesce.h.
 */
#include <lib/quiesce.h>
#include <lib/env.h>
#include <lib/race.h>

static void quiesce_wait_cpu(const u64 *count)
{
	u64 seen = ck_pr_load_64(count);

	while ((seen & 1) && ck_pr_load_64(count) == seen)
		lib_env()->relax();
}

void quiesce_wait(const struct quiesce *quiesce, unsigned cpus)
{
	if (IS_ENABLED(CONFIG_BREAK_QUIESCE))
		return;
	DEBUG_CHECK(!quiesce_inside(quiesce, lib_env()->cpu_id()));
	ck_pr_fence_memory(); /* pairs with quiesce_enter() */
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		quiesce_wait_cpu(&quiesce->reader[cpu].count);
		RACE_POINT("quiesce: one CPU done"); /* under the updater's lock */
	}
	ck_pr_fence_acquire(); /* pairs with the release of quiesce_leave() */
}
