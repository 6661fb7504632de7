/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_check.c: what the tests of merging share. merge_check.h has the list.
 */
#include "sim/merge_check.h"
#include "sim/explore.h"

#include <mm/audit.h>

#include "mm/merge/private.h"

const struct merge_engine *const merge_engines[MERGE_ENGINES] = {&merge_engine_hash,
								 &merge_engine_tree};

void fill_page(struct addrspace *as, u64 page, u64 value)
{
	u64 words[PAGE_SIZE / sizeof(u64)];

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = value;
	assert_int_equal(addrspace_write(as, (struct gpa){page << PAGE_SHIFT}, words, PAGE_SIZE),
			 0);
}

/* A reference for each frame in an index. */
static u64 held_by_merging(void)
{
	u64 held = 0;

	for (unsigned i = 0; i < merge_world.top; i++) {
		struct merge_domain *domain = merge_first_of_domain(i);

		held += domain ? domain->stable_count : 0;
	}
	return held;
}

void check_audit(void)
{
	struct audit_report report;

	if (audit_run(held_by_merging(), &report))
		fail_msg("audit after%s", sched_trace());
}
