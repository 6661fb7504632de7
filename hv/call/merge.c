/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c: what a guest may ask about merging: which of its pages, how it went, and by which
 * engine.
 *
 * Why MERGE and MERGE_SCAN come back after 512 pages at most: breaking what is shared copies a page
 * each, and a page that is looked at may be read, compared and merged. So a call for many would
 * take long, and between two calls the guest takes interrupts and the vCPU its end of turn.
 */
#include <hv/dirty.h>
#include <hv/merging.h>
#include <lib/error.h>
#include <lib/string.h>
#include <mm/guest_cache.h>
#include <mm/merge.h>
#include "hv/call/private.h"

#define SCAN_MAX 512

static const struct merge_engine *const engines[] = {
	[HYPERCALL_ENGINE_TREE] = &merge_engine_tree,
	[HYPERCALL_ENGINE_HASH] = &merge_engine_hash,
};

s64 call_merge(struct vcpu *vcpu)
{
	static const enum merge_wish wishes[HYPERCALL_MERGES] = {
		[HYPERCALL_MERGE_ALLOW] = MERGE_WISH_ALLOW,
		[HYPERCALL_MERGE_EXCLUDE] = MERGE_WISH_EXCLUDE,
		[HYPERCALL_MERGE_LIKELY] = MERGE_WISH_LIKELY,
		[HYPERCALL_MERGE_VOLATILE] = MERGE_WISH_VOLATILE,
	};
	u64 wish = hypercall_argument(vcpu, 2), done = 0;
	struct gfn_range range;
	int err;

	if (!merging_is_on())
		return HYPERCALL_ERROR_UNSUPPORTED;
	if (!hypercall_range(vcpu, &range) || wish >= HYPERCALL_MERGES)
		return HYPERCALL_ERROR_INVALID;
	err = merge_wish(vcpu->vm->memory, range, wishes[wish], &done);
	return err ? hypercall_error(err) : (s64)done;
}

static struct hypercall_merge_stats told(const struct merge_space_stats *s)
{
	const u64 *by = s->by_reason;

	return (struct hypercall_merge_stats){
		.version = HYPERCALL_MERGE_STATS_VERSION,
		.engine = s->engine == &merge_engine_tree ? HYPERCALL_ENGINE_TREE
							  : HYPERCALL_ENGINE_HASH,
		.full_scans = s->full_scans,
		.ksm_merging_pages = by[MERGE_SHARED],
		.ksm_zero_pages = by[MERGE_ZERO],
		.ksm_process_profit = (s64)((by[MERGE_SHARED] + by[MERGE_ZERO]) * PAGE_SIZE) -
				      (s64)s->metadata_bytes,
		.pages_unshared = by[MERGE_UNIQUE],
		.pages_volatile = by[MERGE_VOLATILE],
		.pages_waiting = by[MERGE_WAITING] + by[MERGE_HINTED],
		.pages_new = by[MERGE_NEW],
		.pages_absent = by[MERGE_ABSENT],
		.pages_busy = by[MERGE_BUSY] + by[MERGE_NO_MEMORY],
		.pages_excluded = by[MERGE_EXCLUDED],
		.pages_large = by[MERGE_LARGE],
		.dirty_source = s->source,
	};
}

/* As a device model writes: not to ROM, not where the guest may not. */
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
	stats = told(&of_vm);
	err = copy_out(vcpu, to, &stats, MIN(bytes, sizeof(stats)));
	return err ? hypercall_error(err) : (s64)sizeof(stats);
}

s64 call_merge_engine(struct vcpu *vcpu)
{
	u64 engine = hypercall_argument(vcpu, 0);
	u32 domain = merging_domain(vcpu->vm);

	if (!merging_is_on())
		return HYPERCALL_ERROR_UNSUPPORTED;
	if (engine >= HYPERCALL_ENGINES)
		return HYPERCALL_ERROR_INVALID;
	if (!domain || !vcpu->vm->config.merge_control)
		return HYPERCALL_ERROR_PERMISSION;
	return hypercall_error(merge_switch(domain, engines[engine]));
}

s64 call_merge_scan(struct vcpu *vcpu)
{
	u64 pages = hypercall_argument(vcpu, 0);

	if (!pages || pages > SCAN_MAX)
		return HYPERCALL_ERROR_INVALID;
	if (!vcpu->vm->config.merge_domain || !vcpu->vm->config.merge_control || !merge_is_active())
		return HYPERCALL_ERROR_PERMISSION; /* it scans everybody's memory, at a time of the guest's choice */
	dirty_drain(vcpu);
	return (s64)merge_scan(pages);
}
