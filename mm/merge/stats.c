/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c: accounting: what became of the pages, what it saves, and what the knowledge costs.
 */
#include <lib/error.h>
#include <mm/dirty_log.h>
#include <mm/rmap.h>
#include "mm/merge/private.h"

const char *merge_reason_name(enum merge_reason reason)
{
	static const char *const names[MERGE_REASONS] = {
		[MERGE_NEW] = "new",
		[MERGE_ABSENT] = "absent",
		[MERGE_VOLATILE] = "volatile",
		[MERGE_WAITING] = "waiting",
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

static enum merge_reason reason_in(const struct merge_area *area, struct gfn gfn)
{
	if (merge_has_note(area, gfn))
		return page_reason(merge_note(area, gfn));
	return area->marked ? MERGE_EXCLUDED : MERGE_NEW;
}

enum merge_reason merge_reason(struct addrspace *as, struct gfn gfn)
{
	enum merge_reason reason = MERGE_NEW;

	spin_lock(&merge_world.lock);
	for (unsigned i = 0; i < merge_world.top; i++) {
		struct merge_area *area = merge_area_at(i);

		if (area && area->as == as && gfn_in_range(gfn, area->range))
			reason = reason_in(area, gfn);
	}
	spin_unlock(&merge_world.lock);
	return reason;
}

static void add_area(const struct merge_area *area, struct merge_stats *out)
{
	u64 bytes = merge_area_bytes(area);

	out->metadata_bytes += bytes;
	out->metadata_unmerged_bytes += bytes;
	for (unsigned i = 0; i < MERGE_REASONS; i++)
		out->by_reason[i] += ck_pr_load_64(&area->by_reason[i]);
}

static void add_domain(struct merge_domain *domain, struct merge_stats *out)
{
	u64 index;

	spin_lock(&domain->lock);
	index = sizeof(*domain) + domain->engine->bytes(domain);
	stable_count_sharing(domain, out);
	out->metadata_bytes += stable_bytes(domain) + index;
	out->metadata_unmerged_bytes += index;
	spin_unlock(&domain->lock);
}

static void add_counters(struct merge_stats *out)
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

static bool is_first_of_space(unsigned i)
{
	for (unsigned j = 0; j < i; j++) {
		const struct merge_area *other = merge_area_at(j);

		if (other && other->as == merge_area_at(i)->as)
			return false;
	}
	return true;
}

static void by_linux_names(struct merge_stats *out)
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
	spin_lock(&merge_world.lock);
	*out = (struct merge_stats){.full_scans = merge_passes(),
				    .best_pages = merge_world.best_pages};
	add_counters(out);
	for (unsigned i = 0; i < merge_world.top; i++) {
		const struct merge_area *area = merge_area_at(i);
		struct merge_domain *domain = merge_first_of_domain(i);

		if (area)
			add_area(area, out);
		if (area && is_first_of_space(i))
			out->zero_frames += ck_pr_load_64(&area->as->zero_mfn) != 0;
		if (domain)
			add_domain(domain, out);
	}
	spin_unlock(&merge_world.lock);
	out->metadata_bytes += rmap_bytes();
	by_linux_names(out);
}

/* By its number of pages, whoever's wait. */
static u64 share_of_index(const struct merge_area *area)
{
	struct merge_domain *domain = area->domain;
	u64 bytes;

	spin_lock(&domain->lock);
	bytes = domain->engine->bytes(domain) * gfn_range_frames(area->range) / domain->pages;
	spin_unlock(&domain->lock);
	return bytes;
}

int merge_space_stats(const struct addrspace *as, struct merge_space_stats *out)
{
	bool found = false;

	*out = (struct merge_space_stats){.full_scans = merge_passes(),
					  .source = dirty_log_mode(as)};
	spin_lock(&merge_world.lock);
	for (unsigned i = 0; i < merge_world.top; i++) {
		const struct merge_area *area = merge_area_at(i);

		if (!area || area->as != as)
			continue;
		found = true;
		out->engine = area->domain->engine;
		out->secure = area->domain->limits.secure;
		out->metadata_bytes += merge_area_bytes(area) + share_of_index(area);
		for (unsigned reason = 0; reason < MERGE_REASONS; reason++)
			out->by_reason[reason] += ck_pr_load_64(&area->by_reason[reason]);
	}
	spin_unlock(&merge_world.lock);
	return found ? 0 : ERR_NOT_FOUND;
}
