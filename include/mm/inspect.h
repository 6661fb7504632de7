/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.h: what an address space has, for people and for statistics: a page, its slots, and how
 * much of its memory is shared.
 *
 * Answers are of the moment and may be out of date when the caller reads them. No lock held; takes
 * LOCK_NOTIFIER, LOCK_MMU, LOCK_RMAP.
 */
#ifndef SAMEPAGE_MM_INSPECT_H
#define SAMEPAGE_MM_INSPECT_H

#include <arch/addr.h>
#include <lib/types.h>
#include <mm/addrspace.h>
#include <mm/notifier.h>

/*
 * struct page_view: a page's primary PTE, by name.
 *
 * state	absent, private, shared, zero, reclaimed, device
 * mfn		its frame, or has_frame is false; users: pages that the frame backs
 */
struct page_view {
	const char *state;
	struct mfn mfn;
	u64 users;
	bool has_frame, writable, write_protected, soft_dirty, young, pinned, busy;
};

/* ERR_RANGE: in no slot. */
int inspect_page(struct addrspace *as, struct gfn gfn, struct page_view *out) __must_check;

/* Slot `number`, by address from 0; false: past the last. */
bool inspect_slot(struct addrspace *as, unsigned number, struct gfn_range *range,
		  enum slot_kind *kind);

/*
 * Bytes of a space's memory, of a walk over its pages. resident: of pages with a frame; part: the
 * same, but a frame of n pages counts 1/n for each, and the frame of zeroes nothing; saved: the
 * difference.
 */
struct share_count {
	u64 resident, part, saved;
};

/* Adds the next pages from *gfn on, `budget` at most; false: that was the last. */
bool inspect_share(struct addrspace *as, struct gfn *gfn, u64 budget, struct share_count *sum);

#endif
