/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h: shared by the buddy allocator (buddy.c), the per-CPU caches (frame.c), their start
 * (init.c), the sections of records (section.c), poisoning (poison.c) and failure injection
 * (fail.c).
 */
#ifndef SAMEPAGE_MM_FRAME_INTERNAL_H
#define SAMEPAGE_MM_FRAME_INTERNAL_H

#include <lib/lock.h>
#include <mm/frame.h>

#define FRAME_NONE (~0ull) /* end of a free list */

/* struct frame.state, a set */
enum frame_state {
	FRAME_IS_HEAD = 1,     /* first frame of a free block that is in a free list */
	FRAME_IS_POISONED = 2, /* filled with the pattern; a write to it since is a bug */
};

/*
 * struct frame_buddy: the free blocks.
 *
 * heads	[f] first block of each order's doubly linked list, FRAME_NONE at its end
 * free		[f] frames in all lists
 */
struct frame_buddy {
	struct spinlock lock;
	u64 heads[FRAME_MAX_ORDER + 1];
	u64 free;
};
extern struct frame_buddy frame_buddy;

void buddy_init(void);

/*
 * Takes a block off the free lists, and opens sections while none is large enough; FRAME_NONE:
 * there is none. Its records are as they were.
 */
u64 buddy_take(unsigned order) LOCK_REQUIRES(&frame_buddy.lock);

/* The order of the smallest block in the lists, FRAME_MAX_ORDER + 1 when they are empty. */
unsigned buddy_smallest(void) LOCK_REQUIRES(&frame_buddy.lock);

/* Puts a block of FRAME_FREE records back and joins it with its buddies. */
void buddy_put(u64 mfn, unsigned order) LOCK_REQUIRES(&frame_buddy.lock);

/* Half-open ranges of frame numbers, sorted, disjoint. */
struct span {
	u64 start, end;
};
struct spans {
	struct span of[FRAME_RANGES_MAX];
	unsigned count;
};

/*
 * section.c: `records[i]` is memory for the records of section i, NULL where there is no RAM; the
 * frames of `spans` are free, and their sections closed. Replaces what was there before.
 */
void sections_init(struct frame **open, struct frame **records, u64 sections,
		   const struct spans *spans);

/*
 * Opens the lowest closed section that has free frames: writes its records and puts the frames into
 * the free lists. False: there is none.
 */
bool section_open(void) LOCK_REQUIRES(&frame_buddy.lock);

/* The order of the largest block that lies wholly in closed sections, or -1. */
int section_largest_order(void);

/* Is this frame, which has no record, a free one in a closed section? */
bool section_has_free(u64 mfn);

/* Fills a freed frame with the pattern. check: panics unless a poisoned frame still shows it. */
void frame_poison(u64 mfn);
void frame_check_poison(u64 mfn);

/*
 * Shall this allocation fail (fail.c)? Called by each allocation that finds no more frames in its
 * cache than the cache's floor.
 */
bool frame_fail_now(void);
void frame_caches_set_floor(u32 floor);

/* Empties every cache and counter, for frame_init(). `total`: frames under the allocator. */
void frame_caches_init(u64 total);

#endif
