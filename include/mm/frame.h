/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h: machine frames: one record of at most 32 bytes each, a buddy allocator, per-CPU caches of single frames.
 *
 * Running out is ERR_NO_MEMORY, never a panic. A frame freed by one VM is zeroed before another VM can see it:
 * FRAME_ZERO asks for it, and every path that hands a frame to a guest does.
 */
#ifndef SAMEPAGE_MM_FRAME_H
#define SAMEPAGE_MM_FRAME_H

#include <arch/addr.h>
#include <lib/types.h>

#define FRAME_MAX_ORDER 18 /* 1 GiB */

enum frame_flags { FRAME_ZERO = 1 };

enum frame_kind {
	FRAME_RESERVED,	  /* not RAM, firmware's, or the hypervisor's image: never allocated */
	FRAME_FREE,
	FRAME_HYPERVISOR, /* our own data: never mapped in a guest */
	FRAME_TABLE,	  /* a page table */
	FRAME_GUEST,	  /* backs at least one gfn */
};

/*
 * Machine memory as boot found it. The metadata (frame records) are carved out of the ranges given.
 * Called once on the boot CPU. ERR_NO_MEMORY when no range can hold the records.
 */
struct frame_range { struct hpa start, end; };
int frame_init(const struct frame_range *usable, unsigned count) __must_check;

/*
 * 2^order frames, naturally aligned, refcount 1 on the first. On ERR_NO_MEMORY *out is untouched.
 * Takes LOCK_FRAME unless the CPU's cache serves it (order 0). Any context but NMI.
 */
int frame_alloc(unsigned order, enum frame_kind kind, unsigned flags, struct mfn *out) __must_check;
void frame_free(struct mfn mfn, unsigned order);

/* References to a FRAME_GUEST frame: one for each primary PTE that names it. Atomic. put returns true at zero. */
void frame_get(struct mfn mfn);
bool frame_put(struct mfn mfn);
u32 frame_refs(struct mfn mfn);
enum frame_kind frame_kind(struct mfn mfn);

/* Every frame the machine has, and how many are free now (caches included). */
struct frame_stats { u64 total, free, hypervisor, table, guest; };
void frame_stats(struct frame_stats *out);

#endif
