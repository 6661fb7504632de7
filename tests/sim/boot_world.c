/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_world.c: a piece of machine memory for boot's parsers, and what must hold of their outputs.
 */
#include "sim/boot_world.h"

static bool read_world(void *context, u64 address, void *to, size_t length)
{
	const struct boot_world *world = context;

	if (address < world->base || length > world->size ||
	    address - world->base > world->size - length)
		return false;
	memcpy(to, world->bytes + (address - world->base), length);
	return true;
}

struct boot_world *world_new(u64 base, size_t size)
{
	struct boot_world *world = calloc(1, sizeof(*world));

	sim_init(1);
	assert_non_null(world);
	world->base = base;
	world->size = size;
	world->bytes = calloc(1, size);
	assert_non_null(world->bytes);
	world->reader = (struct boot_reader){read_world, world};
	world->map.limit = 1ull << 46;
	world->info.image = (struct hpa_range){{0x100000}, {0x200000}};
	return world;
}

void world_free(struct boot_world *world)
{
	free(world->bytes);
	free(world);
}

u64 put(struct boot_world *world, const void *bytes, size_t length)
{
	u64 address = world->base + world->end;

	assert_true(length <= world->size - world->end);
	memcpy(world->bytes + world->end, bytes, length);
	world->end += length;
	return address;
}

u64 put_text(struct boot_world *world, const char *text)
{
	return put(world, text, strlen(text) + 1);
}

u64 put8(struct boot_world *world, u8 value)
{
	return put(world, &value, sizeof(value));
}

u64 put16(struct boot_world *world, u16 value)
{
	return put(world, &value, sizeof(value));
}

u64 put32(struct boot_world *world, u32 value)
{
	return put(world, &value, sizeof(value));
}

u64 put64(struct boot_world *world, u64 value)
{
	return put(world, &value, sizeof(value));
}

void put_align(struct boot_world *world, size_t alignment)
{
	while (world->end % alignment)
		put8(world, 0);
}

void poke32(struct boot_world *world, u64 address, u32 value)
{
	memcpy(world->bytes + (address - world->base), &value, sizeof(value));
}

void put_checksum(struct boot_world *world, u64 start, size_t length, u64 sum)
{
	u8 total = 0;

	world->bytes[sum - world->base] = 0;
	for (size_t i = 0; i < length; i++)
		total = (u8)(total + world->bytes[start - world->base + i]);
	world->bytes[sum - world->base] = (u8)-total;
}

void assert_said(const char *text)
{
	if (!strstr(sim_console(), text))
		fail_msg("no line has \"%s\", but:\n%s", text, sim_console());
}

void assert_not_said(const char *text)
{
	if (strstr(sim_console(), text))
		fail_msg("a line has \"%s\":\n%s", text, sim_console());
}

static bool overlap(struct hpa_range a, struct hpa_range b)
{
	return a.start.raw < b.end.raw && b.start.raw < a.end.raw;
}

static void assert_sound_memory(const struct boot_info *info)
{
	assert_true(info->memory_count <= BOOT_MEMORY_MAX);
	for (unsigned i = 0; i < info->memory_count; i++) {
		const struct boot_memory *memory = &info->memory[i];

		assert_true(memory->range.start.raw < memory->range.end.raw);
		assert_true(memory->type >= BOOT_MEMORY_USABLE && memory->type <= BOOT_MEMORY_BAD);
		assert_true(!i || info->memory[i - 1].range.end.raw <= memory->range.start.raw);
	}
}

static bool inside_usable_memory(const struct boot_info *info, struct hpa_range range)
{
	for (unsigned i = 0; i < info->memory_count; i++) {
		if (info->memory[i].type == BOOT_MEMORY_USABLE &&
		    info->memory[i].range.start.raw <= range.start.raw &&
		    range.end.raw <= info->memory[i].range.end.raw)
			return true;
	}
	return false;
}

/* BOOT-4. */
static void assert_sound_usable(const struct boot_info *info)
{
	assert_true(info->usable_count <= BOOT_USABLE_MAX);
	for (unsigned i = 0; i < info->usable_count; i++) {
		struct hpa_range range = info->usable[i];

		assert_true(range.start.raw < range.end.raw && range.start.raw >= MIB);
		assert_true(IS_ALIGNED(range.start.raw | range.end.raw, PAGE_SIZE));
		assert_true(!i || info->usable[i - 1].end.raw <= range.start.raw);
		assert_true(inside_usable_memory(info, range));
		assert_false(overlap(range, info->image));
		for (unsigned m = 0; m < info->module_count; m++)
			assert_false(overlap(range, info->modules[m].range));
	}
}

void assert_sound(const struct boot_info *info, const struct boot_map *map)
{
	assert_non_null(memchr(info->loader, 0, sizeof(info->loader)));
	assert_non_null(memchr(info->command_line, 0, sizeof(info->command_line)));
	assert_true(info->module_count <= BOOT_MODULES_MAX);
	for (unsigned i = 0; i < info->module_count; i++)
		assert_non_null(memchr(info->modules[i].command_line, 0, BOOT_MODULE_LINE_MAX));
	assert_true(info->rsdp_length <= sizeof(info->rsdp));
	assert_true(info->cpu_count <= BOOT_CPUS_MAX);
	assert_true(info->ioapic_count <= BOOT_IOAPICS_MAX);
	assert_true(info->override_count <= BOOT_IRQ_OVERRIDES_MAX);
	assert_true(map->count <= BOOT_MAP_MAX);
	for (unsigned i = 0; i < map->count; i++)
		assert_true(map->entry[i].range.start.raw < map->entry[i].range.end.raw);
	assert_sound_memory(info);
	assert_sound_usable(info);
}

void finish_memory(struct boot_world *world)
{
	struct boot_info *info = &world->info;

	memory_sanitize(&world->map, info);
	memory_check_modules(info);
	memory_find_usable(info);
	memory_find_trampoline(info);
	assert_sound(info, &world->map);
	for (unsigned i = 0; i < info->module_count; i++) {
		assert_true(inside_usable_memory(info, info->modules[i].range));
		for (unsigned m = 0; m < i; m++)
			assert_false(overlap(info->modules[i].range, info->modules[m].range));
	}
	if (info->trampoline.raw) {
		assert_true(info->trampoline.raw < 0xa0000 &&
			    IS_ALIGNED(info->trampoline.raw, PAGE_SIZE));
		assert_true(inside_usable_memory(
			info,
			(struct hpa_range){info->trampoline, {info->trampoline.raw + PAGE_SIZE}}));
	}
}
