/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multiboot1.c: the information structure of Multiboot 0.6.96, section 3.3.
 *
 *     flags   bit 0  mem_lower and mem_upper     bit 6  memory map
 *             bit 2  command line                bit 9  loader's name
 *             bit 3  modules
 */
#include <lib/error.h>
#include <lib/log.h>
#include "parse.h"

#define LOG_THIS LOG_BOOT

enum mb1_flag {
	MB1_HAS_SIZES = 1 << 0,
	MB1_HAS_COMMAND_LINE = 1 << 2,
	MB1_HAS_MODULES = 1 << 3,
	MB1_HAS_MAP = 1 << 6,
	MB1_HAS_LOADER = 1 << 9,
};

struct mb1_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB from 0 and from 1 MiB */
	u32 boot_device;
	u32 command_line;
	u32 module_count, modules;
	u32 symbols[4];
	u32 map_length, map;
	u32 drives_length, drives;
	u32 config;
	u32 loader;
};
_Static_assert(sizeof(struct mb1_info) == 68, "Multiboot 3.3");

struct mb1_module {
	u32 start, end, command_line, reserved;
};

/* `size` counts what follows it, at least 20. */
struct mb1_map_entry {
	u32 size;
	u64 start, length;
	u32 type;
} __packed;

static void mb1_parse_modules(const struct boot_reader *reader, const struct mb1_info *mb,
			      struct boot_info *info)
{
	for (u32 i = 0; i < mb->module_count; i++) {
		struct mb1_module raw;
		struct boot_module *module;

		if (!boot_read(reader, (u64)mb->modules + (u64)i * sizeof(raw), &raw,
			       sizeof(raw))) {
			log_warn("multiboot: module %u of %u: its entry cannot be read", i,
				 mb->module_count);
			return;
		}
		module = boot_module_add(info, raw.start, raw.end);
		if (!module)
			return;
		if (raw.command_line)
			boot_copy_string(reader, raw.command_line, ~0ull, module->command_line,
					 sizeof(module->command_line),
					 "multiboot: module's command line");
	}
}

static void mb1_parse_map(const struct boot_reader *reader, const struct mb1_info *mb,
			  struct boot_map *map)
{
	u64 left = mb->map_length, at = mb->map;

	while (left && !map->full) {
		struct mb1_map_entry entry;

		if (left < sizeof(entry)) {
			log_warn("multiboot: the memory map ends inside an entry (%lu bytes left)",
				 left);
			return;
		}
		if (!boot_read(reader, at, &entry, sizeof(entry))) {
			log_warn("multiboot: the memory map entry at 0x%lx cannot be read", at);
			return;
		}
		if (entry.size < sizeof(entry) - sizeof(entry.size) ||
		    entry.size > left - sizeof(entry.size)) {
			log_warn("multiboot: the memory map entry at 0x%lx says it has %u bytes: "
				 "map ends here",
				 at, entry.size);
			return;
		}
		boot_map_add(map, entry.start, entry.length, entry.type);
		at += entry.size + sizeof(entry.size);
		left -= entry.size + sizeof(entry.size);
	}
}

int multiboot1_parse(const struct boot_reader *reader, u32 address, struct boot_info *info,
		     struct boot_map *map)
{
	struct mb1_info mb;

	if (!boot_read(reader, address, &mb, sizeof(mb))) {
		log_error("multiboot: the information at 0x%x cannot be read", address);
		return ERR_RANGE;
	}
	if (mb.flags & MB1_HAS_LOADER)
		boot_copy_string(reader, mb.loader, ~0ull, info->loader, sizeof(info->loader),
				 "multiboot: loader's name");
	if (mb.flags & MB1_HAS_COMMAND_LINE)
		boot_copy_string(reader, mb.command_line, ~0ull, info->command_line,
				 sizeof(info->command_line), "multiboot: command line");
	if (mb.flags & MB1_HAS_MODULES)
		mb1_parse_modules(reader, &mb, info);
	if (mb.flags & MB1_HAS_MAP)
		mb1_parse_map(reader, &mb, map);
	if (!map->count && (mb.flags & MB1_HAS_SIZES)) {
		log_warn("multiboot: no memory map; going by its two sizes, %u and %u KiB",
			 mb.mem_lower, mb.mem_upper);
		boot_map_add(map, 0, (u64)mb.mem_lower << 10, BOOT_MEMORY_USABLE);
		boot_map_add(map, 0x100000, (u64)mb.mem_upper << 10, BOOT_MEMORY_USABLE);
	}
	if (map->count)
		return 0;
	log_error("multiboot: the loader does not say what memory there is (flags 0x%x)", mb.flags);
	return ERR_NOT_FOUND;
}
