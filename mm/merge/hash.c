/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.c: the engine `hash`: both indexes by the content's hash.
 *
 * Unstable pages: an open-addressed table of page numbers with linear probing. The tag of a number
 * is in the page's metadata, so a slot is four bytes; a removal shifts later entries back, so that
 * there are no tombstones and a search ends at the first hole.
 *
 *     slot   | 7 | - | 12 | 3 | 9 | - |       a run of three: same home, or runs that met
 *
 * Stable contents: buckets of heads, each a list by numbers. A search compares one tag for each,
 * and one content in full. A removal walks its bucket: chance alone makes a long one (HASH-3).
 *
 * HASH-1  A page is at or after its home slot, and no hole lies between.
 * HASH-2  Every operation is bounded, whatever the contents: no run is longer than REACH; a search
 *         looks at REACH heads at most, and gives up after STRANGERS contents with the same tag. A
 *         page that would make a longer run is in no index.
 *
 * The hash has a secret key (content_hash.c), so a guest cannot choose its pages' places or tags.
 */
#include "mm/merge/private.h"
#include <lib/error.h>
#include <lib/string.h>

#define EMPTY	  MERGE_PAGE_NONE
#define SLOTS_MIN 1024u
#define REACH	  1024u /* at seven eighths full, one run in a few thousand would be longer */
#define STRANGERS 8

struct hash_index {
	u32 *slot;
	u32 slots;   /* a power of two, more than the pages there are */
	u32 *bucket; /* the first head of each, by number; 0: none */
	u32 buckets; /* a power of two */
};

static struct hash_index *hash_of(const struct merge_domain *domain)
{
	return domain->index;
}

static unsigned slot_order(const struct hash_index *index)
{
	return page_order((u64)index->slots * sizeof(*index->slot));
}

static unsigned bucket_order(const struct hash_index *index)
{
	return page_order((u64)index->buckets * sizeof(*index->bucket));
}

static int alloc_tables(struct hash_index *index, u32 slots, u32 buckets)
{
	struct hash_index fresh = {.slots = slots, .buckets = buckets};
	void *slot, *bucket;
	int err = page_alloc(slot_order(&fresh), &slot);

	if (err)
		return err;
	err = page_alloc(bucket_order(&fresh), &bucket);
	if (err) {
		page_free(slot, slot_order(&fresh));
		return err;
	}
	memset(slot, 0xff, (u64)slots * sizeof(u32));
	*index = (struct hash_index){slot, slots, bucket, buckets};
	return 0;
}

static void free_tables(const struct hash_index *index)
{
	page_free(index->slot, slot_order(index));
	page_free(index->bucket, bucket_order(index));
}

static int hash_init(struct merge_domain *domain)
{
	void *index;
	int err = page_alloc(0, &index);

	if (err)
		return err;
	err = alloc_tables(index, SLOTS_MIN, SLOTS_MIN / 2);
	if (err)
		page_free(index, 0);
	else
		domain->index = index;
	return err;
}

static void hash_fini(struct merge_domain *domain)
{
	free_tables(hash_of(domain));
	page_free(domain->index, 0);
}

static u32 home_of(const struct hash_index *index, u32 tag)
{
	return (tag * 2654435769u) >> 7 & (index->slots - 1);
}

static u32 tag_of(const struct merge_domain *domain, u32 number)
{
	return page_hash(merge_ref_of(domain, number).page);
}

/* Slots in use from `at` on, `step` by step (1 or -1), up to REACH. */
static u32 run_length(const struct hash_index *index, u32 at, u32 step)
{
	u32 length = 0;

	for (; length < REACH && index->slot[at] != EMPTY; at = (at + step) & (index->slots - 1))
		length++;
	return length;
}

/* Would the hole's neighbours and a page in it not be too long a run? */
static __always_inline bool slot_may_be_used(const struct hash_index *index, u32 hole)
{
	u32 mask = index->slots - 1;
	u32 run =
		run_length(index, (hole - 1) & mask, -1u) + run_length(index, (hole + 1) & mask, 1);

	return run < REACH || IS_ENABLED(CONFIG_BREAK_MERGE_REACH);
}

/* The first hole from home on, unless the run would get too long. */
static bool slot_add(struct hash_index *index, u32 tag, u32 number)
{
	u32 home = home_of(index, tag);
	u32 at = (home + run_length(index, home, 1)) & (index->slots - 1);

	if (index->slot[at] != EMPTY || !slot_may_be_used(index, at))
		return false;
	index->slot[at] = number;
	return true;
}

/* From the old table to a larger one. A page that finds no place is looked up again. */
static void slot_move(struct merge_domain *domain, struct hash_index *to, u32 number)
{
	struct merge_ref ref = merge_ref_of(domain, number);

	if (slot_add(to, page_hash(ref.page), number))
		return;
	(void)page_change(ref.page, PAGE_INDEXED, 0); /* also if it is EXCLUDED */
	merge_retry(&ref);
}

static u32 *bucket_of(const struct hash_index *index, u32 tag)
{
	return &index->bucket[tag & (index->buckets - 1)];
}

static void bucket_add(struct merge_domain *domain, const struct hash_index *index, u32 number)
{
	struct stable *head = node_at(&domain->nodes, number);
	u32 *bucket = bucket_of(index, node_tag(head));

	node_set_link(&domain->nodes, head, *bucket);
	*bucket = number;
}

/* Moves all to larger tables, so that at least an eighth of the slots stays empty (MERGE-4). */
static int hash_grow(struct merge_domain *domain, u32 pages)
{
	struct hash_index *index = hash_of(domain), larger;
	u32 slots = index->slots;
	int err;

	while (slots - slots / 8 < pages)
		slots *= 2;
	if (slots == index->slots)
		return 0;
	err = alloc_tables(&larger, slots, slots / 8);
	if (err)
		return err;
	for (u32 i = 0; i < index->slots; i++) {
		if (index->slot[i] != EMPTY)
			slot_move(domain, &larger, index->slot[i]);
	}
	NODES_FOREACH_HEAD (head, &domain->nodes)
		bucket_add(domain, &larger, head);
	free_tables(index);
	*index = larger;
	return 0;
}

static u32 hash_stable_find(struct merge_domain *domain, const struct merge_key *key)
{
	size_t bytes = key->sampled ? KEY_SAMPLE : PAGE_SIZE;
	u32 number = *bucket_of(hash_of(domain), key->tag);
	unsigned strangers = 0;

	for (u32 i = 0; number && i < REACH && strangers < STRANGERS; i++) {
		const struct stable *head = node_at(&domain->nodes, number);

		if (node_tag(head) == key->tag) {
			merge_count(compares, 1);
			if (memcmp(merge_content(node_mfn(head)), key->content, bytes) == 0)
				return number;
			strangers++;
		}
		number = node_link(&domain->nodes, head);
	}
	return 0;
}

static void hash_stable_add(struct merge_domain *domain, u32 head)
{
	bucket_add(domain, hash_of(domain), head);
}

static void hash_stable_remove(struct merge_domain *domain, u32 number)
{
	struct stable_nodes *nodes = &domain->nodes;
	u32 link = node_link(nodes, node_at(nodes, number));
	u32 *bucket = bucket_of(hash_of(domain), node_tag(node_at(nodes, number)));
	struct stable *before;

	if (*bucket == number) {
		*bucket = link;
		return;
	}
	before = node_at(nodes, *bucket);
	while (node_link(nodes, before) != number)
		before = node_at(nodes, node_link(nodes, before));
	node_set_link(nodes, before, link);
}

static u32 hash_unstable_find(struct merge_domain *domain, const struct merge_key *key)
{
	struct hash_index *index = hash_of(domain);
	u32 at = home_of(index, key->tag);
	unsigned strangers = 0;

	for (; strangers < STRANGERS && index->slot[at] != EMPTY;
	     at = (at + 1) & (index->slots - 1)) {
		if (tag_of(domain, index->slot[at]) != key->tag)
			continue;
		if (unstable_compare(domain, key, index->slot[at]) == 0)
			return index->slot[at];
		strangers++;
	}
	return MERGE_PAGE_NONE;
}

static int hash_unstable_add(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	return slot_add(hash_of(domain), key->tag, number) ? 0 : ERR_BUSY;
}

/* Fills the hole at `at` with the next entry that may lie there (HASH-1), until the run ends. */
static void close_hole(struct merge_domain *domain, u32 at)
{
	struct hash_index *index = hash_of(domain);
	u32 mask = index->slots - 1;

	for (u32 next = (at + 1) & mask; index->slot[next] != EMPTY; next = (next + 1) & mask) {
		u32 from = home_of(index, tag_of(domain, index->slot[next]));

		if (((next - from) & mask) < ((next - at) & mask))
			continue; /* its home lies behind the hole */
		index->slot[at] = index->slot[next];
		at = next;
	}
	index->slot[at] = EMPTY;
}

static void hash_unstable_remove(struct merge_domain *domain, u32 number)
{
	struct hash_index *index = hash_of(domain);
	u32 at = home_of(index, tag_of(domain, number));

	while (index->slot[at] != number)
		at = (at + 1) & (index->slots - 1);
	close_hole(domain, at);
}

/* Entry by entry, then what it names: each for all tags. */
static void hash_prefetch(const struct merge_domain *domain, const u32 *tag, u32 set)
{
	const struct hash_index *index = hash_of(domain);

	for (u32 left = set; left; left &= left - 1) {
		u32 of = tag[__builtin_ctz(left)];

		__builtin_prefetch(&index->slot[home_of(index, of)]);
		__builtin_prefetch(bucket_of(index, of));
	}
	for (u32 left = set; left; left &= left - 1) {
		u32 of = tag[__builtin_ctz(left)], number = index->slot[home_of(index, of)];
		u32 head = *bucket_of(index, of);

		if (number != EMPTY)
			__builtin_prefetch(merge_ref_of(domain, number).page);
		if (head)
			__builtin_prefetch(node_at(&domain->nodes, head));
	}
}

/* The first head with the tag, or 0. */
static u32 head_with(const struct merge_domain *domain, u32 tag)
{
	u32 number = *bucket_of(hash_of(domain), tag);

	for (u32 i = 0; number && i < REACH; i++) {
		const struct stable *head = node_at(&domain->nodes, number);

		if (node_tag(head) == tag)
			return number;
		number = node_link(&domain->nodes, head);
	}
	return 0;
}

/* The slot of the first page with the tag, or the hole behind all of its home. */
static u32 slot_with(const struct merge_domain *domain, u32 tag)
{
	const struct hash_index *index = hash_of(domain);
	u32 at = home_of(index, tag);

	while (index->slot[at] != EMPTY && tag_of(domain, index->slot[at]) != tag)
		at = (at + 1) & (index->slots - 1);
	return at;
}

static void prefetch_page(const struct merge_domain *domain, u32 number)
{
	const struct merge_ref ref = merge_ref_of(domain, number);
	struct mfn mfn;

	if (merge_frame(&ref, &mfn))
		merge_prefetch_frame(mfn);
}

static bool hash_unseen(const struct merge_domain *domain, u32 tag, u32 *place)
{
	const struct hash_index *index = hash_of(domain);
	u32 head = head_with(domain, tag);

	if (head) {
		merge_prefetch_frame(node_mfn(node_at(&domain->nodes, head)));
		return false;
	}
	*place = slot_with(domain, tag);
	if (index->slot[*place] == EMPTY)
		return slot_may_be_used(index, *place);
	prefetch_page(domain, index->slot[*place]);
	return false;
}

static void hash_unstable_put(struct merge_domain *domain, u32 place, u32 number)
{
	hash_of(domain)->slot[place] = number;
}

static u64 hash_bytes(const struct merge_domain *domain)
{
	const struct hash_index *index = hash_of(domain);

	return (1 + BIT(slot_order(index)) + BIT(bucket_order(index))) * PAGE_SIZE;
}

const struct merge_engine merge_engine_hash = {
	.name = "hash",
	.init = hash_init,
	.fini = hash_fini,
	.grow = hash_grow,
	.stable_find = hash_stable_find,
	.stable_add = hash_stable_add,
	.stable_remove = hash_stable_remove,
	.unstable_find = hash_unstable_find,
	.unstable_add = hash_unstable_add,
	.unstable_remove = hash_unstable_remove,
	.prefetch = hash_prefetch,
	.unseen = hash_unseen,
	.unstable_put = hash_unstable_put,
	.bytes = hash_bytes,
};
