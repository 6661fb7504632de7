/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multiboot.h: Multiboot 1 as far as Samepage's guests are loaded by it (Multiboot Specification
 * 0.6.96, sections 3.1 to 3.3). Entry: EAX the magic, EBX the info's address, flat 32-bit segments,
 * paging and interrupts off.
 */
#ifndef SAMEPAGE_ABI_MULTIBOOT_H
#define SAMEPAGE_ABI_MULTIBOOT_H

#define MULTIBOOT_HEADER_MAGIC	0x1badb002
#define MULTIBOOT_HEADER_SEARCH 8192 /* the header lies in the first bytes of the file */
#define MULTIBOOT_LOADER_MAGIC	0x2badb002

/* Header flags. */
#define MULTIBOOT_PAGE_ALIGN 0x1
#define MULTIBOOT_MEMORY     0x2
#define MULTIBOOT_REQUIRED   0xffff /* unknown ones of these must be refused */

/* Info flags. */
#define MULTIBOOT_INFO_MEMORY	    0x001
#define MULTIBOOT_INFO_COMMAND_LINE 0x004
#define MULTIBOOT_INFO_MODULES	    0x008
#define MULTIBOOT_INFO_MAP	    0x040
#define MULTIBOOT_INFO_LOADER	    0x200

#ifndef __ASSEMBLER__

#include <stdint.h>

struct multiboot_header {
	uint32_t magic, flags, checksum;
};

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB below and above 1 MiB */
	uint32_t boot_device;
	uint32_t command_line;
	uint32_t module_count, modules;
	uint32_t symbols[4];
	uint32_t map_length, map;
	uint32_t drives_length, drives;
	uint32_t config_table;
	uint32_t loader_name;
};

struct multiboot_module {
	uint32_t start, end, command_line, reserved;
};

/* `size` is that of what follows it: 20. */
struct multiboot_map_entry {
	uint32_t size;
	uint32_t base_low, base_high;
	uint32_t length_low, length_high;
	uint32_t type; /* 1: RAM */
};

#endif
#endif
