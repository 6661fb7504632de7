/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.c: the engine `hash`: both indexes by the content's hash.
 *
 * Waiting pages: an open-addressed table of page numbers. What a number's hash is stands in the
 * page's note, so a slot is four bytes; removal shifts later ones back, so that there are no
 * tombstones and a search ends at the first hole.
 *
 *     slot   | 7 | - | 12 | 3 | 9 | - |       12, 3 and 9 have the same home or ran into each other
 *
 * Shared contents: buckets of heads. A search compares one tag for each, and one content in full.
 *
 * HASH-1  A page is at or after its home slot, and no hole lies between.
 * HASH-2  It is fewer than REACH slots from home. So every search ends, though a guest may make as
 *         many pages with one tag as it has: who finds no slot within reach waits in none, and who
 *         meets STRANGERS with his own tag gives up.
 */
#include <lib/error.h>
#include <lib/string.h>
#include "mm/merge/private.h"

#define EMPTY	  MERGE_PAGE_NONE
#define SLOTS_MIN 1024u
#define REACH	  1024u /* of runs at seven eighths full, one in a few thousand is as long */
#define STRANGERS 8

struct hash_index {
	u32 *slot;
	u32 slots; /* a power of two, more than the pages there are */
	struct stable **bucket;
	u32 buckets; /* a power of two */
};

static struct hash_index *index_of(const struct merge_domain *domain)
{
	return domain->index;
}

static int alloc_tables(struct hash_index *index, u32 slots, u32 buckets)
{
	void *slot, *bucket;
	int err = page_alloc(page_order((u64)slots * sizeof(u32)), &slot);

	if (err)
		return err;
	err = page_alloc(page_order((u64)buckets * sizeof(void *)), &bucket);
	if (err) {
		page_free(slot, page_order((u64)slots * sizeof(u32)));
		return err;
	}
	memset(slot, 0xff, (u64)slots * sizeof(u32));
	*index = (struct hash_index){slot, slots, bucket, buckets};
	return 0;
}

static void free_tables(const struct hash_index *index)
{
	page_free(index->slot, page_order((u64)index->slots * sizeof(u32)));
	page_free(index->bucket, page_order((u64)index->buckets * sizeof(void *)));
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
	free_tables(index_of(domain));
	page_free(domain->index, 0);
}

static u32 home(const struct hash_index *index, u32 tag)
{
	return (tag * 2654435769u) >> 7 & (index->slots - 1);
}

static u32 tag_of(const struct merge_domain *domain, u32 number)
{
	struct gfn gfn;
	struct merge_area *area = merge_area_of(domain, number, &gfn);

	return page_hash(merge_note(area, gfn));
}

static bool put(struct hash_index *index, u32 tag, u32 number)
{
	u32 at = home(index, tag);

	for (u32 i = 0; i < REACH; i++, at = (at + 1) & (index->slots - 1)) {
		if (index->slot[at] != EMPTY)
			continue;
		index->slot[at] = number;
		return true;
	}
	return false;
}

/*
 * From the old table to a larger one. If there is no place, which is chance, the page is looked at
 * again.
 */
static void move(struct merge_domain *domain, struct hash_index *to, u32 number)
{
	struct gfn gfn;
	struct merge_area *area = merge_area_of(domain, number, &gfn);

	if (put(to, page_hash(merge_note(area, gfn)), number))
		return;
	(void)page_change(merge_note(area, gfn), PAGE_INDEXED, 0); /* also if it is EXCLUDED */
	(void)merge_change_reason(area, gfn, BIT(MERGE_UNIQUE) | BIT(MERGE_LARGE), MERGE_WAITING, 0,
				  0);
}

static struct stable **bucket_of(const struct hash_index *index, u32 tag)
{
	return &index->bucket[tag & (index->buckets - 1)];
}

static void put_head(struct hash_index *index, struct stable *head)
{
	struct stable **bucket = bucket_of(index, head->tag);

	head->bucket.next = *bucket;
	head->bucket.at = bucket;
	if (head->bucket.next)
		head->bucket.next->bucket.at = &head->bucket.next;
	*bucket = head;
}

/*
 * Moves everything to tables that are large enough: at least an eighth of the slots stays empty, so
 * that MERGE-4 holds for any number of pages.
 */
static int hash_grow(struct merge_domain *domain, u32 pages)
{
	struct hash_index *index = index_of(domain), larger;
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
			move(domain, &larger, index->slot[i]);
	}
	for (struct stable *head = domain->heads; head; head = head->next)
		put_head(&larger, head);
	free_tables(index);
	*index = larger;
	return 0;
}

static struct stable *hash_stable_find(struct merge_domain *domain, const struct merge_key *key)
{
	struct stable *head = *bucket_of(index_of(domain), key->tag);
	unsigned strangers = 0;

	for (u32 i = 0; head && i < REACH && strangers < STRANGERS; i++, head = head->bucket.next) {
		if (head->tag != key->tag)
			continue;
		merge_count(compares, 1);
		if (memcmp(merge_content(head->mfn), key->content, PAGE_SIZE) == 0)
			return head;
		strangers++;
	}
	return NULL;
}

static void hash_stable_add(struct merge_domain *domain, struct stable *head,
			    const struct merge_key *key)
{
	put_head(index_of(domain), head);
}

static void hash_stable_remove(struct merge_domain *domain, struct stable *head)
{
	*head->bucket.at = head->bucket.next;
	if (head->bucket.next)
		head->bucket.next->bucket.at = head->bucket.at;
}

static u32 hash_waiting_find(struct merge_domain *domain, const struct merge_key *key)
{
	struct hash_index *index = index_of(domain);
	u32 at = home(index, key->tag);
	unsigned strangers = 0;

	for (u32 i = 0; i < REACH && strangers < STRANGERS && index->slot[at] != EMPTY; i++) {
		if (tag_of(domain, index->slot[at]) == key->tag) {
			if (merge_waiting_compare(domain, key, index->slot[at]) == 0)
				return index->slot[at];
			strangers++;
		}
		at = (at + 1) & (index->slots - 1);
	}
	return MERGE_PAGE_NONE;
}

static int hash_waiting_add(struct merge_domain *domain, const struct merge_key *key, u32 number)
{
	return put(index_of(domain), key->tag, number) ? 0 : ERR_BUSY;
}

/*
 * Fills the hole at `at` with the next entry that may lie there (HASH-1), until the run ends or is
 * out of reach (HASH-2).
 */
static void close_hole(struct merge_domain *domain, u32 at)
{
	struct hash_index *index = index_of(domain);
	u32 mask = index->slots - 1;

	for (u32 next = (at + 1) & mask; index->slot[next] != EMPTY && ((next - at) & mask) < REACH;
	     next = (next + 1) & mask) {
		u32 from = home(index, tag_of(domain, index->slot[next]));

		if (((next - from) & mask) < ((next - at) & mask))
			continue; /* its home lies behind the hole */
		index->slot[at] = index->slot[next];
		at = next;
	}
	index->slot[at] = EMPTY;
}

static void hash_waiting_remove(struct merge_domain *domain, u32 number)
{
	struct hash_index *index = index_of(domain);
	u32 at = home(index, tag_of(domain, number));

	while (index->slot[at] != number)
		at = (at + 1) & (index->slots - 1);
	close_hole(domain, at);
}

/* What a waiting page's number names; it is mostly a twin. */
static void foresee_waiting(const struct merge_domain *domain, u32 tag, u32 number, unsigned step)
{
	struct gfn gfn;
	struct merge_area *area = merge_area_of(domain, number, &gfn);
	const struct merge_page *page = merge_note(area, gfn);
	ppte_t pte;

	if (step == 1) {
		__builtin_prefetch(page);
	} else if (page_hash(page) == tag) {
		pte = primary_load(&area->as->primary, gfn);
		if (ppte_state(pte) == PPTE_PRIVATE)
			merge_foresee_frame(ppte_mfn(pte));
	}
}

static void hash_foresee(const struct merge_domain *domain, u32 tag, unsigned step)
{
	const struct hash_index *index = index_of(domain);
	const u32 *slot = &index->slot[home(index, tag)];
	struct stable *const *bucket = bucket_of(index, tag);

	if (step == 0) {
		__builtin_prefetch(slot);
		__builtin_prefetch(bucket);
		return;
	}
	if (*slot != EMPTY)
		foresee_waiting(domain, tag, *slot, step);
	if (*bucket && step == 1)
		__builtin_prefetch(*bucket);
	else if (*bucket && (*bucket)->tag == tag)
		merge_foresee_frame((*bucket)->mfn);
}

static u64 hash_bytes(const struct merge_domain *domain)
{
	const struct hash_index *index = domain->index;

	return (1 + BIT(page_order((u64)index->slots * sizeof(u32))) +
		BIT(page_order((u64)index->buckets * sizeof(void *)))) *
	       PAGE_SIZE;
}

const struct merge_engine merge_engine_hash = {
	.name = "hash",
	.init = hash_init,
	.fini = hash_fini,
	.grow = hash_grow,
	.stable_find = hash_stable_find,
	.stable_add = hash_stable_add,
	.stable_remove = hash_stable_remove,
	.waiting_find = hash_waiting_find,
	.waiting_add = hash_waiting_add,
	.waiting_remove = hash_waiting_remove,
	.foresee = hash_foresee,
	.bytes = hash_bytes,
};
