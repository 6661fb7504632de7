/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large.c: blocks of 512 pages that secondaries map by one large leaf.
 *
 * To share one page of such a block its leaf must be split, and what a large leaf saves, walks and
 * TLB entries, is gone for all
 * 512. So its pages are hashed through the hypervisor's own mapping, and wait in the index like
 * others; a page that has a partner becomes LARGE, which counts for the block. When `split` of them
 * have one, it is looked whether that many could be shared now, that is without splitting another
 * block which is not worth it; then the block is opened, and its pages go the usual way.
 *
 *     uniform, large ---- enough partners ----> opened: each partner is guarded alone, the first guard splits
 *           ^                                       |
 *           +------ collapse: nothing is shared ----+
 *
 * One page is write-protected, never the block: the leaf is split in any case when the first page
 * is shared, and a write to one of the other pages would fault for nothing.
 */
#include <lib/error.h>
#include "mm/merge/private.h"

static bool is_uniform(struct addrspace *as, struct gfn gfn)
{
	bool uniform;

	spin_lock(&as->lock);
	uniform = primary_find(&as->primary, gfn) && primary_uniform(&as->primary, gfn, 1);
	spin_unlock(&as->lock);
	return uniform;
}

static bool may_be_large(const struct merge_area *area, struct gfn_range range)
{
	const struct merge_limits *limits = &area->domain->limits;

	return limits->split && !limits->secure && gfn_range_frames(range) == MERGE_CHUNK;
}

/*
 * Pages that were LARGE, and are not any more what kept them from being merged, are looked at
 * again.
 */
static void reconsider(struct merge_area *area, struct gfn_range range)
{
	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++)
		(void)merge_change_reason(area, gfn, BIT(MERGE_LARGE), MERGE_HINTED, 0, 0);
}

void merge_large_begin(struct merge_area *area, u32 number)
{
	struct gfn_range range = merge_chunk_range(area, number);
	struct merge_chunk *chunk = &area->chunk[number];
	bool large = may_be_large(area, range) && is_uniform(area->as, range.start);

	ck_pr_store_32(&chunk->large, large);
	if (!large && ck_pr_load_32(&chunk->partners))
		reconsider(area, range);
}

static bool enough(const struct merge_area *area, const struct merge_chunk *chunk)
{
	return ck_pr_load_32(&chunk->partners) >= area->domain->limits.split;
}

bool merge_large_wants_visit(const struct merge_area *area, u32 number)
{
	const struct merge_chunk *chunk = &area->chunk[number];

	return ck_pr_load_32(&chunk->large) && enough(area, chunk) &&
	       ck_pr_load_32(&chunk->partners) != ck_pr_load_32(&chunk->judged);
}

bool merge_stays_large(const struct merge_area *area, struct gfn gfn)
{
	const struct merge_chunk *chunk = &area->chunk[merge_chunk_of(area, gfn)];

	return ck_pr_load_32(&chunk->large) && !enough(area, chunk);
}

void merge_large_credit(struct merge_area *area, struct gfn gfn)
{
	struct merge_chunk *chunk = &area->chunk[merge_chunk_of(area, gfn)];

	if (!ck_pr_load_32(&chunk->large))
		return;
	(void)merge_change_reason(area, gfn, BIT(MERGE_UNIQUE), MERGE_LARGE, 0, 0);
	ck_pr_store_32(&chunk->judged, 0);
}

void merge_large_open(struct merge_area *area, struct gfn gfn)
{
	struct merge_chunk *chunk = &area->chunk[merge_chunk_of(area, gfn)];

	if (!ck_pr_cas_32(&chunk->large, 1, 0))
		return;
	ck_pr_store_32(&chunk->opened, 1);
	merge_count(large_split, 1);
}

static bool zero_merges(const struct merge_area *area, const struct merge_key *key)
{
	return area->domain->limits.zero && merge_is_zero(key->content);
}

/*
 * Does anybody have the same? Who waits with it learns that it has a partner, too. The page itself
 * is in no index.
 */
static bool has_partner(struct merge_domain *domain, const struct merge_key *key)
{
	struct gfn gfn;
	u32 number;

	if (domain->engine->stable_find(domain, key))
		return true;
	number = domain->engine->waiting_find(domain, key);
	if (number != MERGE_PAGE_NONE)
		merge_large_credit(merge_area_of(domain, number, &gfn), gfn);
	return number != MERGE_PAGE_NONE;
}

void merge_large_consider(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
			  bool same, bool seen)
{
	struct merge_domain *domain = area->domain;
	bool zero = zero_merges(area, key), partner = zero;

	spin_lock(&domain->lock); /* one hold: see merge_search.c */
	if (!zero)
		partner = has_partner(domain, key);
	if (partner || same)
		(void)page_change(merge_note(area, gfn), ~0u << PAGE_HASH_SHIFT,
				  key->tag << PAGE_HASH_SHIFT);
	if (zero)
		merge_set_reason(area, gfn, MERGE_LARGE);
	else if (partner || same)
		merge_wait_locked(area, gfn, key, partner ? MERGE_LARGE : MERGE_UNIQUE);
	spin_unlock(&domain->lock);
	if (!partner && !same)
		merge_remember(area, gfn, key, seen);
}

/*
 * Is there somebody to share with who need not be split for it, or is worth it, or is in this very
 * block? Under domain->lock.
 */
static bool could_share(struct merge_area *area, struct gfn gfn, const struct merge_key *key)
{
	struct merge_domain *domain = area->domain;
	struct merge_area *other;
	u32 number;
	struct gfn twin;
	bool could = domain->engine->stable_find(domain, key);

	number = could ? MERGE_PAGE_NONE : domain->engine->waiting_find(domain, key);
	if (number != MERGE_PAGE_NONE) {
		other = merge_area_of(domain, number, &twin);
		could = !merge_stays_large(other, twin) ||
			(other == area && merge_chunk_of(area, twin) == merge_chunk_of(area, gfn));
	}
	return could;
}

/* The same for a page that is LARGE, and then in the index, where it must not find itself. */
static bool judge_page(struct merge_area *area, struct gfn gfn)
{
	struct merge_page *page = merge_note(area, gfn);
	struct merge_key key = {.tag = page_hash(page)};
	struct mfn mfn;
	bool could;

	if (page_reason(page) != MERGE_LARGE || !merge_hold(area->as, gfn, &mfn))
		return false;
	key.content = merge_content(mfn);
	could = zero_merges(area, &key);
	if (!could) {
		merge_forget_waiting(area, gfn);
		spin_lock(&area->domain->lock);
		could = could_share(area, gfn, &key);
		merge_wait_locked(area, gfn, &key, MERGE_LARGE);
		spin_unlock(&area->domain->lock);
	}
	merge_release(mfn);
	return could;
}

static void judge(struct merge_area *area, struct merge_chunk *chunk, struct gfn_range range)
{
	u32 partners = ck_pr_load_32(&chunk->partners), could = 0;

	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++)
		could += judge_page(area, gfn);
	if (could < area->domain->limits.split) {
		ck_pr_store_32(&chunk->judged, partners);
		return;
	}
	merge_large_open(area, range.start);
	reconsider(area, range);
	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++)
		merge_visit(area, gfn, false);
}

/* Sharing has ended: together again. What is in the way goes on being so until somebody writes. */
static void close_again(struct merge_area *area, struct merge_chunk *chunk, struct gfn_range range)
{
	const u32 shared = BIT(MERGE_SHARED) | BIT(MERGE_ZERO);

	for (struct gfn gfn = range.start; gfn.raw < range.end.raw; gfn.raw++)
		if (shared & BIT(page_reason(merge_note(area, gfn))))
			return;
	if (addrspace_collapse(area->as, range.start))
		return;
	ck_pr_store_32(&chunk->opened, 0);
	merge_count(large_collapsed, 1);
}

void merge_large_end(struct merge_area *area, u32 number)
{
	struct gfn_range range = merge_chunk_range(area, number);
	struct merge_chunk *chunk = &area->chunk[number];

	if (merge_large_wants_visit(area, number))
		judge(area, chunk, range);
	else if (!ck_pr_load_32(&chunk->large) && ck_pr_load_32(&chunk->opened))
		close_again(area, chunk, range);
}
