/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the files of merging share: page metadata, regions, domains, stable nodes, the
 * engine interface.
 *
 *     merge_world -- regions, by address space and gfn          the scanner's cursor
 *                 -- domains, by number
 *                        regions, by page number                engine -- index of unstable pages
 *                        stable nodes                                  -- index of stable nodes
 *
 * A page has a number in its domain: `base` of its region plus its place in it. Indexes store
 * numbers.
 *
 * Locking: merge_regions_lock, merge_world.lock, a domain's lock, then the locks of mm/cow.h. Field
 * keys: [I] immutable, [a] atomic, [r] merge_regions_lock, [w] merge_world.lock, [d] the domain's
 * lock; [rw] is written under both and read under either.
 */
#ifndef SAMEPAGE_MM_MERGE_PRIVATE_H
#define SAMEPAGE_MM_MERGE_PRIVATE_H

#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/lock.h>
#include <lib/quiesce.h>
#include <lib/tree.h>
#include <mm/cow.h>
#include <mm/frame.h>
#include <mm/merge.h>
#include "mm/frame/pool.h"
#include "mm/merge/nodes.h"
#include "mm/space/space.h"

#define MERGE_CHUNK	   512u /* pages visited together: one leaf table, one large leaf */
#define MERGE_PAGES_A_PAGE (PAGE_SIZE / sizeof(struct merge_page)) /* metadata in a page of it */
#define MERGE_PAGE_NONE	   (~0u)
/* Page numbers of a domain, 896 GiB: a hash table of 1 GiB, the allocator's largest block, is then
 * seven eighths full. */
#define MERGE_PAGES_MAX (BIT(28) - BIT(25))

/* --- Page metadata ------------------------------------------------------------------------- */

/*
 * 4 bytes a page, changed by compare-and-swap: a visitor of a matching page may change them too.
 *
 *     31            8 7      5    4       3      0
 *     | hash, 24 bits | patience | indexed | reason |
 *
 * hash: the tag of its content when it was last read. patience: a volatile page is visited in every
 * 2^n-th pass. indexed: it is in the index of unstable pages.
 */
struct merge_page {
	u32 word;
};

#define PAGE_REASON	    0xfu
#define PAGE_INDEXED	    0x10u
#define PAGE_PATIENCE_SHIFT 5
#define PAGE_PATIENCE_MAX   5u
#define PAGE_PATIENCE	    (7u << PAGE_PATIENCE_SHIFT)
#define PAGE_PATIENCE_MOST  (PAGE_PATIENCE_MAX << PAGE_PATIENCE_SHIFT)
#define PAGE_HASH_SHIFT	    8
#define PAGE_HASH	    (~0u << PAGE_HASH_SHIFT)

static inline u32 page_word(const struct merge_page *page)
{
	return ck_pr_load_32(&page->word);
}

static inline enum merge_reason page_reason(const struct merge_page *page)
{
	return (enum merge_reason)(page_word(page) & PAGE_REASON);
}

static inline u32 page_hash(const struct merge_page *page)
{
	return page_word(page) >> PAGE_HASH_SHIFT;
}

static inline unsigned page_patience(const struct merge_page *page)
{
	return page_word(page) >> PAGE_PATIENCE_SHIFT & 7;
}

/* Replaces the bits of `mask` by those of `bits`; returns the word before. */
static inline u32 page_change(struct merge_page *page, u32 mask, u32 bits)
{
	u32 word = page_word(page);

	while (!ck_pr_cas_32_value(&page->word, word, (word & ~mask) | bits, &word))
		;
	return word;
}

/* --- The indexes --------------------------------------------------------------------------- */

/*
 * What a search looks for: a content, and its tag, the 24 bits of its hash that page metadata
 * keeps. The tag is enough to search by, because a match is compared in full; so an unwritten page
 * is looked up without being read.
 *
 * sampled	a search by tag for a stable frame compares the first KEY_SAMPLE bytes only: what it
 *		finds is a guess, which the caller compares in full, under write protection
 */
struct merge_key {
	u32 tag;
	const void *content;
	bool sampled;
};
#define MERGE_BATCH 16u /* pages that are prefetched together */
#define TAG_MASK    0xffffffu
#define KEY_SAMPLE  64u /* a cache line */

struct merge_domain;
struct merge_region;

/* One page: made once by the scanner, or from a page number, and passed on. */
struct merge_ref {
	struct merge_region *region;
	struct gfn gfn;
	struct merge_page *page;
};

/*
 * struct merge_engine: the two indexes of a domain. All under domain->lock, all bounded.
 *
 * init			an empty index; fini frees it
 * grow			room for page numbers below `pages`. ERR_NO_MEMORY
 * stable_find		the head with the key's content, or 0; a number (nodes.h)
 * stable_prepare	memory for stable_add() of this head. ERR_NO_MEMORY. NULL: none is needed
 * unstable_find	an unstable page with the key's content, or MERGE_PAGE_NONE. It may be written at
 *			any time: the caller write-protects and compares again
 * unstable_add		ERR_NO_MEMORY; ERR_BUSY: too crowded there. The page is in no index
 * prefetch		the entries that searches for the tags with a bit in `set` will read
 *			(prefetch.c). NULL: not foreseeable
 * unseen		neither a stable frame nor an unstable page has the tag, and
 *			unstable_put() may put one that has it at *place. False: one may have
 *			it; its frame is prefetched
 * bytes		of metadata, beside struct merge_page
 */
struct merge_engine {
	const char *name;
	int (*init)(struct merge_domain *domain);
	void (*fini)(struct merge_domain *domain);
	int (*grow)(struct merge_domain *domain, u32 pages);
	u32 (*stable_find)(struct merge_domain *domain, const struct merge_key *key);
	int (*stable_prepare)(struct merge_domain *domain, u32 head);
	void (*stable_add)(struct merge_domain *domain, u32 head);
	void (*stable_remove)(struct merge_domain *domain, u32 head);
	u32 (*unstable_find)(struct merge_domain *domain, const struct merge_key *key);
	int (*unstable_add)(struct merge_domain *domain, const struct merge_key *key, u32 page);
	void (*unstable_remove)(struct merge_domain *domain, u32 page);
	void (*prefetch)(const struct merge_domain *domain, const u32 *tag, u32 set);
	bool (*unseen)(const struct merge_domain *domain, u32 tag, u32 *place);
	void (*unstable_put)(struct merge_domain *domain, u32 place, u32 page);
	u64 (*bytes)(const struct merge_domain *domain);
};
extern const struct merge_engine merge_engine_tree, merge_engine_hash;

/* --- Regions and domains ------------------------------------------------------------------- */

/*
 * unsettled	[a] pages that are to be visited though nothing writes to them
 * excluded	[a] pages that are UNMERGEABLE
 * taken	[a] a visitor is inside
 * large	[a] secondaries may map it by one large leaf, which is hashed and not split
 * partners	[a] pages that are LARGE: others have the same content
 * assessed	[a] `partners` when splitting was last found not to be worth it
 * opened	[a] it was split for its partners' sake, to be collapsed when it has none left
 * flush	its visitor's: dirty_log_collect_open()
 */
struct merge_chunk {
	u32 unsettled, excluded, taken;
	u32 large, partners, assessed, opened;
	u64 flush;
};

/*
 * Chunks are blocks of 512 gfns as a large leaf covers them: the first and the last may be shorter.
 *
 * as, range	[I]
 * origin	[I] the gfn of the first chunk's first place, at or before range.start
 * domain, base	[I] once it is in merge_world
 * dead		[w] being removed: not visited any more
 * marked	[I] pages are EXCLUDED until their guest says otherwise
 * metadata	[a] pages of struct merge_page, NULL until one of theirs is visited; metadata_pages: how many are there
 * by_reason	[a] pages by reason
 * by_space	[rw] in merge_world.regions
 * by_number	[rd] in domain->regions
 */
struct merge_region {
	struct addrspace *as;
	struct gfn_range range;
	struct gfn origin;
	struct merge_domain *domain;
	u32 base;
	u32 chunks, metadata_pages;
	bool dead, marked;
	struct merge_page **metadata;
	struct merge_chunk *chunk;
	u64 by_reason[MERGE_REASONS];
	RB_ENTRY(merge_region) by_space, by_number;
};

RB_HEAD(merge_spaces, merge_region);
RB_HEAD(merge_numbers, merge_region);

/*
 * Where the next sweep begins.
 *
 * head	a number; 0: no round has begun
 * at	a frame of its content that was looked at last, by number; 0: no head was found yet
 */
struct stable_sweep {
	u32 head, at;
};

/*
 * lock		LOCK_MERGE: the engine, both indexes, the nodes and pages' INDEXED bits
 * pages	[r] page numbers in use, and those that removed regions left free
 */
struct merge_domain {
	u32 number;
	struct spinlock lock;
	const struct merge_engine *engine;
	struct merge_limits limits;
	u32 pages;
	struct merge_numbers regions;
	struct stable_nodes nodes;
	struct stable_sweep sweep;
	u64 swept;	  /* [a] the pass in which the sweep last ended; written under lock */
	void *index;	  /* the engine's */
	u64 stable_count; /* [a] nodes; written under lock */
	RB_ENTRY(merge_domain) by_number; /* [r] in merge_world.domains */
};

RB_HEAD(merge_domains, merge_domain);

/* One CPU's work; names as in struct merge_stats. Written by that CPU alone. */
struct merge_counters {
	u64 pages_scanned, pages_skipped, pages_read, compares, merged, zeroed, lost_races,
		large_split, large_collapsed;
} __aligned(64);

/*
 * What one CPU's visit of a chunk has changed in the counters of its region and of it, modulo their
 * sizes. Written by that CPU alone.
 *
 * chunk	the visited one; NULL: none is
 */
struct merge_tally {
	struct merge_chunk *chunk;
	u64 by_reason[MERGE_REASONS];
} __aligned(64);

/*
 * regions	[rw]; count [a] of them
 * domains	[r]
 * cursor	[w] the region that the next visit is in, from cursor_chunk on; NULL: there is no region
 * visits	visits of chunks: readers of regions, by merge_quiesce()
 * engine	[r] of new domains; limits too
 * passes	[a] how many have ended
 * best_pages	[a] the most frames that were saved at the end of a pass
 * quiet		[a] passes that have ended since one merged a page
 * shares	[w] pages merged so far, at the end of the last pass
 * read, saved	[w] pages read so far, and frames saved, at the end of the last pass
 * work		[w] the pass that ended last
 */
struct merge_world {
	struct spinlock lock; /* LOCK_MERGE_WORLD */
	struct merge_spaces regions;
	struct merge_domains domains;
	unsigned count;
	struct merge_region *cursor;
	u32 cursor_chunk;
	struct quiesce visits;
	const struct merge_engine *engine;
	struct merge_limits limits;
	u64 passes, best_pages, quiet, shares, read;
	s64 saved;
	struct merge_work work;
	struct merge_counters counters[ARCH_CPUS_MAX];
	struct merge_tally tally[ARCH_CPUS_MAX];
};
extern struct merge_world merge_world;

/* LOCK_MERGE_REGIONS: the set of regions changes, or a domain's engine. */
extern struct spinlock merge_regions_lock;

RB_PROTOTYPE(merge_spaces, merge_region, by_space, )
RB_PROTOTYPE(merge_numbers, merge_region, by_number, )
RB_PROTOTYPE(merge_domains, merge_domain, by_number, )

/* Adds n to this CPU's counter `what` of struct merge_counters. */
#define merge_count(what, n) merge_count_one(&merge_world.counters[arch_cpu_id()].what, (n))
static inline void merge_count_one(u64 *counter, u64 n)
{
	ck_pr_store_64(counter, *counter + n);
}

/* Waits for the visits that have begun; later ones see what the caller has stored. No lock. */
static inline void merge_quiesce(void)
{
	quiesce_wait(&merge_world.visits, arch_cpu_count());
}

/* region.c: the region of `as` around gfn, dead ones too, or NULL. One of the two locks. */
struct merge_region *merge_region_around(const struct addrspace *as, struct gfn gfn);
/* The first region of `as`, or NULL; the others follow it by RB_NEXT. One of the two locks. */
struct merge_region *merge_first_region(const struct addrspace *as);
/* A domain by its number, or NULL. merge_regions_lock. */
struct merge_domain *merge_domain_find(u32 number);
/* Makes a page private that is shared. ERR_NO_MEMORY; ERR_BUSY: it keeps changing. */
int merge_unshare(const struct merge_ref *ref) __must_check;
/* Metadata bytes of a region, whether its pages are merged or not. */
u64 merge_region_bytes(const struct merge_region *region);

/* Pages of `as` that are backed by a stable frame or by the frame of zeroes, now. */
static inline u64 merge_shared_pages(const struct addrspace *as)
{
	return primary_count(&as->primary, PPTE_SHARED) + primary_count(&as->primary, PPTE_ZERO);
}

static inline u32 merge_chunk_of(const struct merge_region *region, struct gfn gfn)
{
	return (u32)((gfn.raw - region->origin.raw) / MERGE_CHUNK);
}

static inline struct gfn_range merge_chunk_range(const struct merge_region *region, u32 chunk)
{
	u64 start = region->origin.raw + (u64)chunk * MERGE_CHUNK;

	return (struct gfn_range){{MAX(start, region->range.start.raw)},
				  {MIN(start + MERGE_CHUNK, region->range.end.raw)}};
}

/* --- References to pages ------------------------------------------------------------------- */

static inline struct merge_page **merge_metadata_at(const struct merge_region *region,
						    struct gfn gfn)
{
	return &region->metadata[(gfn.raw - region->origin.raw) / MERGE_PAGES_A_PAGE];
}

static inline bool merge_has_metadata(const struct merge_region *region, struct gfn gfn)
{
	return ck_pr_load_ptr(merge_metadata_at(region, gfn)) != NULL;
}

/* The page has metadata. */
static inline struct merge_ref merge_ref(struct merge_region *region, struct gfn gfn)
{
	u64 place = (gfn.raw - region->origin.raw) % MERGE_PAGES_A_PAGE;

	return (struct merge_ref){region, gfn, &(*merge_metadata_at(region, gfn))[place]};
}

static inline u32 merge_number(const struct merge_ref *ref)
{
	return ref->region->base + (u32)(ref->gfn.raw - ref->region->range.start.raw);
}

static inline struct merge_chunk *merge_chunk_at(const struct merge_ref *ref)
{
	return &ref->region->chunk[merge_chunk_of(ref->region, ref->gfn)];
}

/*
 * The page of a number that is in the domain's index. Under domain->lock, which keeps the region in
 * domain->regions; used without it only inside a visit.
 */
static inline struct merge_ref merge_ref_of(const struct merge_domain *domain, u32 number)
{
	struct merge_region *region = RB_ROOT(&domain->regions);

	spin_assert_held((struct spinlock *)&domain->lock);
	while (region) {
		u64 place = (u64)number - region->base;

		if (number < region->base)
			region = RB_LEFT(region, by_number);
		else if (place >= gfn_range_frames(region->range))
			region = RB_RIGHT(region, by_number);
		else
			return merge_ref(region, gfn_add(region->range.start, place));
	}
	panic("merge: page %u of domain %u is in no region", number, domain->number);
}

/* A page's primary PTE, which stays where it is; NULL: absent. No lock. */
static inline const ppte_t *merge_slot(const struct merge_ref *ref)
{
	return primary_find(&ref->region->as->primary, ref->gfn);
}

static inline ppte_t merge_load(const ppte_t *slot)
{
	return slot ? ck_pr_load_64(slot) : 0;
}

/*
 * A private page's frame, to be read as a hint: no reference is held, so it may be used for
 * something else at any time (page.c). False: not such a page. No lock.
 */
static inline bool merge_frame(const struct merge_ref *ref, struct mfn *out)
{
	ppte_t pte = merge_load(merge_slot(ref));

	*out = ppte_mfn(pte);
	return cow_protectable(pte);
}

static inline void merge_release(struct mfn mfn)
{
	if (frame_put(mfn))
		frame_free(mfn, 0);
}

/* --- metadata.c: page metadata and what is counted by it ----------------------------------- */

/* Makes the metadata of a chunk's pages. ERR_NO_MEMORY. */
int merge_make_metadata(struct merge_region *region, u32 chunk) __must_check;

/* From here on this CPU's changes of pages of the chunk are tallied, until the end adds them. */
void merge_tally_begin(struct merge_chunk *chunk);
void merge_tally_end(struct merge_region *region);

/*
 * Changes the reason, and the bits of `mask` with it, if the reason is one of `from`, a set of
 * BIT(reason).
 */
bool merge_change_reason(const struct merge_ref *ref, u32 from, enum merge_reason reason, u32 mask,
			 u32 bits);
/* The same from any reason but EXCLUDED, which only the guest takes back. */
void merge_set_reason(const struct merge_ref *ref, enum merge_reason reason);
/*
 * INDEXED, with the reason that it has in an index. advice.c sets EXCLUDED, then reads INDEXED;
 * here one compare-and-swap sets INDEXED unless the page is EXCLUDED. So a page that is excluded is
 * not added, or leaves the index as soon as the lock is free. False: it is not to be added. Under
 * domain->lock.
 */
bool merge_mark_indexed(const struct merge_ref *ref, enum merge_reason reason);
/* Keeps the tag for the next visit. `changed`: it differs from the one before. */
void merge_remember(const struct merge_ref *ref, const struct merge_key *key, bool changed);
/* A page that was in an index, or is LARGE, is to be looked up again. */
void merge_retry(const struct merge_ref *ref);
/* A visit is due only after a write. */
#define SETTLED_REASONS                                                                      \
	((u32)(BIT(MERGE_ABSENT) | BIT(MERGE_UNIQUE) | BIT(MERGE_SHARED) | BIT(MERGE_ZERO) | \
	       BIT(MERGE_EXCLUDED) | BIT(MERGE_LARGE)))

static inline bool merge_settled(enum merge_reason reason)
{
	return SETTLED_REASONS & BIT(reason);
}

/* --- stable.c: heads and their chains. Under domain->lock ---------------------------------- */

/* Takes over a reference of the frame. ERR_NO_MEMORY; ERR_RANGE: beyond STABLE_FRAMES. */
int stable_new(struct merge_domain *domain, const struct merge_key *key,
	       struct mfn mfn) __must_check;
/* A frame of this content that has room, with a reference for the caller; false: there is none. */
bool stable_take(struct merge_domain *domain, const struct merge_key *key, struct mfn *out);
/* Gives up frames without users, and calls, for so many steps; or gives up all of them. */
void stable_sweep(struct merge_domain *domain, unsigned steps);
void stable_release(struct merge_domain *domain);
u64 stable_bytes(const struct merge_domain *domain);

/* --- index.c: searches --------------------------------------------------------------------- */

/*
 * SHARED	hit->shared has this content; the caller holds a reference
 * MATCH	hit->match has it, and has left the index
 * NONE		the page itself is in the index now, UNIQUE, unless it is EXCLUDED
 */
enum merge_found { MERGE_FOUND_SHARED, MERGE_FOUND_MATCH, MERGE_FOUND_NONE };
struct merge_hit {
	struct mfn shared;
	struct merge_ref match;
};
enum merge_found merge_search(const struct merge_ref *ref, const struct merge_key *key,
			      struct merge_hit *hit);
bool merge_search_stable_locked(const struct merge_ref *ref, const struct merge_key *key,
				struct mfn *shared);
/* Among stable frames only, of which there are none in the first pass over all of a VM. */
static inline bool merge_search_stable(const struct merge_ref *ref, const struct merge_key *key,
				       struct mfn *shared)
{
	return ck_pr_load_64(&ref->region->domain->stable_count) &&
	       merge_search_stable_locked(ref, key, shared);
}

/* Out of the index. Takes domain->lock. */
void unstable_remove_indexed(const struct merge_ref *ref);
static inline void unstable_remove(const struct merge_ref *ref)
{
	if (page_word(ref->page) & PAGE_INDEXED)
		unstable_remove_indexed(ref);
}
/* Into the index, as UNIQUE or LARGE, unless it is EXCLUDED. Under domain->lock. */
void unstable_add(const struct merge_ref *ref, const struct merge_key *key,
		  enum merge_reason reason);
/*
 * The content is stable from now on: unstable pages with it, which came in meanwhile, are looked up
 * again, a few at a time; true: there may be more. Under domain->lock.
 */
bool unstable_call(struct merge_domain *domain, const struct merge_key *key);
/* As memcmp of the key's content and an unstable page's. One that is not private sorts first. */
int unstable_compare(const struct merge_domain *domain, const struct merge_key *key, u32 number);

/* --- page.c: a visit ----------------------------------------------------------------------- */

/*
 * Is there work for a page with this metadata? For one that is clean: what has not settled, and an
 * absent one.
 */
static inline bool merge_wants_visit(u32 word, bool dirty)
{
	const u32 clean = ~SETTLED_REASONS | BIT(MERGE_ABSENT), written = ~(u32)BIT(MERGE_EXCLUDED);

	return (dirty ? written : clean) & BIT(word & PAGE_REASON);
}

/* A volatile page is visited in every 2^patience-th pass. */
static inline bool merge_is_due(u32 word)
{
	u64 every = BIT(word >> PAGE_PATIENCE_SHIFT & 7);

	return (word & PAGE_REASON) != MERGE_VOLATILE || (merge_passes() & (every - 1)) == 0;
}

/*
 * A page to visit.
 *
 * slot		merge_slot()
 * ahead	the content that is read next, to be prefetched while this one is hashed; or NULL
 * dirty	written since the last visit
 * open		it may still be written unnoticed, so only read it
 */
struct merge_next {
	struct merge_ref ref;
	const ppte_t *slot;
	const void *ahead;
	bool dirty, open;
};
void merge_visit(const struct merge_next *page);

bool merge_is_zero(const void *content);

static inline const void *merge_content(struct mfn mfn)
{
	return arch_hpa_to_virt(mfn_to_hpa(mfn));
}

/* --- large.c: blocks that secondaries map by one large leaf -------------------------------- */

/* By the visitor of the chunk, before and after its pages. */
void merge_large_begin(struct merge_region *region, u32 chunk);
bool merge_large_wants_visit(const struct merge_region *region, u32 chunk);
void merge_large_end(struct merge_region *region, u32 chunk);

static inline bool merge_is_large(const struct merge_ref *ref)
{
	return ck_pr_load_32(&merge_chunk_at(ref)->large);
}

/* Would write-protecting this page split a large leaf that is not worth it? */
static inline bool merge_stays_large(const struct merge_ref *ref)
{
	const struct merge_chunk *chunk = merge_chunk_at(ref);

	return ck_pr_load_32(&chunk->large) &&
	       ck_pr_load_32(&chunk->partners) < ref->region->domain->limits.split;
}
/* Another page has the content of this one, which is in the index. */
void merge_large_credit(const struct merge_ref *ref);
/* From now on the pages of its block may be write-protected. */
void merge_large_open(const struct merge_ref *ref);
/* A page of a large block: `same` as at the last visit, `seen` before. */
void merge_large_consider(const struct merge_ref *ref, const struct merge_key *key, bool same,
			  bool seen);

/* --- prefetch.c: batches of pages that are visited one after another ------------------------ */

/* searches: bit i: page[i] is unwritten, so its visit begins with a search for tag[i]. */
struct merge_batch {
	unsigned count;
	u32 searches;
	struct merge_next page[MERGE_BATCH];
	u32 tag[MERGE_BATCH];
};
/*
 * Prefetches what the visits of these pages, of one region, will read. The bits of those that need
 * none any more: nothing else has the tag, so they are in the index, as merge_search() would leave
 * them.
 */
u32 merge_prefetch(struct merge_batch *batch);
void merge_prefetch_frame(struct mfn mfn);

#endif
