/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_check.c: what the tests of merging share. merge_check.h has the list.
 */
#include "sim/merge_check.h"
#include "sim/explore.h"

#include <mm/audit.h>

#include "mm/merge/private.h"

unsigned merge_engines(void)
{
	unsigned count = 0;

	while (merge_engine_at(count))
		count++;
	return count;
}

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
	struct merge_domain *domain;
	u64 held = 0;

	RB_FOREACH (domain, merge_domains, &merge_world.domains)
		held += domain->stable_count;
	return held;
}

/* The primary's counts of shared and zero PTEs are those of a walk. */
static void check_counts(struct addrspace *as)
{
	u64 shared = 0, zero = 0;
	struct gfn gfn = {0};
	ppte_t *slot;

	spin_lock(&as->lock);
	for (; (slot = primary_next(&as->primary, &gfn, (struct gfn){GFN_END})); gfn.raw++) {
		shared += ppte_state(*slot) == PPTE_SHARED;
		zero += ppte_state(*slot) == PPTE_ZERO;
	}
	spin_unlock(&as->lock);
	assert_int_equal(primary_count(&as->primary, PPTE_SHARED), shared);
	assert_int_equal(primary_count(&as->primary, PPTE_ZERO), zero);
}

void check_audit(void)
{
	struct merge_region *region;
	struct audit_report report;
	unsigned fault = 0;

	RB_FOREACH (region, merge_spaces, &merge_world.regions)
		check_counts(region->as);
	if (!audit_run(held_by_merging(), &report))
		return;
	while (!report.found[fault])
		fault++;
	fail_msg("the auditor finds: %s; after%s", audit_fault_name((enum audit_fault)fault),
		 sched_trace());
}
