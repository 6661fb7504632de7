/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paging.h: the hypervisor's own page tables. Made once, the same for all CPUs, and not changed
 * afterwards.
 */
#ifndef SAMEPAGE_ASM_PAGING_H
#define SAMEPAGE_ASM_PAGING_H

#include <arch/addr.h>
#include <arch/boot_info.h>
#include <lib/types.h>

/*
 * Makes the final tables and every CPU's stacks in memory taken from info->usable, switches CPU 0
 * to them, and hands the rest of it to the frame allocator. CPU 0, once.
 */
void paging_init(const struct boot_info *info);

struct pgtable;

/* The tables, for readers. */
struct pgtable *paging_table(void);

/* Holds the tables against PAGING-1 .. 5; every breach goes to the log. Returns how many. */
u64 paging_audit(struct pgtable *table);

/* The tables' root, for CR3. */
struct hpa paging_root(void);

/* Where the local APIC's registers are mapped. */
#define APIC_MMIO DEVICE_BASE

#endif
