/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.h: merging identical pages of address spaces, and splitting them again.
 *
 * An area is a range of an address space that its VM calls mergeable, in a domain: only areas of
 * one domain share. The scanner walks over all areas, a chunk of 512 pages at a time:
 *
 *     chunk: what was written since the last time? (dirty bits, PML)
 *       nothing, and every page settled -> on to the next chunk, no page is read
 *     page:  written since           -> hash it; zero? stable match? else remember the hash, look again next time
 *            not written since        -> look for a twin: guard both, compare, share; none: it waits in the index
 *
 * docs/mm/merge.md tells why there are two indexes (what is shared cannot change, what waits can),
 * and the races.
 *
 * Invariants:
 * MERGE-1  Pages are shared only after write-protect, flush and compare, in this order (mm/cow.h
 *          enforces it).
 * MERGE-2  No frame is shared across domains.
 * MERGE-3  A pinned page, a device's, a page that is not private is never considered. ROM may be,
 *          and stays read-only.
 * MERGE-4  At most 16 bytes of metadata for a page that was looked at and is not merged, in areas
 *          of 2^15 pages or more; in smaller ones six pages more, for what is rounded up. Secure
 *          mode merges each page that stands still: a node more.
 * MERGE-5  At most merge_limits.cap pages share one frame.
 * MERGE-6  After merge_remove() nothing of mm/merge refers to the range, and no page of it is
 *          shared by merging.
 * MERGE-7  A page waits in the index of its domain once at most, whoever scans.
 * MERGE-8  Of pages that read the same and stand still none is left over for having been looked at
 *          while another was. What may be: a page that came when all frames of its content were
 *          full, or whose twins are behind eight in large leaves; with `hash` one that is crowded
 *          out (merge_hash.c, HASH-2).
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

/* What became of a page when it was last looked at; for each page not merged, why. */
enum merge_reason {
	MERGE_NEW,	 /* not looked at yet */
	MERGE_ABSENT,	 /* nothing backs it, or not a frame of its own: a device's, reclaimed */
	MERGE_VOLATILE,	 /* written since it was looked at before */
	MERGE_WAITING,	 /* read once; taken seriously if it is the same next time */
	MERGE_UNIQUE,	 /* nobody has the same */
	MERGE_BUSY,	 /* pinned, or changed at the wrong moment: tried again next time */
	MERGE_NO_MEMORY, /* no frame for metadata */
	MERGE_SHARED,	 /* merged with another page */
	MERGE_ZERO,	 /* merged with the frame of zeroes */
	MERGE_HINTED, /* its guest says that others have the same: taken seriously at the first look */
	MERGE_EXCLUDED, /* its guest does not want it merged */
	MERGE_LARGE,	/* others have the same, but its large leaf is not worth splitting for it */
	MERGE_REASONS
};
const char *merge_reason_name(enum merge_reason reason);

struct merge_engine;
extern const struct merge_engine merge_engine_tree, merge_engine_hash;
/* "tree" or "hash"; NULL for another word. default: Kconfig's. */
const struct merge_engine *merge_engine_find(const char *name, size_t len);
const struct merge_engine *merge_engine_default(void);
const char *merge_engine_name(const struct merge_engine *engine);

/*
 * cap		pages that may share one frame, at least 2
 * secure	a page under consideration faults alike whether it was merged or not
 * zero		zero pages go to the frame of zeroes (not in secure mode)
 * split	of the 512 pages of a large leaf so many must have a partner before it is split; 0: it is split for one. In
 * 		secure mode every page is guarded, and so each leaf is split
 */
struct merge_limits {
	u32 cap;
	bool secure;
	bool zero;
	u32 split;
};

/*
 * The engine and limits of domains that are made later. Before any area, or while none is there:
 * ERR_BUSY otherwise.
 */
int merge_configure(const struct merge_engine *engine,
		    const struct merge_limits *limits) __must_check;

/*
 * Gives a domain another engine while guests run and others scan. What is shared stays so, what
 * waits is read again by the next pass. ERR_NOT_FOUND: nobody is in the domain; ERR_NO_MEMORY: the
 * engine is as before. 0 too if it has that engine already. Holds LOCK_MERGE_AREAS and LOCK_MERGE
 * as long as it takes to go over the domain's notes and shared frames.
 */
int merge_switch(u32 domain, const struct merge_engine *engine) __must_check;

/*
 * Makes a range of `as` mergeable within `domain` (any number; equal numbers share). ERR_INVALID
 * (empty, wraps), ERR_RANGE (not wholly in slots), ERR_EXISTS (overlaps an area), ERR_UNSUPPORTED
 * (the domain's areas would be more than 2^29 pages, 2 TiB, in all), ERR_NO_MEMORY: nothing
 * changed. Writes are noticed as the address space's dirty log does already, or else by D bits;
 * large leaves stay large until it is worth splitting them if it was told so (dirty_log_coarse).
 */
int merge_add(struct addrspace *as, struct gfn_range range, u32 domain) __must_check;
/* The same, but each page is EXCLUDED until a wish allows merging. */
int merge_add_marked(struct addrspace *as, struct gfn_range range, u32 domain) __must_check;

/*
 * Ends it for the area that is exactly `range`, or for all areas of `as` (merge_remove_all, before
 * addrspace_destroy). Breaks what is shared: ERR_NO_MEMORY: the area stays, some pages are private
 * again; try later. ERR_NOT_FOUND.
 */
int merge_remove(struct addrspace *as, struct gfn_range range) __must_check;
void merge_remove_all(struct addrspace *as);

/*
 * What the owner of the memory wants. EXCLUDE: merged no more, and what is shared becomes private.
 * ALLOW takes that back. LIKELY and VOLATILE are hints: look at these pages soon, without waiting
 * for a second look; or seldom. A hint moves no page that is shared, in the index for good reason,
 * or excluded, and no page is merged for it without being compared.
 */
enum merge_wish {
	MERGE_WISH_ALLOW,
	MERGE_WISH_EXCLUDE,
	MERGE_WISH_LIKELY,
	MERGE_WISH_VOLATILE,
	MERGE_WISHES
};

/*
 * Carries the wish out for the first pages of the range, up to the next multiple of 512 gfns, and
 * says in *done how many that were; the caller comes again for the rest. Nothing has changed on
 * ERR_INVALID (empty range, unknown wish), ERR_PERMISSION (nothing of `as` is mergeable), ERR_RANGE
 * (a page of the whole range is not in an area). ERR_NO_MEMORY, ERR_BUSY: some pages may still be
 * shared: the same call again goes on. The caller keeps the areas of `as` from being removed.
 */
int merge_wish(struct addrspace *as, struct gfn_range range, enum merge_wish wish,
	       u64 *done) __must_check;

/* Looks at up to `budget` pages, whole chunks; returns how many. 0: there is nothing mergeable. */
u64 merge_scan(u64 budget);

/* How many passes have ended; is there anything mergeable? No lock, any context. */
u64 merge_passes(void);
bool merge_is_active(void);

/* Why is this page not merged (or that it is)? MERGE_NEW outside every area. */
enum merge_reason merge_reason(struct addrspace *as, struct gfn gfn);

/*
 * Linux's names where they mean the same (Documentation/admin-guide/mm/ksm.rst).
 *
 * pages_shared		frames that are shared;	  pages_sharing: pages that would need one more each without it
 * pages_unshared	looked at and unique;	  pages_volatile: changed too fast
 * pages_scanned	visited since boot;	  pages_read: those whose content had to be read
 * pages_skipped	passed over because nothing in their chunk was written
 * large_split		large leaves that were split for their pages' partners; large_collapsed: made whole again after
 * zero_pages		pages that are backed by their address space's frame of zeroes; zero_frames: how many such frames
 * general_profit	bytes saved, net of metadata: notes, indexes, nodes, and what listing the users of frames takes
 * metadata_unmerged_bytes	what of it is there for pages that are not merged, too
 */
struct merge_stats {
	u64 pages_shared, pages_sharing, pages_unshared, pages_volatile, zero_pages, zero_frames;
	u64 full_scans, pages_scanned, pages_skipped, pages_read, compares, merged, zeroed,
		lost_races, large_split, large_collapsed;
	u64 best_pages; /* the most frames that were saved at the end of a pass */
	u64 by_reason[MERGE_REASONS];
	u64 metadata_bytes, metadata_unmerged_bytes;
	s64 general_profit;
};
void merge_stats(struct merge_stats *out);

/*
 * The same of one address space's pages, for its owner. ERR_NOT_FOUND: nothing of it is mergeable.
 */
struct merge_space_stats {
	const struct merge_engine *engine;
	bool secure;
	enum dirty_mode source; /* how it is noticed who writes */
	u64 full_scans, metadata_bytes;
	u64 by_reason[MERGE_REASONS];
};
int merge_space_stats(const struct addrspace *as, struct merge_space_stats *out) __must_check;

#endif
