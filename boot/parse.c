/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c: the checked steps that both multiboot parsers take.
 */
#include "parse.h"
#include <lib/log.h>

#define LOG_THIS LOG_BOOT

void boot_map_add(struct boot_map *map, u64 start, u64 length, u32 type)
{
	u64 end;

	if (start + length < start) {
		log_warn("memory map: 0x%lx, 0x%lx bytes, wraps: ignored", start, length);
		return;
	}
	end = MIN(start + length, map->limit);
	/* What is not memory is of no interest there: firmwares reserve a lot of it. */
	if (end < start + length && type == BOOT_MEMORY_USABLE)
		log_warn(
			"memory map: 0x%lx, 0x%lx bytes: what lies beyond 0x%lx cannot be reached: "
			"ignored",
			start, length, map->limit);
	if (start >= end)
		return;
	if (map->count == BOOT_MAP_MAX) {
		if (!map->full)
			log_warn("memory map: more than %u entries: the rest is ignored",
				 BOOT_MAP_MAX);
		map->full = true;
		return;
	}
	if (type < BOOT_MEMORY_USABLE || type > BOOT_MEMORY_BAD)
		type = BOOT_MEMORY_RESERVED;
	map->entry[map->count++] = (struct boot_memory){
		.range = {{start}, {end}},
		.type = (enum boot_memory_type)type,
	};
}

struct boot_module *boot_module_add(struct boot_info *info, u32 start, u32 end)
{
	struct boot_module *module;

	if (info->module_count == BOOT_MODULES_MAX) {
		log_warn("modules: more than %u: the rest is ignored", BOOT_MODULES_MAX);
		return NULL;
	}
	module = &info->modules[info->module_count++];
	module->range = (struct hpa_range){{start}, {end}};
	module->command_line[0] = '\0';
	return module;
}

void boot_copy_string(const struct boot_reader *reader, u64 address, u64 limit, char *to,
		      size_t capacity, const char *what)
{
	bool strange = false;
	size_t length;
	char c = '\0';

	for (length = 0; length < limit; length++) {
		if (!boot_read(reader, address + length, &c, 1)) {
			log_warn("%s: the text at 0x%lx cannot be read to its end: cut", what,
				 address);
			break;
		}
		if (!c)
			break;
		if (length == capacity - 1) {
			log_warn("%s: longer than %zu characters: cut", what, capacity - 1);
			break;
		}
		strange |= c < ' ' || c > '~';
		to[length] = c < ' ' || c > '~' ? '?' : c;
	}
	to[length] = '\0';
	if (length == limit)
		log_warn("%s: the text does not end where its tag ends", what);
	if (strange)
		log_warn("%s: characters that are not printable ASCII read as '?'", what);
}
