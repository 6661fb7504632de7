/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c: the format of the hypervisor's own page tables: four-level long mode (SDM vol. 3A, 4.5;
 * APM vol. 2, 5.3).
 *
 * Input addresses are canonical. A table entry is open (RW, U, no NX): the rights of a page are
 * those of its leaf. The picture of an entry is in x86_pte.h.
 */
#include <arch/pgtable.h>

#include "x86_pte.h"

#define HOST_EXPRESSES (PT_RWX | PT_USER | PT_GLOBAL | PT_ACCESSED | PT_DIRTY | PT_UNCACHED)

static pte_t host_make_leaf(struct hpa addr, unsigned level, unsigned attr)
{
	return addr.raw | x86_pte_bits(level, attr) | (attr & PT_USER ? X86_PTE_USER : 0) |
	       (attr & PT_GLOBAL ? X86_PTE_GLOBAL : 0);
}

static pte_t host_make_table(struct hpa table, unsigned level)
{
	return table.raw | X86_PTE_PRESENT | X86_PTE_WRITE | X86_PTE_USER;
}

static unsigned host_attr(pte_t pte, unsigned level)
{
	return x86_pte_attr(pte) | (pte & X86_PTE_USER ? PT_USER : 0) |
	       (pte & X86_PTE_GLOBAL ? PT_GLOBAL : 0);
}

static bool host_valid_attr(unsigned attr)
{
	return (attr & PT_READ) && !(attr & ~HOST_EXPRESSES);
}

const struct pgtable_format host_format = {
	.name = "host",
	.levels = 4,
	.max_leaf_level = 2,
	.address_bits = 48,
	.sign_extended = true,
	.level = X86_LEVELS,
	.make_leaf = host_make_leaf,
	.make_table = host_make_table,
	.attr = host_attr,
	.valid_attr = host_valid_attr,
};
