/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h: what the files of merging share: pages' notes, areas, domains, stable nodes, the
 * engine interface.
 *
 * A page has a number in its domain's world: `base` of its area plus its place in it. Indexes store
 * numbers, because four bytes are half a pointer and there is one for each page.
 */
#ifndef SAMEPAGE_MM_MERGE_PRIVATE_H
#define SAMEPAGE_MM_MERGE_PRIVATE_H

#include <arch/cpu.h>
#include <ck_pr.h>
#include <lib/lock.h>
#include <lib/tree.h>
#include <mm/cow.h>
#include <mm/merge.h>
#include "mm/frame/pool.h"
#include "mm/space/space.h"

#define MERGE_CHUNK	512u /* pages looked at together: one leaf table, one large leaf */
#define MERGE_NOTES	(PAGE_SIZE / sizeof(struct merge_page)) /* notes in a page of them */
#define MERGE_AREAS	1024u
#define MERGE_PAGE_NONE (~0u)
#define MERGE_PAGES_MAX \
	((1u << 29) - 1) /* page numbers of a domain: the tree keeps 29 bits of each; 2 TiB */

/*
 * What is remembered of a page: 4 bytes, changed by compare-and-swap, because a twin's visitor may
 * change them too.
 *
 *     31            8 7      5    4       3      0
 *     | hash, 24 bits | patience | indexed | reason |
 *
 * hash: low bits of its content's hash when it was last read. patience: a volatile page is looked
 * at every 2^n-th pass. indexed: it waits in the index of its domain.
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
u32 page_change(struct merge_page *page, u32 mask, u32 bits);

/*
 * What a search is for: a page's content, and its tag: the 24 bits of the content's hash that a
 * note keeps. A tag is enough to find by, because what is found is compared in full; so a page that
 * nobody wrote is looked for without being read. One search in 2^24 / n meets a stranger with its
 * tag, n being how many contents there are.
 */
struct merge_key {
	u32 tag;
	const void *content;
};
#define TAG_MASK 0xffffffu

struct merge_domain;

/*
 * struct stable: a frame that is shared, or may be. The first frame of each content is the head,
 * which is in the engine's index and in the domain's list; further frames of the same content hang
 * behind it, because of the cap.
 */
struct stable {
	union {
		RB_ENTRY(stable) tree; /* the engine tree's */
		struct {
			struct stable *next, **at; /* the engine hash's: and what points here */
		} bucket;
	};
	struct stable *next, *previous;
	struct stable *next_frame;
	u32 tag;
	struct mfn mfn; /* we hold a reference */
};

/*
 * struct merge_engine: the two indexes of a domain, by whatever order. All under domain->lock.
 *
 * init		an empty index; fini frees it, which has no nodes any more
 * stable_find	the head whose content is the key's, compared in full, or NULL. A search takes a bounded time whatever guests
 * 		write: an engine may give up on contents that were made to be in each other's way
 * waiting_find	a page that waits and whose content is the key's, or MERGE_PAGE_NONE. The caller guards and compares again,
 * 		for a waiting page may be written at any time
 * waiting_add	ERR_NO_MEMORY; ERR_BUSY: too crowded there. The page is not in yet, nor after an error
 * foresee	asks for what a search for this tag is going to read; `step` 0, 1, 2: what it names, once that has come (merge_foresee.c).
 * 		NULL: nobody knows where this engine's searches lead
 * bytes	of metadata, beside struct merge_page
 */
struct merge_engine {
	const char *name;
	int (*init)(struct merge_domain *domain);
	void (*fini)(struct merge_domain *domain);
	/* The domain has room for page numbers below `pages` from now on. ERR_NO_MEMORY. */
	int (*grow)(struct merge_domain *domain, u32 pages);
	struct stable *(*stable_find)(struct merge_domain *domain, const struct merge_key *key);
	void (*stable_add)(struct merge_domain *domain, struct stable *node,
			   const struct merge_key *key);
	void (*stable_remove)(struct merge_domain *domain, struct stable *node);
	u32 (*waiting_find)(struct merge_domain *domain, const struct merge_key *key);
	int (*waiting_add)(struct merge_domain *domain, const struct merge_key *key, u32 page);
	void (*waiting_remove)(struct merge_domain *domain, u32 page);
	void (*foresee)(const struct merge_domain *domain, u32 tag, unsigned step);
	u64 (*bytes)(const struct merge_domain *domain);
};

/*
 * lock		LOCK_MERGE, over the engine, both indexes, the nodes and pages' INDEXED bits
 * pages	page numbers handed out so far; areas that went leave theirs to the next of the same size
 * areas	how many refer to it
 */
struct merge_domain {
	u32 number;
	struct spinlock lock;
	const struct merge_engine *engine;
	struct merge_limits limits;
	u32 pages, areas;
	struct stable *heads;
	void *index; /* the engine's */
	u64 stable_count;
};

/*
 * unsettled	[a] pages that want another look though nobody writes to them
 * excluded	[a] pages whose guest does not want them merged
 * taken	[a] a visitor is inside: two at once would put a page into the index twice
 * large	[a] secondaries may map it by one large leaf, which is looked at and not split
 * partners	[a] pages that are LARGE: others have the same
 * judged	[a] how many those were when splitting was last found not to be worth it
 * opened	[a] it was split for its partners' sake, and is to be collapsed when it has none left
 */
struct merge_chunk {
	u32 unsettled, excluded, taken;
	u32 large, partners, judged, opened;
};

/*
 * [I] but for notes and chunks, and `dead`. Chunks are blocks of 512 gfns as a large leaf covers
 * them: the first and the last may be shorter.
 *
 * origin	the gfn of the first chunk's first place, at or before range.start
 * marked	pages are EXCLUDED until their guest says otherwise
 * note		[a] pages of notes, NULL while nothing of theirs was looked at
 * by_reason	[a] how many pages are what
 */
struct merge_area {
	struct addrspace *as;
	struct gfn_range range;
	struct gfn origin;
	struct merge_domain *domain;
	u32 base;
	u32 chunks;
	bool dead, marked;
	struct merge_page **note;
	struct merge_chunk *chunk;
	u64 by_reason[MERGE_REASONS];
};

/*
 * What one CPU did; names as in struct merge_stats. Written by that CPU alone, so that scanners do
 * not wait for each other.
 */
struct merge_counters {
	u64 pages_scanned, pages_skipped, pages_read, compares, merged, zeroed, lost_races,
		large_split, large_collapsed;
} __aligned(64);

/*
 * Everything that can be merged.
 *
 * area		[a] by number, NULL where there is none; `top` is above all that are used
 * cursor	where the next visitor starts, with cursor_chunk
 * visits	[a] by CPU, odd while it visits: what merge_quiesce() waits for
 * passes	[a] how many have ended
 * best_pages	the most frames that were saved when one ended
 * counters	[a] by CPU
 */
struct merge_world {
	struct spinlock lock; /* LOCK_MERGE_WORLD */
	struct merge_area *area[MERGE_AREAS];
	unsigned top, count, cursor;
	u32 cursor_chunk;
	u64 visits[ARCH_CPUS_MAX];
	const struct merge_engine *engine;
	struct merge_limits limits;
	u64 passes, best_pages;
	struct merge_counters counters[ARCH_CPUS_MAX];
};
extern struct merge_world merge_world;

/* Counts something of this CPU's, struct merge_counters' `what`. */
#define merge_count(what, n) merge_count_one(&merge_world.counters[arch_cpu_id()].what, (n))
static inline void merge_count_one(u64 *counter, u64 n)
{
	ck_pr_store_64(counter, *counter + n);
}

/* The i-th area, if there is one and it is alive. */
static inline struct merge_area *merge_area_at(unsigned i)
{
	return ck_pr_load_ptr(&merge_world.area[i]);
}

/* merge_area.c: areas and domains. */

/*
 * The engine changes, or the set of areas: outermost of merging's locks, so that a long change
 * keeps no scanner from looking at the world.
 */
extern struct spinlock merge_areas_lock;

/*
 * Every visit that had begun has ended; one that begins from now on sees what the caller has
 * stored. No lock.
 */
void merge_quiesce(void);

/*
 * A domain by its number; NULL. The first area of it, to deal with each domain once; NULL if i is
 * not that.
 */
struct merge_domain *merge_domain_find(u32 number);
struct merge_domain *merge_first_of_domain(unsigned i);

struct gfn_range merge_chunk_range(const struct merge_area *area, u32 chunk);
static inline u32 merge_chunk_of(const struct merge_area *area, struct gfn gfn)
{
	return (u32)((gfn.raw - area->origin.raw) / MERGE_CHUNK);
}

/* Sees to it that there are notes for the chunk. ERR_NO_MEMORY. */
int merge_make_note(struct merge_area *area, u32 chunk) __must_check;
bool merge_has_note(const struct merge_area *area, struct gfn gfn);
u32 merge_note_pages(const struct merge_area *area);
u64 merge_area_bytes(const struct merge_area *area);

/*
 * Makes a page private that is shared. ERR_NO_MEMORY; ERR_BUSY: it keeps changing under our eyes.
 */
int merge_unshare(struct merge_area *area, struct gfn gfn) __must_check;

/*
 * Page numbers and notes, and back. Inside merge_scan() or under the world's lock, so that areas
 * stay.
 */
u32 merge_number(const struct merge_area *area, struct gfn gfn);
struct merge_area *merge_area_of(const struct merge_domain *domain, u32 number, struct gfn *gfn);
struct merge_page *merge_note(const struct merge_area *area, struct gfn gfn);

/*
 * Changes why a page is (not) merged, with everything that is counted by it, if the reason was one
 * of `from` (BIT(reason)); and the bits of `mask` in its note with it. set: from any but EXCLUDED,
 * which only its guest may take back.
 */
bool merge_change_reason(struct merge_area *area, struct gfn gfn, u32 from,
			 enum merge_reason reason, u32 mask, u32 bits);
void merge_set_reason(struct merge_area *area, struct gfn gfn, enum merge_reason reason);

/*
 * A private page's frame, held by a reference so that it can be read without a lock; false: not
 * such a page.
 */
bool merge_hold(struct addrspace *as, struct gfn gfn, struct mfn *out);
void merge_release(struct mfn mfn);
const void *merge_content(struct mfn mfn);
/*
 * The key's content against that of a waiting page, as memcmp. A page that cannot be held sorts
 * first: it will leave soon.
 */
int merge_waiting_compare(const struct merge_domain *domain, const struct merge_key *key,
			  u32 number);

/*
 * merge_stable.c: heads and their chains. Under domain->lock. stable_new takes over a reference of
 * the frame.
 */
int stable_new(struct merge_domain *domain, const struct merge_key *key,
	       struct mfn mfn) __must_check;
/* A frame of this content that has room, with a reference for the caller; false: there is none. */
bool stable_take(struct merge_domain *domain, const struct merge_key *key, struct mfn *out);
/* Gives up frames that only we still hold; or all of them, whoever shares them. */
void stable_prune(struct merge_domain *domain);
void stable_drop(struct merge_domain *domain);
void stable_count_sharing(const struct merge_domain *domain, struct merge_stats *out);
u64 stable_bytes(const struct merge_domain *domain);

/*
 * merge_large.c: blocks that secondaries map by one large leaf. By the visitor of the chunk, before
 * and after its pages.
 */
void merge_large_begin(struct merge_area *area, u32 chunk);
bool merge_large_wants_visit(const struct merge_area *area, u32 chunk);
void merge_large_end(struct merge_area *area, u32 chunk);

static inline bool merge_is_large(const struct merge_area *area, struct gfn gfn)
{
	return ck_pr_load_32(&area->chunk[merge_chunk_of(area, gfn)].large);
}

/* Would guarding this page split a large leaf that is not worth it? */
bool merge_stays_large(const struct merge_area *area, struct gfn gfn);
/* Somebody has the same as this page, which waits. */
void merge_large_credit(struct merge_area *area, struct gfn gfn);
/* From now on its pages may be guarded. */
void merge_large_open(struct merge_area *area, struct gfn gfn);
/*
 * A page of a large block that was just read, or need not be: `same` as last time, `seen` before.
 */
void merge_large_consider(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
			  bool same, bool seen);

/*
 * merge_search.c: who else has this content?
 *
 * SHARED	hit->shared holds it, with a reference for the caller
 * TWIN		the page of hit waits with it, and is in no index any more
 * NOBODY	the page itself waits now, UNIQUE, unless it is EXCLUDED
 */
enum merge_found { MERGE_FOUND_SHARED, MERGE_FOUND_TWIN, MERGE_FOUND_NOBODY };
struct merge_hit {
	struct mfn shared;
	struct merge_area *area;
	struct gfn gfn;
};
enum merge_found merge_search(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
			      struct merge_hit *hit);
/* Into the index, as UNIQUE or LARGE, unless it is EXCLUDED. Under domain->lock. */
void merge_wait_locked(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
		       enum merge_reason reason);
/*
 * The content is shared from now on: who waits with it, having come in between, is to look again.
 * Under domain->lock.
 */
void merge_call_waiting(struct merge_domain *domain, const struct merge_key *key);

/*
 * merge_page.c: steps of a visit. remember: its tag, for the next look; reason_of: what an error
 * makes of a page.
 */
enum merge_reason merge_reason_of(int err, enum merge_reason success);
void merge_remember(struct merge_area *area, struct gfn gfn, const struct merge_key *key,
		    bool changed);
bool merge_is_zero(const void *content);

/*
 * merge_foresee.c: asks for what the visits of these pages are going to read.
 *
 * dirty	written since the last visit
 * search	its visit will look for others with `tag` at once, for nobody wrote it
 */
#define MERGE_HANDFUL 16u
struct merge_handful {
	unsigned count;
	struct merge_next {
		struct gfn gfn;
		bool dirty, search;
		u32 tag;
	} page[MERGE_HANDFUL];
};
void merge_foresee(struct merge_area *area, const struct merge_handful *next);
void merge_foresee_frame(struct mfn mfn);

/* merge_page.c: is there anything to do for this page, when its turn comes? */
bool merge_wants_visit(const struct merge_page *page, bool dirty);
/* merge_page.c: one page of an area. `dirty`: written since the last visit. */
void merge_visit(struct merge_area *area, struct gfn gfn, bool dirty);
void merge_forget_waiting(struct merge_area *area, struct gfn gfn);

#endif
