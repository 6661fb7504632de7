/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_check.h: looks at everything the frame allocator keeps.
 */
#ifndef SAMEPAGE_TESTS_SIM_FRAME_CHECK_H
#define SAMEPAGE_TESTS_SIM_FRAME_CHECK_H

#include "sim/sim.h"

#include "mm/frame/internal.h"

/* The free blocks of each order. */
struct frame_blocks {
	u64 count[FRAME_MAX_ORDER + 1];
};

/* Goes through all free lists and fails the test unless BUDDY-1 to BUDDY-4 hold. */
struct frame_blocks frame_check_lists(void);

/*
 * As above, and every frame is in one place, and the statistics say what the records say (FRAME-1,
 * FRAME-3).
 */
void frame_check(void);

#endif
