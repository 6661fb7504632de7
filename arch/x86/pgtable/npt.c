/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npt.c: the format of AMD's nested page tables (APM vol. 2, 15.25.5).
 *
 * Why not the host's: the CPU walks nested tables as user accesses, so every entry has U set, and
 * there is nothing global. NX needs EFER.NXE in the host. The picture of an entry is in x86_pte.h.
 */
#include <arch/pgtable.h>

#include "x86_pte.h"

#define NPT_EXPRESSES (PT_RWX | PT_ACCESSED | PT_DIRTY | PT_UNCACHED)

static pte_t npt_make_leaf(struct hpa addr, unsigned level, unsigned attr)
{
	return addr.raw | X86_PTE_USER | x86_pte_bits(level, attr);
}

static pte_t npt_make_table(struct hpa table, unsigned level)
{
	return table.raw | X86_PTE_PRESENT | X86_PTE_WRITE | X86_PTE_USER;
}

static unsigned npt_attr(pte_t pte, unsigned level)
{
	return x86_pte_attr(pte);
}

static bool npt_valid_attr(unsigned attr)
{
	return (attr & PT_READ) && !(attr & ~NPT_EXPRESSES);
}

const struct pgtable_format npt_format = {
	.name = "npt",
	.levels = 4,
	.max_leaf_level = 2,
	.address_bits = 48,
	.level = X86_LEVELS,
	.make_leaf = npt_make_leaf,
	.make_table = npt_make_table,
	.attr = npt_attr,
	.valid_attr = npt_valid_attr,
};
