/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiesce.h: waiting for readers that take no lock.
 *
 * Readers find an object through a pointer, without a lock. An updater unlinks the object, waits
 * until each reader that may have found it is done, and then frees it:
 *
 *     reader, on CPU c                      updater
 *     ----------------                      -------
 *     count[c]++ (odd), full barrier        unlink the object
 *     find the object, use it               full barrier
 *     barrier, count[c]++ (even)            each CPU: n = count; if n is odd, wait until count != n
 *                                           free the object
 *
 * The barriers are a store-buffering pattern: either the updater sees that the reader is inside, or
 * the reader sees that the object is unlinked. The wait is for a change, not for an even count, so
 * a CPU that enters again and again does not delay it.
 *
 * Invariants:
 * QUIESCE-1  A reader that entered before quiesce_wait() was called has left when it returns.
 * QUIESCE-2  quiesce_wait() waits for no reader that enters after the call.
 *
 * Model: tests/model/quiesce.pml.
 */
#ifndef SAMEPAGE_LIB_QUIESCE_H
#define SAMEPAGE_LIB_QUIESCE_H

#include <ck_pr.h>
#include <lib/log.h>
#include <lib/types.h>

/*
 * The readers of one kind of object; zero to begin with.
 *
 * count	[a] by CPU: odd while the CPU reads. Only that CPU writes it.
 */
struct quiesce {
	struct {
		u64 count;
	} __aligned(64) reader[CONFIG_MAX_CPUS];
};

/* Whether this CPU reads; `cpu` is its number. */
static inline bool quiesce_inside(const struct quiesce *quiesce, unsigned cpu)
{
	return ck_pr_load_64(&quiesce->reader[cpu].count) & 1;
}

/* Begins to read; not nested. `cpu` is this CPU's number. */
static inline void quiesce_enter(struct quiesce *quiesce, unsigned cpu)
{
	u64 *count = &quiesce->reader[cpu].count;

	DEBUG_CHECK(!(*count & 1));
	(void)ck_pr_fas_64(count, *count + 1); /* full barrier; pairs with quiesce_wait() */
}

/* Ends reading: pointers that were found since quiesce_enter() are no longer valid. */
static inline void quiesce_leave(struct quiesce *quiesce, unsigned cpu)
{
	u64 *count = &quiesce->reader[cpu].count;

	ck_pr_fence_release();
	ck_pr_store_64(count, *count + 1);
}

/*
 * Waits for the readers of CPUs 0 .. cpus - 1 that are inside now. The caller does not read, and
 * holds no lock that a reader takes.
 */
void quiesce_wait(const struct quiesce *quiesce, unsigned cpus);

#endif
