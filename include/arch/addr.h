/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h: the kinds of address, each a one-member struct so that the compiler catches a mix-up.
 *
 *      gva --guest page tables--> gpa --stage 2 (EPT, NPT)--> hpa <--direct map-- hva
 *                                 gfn = gpa >> 12             mfn = hpa >> 12
 *
 * Conversion is by the named inlines below and nowhere else. Ranges are half-open: [start, end).
 */
#ifndef SAMEPAGE_ARCH_ADDR_H
#define SAMEPAGE_ARCH_ADDR_H

#include <lib/types.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
/* Levels count from the leaf: level 0 maps 4 KiB, level 1 2 MiB, level 2 1 GiB. */
#define LEVEL_BITS	    9
#define LEVEL_SHIFT(level)  (PAGE_SHIFT + LEVEL_BITS * (level))
#define LEVEL_SIZE(level)   (1ull << LEVEL_SHIFT(level))
#define LEVEL_FRAMES(level) (1ull << (LEVEL_BITS * (level)))

/* The width of a guest frame number: four levels of 9 bits, 256 TiB of guest-physical memory. */
#define GFN_BITS 36
#define GFN_END	 (1ull << GFN_BITS)

struct gva {
	u64 raw;
};
struct gpa {
	u64 raw;
};
struct hpa {
	u64 raw;
};
struct gfn {
	u64 raw;
};
struct mfn {
	u64 raw;
};
struct gfn_range {
	struct gfn start, end;
};

static inline struct gfn gpa_to_gfn(struct gpa a)
{
	return (struct gfn){a.raw >> PAGE_SHIFT};
}

static inline struct gpa gfn_to_gpa(struct gfn g)
{
	return (struct gpa){g.raw << PAGE_SHIFT};
}

static inline struct mfn hpa_to_mfn(struct hpa a)
{
	return (struct mfn){a.raw >> PAGE_SHIFT};
}

static inline struct hpa mfn_to_hpa(struct mfn m)
{
	return (struct hpa){m.raw << PAGE_SHIFT};
}

static inline u64 page_offset(u64 raw)
{
	return raw & (PAGE_SIZE - 1);
}

/* The smallest order for which 2^order pages hold `bytes`. */
static inline unsigned page_order(u64 bytes)
{
	unsigned order = 0;

	for (u64 above = (bytes ? bytes - 1 : 0) >> PAGE_SHIFT; above; above >>= 1)
		order++;
	return order;
}

static inline struct gfn gfn_add(struct gfn g, u64 frames)
{
	return (struct gfn){g.raw + frames};
}

static inline struct mfn mfn_add(struct mfn m, u64 frames)
{
	return (struct mfn){m.raw + frames};
}

static inline struct gfn_range gfn_range(struct gfn start, u64 frames)
{
	return (struct gfn_range){start, {start.raw + frames}};
}

static inline bool gfn_in_range(struct gfn g, struct gfn_range r)
{
	return g.raw >= r.start.raw && g.raw < r.end.raw;
}

static inline bool gfn_ranges_overlap(struct gfn_range a, struct gfn_range b)
{
	return a.start.raw < b.end.raw && b.start.raw < a.end.raw;
}

static inline bool gfn_valid(struct gfn g)
{
	return g.raw < GFN_END;
}

/* Not empty, and within the width of a gfn. */
static inline bool gfn_range_valid(struct gfn_range r)
{
	return r.start.raw < r.end.raw && r.end.raw <= GFN_END;
}

static inline u64 gfn_range_frames(struct gfn_range r)
{
	return r.end.raw - r.start.raw;
}

#endif
