/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h: what the two ways into long mode (entry.S and trampoline.S) and the data they use
 * (tables.c) agree on.
 */
#ifndef SAMEPAGE_BOOT_BOOT_H
#define SAMEPAGE_BOOT_BOOT_H

#define MSR_EFER_INDEX 0xc0000080
#define EFER_LME_BIT   0x100
#define CR4_PAE_BIT    0x20
#define CR0_VALUE      0x80010031 /* PG, WP, NE, ET, PE; not CD and NW, which INIT leaves (SDM 9.1) */
#define BOOT_CS	       0x08	  /* in boot_gdt */

/* Present and writable, and a 2 MiB leaf beside (SDM vol. 3A, 4.5.4). */
#define TABLE_ENTRY   0x03
#define TABLE_2M_LEAF 0x83

/* For assembly: the machine address of a symbol of the image. */
#ifdef __ASSEMBLER__
#define PHYS(symbol) ((symbol)-IMAGE_BASE)
#else
#include <lib/types.h>

struct boot_gdt_pointer {
	u16 limit;
	u64 base;
} __packed;

extern u64 boot_pd[4][512];
extern const u64 boot_gdt[3];
extern const struct boot_gdt_pointer boot_gdt_pointer;
#endif

#endif
