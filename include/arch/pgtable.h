/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgtable.h: a paging format as pure data and pure functions.
 *
 * Why: EPT, NPT and the host's own tables differ in bits, not in shape. One walker (mm/walk.c) does the walking;
 * a format says what a PTE of a level looks like. Nothing here touches memory, a register or a TLB, so formats
 * build and are tested on the host, unchanged. The tables are `ept_format`, `npt_format` and `host_format`.
 */
#ifndef SAMEPAGE_ARCH_PGTABLE_H
#define SAMEPAGE_ARCH_PGTABLE_H

#include <arch/addr.h>
#include <lib/types.h>

typedef u64 pte_t;

/* What a mapping allows and is, in words of no particular format. A format refuses what it cannot express. */
enum pt_attr {
	PT_READ = 1 << 0,
	PT_WRITE = 1 << 1,
	PT_EXEC = 1 << 2,
	PT_USER = 1 << 3,     /* host format: ring 3 may use it; NPT always sets U (AMD APM 15.25.5) */
	PT_GLOBAL = 1 << 4,   /* host format only */
	PT_ACCESSED = 1 << 5,
	PT_DIRTY = 1 << 6,
	PT_UNCACHED = 1 << 7, /* memory type UC; without it WB */
	PT_SOFT = 1 << 8,     /* one software bit, ignored by the CPU; stage 2 says what it means */
	PT_RWX = PT_READ | PT_WRITE | PT_EXEC,
};

/*
 * struct pgtable_format: one paging format. All members are immutable; all functions are pure and safe in any context.
 *
 * levels		levels of a full walk (4); the root is level `levels` - 1
 * max_leaf_level	largest level a leaf may have (2: 1 GiB)
 * address_bits		width of the input address
 * accessed, dirty	the PTE's A and D bits; 0 where the format has none
 * write		the PTE bit whose absence makes a leaf read-only
 * make_leaf		a leaf PTE of a level. `addr` is aligned to the level. The format must be able to express `attr`
 *			(see `valid_attr`).
 * make_table		a PTE that points to the next table, open for every access (leaves decide)
 * present		may the CPU use this PTE
 * leaf			given present: does it map memory (rather than point to a table)
 * addr			the address in a present PTE of a level
 * attr			what a present leaf allows, in pt_attr words
 * valid_attr		can a leaf carry these words (EPT: no write without read, SDM 28.3.3.1; NPT, host: read implied)
 */
struct pgtable_format {
	const char *name;
	u8 levels;
	u8 max_leaf_level;
	u8 address_bits;
	pte_t accessed;
	pte_t dirty;
	pte_t write;
	pte_t (*make_leaf)(struct hpa addr, unsigned level, unsigned attr);
	pte_t (*make_table)(struct hpa table);
	bool (*present)(pte_t pte);
	bool (*leaf)(pte_t pte, unsigned level);
	struct hpa (*addr)(pte_t pte, unsigned level);
	unsigned (*attr)(pte_t pte, unsigned level);
	bool (*valid_attr)(unsigned attr);
};

extern const struct pgtable_format ept_format;	  /* Intel SDM vol. 3C, 28.3 */
extern const struct pgtable_format npt_format;	  /* AMD APM vol. 2, 15.25 */
extern const struct pgtable_format host_format;	  /* Intel SDM vol. 3A, 4.5; AMD APM vol. 2, 5.3 */

#endif
