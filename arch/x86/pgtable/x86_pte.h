/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_pte.h: the bits of a long-mode PTE, which NPT entries share (SDM vol. 3A, 4.5, tables 4-15 to
 * 4-20; APM vol. 2, 5.3.3 and 15.25.5).
 *
 *      63   62:52   51:12     11:9   8    7    6   5    4     3    2    1   0
 *     +----+------+---------+-----+---+------+---+---+-----+-----+---+----+---+
 *     | NX | ign. | address | ign.| G | leaf | D | A | PCD | PWT | U | RW | P |
 *     +----+------+---------+-----+---+------+---+---+-----+-----+---+----+---+
 *
 * Bit 7 of a 4 KiB leaf is its PAT bit and stays clear, as bit 12 of a larger one does, so the
 * memory type is PAT entry 0 (WB) or, by PCD and PWT, 3 (UC): the values after RESET stand.
 */
#ifndef SAMEPAGE_ARCH_X86_PGTABLE_X86_PTE_H
#define SAMEPAGE_ARCH_X86_PGTABLE_X86_PTE_H

#include <arch/pgtable.h>

#define X86_PTE_PRESENT	 BIT(0)
#define X86_PTE_WRITE	 BIT(1)
#define X86_PTE_USER	 BIT(2)
#define X86_PTE_PWT	 BIT(3)
#define X86_PTE_PCD	 BIT(4)
#define X86_PTE_ACCESSED BIT(5)
#define X86_PTE_DIRTY	 BIT(6)
#define X86_PTE_LEAF	 BIT(7)
#define X86_PTE_GLOBAL	 BIT(8)
#define X86_PTE_NX	 BIT(63)
#define X86_PTE_UC	 (X86_PTE_PCD | X86_PTE_PWT)
#define X86_PTE_ADDRESS	 BITS(51, 12)

#define X86_LEVEL(mask, value, shift)                                                        \
	{                                                                                    \
		.present = X86_PTE_PRESENT, .leaf_mask = (mask), .leaf_value = (value),      \
		.leaf_address = BITS(51, shift), .table_address = X86_PTE_ADDRESS,           \
		.accessed = X86_PTE_ACCESSED, .dirty = X86_PTE_DIRTY, .write = X86_PTE_WRITE \
	}

/* Level 0 is always a leaf, level 3 never: bit 7 there is reserved. */
#define X86_LEVELS                                                                     \
	{                                                                              \
		X86_LEVEL(0, 0, 12), X86_LEVEL(X86_PTE_LEAF, X86_PTE_LEAF, 21),        \
			X86_LEVEL(X86_PTE_LEAF, X86_PTE_LEAF, 30), X86_LEVEL(0, 1, 39) \
	}

/* The bits that mean the same in both formats. */
static inline pte_t x86_pte_bits(unsigned level, unsigned attr)
{
	return X86_PTE_PRESENT | (level > 0 ? X86_PTE_LEAF : 0) |
	       (attr & PT_WRITE ? X86_PTE_WRITE : 0) | (attr & PT_EXEC ? 0 : X86_PTE_NX) |
	       (attr & PT_ACCESSED ? X86_PTE_ACCESSED : 0) | (attr & PT_DIRTY ? X86_PTE_DIRTY : 0) |
	       (attr & PT_UNCACHED ? X86_PTE_UC : 0);
}

static inline unsigned x86_pte_attr(pte_t pte)
{
	return PT_READ | (pte & X86_PTE_WRITE ? PT_WRITE : 0) | (pte & X86_PTE_NX ? 0 : PT_EXEC) |
	       (pte & X86_PTE_ACCESSED ? PT_ACCESSED : 0) | (pte & X86_PTE_DIRTY ? PT_DIRTY : 0) |
	       (pte & X86_PTE_PCD ? PT_UNCACHED : 0);
}

#endif
