/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_check.h: what the tests of merging share: both engines, a page of one content, and an audit
 * with the references of merging.
 */
#ifndef SAMEPAGE_TESTS_SIM_MERGE_CHECK_H
#define SAMEPAGE_TESTS_SIM_MERGE_CHECK_H

#include "sim/mm_world.h"

#include <mm/merge.h>

/* How many engines there are: merge_engine_at(0), ... */
unsigned merge_engines(void);

/* Every word of the page becomes `value`, as a device model writes. */
void fill_page(struct addrspace *as, u64 page, u64 value);

/*
 * The auditor finds nothing; the frames that the indexes hold are accounted for. Names the schedule
 * if there was one.
 */
void check_audit(void);

#endif
