/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h: the law of the pause between two passes, where merge_ms= does not fix it.
 */
#ifndef SAMEPAGE_HV_JOBS_PACE_H
#define SAMEPAGE_HV_JOBS_PACE_H

#include <lib/types.h>
#include <mm/merge.h>

#define PACE_SHORTEST 40u   /* ms */
#define PACE_LONGEST  1280u /* 32 times that */

/*
 * pause	ms before the next pass
 * read		pages that the last pass read
 */
struct pace {
	u64 pause, read;
};

/* After a pass that did `work`. */
void pace_next(struct pace *pace, const struct merge_work *work);

#endif
