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

/* A page that was broken or discarded since its visit is NEW again. */
static enum merge_reason reason_now(enum merge_reason reason, ppte_t pte)
{
	bool stale = (reason == MERGE_SHARED && ppte_state(pte) != PPTE_SHARED) ||
		     (reason == MERGE_ZERO && ppte_state(pte) != PPTE_ZERO);

	return stale ? MERGE_NEW : reason;
}

enum merge_reason merge_reason(struct addrspace *as, struct gfn gfn)
{
	enum merge_reason reason = MERGE_NEW;
	struct merge_region *region;

	spin_lock(&merge_world.lock);
	region = merge_region_around(as, gfn);
	if (region)
		reason = reason_now(reason_in(region, gfn), primary_load(&as->primary, gfn));
	spin_unlock(&merge_world.lock);
	return reason;
}

/* No more pages of a reason than the primary has: the rest is NEW again (reason_now). */
static void stats_correct(u64 *by_reason, enum merge_reason reason, u64 now)
{
	u64 stale = by_reason[reason] - MIN(by_reason[reason], now);

	by_reason[reason] -= stale;
	by_reason[MERGE_NEW] += stale;
}

/* Tallies that visits have not added yet may leave a counter below 0 for a moment. */
static u64 stats_by_reason(const struct merge_region *region, enum merge_reason reason)
{
	u64 pages = ck_pr_load_64(&region->by_reason[reason]);

	return (s64)pages < 0 ? 0 : pages;
}

/* The pages by reason of the first region's space. Returns the first region of the next space. */
static struct merge_region *stats_of_space(struct merge_region *first, u64 *by_reason)
{
	struct addrspace *as = first->as;
	struct merge_region *region = first;

	for (; region && region->as == as; region = RB_NEXT(merge_spaces, , region)) {
		for (unsigned i = 0; i < MERGE_REASONS; i++)
			by_reason[i] += stats_by_reason(region, (enum merge_reason)i);
	}
	stats_correct(by_reason, MERGE_SHARED, primary_count(&as->primary, PPTE_SHARED));
	stats_correct(by_reason, MERGE_ZERO, primary_count(&as->primary, PPTE_ZERO));
	return region;
}

static void stats_add_spaces(struct merge_stats *out)
{
	struct merge_region *first = RB_MIN(merge_spaces, &merge_world.regions), *next;

	for (; first; first = next) {
		u64 by_reason[MERGE_REASONS] = {0};

		next = stats_of_space(first, by_reason);
		for (unsigned i = 0; i < MERGE_REASONS; i++)
			out->by_reason[i] += by_reason[i];
		out->zero_frames += ck_pr_load_64(&first->as->zero_mfn) != 0;
		out->pages_sharing += primary_count(&first->as->primary, PPTE_SHARED);
	}
}

static void stats_add_region(const struct merge_region *region, struct merge_stats *out)
{
	u64 bytes = merge_region_bytes(region);

	out->metadata_bytes += bytes;
	out->metadata_unmerged_bytes += bytes;
}

/* pages_shared: in the index; frames without users among them are swept before the pass ends. */
static void stats_add_domain(struct merge_domain *domain, struct merge_stats *out)
{
	u64 index;

	spin_lock(&domain->lock);
	index = sizeof(*domain) + domain->engine->bytes(domain);
	out->pages_shared += domain->stable_count;
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
	out->pages_sharing -= MIN(out->pages_sharing, out->pages_shared);
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
	stats_add_spaces(out);
	RB_FOREACH (region, merge_spaces, &merge_world.regions)
		stats_add_region(region, out);
	RB_FOREACH (domain, merge_domains, &merge_world.domains)
		stats_add_domain(domain, out);
	spin_unlock(&merge_regions_lock);
	out->metadata_bytes += rmap_bytes();
	out->quiet_passes = merge_quiet_passes();
	out->settled = out->quiet_passes >= MERGE_SETTLED;
	stats_by_linux_names(out);
}

void merge_cpu_stats(unsigned cpu, struct merge_cpu_stats *out)
{
	const struct merge_counters *counters = &merge_world.counters[cpu];

	out->scanned = ck_pr_load_64(&counters->pages_scanned);
	out->read = ck_pr_load_64(&counters->pages_read);
	out->merged = ck_pr_load_64(&counters->merged) + ck_pr_load_64(&counters->zeroed);
}

bool merge_domain_stats(unsigned place, struct merge_domain_stats *out)
{
	struct merge_domain *domain;

	spin_lock(&merge_regions_lock);
	domain = RB_MIN(merge_domains, &merge_world.domains);
	while (domain && place--)
		domain = RB_NEXT(merge_domains, , domain);
	if (domain) {
		*out = (struct merge_domain_stats){.number = domain->number,
						   .pages = domain->pages};
		spin_lock(&domain->lock);
		out->engine = domain->engine;
		out->frames = domain->stable_count;
		out->bytes = stable_bytes(domain) + domain->engine->bytes(domain);
		spin_unlock(&domain->lock);
	}
	spin_unlock(&merge_regions_lock);
	return domain;
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
	if (first)
		(void)stats_of_space(first, out->by_reason);
	spin_unlock(&merge_world.lock);
	return first ? 0 : ERR_NOT_FOUND;
}
