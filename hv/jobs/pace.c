/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c: the scanner paces itself by what it saves. pace.h has the interface.
 *
 *     a pass                                              the pause before the next one
 *     ------                                              -----------------------------
 *     saved a 64th of what the guests own, or more        the shortest
 *     read a 16th, and twice as much as the one before    the shortest
 *     saved less than a 512th                             twice as long, up to the longest
 *     else                                                the same
 *
 * Saved: frames saved at its end, less those at the end of the pass before; so merges that were
 * broken meanwhile count for nothing. Owned: pages with a frame of their own or a shared one.
 *
 * Why reads count only when they rise: they say that content is new, which merges at its third look
 * or not at all. A guest that writes the same pages all the time makes every pass read, and saves
 * nothing.
 */
#include "hv/jobs/pace.h"
#include <arch/cpu.h>

#define MUCH   64
#define LITTLE 512
#define NEW    16
#define A_RISE 2

static bool saved_much(const struct merge_work *work)
{
	return work->saved > 0 && (u64)work->saved * MUCH >= work->owned;
}

static bool saved_little(const struct merge_work *work)
{
	return work->saved <= 0 || (u64)work->saved * LITTLE < work->owned;
}

static bool much_is_new(const struct pace *pace, const struct merge_work *work)
{
	return work->read && work->read * NEW >= work->owned && work->read >= pace->read * A_RISE;
}

void pace_next(struct pace *pace, const struct merge_work *work)
{
	if (saved_much(work) || much_is_new(pace, work))
		pace->pause = PACE_SHORTEST;
	else if (saved_little(work))
		pace->pause = MIN(pace->pause * 2, (u64)PACE_LONGEST);
	pace->read = work->read;
}
