/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata.c: page metadata: made chunk by chunk, changed by compare-and-swap, and counted.
 *
 * Each change of a page's reason changes the counters of its region and of its chunk, from which
 * the scanner sees that a chunk needs no visit. The visitor of a chunk keeps a tally of its pages,
 * and adds it to the counters once, before it leaves: the sums are true whenever it is in none.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <trace/trace.h>

#define ANY_BUT_EXCLUDED (~(u32)BIT(MERGE_EXCLUDED))

int merge_make_metadata(struct merge_region *region, u32 chunk)
{
	struct merge_page **place =
		merge_metadata_at(region, merge_chunk_range(region, chunk).start);
	void *memory;
	int err;

	if (ck_pr_load_ptr(place))
		return 0;
	err = page_alloc(0, &memory);
	if (err)
		return err;
	for (u32 i = 0; region->marked && i < MERGE_PAGES_A_PAGE; i++)
		((struct merge_page *)memory)[i].word = MERGE_EXCLUDED;
	ck_pr_fence_store(); /* pairs with the dependent loads of merge_ref() */
	if (ck_pr_cas_ptr(place, NULL, memory))
		ck_pr_inc_32(&region->metadata_pages);
	else
		page_free(memory, 0); /* another CPU made it for the neighbouring chunk */
	return 0;
}

void merge_tally_begin(struct merge_chunk *chunk)
{
	merge_world.tally[arch_cpu_id()].chunk = chunk;
}

void merge_tally_end(struct merge_region *region)
{
	struct merge_tally *tally = &merge_world.tally[arch_cpu_id()];
	u32 unsettled = 0;

	for (unsigned i = 0; i < MERGE_REASONS; i++) {
		if (!tally->by_reason[i])
			continue;
		ck_pr_add_64(&region->by_reason[i], tally->by_reason[i]);
		if (!merge_settled((enum merge_reason)i))
			unsettled += (u32)tally->by_reason[i];
	}
	if (unsettled)
		ck_pr_add_32(&tally->chunk->unsettled, unsettled);
	*tally = (struct merge_tally){.chunk = NULL};
}

/* A counter of pages that are something: one more, one less, or, as mostly, neither. */
static void metadata_adjust(u32 *counter, bool is, bool was)
{
	if (is != was)
		ck_pr_add_32(counter, (u32)is - (u32)was);
}

/* A page of a chunk that this CPU does not visit. */
static __noinline void metadata_count_elsewhere(const struct merge_ref *ref, enum merge_reason old,
						enum merge_reason reason)
{
	ck_pr_dec_64(&ref->region->by_reason[old]);
	ck_pr_inc_64(&ref->region->by_reason[reason]);
	metadata_adjust(&merge_chunk_at(ref)->unsettled, !merge_settled(reason),
			!merge_settled(old));
}

/* What is not tallied. */
static __noinline void metadata_count_at_once(struct merge_chunk *chunk, enum merge_reason old,
					      enum merge_reason reason)
{
	metadata_adjust(&chunk->partners, reason == MERGE_LARGE, old == MERGE_LARGE);
	metadata_adjust(&chunk->excluded, reason == MERGE_EXCLUDED, old == MERGE_EXCLUDED);
}

/* In the tally of this CPU's visit, or at once for a page elsewhere. */
static __always_inline void metadata_account(const struct merge_ref *ref, enum merge_reason old,
					     enum merge_reason reason)
{
	const u32 at_once = BIT(MERGE_LARGE) | BIT(MERGE_EXCLUDED);
	struct merge_tally *tally = &merge_world.tally[arch_cpu_id()];
	struct merge_chunk *chunk = merge_chunk_at(ref);

	if (likely(tally->chunk == chunk)) {
		tally->by_reason[old]--;
		tally->by_reason[reason]++;
	} else {
		metadata_count_elsewhere(ref, old, reason);
	}
	TRACE(merge_reason, ref->region->as->id, .gfn = ref->gfn.raw, .from = (u8)old,
	      .to = (u8)reason);
	if (unlikely((BIT(old) | BIT(reason)) & at_once))
		metadata_count_at_once(chunk, old, reason);
}

/* Inlined, because most callers give constants. */
static __always_inline bool change_reason(const struct merge_ref *ref, u32 from,
					  enum merge_reason reason, u32 mask, u32 bits)
{
	struct merge_page *page = ref->page;
	u32 word = page_word(page);

	do {
		if (!(from & BIT(word & PAGE_REASON)))
			return false;
	} while (!ck_pr_cas_32_value(&page->word, word,
				     (word & ~(mask | PAGE_REASON)) | bits | reason, &word));
	if ((word & PAGE_REASON) != reason)
		metadata_account(ref, (enum merge_reason)(word & PAGE_REASON), reason);
	return true;
}

bool merge_change_reason(const struct merge_ref *ref, u32 from, enum merge_reason reason, u32 mask,
			 u32 bits)
{
	return change_reason(ref, from, reason, mask, bits);
}

void merge_set_reason(const struct merge_ref *ref, enum merge_reason reason)
{
	(void)change_reason(ref, ANY_BUT_EXCLUDED, reason, 0, 0);
}

bool merge_mark_indexed(const struct merge_ref *ref, enum merge_reason reason)
{
	if (change_reason(ref, ANY_BUT_EXCLUDED, reason, 0, PAGE_INDEXED))
		return true;
	if (IS_ENABLED(CONFIG_BREAK_MERGE_EXCLUDED))
		(void)page_change(ref->page, PAGE_INDEXED, PAGE_INDEXED);
	return IS_ENABLED(CONFIG_BREAK_MERGE_EXCLUDED);
}

void merge_remember(const struct merge_ref *ref, const struct merge_key *key, bool changed)
{
	unsigned patience = changed ? MIN(page_patience(ref->page) + 1, PAGE_PATIENCE_MAX) : 0;

	(void)change_reason(ref, ANY_BUT_EXCLUDED, changed ? MERGE_VOLATILE : MERGE_CANDIDATE,
			    ~PAGE_INDEXED,
			    key->tag << PAGE_HASH_SHIFT | patience << PAGE_PATIENCE_SHIFT);
}

void merge_retry(const struct merge_ref *ref)
{
	(void)change_reason(ref, BIT(MERGE_UNIQUE) | BIT(MERGE_LARGE), MERGE_CANDIDATE, 0, 0);
}
