/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c: a guest's hypercalls about merging: advice for its pages, statistics, the engine.
 *
 * Why MERGE and MERGE_SCAN return after 512 pages at most: breaking a shared page copies it, and a
 * visit may read, compare and merge. Between two calls the guest takes interrupts and the vCPU ends
 * its slice.
 */
#include <hv/dirty.h>
#include <hv/merging.h>
#include <lib/error.h>
#include <lib/string.h>
#include <mm/guest_cache.h>
#include <mm/merge.h>
#include "hv/call/private.h"

#define SCAN_MAX 512

s64 call_merge(struct vcpu *vcpu)
{
	static const enum merge_advice by_number[HYPERCALL_MERGES] = {
		[HYPERCALL_MERGE_MERGEABLE] = MERGE_ADVICE_MERGEABLE,
		[HYPERCALL_MERGE_UNMERGEABLE] = MERGE_ADVICE_UNMERGEABLE,
		[HYPERCALL_MERGE_LIKELY] = MERGE_ADVICE_LIKELY,
		[HYPERCALL_MERGE_VOLATILE] = MERGE_ADVICE_VOLATILE,
	};
	u64 advice = hypercall_argument(vcpu, 2), done = 0;
	struct gfn_range range;
	int err;

	if (!merging_is_on())
		return HYPERCALL_ERROR_UNSUPPORTED;
	if (!hypercall_range(vcpu, &range) || advice >= HYPERCALL_MERGES)
		return HYPERCALL_ERROR_INVALID;
	err = merge_advise(vcpu->vm->memory, range, by_number[advice], &done);
	if (advice == HYPERCALL_MERGE_LIKELY)
		merging_hurry();
	return err ? hypercall_error(err) : (s64)done;
}

static struct hypercall_merge_stats merge_stats_of(const struct merge_space_stats *s)
{
	const u64 *by = s->by_reason;

	return (struct hypercall_merge_stats){
		.version = HYPERCALL_MERGE_STATS_VERSION,
		.engine = merge_engine_number(s->engine),
		.full_scans = s->full_scans,
		.ksm_merging_pages = by[MERGE_SHARED],
		.ksm_zero_pages = by[MERGE_ZERO],
		.ksm_process_profit = (s64)((by[MERGE_SHARED] + by[MERGE_ZERO]) * PAGE_SIZE) -
				      (s64)s->metadata_bytes,
		.pages_unshared = by[MERGE_UNIQUE],
		.pages_volatile = by[MERGE_VOLATILE],
		.pages_candidate = by[MERGE_CANDIDATE] + by[MERGE_HINTED],
		.pages_new = by[MERGE_NEW],
		.pages_absent = by[MERGE_ABSENT],
		.pages_busy = by[MERGE_BUSY] + by[MERGE_NO_MEMORY],
		.pages_excluded = by[MERGE_EXCLUDED],
		.pages_large = by[MERGE_LARGE],
		.dirty_source = s->source,
	};
}

/* A write as a device model's: not to ROM, not outside of RAM. */
static int copy_out(struct vcpu *vcpu, struct gpa to, const void *from, size_t len)
{
	struct guest_cache *cache = vcpu->vm->cache[0];
	void *place;
	int err = guest_cache_get(cache, to, len, true, &place);

	if (err)
		return err;
	memcpy(place, from, len);
	guest_cache_put(cache, to);
	return 0;
}

s64 call_merge_stats(struct vcpu *vcpu)
{
	struct gpa to = {hypercall_argument(vcpu, 0)};
	u64 bytes = hypercall_argument(vcpu, 1);
	struct merge_space_stats of_vm;
	struct hypercall_merge_stats stats;
	int err;

	if (!merging_is_on())
		return HYPERCALL_ERROR_UNSUPPORTED;
	if (!IS_ALIGNED(to.raw, sizeof(u64)) || bytes == 0 ||
	    page_offset(to.raw) + MIN(bytes, sizeof(stats)) > PAGE_SIZE)
		return HYPERCALL_ERROR_INVALID;
	if (merge_space_stats(vcpu->vm->memory, &of_vm) || of_vm.secure)
		return HYPERCALL_ERROR_PERMISSION;
	stats = merge_stats_of(&of_vm);
	err = copy_out(vcpu, to, &stats, MIN(bytes, sizeof(stats)));
	return err ? hypercall_error(err) : (s64)sizeof(stats);
}

s64 call_merge_engine(struct vcpu *vcpu)
{
	const struct merge_engine *engine = merge_engine_at(hypercall_argument(vcpu, 0));
	u32 domain = merging_domain(vcpu->vm);

	if (!merging_is_on())
		return HYPERCALL_ERROR_UNSUPPORTED;
	if (!engine)
		return HYPERCALL_ERROR_INVALID;
	if (!domain || !vcpu->vm->config.merge_control)
		return HYPERCALL_ERROR_PERMISSION;
	return hypercall_error(merge_switch(domain, engine));
}

s64 call_merge_scan(struct vcpu *vcpu)
{
	u64 pages = hypercall_argument(vcpu, 0);

	if (!pages || pages > SCAN_MAX)
		return HYPERCALL_ERROR_INVALID;
	if (!vcpu->vm->config.merge_domain || !vcpu->vm->config.merge_control || !merge_is_active())
		return HYPERCALL_ERROR_PERMISSION; /* it scans all VMs' memory, at a time of the guest's choice */
	dirty_drain(vcpu);
	return (s64)merge_scan(pages);
}
