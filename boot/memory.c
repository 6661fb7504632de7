/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: from the loader's memory map to the frames that may be allocated.
 *
 * A firmware's map may be unsorted, overlap and contradict itself. Where entries overlap, the one
 * that allows least wins; what no entry covers is not memory:
 *
 *     as given     [--- usable ---------------------]        [- usable -]
 *                            [- reserved -]   [--- NVS ---]
 *     sanitized    [- usable ][- reserved -][u][--- NVS ---]  [- usable -]
 *     holes                [ image ]                          [ module ]
 *     usable       [-----]                                              (whole pages from 1 MiB on)
 *
 * BOOT-4 usable ranges are page aligned, sorted, disjoint, and touch no hole and nothing that is
 *        not usable memory
 */
#include <lib/log.h>
#include <lib/types.h>
#include "parse.h"

#define LOG_THIS LOG_BOOT

#define FIRST_MIB 0x100000
/* SIPI vectors 0xa0 to 0xbf are reserved (SDM vol. 3A, 9.4.4), and page 0 is the BIOS's. */
#define TRAMPOLINE_START PAGE_SIZE
#define TRAMPOLINE_END	 0xa0000

/* How much a type allows, least last. */
static const u8 strictness[] = {
	[BOOT_MEMORY_USABLE] = 1,   [BOOT_MEMORY_ACPI] = 2, [BOOT_MEMORY_NVS] = 3,
	[BOOT_MEMORY_RESERVED] = 4, [BOOT_MEMORY_BAD] = 5,
};

/* Every address at which an entry starts or ends, sorted; equal ones may repeat. */
static unsigned collect_edges(const struct boot_map *map, u64 *edges)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 2 * map->count; i++) {
		const struct hpa_range *range = &map->entry[i / 2].range;
		u64 edge = i % 2 ? range->end.raw : range->start.raw;
		unsigned at = count++;

		for (; at && edges[at - 1] > edge; at--)
			edges[at] = edges[at - 1];
		edges[at] = edge;
	}
	return count;
}

/* The strictest type that covers [start, end), or 0 where none does; no entry starts or ends
 * inside. */
static unsigned type_between(const struct boot_map *map, u64 start, u64 end)
{
	unsigned type = 0;

	for (unsigned i = 0; i < map->count; i++) {
		const struct boot_memory *entry = &map->entry[i];

		if (entry->range.start.raw > start || entry->range.end.raw < end)
			continue;
		if (!type || strictness[entry->type] > strictness[type])
			type = entry->type;
	}
	return type;
}

static void append_memory(struct boot_info *info, u64 start, u64 end, enum boot_memory_type type)
{
	struct boot_memory *last =
		info->memory_count ? &info->memory[info->memory_count - 1] : NULL;

	if (last && last->type == type && last->range.end.raw == start)
		last->range.end.raw = end;
	else
		info->memory[info->memory_count++] = (struct boot_memory){{{start}, {end}}, type};
}

void memory_sanitize(const struct boot_map *map, struct boot_info *info)
{
	u64 edges[2 * BOOT_MAP_MAX];
	unsigned count = collect_edges(map, edges);

	_Static_assert(BOOT_MEMORY_MAX >= 2 * BOOT_MAP_MAX, "n ranges make at most 2n - 1 pieces");
	info->memory_count = 0;
	for (unsigned i = 1; i < count; i++) {
		unsigned type = 0;

		if (edges[i - 1] < edges[i])
			type = type_between(map, edges[i - 1], edges[i]);
		if (type)
			append_memory(info, edges[i - 1], edges[i], (enum boot_memory_type)type);
	}
}

static bool ranges_overlap(struct hpa_range a, struct hpa_range b)
{
	return a.start.raw < b.end.raw && b.start.raw < a.end.raw;
}

static bool range_is_usable_memory(const struct boot_info *info, struct hpa_range range)
{
	for (unsigned i = 0; i < info->memory_count; i++) {
		const struct boot_memory *memory = &info->memory[i];

		if (memory->type == BOOT_MEMORY_USABLE &&
		    memory->range.start.raw <= range.start.raw &&
		    range.end.raw <= memory->range.end.raw)
			return true;
	}
	return false;
}

/* Why a module cannot be used, given the `kept` good ones at the front of the array; NULL when it
 * can. */
static const char *module_fault(const struct boot_info *info, unsigned kept, struct hpa_range range)
{
	if (range.start.raw == range.end.raw)
		return "is empty";
	if (range.start.raw > range.end.raw)
		return "ends before it starts";
	if (ranges_overlap(range, info->image))
		return "lies on the hypervisor's image";
	for (unsigned i = 0; i < kept; i++) {
		if (ranges_overlap(range, info->modules[i].range))
			return "lies on another module";
	}
	return range_is_usable_memory(info, range) ? NULL : "lies outside usable memory";
}

void memory_check_modules(struct boot_info *info)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < info->module_count; i++) {
		struct boot_module *module = &info->modules[i];
		const char *fault = module_fault(info, kept, module->range);

		if (fault)
			log_error("module %u, 0x%lx-0x%lx '%s': %s: left out", i,
				  module->range.start.raw, module->range.end.raw,
				  module->command_line, fault);
		else if (kept++ != i)
			info->modules[kept - 1] = *module;
	}
	info->module_count = kept;
}

/* The hole that starts first among those that reach beyond `at`: the image, or a module with its
 * whole pages. */
static struct hpa_range next_hole(const struct boot_info *info, u64 at)
{
	struct hpa_range next = {{~0ull}, {~0ull}};

	for (unsigned i = 0; i <= info->module_count; i++) {
		struct hpa_range hole = i ? info->modules[i - 1].range : info->image;

		hole.start.raw = ALIGN_DOWN(hole.start.raw, PAGE_SIZE);
		hole.end.raw = ALIGN_UP(hole.end.raw, PAGE_SIZE);
		if (hole.end.raw > at && hole.start.raw < next.start.raw)
			next = hole;
	}
	return next;
}

static void append_usable(struct boot_info *info, u64 start, u64 end)
{
	if (start >= end)
		return;
	if (info->usable_count == BOOT_USABLE_MAX) {
		log_warn("memory: more than %u usable pieces: 0x%lx-0x%lx is left out",
			 BOOT_USABLE_MAX, start, end);
		return;
	}
	info->usable[info->usable_count++] = (struct hpa_range){{start}, {end}};
}

void memory_find_usable(struct boot_info *info)
{
	info->usable_count = 0;
	for (unsigned i = 0; i < info->memory_count; i++) {
		const struct boot_memory *memory = &info->memory[i];
		u64 at = MAX(ALIGN_UP(memory->range.start.raw, PAGE_SIZE), (u64)FIRST_MIB);
		u64 end = ALIGN_DOWN(memory->range.end.raw, PAGE_SIZE);

		if (memory->type != BOOT_MEMORY_USABLE)
			continue;
		while (at < end) {
			struct hpa_range hole = next_hole(info, at);

			append_usable(info, at, MIN(end, hole.start.raw));
			at = hole.end.raw;
		}
	}
}

void memory_find_trampoline(struct boot_info *info)
{
	info->trampoline.raw = 0;
	for (u64 page = TRAMPOLINE_START; page < TRAMPOLINE_END; page += PAGE_SIZE) {
		struct hpa_range range = {{page}, {page + PAGE_SIZE}};

		if (!range_is_usable_memory(info, range) ||
		    ranges_overlap(range, next_hole(info, page)))
			continue;
		info->trampoline.raw = page;
		return;
	}
	log_warn("memory: no usable page below 640 KiB for the CPUs' start: going on with one CPU");
}
