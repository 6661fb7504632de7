/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c: accounting: pages by reason, frames saved, and the metadata that is paid for it.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <mm/dirty_log.h>
#include <mm/rmap.h>

const char *merge_reason_name(enum merge_reason reason)
{
	static const char *const names[MERGE_REASONS] = {
		[MERGE_NEW] = "new",
		[MERGE_ABSENT] = "absent",
		[MERGE_VOLATILE] = "volatile",
		[MERGE_CANDIDATE] = "candidate",
		[MERGE_UNIQUE] = "unique",
		[MERGE_BUSY] = "busy",
		[MERGE_NO_MEMORY] = "no memory",
		[MERGE_SHARED] = "shared",
		[MERGE_ZERO] = "zero",
		[MERGE_HINTED] = "hinted",
		[MERGE_EXCLUDED] = "excluded",
		[MERGE_LARGE] = "large",
	};

	return (unsigned)reason < MERGE_REASONS ? names[reason] : "?";
}

static enum merge_reason reason_in(struct merge_region *region, struct gfn gfn)
{
	if (merge_has_metadata(region, gfn))
		return page_reason(merge_ref(region, gfn).page);
	return region->marked ? MERGE_EXCLUDED : MERGE_NEW;
}

enum merge_reason merge_reason(struct addrspace *as, struct gfn gfn)
{
	enum merge_reason reason = MERGE_NEW;
	struct merge_region *region;

	spin_lock(&merge_world.lock);
	region = merge_region_around(as, gfn);
	if (region)
		reason = reason_in(region, gfn);
	spin_unlock(&merge_world.lock);
	return reason;
}

static void stats_add_region(const struct merge_region *region, struct merge_stats *out)
{
	u64 bytes = merge_region_bytes(region);

	out->metadata_bytes += bytes;
	out->metadata_unmerged_bytes += bytes;
	for (unsigned i = 0; i < MERGE_REASONS; i++)
		out->by_reason[i] += ck_pr_load_64(&region->by_reason[i]);
	if (merge_first_region(region->as) == region)
		out->zero_frames += ck_pr_load_64(&region->as->zero_mfn) != 0;
}

static void stats_add_domain(struct merge_domain *domain, struct merge_stats *out)
{
	u64 index;

	spin_lock(&domain->lock);
	index = sizeof(*domain) + domain->engine->bytes(domain);
	stable_count_sharing(domain, out);
	out->metadata_bytes += stable_bytes(domain) + index;
	out->metadata_unmerged_bytes += index;
	spin_unlock(&domain->lock);
}

static void stats_add_counters(struct merge_stats *out)
{
	for (unsigned cpu = 0; cpu < ARCH_CPUS_MAX; cpu++) {
		const struct merge_counters *counters = &merge_world.counters[cpu];

		out->pages_scanned += ck_pr_load_64(&counters->pages_scanned);
		out->pages_skipped += ck_pr_load_64(&counters->pages_skipped);
		out->pages_read += ck_pr_load_64(&counters->pages_read);
		out->compares += ck_pr_load_64(&counters->compares);
		out->merged += ck_pr_load_64(&counters->merged);
		out->zeroed += ck_pr_load_64(&counters->zeroed);
		out->lost_races += ck_pr_load_64(&counters->lost_races);
		out->large_split += ck_pr_load_64(&counters->large_split);
		out->large_collapsed += ck_pr_load_64(&counters->large_collapsed);
	}
}

static void stats_by_linux_names(struct merge_stats *out)
{
	out->pages_unshared = out->by_reason[MERGE_UNIQUE];
	out->pages_volatile = out->by_reason[MERGE_VOLATILE];
	out->zero_pages = out->by_reason[MERGE_ZERO];
	out->general_profit =
		(s64)((out->pages_sharing + out->zero_pages - out->zero_frames) * PAGE_SIZE) -
		(s64)out->metadata_bytes;
}

void merge_stats(struct merge_stats *out)
{
	struct merge_region *region;
	struct merge_domain *domain;

	spin_lock(&merge_regions_lock);
	*out = (struct merge_stats){.full_scans = merge_passes(),
				    .best_pages = ck_pr_load_64(&merge_world.best_pages)};
	stats_add_counters(out);
	RB_FOREACH (region, merge_spaces, &merge_world.regions)
		stats_add_region(region, out);
	RB_FOREACH (domain, merge_domains, &merge_world.domains)
		stats_add_domain(domain, out);
	spin_unlock(&merge_regions_lock);
	out->metadata_bytes += rmap_bytes();
	stats_by_linux_names(out);
}

/* In proportion to its pages, whichever of them are indexed. */
static u64 share_of_index(const struct merge_region *region)
{
	struct merge_domain *domain = region->domain;
	u64 bytes;

	spin_lock(&domain->lock);
	bytes = domain->engine->bytes(domain) * gfn_range_frames(region->range) / domain->pages;
	spin_unlock(&domain->lock);
	return bytes;
}

static void space_stats_add(const struct merge_region *region, struct merge_space_stats *out)
{
	out->engine = region->domain->engine;
	out->secure = region->domain->limits.secure;
	out->metadata_bytes += merge_region_bytes(region) + share_of_index(region);
	for (unsigned reason = 0; reason < MERGE_REASONS; reason++)
		out->by_reason[reason] += ck_pr_load_64(&region->by_reason[reason]);
}

int merge_space_stats(const struct addrspace *as, struct merge_space_stats *out)
{
	struct merge_region *first, *region;

	*out = (struct merge_space_stats){.full_scans = merge_passes(),
					  .source = dirty_log_mode(as)};
	spin_lock(&merge_world.lock);
	first = merge_first_region(as);
	for (region = first; region && region->as == as; region = RB_NEXT(merge_spaces, , region))
		space_stats_add(region, out);
	spin_unlock(&merge_world.lock);
	return first ? 0 : ERR_NOT_FOUND;
}
