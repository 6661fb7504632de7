/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.c: what the way into long mode needs as data: the multiboot headers, the boot page
 * tables, a GDT.
 *
 *     boot_pml4 [0] ------------+-> boot_pdpt [0..3] --+-> boot_pd: 2048 leaves of 2 MiB,
 *               [256] ----------+                      |            filled in by entry.S
 *               [511] -> boot_pdpt_image [510] --------+
 *
 * So one set of leaves makes the identity, the direct and the image's mapping.
 */
#include <asm/image.h>
#include "boot.h"
#include "multiboot.h"

/* A link-time machine address, which the linker must be able to compute: no more than a sum. */
#define TABLE_AT(table) ((u64)(table)-IMAGE_BASE + TABLE_ENTRY)

u64 boot_pd[4][512] __aligned(4096);

static u64 boot_pdpt[512] __aligned(4096) = {
	TABLE_AT(boot_pd[0]),
	TABLE_AT(boot_pd[1]),
	TABLE_AT(boot_pd[2]),
	TABLE_AT(boot_pd[3]),
};

static u64 boot_pdpt_image[512] __aligned(4096) = {[510] = TABLE_AT(boot_pd[0])};

u64 boot_pml4[512] __aligned(4096) = {
	[0] = TABLE_AT(boot_pdpt),
	[256] = TABLE_AT(boot_pdpt),
	[511] = TABLE_AT(boot_pdpt_image),
};

/* Null, 64-bit code, data: all of ring 0. Nothing is left of it once the CPU layer has loaded its
 * own. */
const u64 boot_gdt[3] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};

const struct boot_gdt_pointer boot_gdt_pointer = {sizeof(boot_gdt) - 1, (u64)boot_gdt - IMAGE_BASE};

static const struct {
	u32 magic, flags, checksum;
} mb1_header __attribute__((used, section(".boot.header"), aligned(8))) = {
	MB1_HEADER_MAGIC,
	MB1_HEADER_FLAGS,
	-(u32)(MB1_HEADER_MAGIC + MB1_HEADER_FLAGS),
};

struct mb2_header_tag {
	u16 type, flags;
	u32 size;
};

static const struct mb2_header {
	u32 magic, architecture, length, checksum;
	struct mb2_header_tag align_modules, end;
} mb2_header __attribute__((used, section(".boot.header"), aligned(8))) = {
	MB2_HEADER_MAGIC,
	MB2_ARCHITECTURE_I386,
	sizeof(mb2_header),
	-(u32)(MB2_HEADER_MAGIC + MB2_ARCHITECTURE_I386 + sizeof(mb2_header)),
	{MB2_HEADER_ALIGN_MODULES, 0, sizeof(struct mb2_header_tag)},
	{MB2_HEADER_END, 0, sizeof(struct mb2_header_tag)},
};
