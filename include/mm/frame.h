/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h: machine frames: one record of 24 bytes each, a buddy allocator, per-CPU caches of single
 * frames.
 *
 * Out of memory is ERR_NO_MEMORY, never a panic. A freed frame keeps its content; every path that
 * gives a frame to a guest passes FRAME_ZERO or overwrites all of it, so that no VM reads what
 * another one wrote.
 *
 * Each frame of a block of 2^n has a record of its own, with kind and refcount. A block may be
 * freed in smaller naturally aligned pieces, in any order.
 */
#ifndef SAMEPAGE_MM_FRAME_H
#define SAMEPAGE_MM_FRAME_H

#include <arch/addr.h>
#include <ck_pr.h>
#include <lib/log.h>
#include <lib/types.h>

#define FRAME_MAX_ORDER 18 /* 1 GiB */

enum frame_flags { FRAME_ZERO = 1 };

enum frame_kind {
	FRAME_RESERVED, /* not RAM, the firmware's, the image, frame records: never allocated */
	FRAME_FREE,
	FRAME_HYPERVISOR, /* the hypervisor's data: never mapped in a guest */
	FRAME_TABLE,	  /* a page table */
	FRAME_GUEST,	  /* backs at least one gfn */
	FRAME_IMAGE,	  /* a boot module's, which gfns may share: never allocated, never freed */
	FRAME_KINDS
};

/*
 * The record of one frame. The meaning of `owner` and `link` depends on the kind:
 *
 *  FREE        owner: next block in the free list, link: previous; heads of free blocks only
 *  GUEST, IMAGE the rmap's (mm/rmap/rmap.c): up to two (address space, gfn) inline, or a chain
 *  others      the caller's; 0 after frame_alloc
 *
 * refs	 [a] references of primary PTEs
 * kind	 [f] while free; constant between frame_alloc and frame_free
 * order, state  [f] the allocator's
 * mark	 the auditor's, while it runs
 * ([a] atomic, [f] LOCK_FRAME or the CPU that has the frame in its cache)
 */
struct frame {
	u64 owner;
	u64 link;
	u32 refs;
	u8 kind;
	u8 order;
	u8 state;
	u8 mark;
};
_Static_assert(sizeof(struct frame) == 24, "a frame's record is 24 bytes");

/*
 * Records come in sections, so that a hole in the memory map costs one pointer, and memory that is
 * not in use costs no access to its records (mm/frame/section.c). section i: the records of the
 * frames [i, i + 1) * FRAME_SECTION; NULL where there is no RAM, and as long as none of these
 * frames was allocated. [a] sections: [I] after frame_init.
 */
#define FRAME_SECTION_SHIFT 13 /* 32 MiB of frames, 192 KiB of records */
#define FRAME_SECTION	    (1ull << FRAME_SECTION_SHIFT)

struct frame_map {
	struct frame **section;
	u64 sections;
};
extern struct frame_map frame_map;

/*
 * The record of a frame; NULL for a number outside the machine's RAM, and for a free frame in a
 * closed section. Any context; O(1).
 */
static inline struct frame *frame_record(struct mfn mfn)
{
	u64 section = mfn.raw >> FRAME_SECTION_SHIFT;

	if (unlikely(section >= frame_map.sections || !frame_map.section[section]))
		return NULL;
	return &frame_map.section[section][mfn.raw & (FRAME_SECTION - 1)];
}

/* The record of a frame in use: that of one that a PTE names, or that was allocated. */
static inline struct frame *frame_of(struct mfn mfn)
{
	DEBUG_CHECK(frame_record(mfn));
	return &frame_map.section[mfn.raw >> FRAME_SECTION_SHIFT][mfn.raw & (FRAME_SECTION - 1)];
}

/*
 * Machine memory as boot found it. Ranges may be unsorted, unaligned and overlapping; they are
 * rounded inwards. The frame records are carved out of them. Frame 0 is never used, so that 0 can
 * mean no frame. Called once on the boot CPU. ERR_NO_MEMORY when no range can hold the records;
 * ERR_INVALID for more ranges than FRAME_RANGES_MAX.
 */
#define FRAME_RANGES_MAX 384
struct frame_range {
	struct hpa start, end;
};
int frame_init(const struct frame_range *usable, unsigned count) __must_check;

/*
 * 2^order frames, naturally aligned, refcount 1 on each. Without FRAME_ZERO their content is
 * undefined. kind is one of HYPERVISOR, TABLE, GUEST. ERR_NO_MEMORY: *out is unchanged.
 * ERR_INVALID: order over FRAME_MAX_ORDER. Takes LOCK_FRAME unless the CPU's cache serves it (order
 * 0). Any context but NMI.
 */
int frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out) __must_check;

/* frame_alloc() of one frame for a guest, its content undefined: the short way, for a copy. */
int frame_alloc_guest(struct mfn *out) __must_check;

/*
 * The reserve: frames for work that gives more of them back, as merging does, when no other is
 * left. They count as free. frame_reserve_fill: sets aside what is free, up to FRAME_RESERVE.
 * frame_reserve_use: from now on, or no longer, frame_alloc() of a single frame on this CPU may
 * take them.
 */
#define FRAME_RESERVE 16
void frame_reserve_fill(void);
void frame_reserve_use(bool use);

/*
 * Failure injection: one allocation in `one_in` fails with ERR_NO_MEMORY, drawn for each CPU from
 * `seed`; 0: off. No other CPU may allocate during the call. frame_fail_count: failures since then.
 */
void frame_fail_set(u64 one_in, u64 seed);
u64 frame_fail_count(void);

/*
 * Frees 2^order frames: a whole block or an aligned piece of one. Panics on what only a bug of the
 * hypervisor causes: a frame that is free already, was never allocated, is of another kind than its
 * neighbours, or has more than one reference. Context as frame_alloc.
 */
void frame_free(struct mfn mfn, unsigned order);

/*
 * Makes FRAME_IMAGE of reserved frames, with one reference each, and records where there are none.
 * At boot, on one CPU. ERR_RANGE: no frames, or beyond the allocator's last; ERR_EXISTS: not all
 * are reserved; ERR_NO_MEMORY: no kind has changed.
 */
int frame_adopt(struct mfn first, u64 frames) __must_check;

/*
 * References to a FRAME_GUEST or FRAME_IMAGE frame: one for each primary PTE that names it. Atomic.
 * put: true at 0.
 */
static inline void frame_get(struct mfn mfn)
{
	u32 before = ck_pr_faa_32(&frame_of(mfn)->refs, 1);

	CHECK(before > 0 && before != UINT32_MAX);
}

static inline bool frame_put(struct mfn mfn)
{
	u32 before = ck_pr_faa_32(&frame_of(mfn)->refs, (u32)-1);

	CHECK(before > 0);
	return before == 1;
}

u32 frame_refs(struct mfn mfn);

/* FRAME_RESERVED for a number outside the machine's RAM. Any context; O(1) for a frame in use. */
enum frame_kind frame_kind(struct mfn mfn);

/* Is the frame in a section that has records, open or closed? Any context; O(1). */
bool frame_near_memory(struct mfn mfn);

/* Free frames in closed sections. Any context; exact while no other CPU allocates. */
u64 frame_closed(void);

/*
 * All frames of the allocator (the frame records not counted) by kind. `free` includes `cached`,
 * the frames in per-CPU caches and the reserve. Exact while no other CPU allocates or frees.
 * `largest`: order of the largest free block, -1 without one.
 */
struct frame_stats {
	u64 total, free, hypervisor, table, guest, cached;
	int largest;
};
void frame_stats(struct frame_stats *out);

/* Is `largest` that order at least? Any context; O(FRAME_MAX_ORDER). */
bool frame_has_block(unsigned order);

#endif
