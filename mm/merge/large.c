/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large.c: blocks of 512 pages that secondaries map by one large leaf.
 *
 * To share one page of such a block its leaf must be split, and what a large leaf saves, walks and
 * TLB entries, is lost for all 512. So its pages are hashed through the hypervisor's own mapping
 * and enter the index like others; a page that has a partner becomes LARGE, which counts for the
 * block. When `split` of them have one, the block is assessed: could that many be shared now, that
 * is without splitting another block which is not worth it? Then the block is opened, and its pages
 * go the usual way.
 *
 *     uniform, large ---- enough partners ----> opened: each partner is write-protected alone, the first one splits
 *           ^                                       |
 *           +------ collapse: nothing is shared ----+
 *
 * One page is write-protected, never the block: the leaf is split in any case when its first page
 * is shared, and a write to one of the other pages would fault for nothing.
 */
#include "mm/merge/private.h"
#include <lib/error.h>

static bool is_uniform(struct addrspace *as, struct gfn gfn)
{
	bool uniform;

	spin_lock(&as->lock);
	uniform = primary_find(&as->primary, gfn) && primary_uniform(&as->primary, gfn, 1);
	spin_unlock(&as->lock);
	return uniform;
}

static bool may_be_large(const struct merge_region *region, struct gfn_range range)
{
	const struct merge_limits *limits = &region->domain->limits;

	return limits->split && !limits->secure && gfn_range_frames(range) == MERGE_CHUNK;
}

/* Pages that are LARGE in a block that is not large any more are looked up again. */
static void large_reconsider(struct merge_region *region, struct gfn_range range)
{
	struct merge_ref ref = merge_ref(region, range.start);

	for (; ref.gfn.raw < range.end.raw; ref.gfn.raw++, ref.page++)
		(void)merge_change_reason(&ref, BIT(MERGE_LARGE), MERGE_HINTED, 0, 0);
}

void merge_large_begin(struct merge_region *region, u32 number)
{
	struct gfn_range range = merge_chunk_range(region, number);
	struct merge_chunk *chunk = &region->chunk[number];
	bool large = may_be_large(region, range) && is_uniform(region->as, range.start);

	ck_pr_store_32(&chunk->large, large);
	if (!large && ck_pr_load_32(&chunk->partners))
		large_reconsider(region, range);
}

static bool has_enough(const struct merge_region *region, const struct merge_chunk *chunk)
{
	return ck_pr_load_32(&chunk->partners) >= region->domain->limits.split;
}

bool merge_large_wants_visit(const struct merge_region *region, u32 number)
{
	const struct merge_chunk *chunk = &region->chunk[number];

	return ck_pr_load_32(&chunk->large) && has_enough(region, chunk) &&
	       ck_pr_load_32(&chunk->partners) != ck_pr_load_32(&chunk->assessed);
}

void merge_large_credit(const struct merge_ref *ref)
{
	if (!merge_is_large(ref))
		return;
	(void)merge_change_reason(ref, BIT(MERGE_UNIQUE), MERGE_LARGE, 0, 0);
	ck_pr_store_32(&merge_chunk_at(ref)->assessed, 0);
}

void merge_large_open(const struct merge_ref *ref)
{
	struct merge_chunk *chunk = merge_chunk_at(ref);

	if (!ck_pr_cas_32(&chunk->large, 1, 0))
		return;
	ck_pr_store_32(&chunk->opened, 1);
	merge_count(large_split, 1);
}

static bool zero_merges(const struct merge_ref *ref, const struct merge_key *key)
{
	return ref->region->domain->limits.zero && merge_is_zero(key->content);
}

/*
 * Is there another page of this content? An unstable one is credited with a partner, too. The page
 * itself is in no index. Under domain->lock.
 */
static bool has_partner(struct merge_domain *domain, const struct merge_key *key)
{
	struct merge_ref match;
	u32 number;

	if (domain->engine->stable_find(domain, key))
		return true;
	number = domain->engine->unstable_find(domain, key);
	if (number == MERGE_PAGE_NONE)
		return false;
	match = merge_ref_of(domain, number);
	merge_large_credit(&match);
	return true;
}

void merge_large_consider(const struct merge_ref *ref, const struct merge_key *key, bool same,
			  bool seen)
{
	struct merge_domain *domain = ref->region->domain;
	bool zero = zero_merges(ref, key), partner = zero;

	spin_lock(&domain->lock); /* one hold: index.c */
	if (!zero)
		partner = has_partner(domain, key);
	if (partner || same)
		(void)page_change(ref->page, PAGE_HASH, key->tag << PAGE_HASH_SHIFT);
	if (zero)
		merge_set_reason(ref, MERGE_LARGE);
	else if (partner || same)
		unstable_add(ref, key, partner ? MERGE_LARGE : MERGE_UNIQUE);
	spin_unlock(&domain->lock);
	if (!partner && !same)
		merge_remember(ref, key, seen);
}

/*
 * Is there a page to share with, in a small leaf, in a block that is worth splitting, or in this
 * block? Under domain->lock.
 */
static bool could_share(const struct merge_ref *ref, const struct merge_key *key)
{
	struct merge_domain *domain = ref->region->domain;
	struct merge_ref match;
	u32 number;

	if (domain->engine->stable_find(domain, key))
		return true;
	number = domain->engine->unstable_find(domain, key);
	if (number == MERGE_PAGE_NONE)
		return false;
	match = merge_ref_of(domain, number);
	return !merge_stays_large(&match) || merge_chunk_at(&match) == merge_chunk_at(ref);
}

/* The same for a page that is LARGE, and so in the index, where it must not find itself. */
static bool large_page_could_share(const struct merge_ref *ref)
{
	struct merge_domain *domain = ref->region->domain;
	struct merge_key key = {.tag = page_hash(ref->page)};
	struct mfn mfn;
	bool could;

	if (page_reason(ref->page) != MERGE_LARGE || !merge_frame(ref, &mfn))
		return false;
	key.content = merge_content(mfn);
	could = zero_merges(ref, &key);
	if (!could) {
		unstable_remove(ref);
		spin_lock(&domain->lock);
		could = could_share(ref, &key);
		unstable_add(ref, &key, MERGE_LARGE);
		spin_unlock(&domain->lock);
	}
	return could;
}

static void large_assess(struct merge_region *region, struct merge_chunk *chunk,
			 struct gfn_range range)
{
	const struct merge_ref first = merge_ref(region, range.start);
	struct merge_ref ref;
	u32 partners = ck_pr_load_32(&chunk->partners), could = 0;

	for (ref = first; ref.gfn.raw < range.end.raw; ref.gfn.raw++, ref.page++)
		could += large_page_could_share(&ref);
	if (could < region->domain->limits.split) {
		ck_pr_store_32(&chunk->assessed, partners);
		return;
	}
	merge_large_open(&first);
	large_reconsider(region, range);
	for (ref = first; ref.gfn.raw < range.end.raw; ref.gfn.raw++, ref.page++)
		if (merge_is_due(page_word(ref.page)))
			merge_visit(&(struct merge_next){.ref = ref, .slot = merge_slot(&ref)});
}

/* Sharing has ended: a large leaf again. What is in the way stays so until the next write. */
static void large_collapse(struct merge_region *region, struct merge_chunk *chunk,
			   struct gfn_range range)
{
	const u32 shared = BIT(MERGE_SHARED) | BIT(MERGE_ZERO);
	const struct merge_page *page = merge_ref(region, range.start).page;

	for (u64 i = 0; i < gfn_range_frames(range); i++)
		if (shared & BIT(page_reason(&page[i])))
			return;
	if (addrspace_collapse(region->as, range.start))
		return;
	ck_pr_store_32(&chunk->opened, 0);
	merge_count(large_collapsed, 1);
}

void merge_large_end(struct merge_region *region, u32 number)
{
	struct gfn_range range = merge_chunk_range(region, number);
	struct merge_chunk *chunk = &region->chunk[number];

	if (merge_large_wants_visit(region, number))
		large_assess(region, chunk, range);
	else if (!ck_pr_load_32(&chunk->large) && ck_pr_load_32(&chunk->opened))
		large_collapse(region, chunk, range);
}
