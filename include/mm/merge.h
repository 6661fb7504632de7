/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.h: merging identical pages of address spaces, and splitting them again.
 *
 * A region is a range of an address space that is mergeable, in a domain: only regions of one
 * domain share. The scanner visits all regions, a chunk of 512 pages at a time:
 *
 *     chunk: what was written since the last visit? (dirty bits, PML)
 *       nothing, and every page settled -> on to the next chunk, no page is read
 *     page:  written since      -> hash; zero? stable match? else keep the hash for the next visit
 *            unwritten since    -> a match? write-protect both, compare, share; none: it is unstable
 *
 * docs/mm/merge.md has the two indexes (stable frames cannot change, unstable pages can) and the
 * races.
 *
 * Invariants:
 * MERGE-1  Pages are shared only after write-protect, flush and compare, in this order (mm/cow.h
 *          enforces it).
 * MERGE-2  No frame is shared across domains.
 * MERGE-3  A pinned page, a device's, a page that is not private is never considered. ROM may be,
 *          and stays read-only.
 * MERGE-4  With the engine `hash`: at most 16 bytes of metadata for a page that was visited and is
 *          not merged, and 25 for one that is, in regions of 2^15 pages or more; in smaller ones
 *          six pages more, for what is rounded up. Secure mode merges each page that stands still:
 *          a node of 12 bytes more.
 * MERGE-5  At most merge_limits.cap pages share one frame.
 * MERGE-6  After merge_remove() nothing of mm/merge refers to the range, and no page of it is
 *          shared by merging.
 * MERGE-7  A page is in the index of its domain once at most, however many CPUs scan.
 * MERGE-8  Of pages that read the same and stand still none stays unmerged because another one was
 *          visited at the same time. Exceptions: a page that comes when all frames of its content
 *          are full, or has its matches behind eight in large leaves; with `hash` one that finds
 *          no place (HASH-2).
 *
 * Context: no lock held, any CPU; several CPUs may scan at once. Takes LOCK_MERGE, then what
 * mm/cow.h takes.
 */
#ifndef SAMEPAGE_MM_MERGE_H
#define SAMEPAGE_MM_MERGE_H

#include <arch/addr.h>
#include <lib/types.h>
#include <mm/dirty_log.h>

struct addrspace;

/* The result of a page's last visit; for a page that is not merged, why. */
enum merge_reason {
	MERGE_NEW,	 /* not visited yet */
	MERGE_ABSENT,	 /* nothing backs it, or no frame of its own: a device's, reclaimed */
	MERGE_VOLATILE,	 /* written between two visits */
	MERGE_CANDIDATE, /* read once; looked up if it is the same at the next visit */
	MERGE_UNIQUE,	 /* no other page has its content: it is unstable */
	MERGE_BUSY,	 /* pinned, or changed at the wrong moment: tried again */
	MERGE_NO_MEMORY, /* no frame for metadata */
	MERGE_SHARED,	 /* merged with another page */
	MERGE_ZERO,	 /* merged with the frame of zeroes */
	MERGE_HINTED,	 /* LIKELY: looked up at the first visit */
	MERGE_EXCLUDED,	 /* UNMERGEABLE */
	MERGE_LARGE,	 /* others have its content, but its large leaf is not worth splitting */
	MERGE_REASONS
};
const char *merge_reason_name(enum merge_reason reason);

/*
 * Engines are orders in which a domain's pages are indexed. at: by the number that guests use, NULL
 * beyond the last. find: by name, or NULL. default: Kconfig's.
 */
struct merge_engine;
const struct merge_engine *merge_engine_at(u64 number);
unsigned merge_engine_number(const struct merge_engine *engine);
const struct merge_engine *merge_engine_find(const char *name, size_t len);
const struct merge_engine *merge_engine_default(void);
const char *merge_engine_name(const struct merge_engine *engine);

/*
 * cap		pages that may share one frame, at least 2
 * secure	a page under consideration faults alike whether it was merged or not
 * zero		zero pages go to the frame of zeroes (not in secure mode)
 * split	of the 512 pages of a large leaf so many must have a partner before it is split; 0: it is split for
 *		one. In secure mode every page is write-protected, and so each leaf is split
 */
struct merge_limits {
	u32 cap;
	bool secure;
	bool zero;
	u32 split;
};

/* The engine and limits of later domains. ERR_BUSY: there is a region; ERR_INVALID: the limits. */
int merge_configure(const struct merge_engine *engine,
		    const struct merge_limits *limits) __must_check;

/*
 * Gives a domain another engine while guests run and other CPUs scan. What is shared stays so;
 * unstable pages are looked up again by the next pass. 0 too if it has that engine already.
 * ERR_NOT_FOUND: no such domain; ERR_NO_MEMORY: the engine is as before. Holds LOCK_MERGE_REGIONS
 * and LOCK_MERGE as long as it takes to go over the domain's metadata and stable frames.
 */
int merge_switch(u32 domain, const struct merge_engine *engine) __must_check;

/*
 * Makes a range of `as` mergeable within `domain` (any number; equal numbers share). ERR_INVALID
 * (empty, wraps), ERR_RANGE (not wholly in slots), ERR_EXISTS (overlaps a region), ERR_UNSUPPORTED
 * (the domain's regions would be more than 896 GiB in all), ERR_NO_MEMORY: nothing changed. Writes
 * are found as the address space's dirty log does already, or else by D bits; large leaves stay
 * large until it is worth splitting them if the log is coarse (dirty_log_coarse).
 */
int merge_add(struct addrspace *as, struct gfn_range range, u32 domain) __must_check;
/* The same, but each page is EXCLUDED until advice makes it MERGEABLE. */
int merge_add_marked(struct addrspace *as, struct gfn_range range, u32 domain) __must_check;

/*
 * Ends it for the region that is exactly `range`, or for all regions of `as` (merge_remove_all,
 * before addrspace_destroy). Breaks what is shared: ERR_NO_MEMORY: the region stays, some pages are
 * private again; try later. ERR_NOT_FOUND.
 */
int merge_remove(struct addrspace *as, struct gfn_range range) __must_check;
void merge_remove_all(struct addrspace *as);

/*
 * The owner's advice, as madvise() has it. UNMERGEABLE: merged no more, and what is shared becomes
 * private. MERGEABLE takes that back. LIKELY and VOLATILE are hints: visit these pages soon, and
 * look them up at the first visit; or seldom. A hint moves no page that is shared, that is indexed
 * for good reason, or that is excluded, and no page is merged for it without being compared.
 */
enum merge_advice {
	MERGE_ADVICE_MERGEABLE,
	MERGE_ADVICE_UNMERGEABLE,
	MERGE_ADVICE_LIKELY,
	MERGE_ADVICE_VOLATILE,
	MERGE_ADVICES
};

/*
 * Applies the advice to the first pages of the range, up to the next multiple of 512 gfns; *done is
 * how many they were, and the caller comes again for the rest. Nothing has changed on ERR_INVALID
 * (empty range, unknown advice), ERR_PERMISSION (nothing of `as` is mergeable), ERR_RANGE (a page
 * of the whole range is in no region). ERR_NO_MEMORY, ERR_BUSY: some pages may still be shared: the
 * same call again goes on. The caller keeps the regions of `as` from being removed.
 */
int merge_advise(struct addrspace *as, struct gfn_range range, enum merge_advice advice,
		 u64 *done) __must_check;

/*
 * Visits one page at once, as one that was seen to stand still: it is merged if another page reads
 * the same, and unstable from now on if none does. For a page that a device has just filled, and is
 * not written to as a rule. Nothing happens outside regions; where the scanner is in the page's
 * chunk, the page is hinted at as by LIKELY. About the time of a page's visit by merge_scan().
 */
void merge_look(struct addrspace *as, struct gfn gfn);

/* The region of `as` around gfn, or the next one; false: there is none. */
bool merge_region_at(const struct addrspace *as, struct gfn gfn, struct gfn_range *out);

/* Visits up to `budget` pages, whole chunks; returns how many. 0: there is nothing mergeable. */
u64 merge_scan(u64 budget);

/*
 * How many passes have ended, and how many of them since one merged a page (or since a region was
 * added, or pages were LIKELY); is there anything mergeable? No lock, any context.
 */
u64 merge_passes(void);
u64 merge_quiet_passes(void);
bool merge_is_active(void);

/*
 * The pass that ended last.
 *
 * pass		its number, from 1 on; 0: none has ended
 * owned	mergeable pages with a frame, own or shared, at its end
 * read		pages that were read since the end of the pass before
 * saved	frames saved at its end, less those at the end of the pass before
 */
struct merge_work {
	u64 pass, owned, read;
	s64 saved;
};
/* Takes LOCK_MERGE_WORLD. */
void merge_work(struct merge_work *out);

/* Why this page is not merged (or that it is). MERGE_NEW outside every region. */
enum merge_reason merge_reason(struct addrspace *as, struct gfn gfn);

/*
 * Linux's names where they mean the same (Documentation/admin-guide/mm/ksm.rst).
 *
 * pages_shared		frames that are shared;	pages_sharing: pages that would need one more each without it
 * pages_unshared	visited and unique;	pages_volatile: changed too fast
 * pages_scanned	visited since boot;	pages_read: those that had to be read
 * pages_skipped	passed over because nothing in their chunk was written
 * large_split		large leaves split for their pages' partners; large_collapsed: made whole again after
 * zero_pages		pages backed by their address space's frame of zeroes; zero_frames: how many such frames
 * quiet_passes		passes since one merged a page; settled: they are MERGE_SETTLED or more
 * general_profit	bytes saved, net of metadata: of pages, indexes, nodes, and of the lists of frames' users
 * metadata_unmerged_bytes	the part of it that is there for pages that are not merged, too
 */
#define MERGE_SETTLED 2 /* a page is merged at its second look */
struct merge_stats {
	u64 pages_shared, pages_sharing, pages_unshared, pages_volatile, zero_pages, zero_frames;
	u64 full_scans, pages_scanned, pages_skipped, pages_read, compares, merged, zeroed,
		lost_races, large_split, large_collapsed;
	u64 quiet_passes, settled;
	u64 best_pages; /* the most frames that were saved at the end of a pass */
	u64 by_reason[MERGE_REASONS];
	u64 metadata_bytes, metadata_unmerged_bytes;
	s64 general_profit;
};
void merge_stats(struct merge_stats *out);

/* The scanner's work on one CPU. */
struct merge_cpu_stats {
	u64 scanned, read, merged;
};
void merge_cpu_stats(unsigned cpu, struct merge_cpu_stats *out);

/* Domain `place`, by number; false: past the last. bytes: of its index and nodes. */
struct merge_domain_stats {
	u32 number;
	const struct merge_engine *engine;
	u64 pages, frames, bytes;
};
bool merge_domain_stats(unsigned place, struct merge_domain_stats *out);

/* The same of one address space's pages. ERR_NOT_FOUND: nothing of it is mergeable. */
struct merge_space_stats {
	const struct merge_engine *engine;
	bool secure;
	enum dirty_mode source; /* how writes are found */
	u64 full_scans, metadata_bytes;
	u64 by_reason[MERGE_REASONS];
};
int merge_space_stats(const struct addrspace *as, struct merge_space_stats *out) __must_check;

#endif
