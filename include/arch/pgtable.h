/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgtable.h: a paging format as pure data and pure functions.
 *
 * Why: EPT, NPT and the host's own tables differ in bits, not in shape. One walker
 * (mm/table/walk.c) does the walking; a format says what a PTE of a level looks like. Nothing here
 * touches memory, a register or a TLB, so formats build and are tested on the host, unchanged. The
 * tables are `ept_format`, `npt_format` and `host_format`.
 *
 * What every step of a walk needs (present? leaf? where to?) is data, a mask for each level, so
 * that a step costs no call; what only a change needs (make a leaf, read its rights) is a function.
 *
 * Invariants, for every format:
 *   FORMAT-1  the PTE 0 is not present; make_leaf and make_table give present PTEs
 *   FORMAT-2  attr(make_leaf(a, l, w), l) == w for each w that valid_attr accepts, and pte_addr
 *             gives back a
 *   FORMAT-3  an address stands in a PTE at its natural place:
 *             make_leaf(a + n, l, w) == make_leaf(a, l, w) + n
 *   FORMAT-4  a leaf reads as a leaf and a table as a table, at each level where both exist
 *   FORMAT-5  accessed, dirty and write name the very bits that PT_ACCESSED, PT_DIRTY and PT_WRITE
 *             set
 */
#ifndef SAMEPAGE_ARCH_PGTABLE_H
#define SAMEPAGE_ARCH_PGTABLE_H

#include <arch/addr.h>
#include <lib/types.h>

typedef u64 pte_t;

#define PGTABLE_MAX_LEVELS 4
#define PGTABLE_ENTRIES	   (1u << LEVEL_BITS)

/* What a mapping allows and is, in words of no format. A format refuses what it cannot express. */
enum pt_attr {
	PT_READ = 1 << 0,
	PT_WRITE = 1 << 1,
	PT_EXEC = 1 << 2,
	PT_USER = 1 << 3, /* host format only: ring 3 may use it. NPT always sets U (APM 15.25.5) */
	PT_GLOBAL = 1 << 4, /* host format only */
	PT_ACCESSED = 1 << 5,
	PT_DIRTY = 1 << 6,
	PT_UNCACHED = 1 << 7, /* memory type UC; without it WB */
	PT_RWX = PT_READ | PT_WRITE | PT_EXEC,
};

/*
 * struct pgtable_level: how to read an entry of one level.
 *
 * present		the CPU may use the entry when any of these bits is set
 * leaf_mask, _value	a present entry maps memory when (pte & leaf_mask) == leaf_value, else it names
 * 			a table
 * leaf_address		where the address stands in a leaf
 * table_address	and in an entry that names a table
 * accessed, dirty	a leaf's A and D bits; 0 where the format has none
 * write		the bit that a writable leaf has and a read-only one lacks
 */
struct pgtable_level {
	pte_t present;
	pte_t leaf_mask, leaf_value;
	pte_t leaf_address, table_address;
	pte_t accessed, dirty, write;
};

/*
 * struct pgtable_format: one paging format. All members are immutable; all functions are pure and
 * safe in any context.
 *
 * levels		levels of a full walk (4); the root is level `levels` - 1
 * max_leaf_level	largest level a leaf may have (2: 1 GiB)
 * address_bits		width of the input address
 * sign_extended	input addresses are canonical: the bits above the width repeat its top bit
 * level		how to read an entry, by level
 * make_leaf		a leaf of a level; `addr` is aligned to the level, and valid_attr(attr) holds
 * make_table		an entry that names the next table, open for every access (leaves decide)
 * attr			what a present leaf allows and is, in pt_attr words
 * valid_attr		can a leaf carry these words? EPT: no write without read (SDM 28.3.3.1); NPT and
 * 			host: always read
 */
struct pgtable_format {
	const char *name;
	u8 levels;
	u8 max_leaf_level;
	u8 address_bits;
	bool sign_extended;
	struct pgtable_level level[PGTABLE_MAX_LEVELS];
	pte_t (*make_leaf)(struct hpa addr, unsigned level, unsigned attr);
	pte_t (*make_table)(struct hpa table, unsigned level);
	unsigned (*attr)(pte_t pte, unsigned level);
	bool (*valid_attr)(unsigned attr);
};

extern const struct pgtable_format ept_format;	/* Intel SDM vol. 3C, 28.3 */
extern const struct pgtable_format npt_format;	/* AMD APM vol. 2, 15.25 */
extern const struct pgtable_format host_format; /* Intel SDM vol. 3A, 4.5; AMD APM vol. 2, 5.3 */

/* May the CPU use this entry? */
static inline bool pte_present(const struct pgtable_format *format, pte_t pte, unsigned level)
{
	return (pte & format->level[level].present) != 0;
}

/* Does a present entry map memory, rather than name a table? */
static inline bool pte_leaf(const struct pgtable_format *format, pte_t pte, unsigned level)
{
	return (pte & format->level[level].leaf_mask) == format->level[level].leaf_value;
}

/* What a present leaf maps. */
static inline struct hpa pte_addr(const struct pgtable_format *format, pte_t pte, unsigned level)
{
	return (struct hpa){pte & format->level[level].leaf_address};
}

/* The table that a present entry which is no leaf names. */
static inline struct hpa pte_table(const struct pgtable_format *format, pte_t pte, unsigned level)
{
	return (struct hpa){pte & format->level[level].table_address};
}

#endif
