/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: the memory map put in order, modules checked, usable frames and the trampoline's page
 * found (BOOT-4).
 */
#include "sim/boot_world.h"

#define USABLE	 BOOT_MEMORY_USABLE
#define RESERVED BOOT_MEMORY_RESERVED

static struct boot_world *world_with_ram(u64 start, u64 end)
{
	struct boot_world *world = world_new(0, 1);

	boot_map_add(&world->map, start, end - start, USABLE);
	return world;
}

static void assert_memory(const struct boot_world *world, unsigned i, u64 start, u64 end,
			  unsigned type)
{
	const struct boot_memory *memory = &world->info.memory[i];

	assert_true(i < world->info.memory_count);
	assert_int_equal(memory->range.start.raw, start);
	assert_int_equal(memory->range.end.raw, end);
	assert_int_equal(memory->type, type);
}

static void assert_usable(const struct boot_world *world, unsigned i, u64 start, u64 end)
{
	assert_true(i < world->info.usable_count);
	assert_int_equal(world->info.usable[i].start.raw, start);
	assert_int_equal(world->info.usable[i].end.raw, end);
}

static void an_unsorted_map_is_sorted_and_neighbours_of_a_kind_are_joined(void **state)
{
	struct boot_world *world = world_new(0, 1);

	boot_map_add(&world->map, 8 * MIB, 8 * MIB, USABLE);
	boot_map_add(&world->map, 0, 0xa0000, USABLE);
	boot_map_add(&world->map, MIB, 7 * MIB, USABLE);
	boot_map_add(&world->map, 16 * MIB, MIB, RESERVED);
	finish_memory(world);
	assert_int_equal(world->info.memory_count, 3);
	assert_memory(world, 0, 0, 0xa0000, USABLE);
	assert_memory(world, 1, MIB, 16 * MIB, USABLE);
	assert_memory(world, 2, 16 * MIB, 17 * MIB, RESERVED);
	world_free(world);
}

static void where_entries_overlap_the_strictest_wins(void **state)
{
	struct boot_world *world = world_with_ram(MIB, 64 * MIB);

	boot_map_add(&world->map, 8 * MIB, 4 * MIB, RESERVED);
	boot_map_add(&world->map, 10 * MIB, 4 * MIB, BOOT_MEMORY_NVS);
	boot_map_add(&world->map, 32 * MIB, MIB, BOOT_MEMORY_BAD);
	boot_map_add(&world->map, 32 * MIB, MIB, RESERVED);
	boot_map_add(&world->map, 40 * MIB, MIB, 77); /* an unknown type is reserved */
	finish_memory(world);
	assert_memory(world, 0, MIB, 8 * MIB, USABLE);
	assert_memory(world, 1, 8 * MIB, 12 * MIB, RESERVED);
	assert_memory(world, 2, 12 * MIB, 14 * MIB, BOOT_MEMORY_NVS);
	assert_memory(world, 3, 14 * MIB, 32 * MIB, USABLE);
	assert_memory(world, 4, 32 * MIB, 33 * MIB, BOOT_MEMORY_BAD);
	assert_memory(world, 6, 40 * MIB, 41 * MIB, RESERVED);
	world_free(world);
}

static void parts_of_pages_and_the_first_mib_are_left_out(void **state)
{
	struct boot_world *world = world_with_ram(0x500, 0x9fc00);

	boot_map_add(&world->map, 4 * MIB + 1, 4 * MIB - 2, USABLE);
	boot_map_add(&world->map, 16 * MIB + 1, PAGE_SIZE, USABLE); /* not one whole page */
	finish_memory(world);
	assert_int_equal(world->info.usable_count, 1);
	assert_usable(world, 0, 4 * MIB + PAGE_SIZE, 8 * MIB - PAGE_SIZE);
	world_free(world);
}

static void image_and_modules_are_holes_with_whole_pages(void **state)
{
	struct boot_world *world = world_with_ram(MIB, 64 * MIB);

	boot_module_add(&world->info, 8 * MIB + 8, 9 * MIB + 8);
	boot_module_add(&world->info, 9 * MIB + 8,
			9 * MIB + 16); /* the same page as the one before */
	finish_memory(world);
	assert_int_equal(world->info.module_count, 2);
	assert_int_equal(world->info.usable_count, 2);
	assert_usable(world, 0, 2 * MIB, 8 * MIB);
	assert_usable(world, 1, 9 * MIB + PAGE_SIZE, 64 * MIB);
	world_free(world);
}

static void bad_modules_are_named_and_left_out(void **state)
{
	struct boot_world *world = world_with_ram(MIB, 64 * MIB);
	struct boot_info *info = &world->info;

	boot_module_add(info, 0x1ff000, 0x201000);
	boot_module_add(info, 4 * MIB, 4 * MIB);
	boot_module_add(info, 4 * MIB, 3 * MIB);
	boot_module_add(info, 5 * MIB, 6 * MIB);
	boot_module_add(info, 6 * MIB - 1, 7 * MIB);
	boot_module_add(info, 63 * MIB, 65 * MIB);
	boot_module_add(info, 0xfee00000, 0xfee01000);
	boot_module_add(info, 7 * MIB, 8 * MIB);
	finish_memory(world);
	assert_int_equal(info->module_count, 2);
	assert_int_equal(info->modules[1].range.start.raw, 7 * MIB);
	assert_said("module 0, 0x1ff000-0x201000 '': lies on the hypervisor's image: left out");
	assert_said("module 1, 0x400000-0x400000 '': is empty");
	assert_said("module 2, 0x400000-0x300000 '': ends before it starts");
	assert_said("module 4, 0x5fffff-0x700000 '': lies on another module");
	assert_said("module 5, 0x3f00000-0x4100000 '': lies outside usable memory");
	assert_said("module 6");
	world_free(world);
}

static void modules_may_touch_each_other_the_image_and_the_end(void **state)
{
	struct boot_world *world = world_with_ram(MIB / 2, 4 * MIB);
	struct boot_info *info = &world->info;

	boot_module_add(info, 3 * MIB, 4 * MIB);
	boot_module_add(info, 2 * MIB, 3 * MIB);
	boot_module_add(info, MIB / 2, MIB);
	finish_memory(world);
	assert_int_equal(info->module_count, 3);
	assert_int_equal(info->usable_count, 0);
	world_free(world);
}

static void the_trampoline_avoids_page_0_and_modules(void **state)
{
	struct boot_world *world = world_with_ram(0, 64 * MIB);

	boot_module_add(&world->info, 0x1000, 0x2001);
	finish_memory(world);
	assert_int_equal(world->info.trampoline.raw, 0x3000);
	world_free(world);
}

static void without_low_memory_there_is_no_trampoline(void **state)
{
	struct boot_world *world = world_with_ram(MIB, 64 * MIB);

	boot_map_add(&world->map, 0, PAGE_SIZE, USABLE);
	boot_map_add(&world->map, 0x9f800, 0x800 + PAGE_SIZE, USABLE); /* 0xa0000 is too high */
	finish_memory(world);
	assert_int_equal(world->info.trampoline.raw, 0);
	assert_said("no usable page below 640 KiB");
	world_free(world);
}

static void a_map_of_our_full_capacity_fits(void **state)
{
	struct boot_world *world = world_with_ram(0, 4 * GIB);

	for (u64 i = 1; i < BOOT_MAP_MAX; i++)
		boot_map_add(&world->map, i * 16 * MIB, 2 * MIB, RESERVED);
	for (u32 i = 0; i < BOOT_MODULES_MAX; i++)
		boot_module_add(&world->info, (i + 1) * 16 * MIB + 4 * MIB,
				(i + 1) * 16 * MIB + 5 * MIB);
	finish_memory(world);
	assert_int_equal(world->info.memory_count, 2 * BOOT_MAP_MAX - 1);
	assert_int_equal(world->info.module_count, BOOT_MODULES_MAX);
	assert_int_equal(world->info.usable_count, BOOT_MAP_MAX + BOOT_MODULES_MAX);
	assert_not_said("left out");
	world_free(world);
}

/* The flat model: for each page of 16 MiB, the strictest type that covers its first byte. */
#define MODEL_PAGES 4096

static void compare_with_model(const struct boot_world *world)
{
	static const u8 strictness[] = {0, 1, 4, 2, 3, 5};
	unsigned at = 0, usable = 0;

	for (u64 page = 0; page < MODEL_PAGES; page++) {
		u64 start = page * PAGE_SIZE;
		unsigned expected = 0, got = 0;

		for (unsigned i = 0; i < world->map.count; i++) {
			const struct boot_memory *entry = &world->map.entry[i];

			if (entry->range.start.raw <= start && start < entry->range.end.raw &&
			    strictness[entry->type] > strictness[expected])
				expected = entry->type;
		}
		while (at < world->info.memory_count &&
		       world->info.memory[at].range.end.raw <= start)
			at++;
		if (at < world->info.memory_count &&
		    world->info.memory[at].range.start.raw <= start)
			got = world->info.memory[at].type;
		assert_int_equal(got, expected);
		while (usable < world->info.usable_count &&
		       world->info.usable[usable].end.raw <= start)
			usable++;
		if (usable < world->info.usable_count &&
		    world->info.usable[usable].start.raw <= start)
			assert_int_equal(expected, USABLE);
		else
			assert_true(expected != USABLE || start < 2 * MIB ||
				    world->info.module_count);
	}
}

static void random_maps_agree_with_a_flat_model(void **state)
{
	struct sim_random random = sim_random_start(20120312);

	for (int round = 0; round < 300; round++) {
		struct boot_world *world = world_new(0, 1);

		for (u64 i = sim_below(&random, 40); i; i--)
			boot_map_add(&world->map, sim_below(&random, MODEL_PAGES) * PAGE_SIZE,
				     sim_size(&random, MODEL_PAGES / 2) * PAGE_SIZE,
				     1 + (u32)sim_below(&random, 6));
		for (u64 i = sim_below(&random, 4); i; i--) {
			u32 start = (u32)sim_below(&random, 16 * MIB);

			boot_module_add(&world->info, start, start + (u32)sim_size(&random, 65536));
		}
		finish_memory(world);
		compare_with_model(world);
		world_free(world);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unsorted_map_is_sorted_and_neighbours_of_a_kind_are_joined),
		cmocka_unit_test(where_entries_overlap_the_strictest_wins),
		cmocka_unit_test(parts_of_pages_and_the_first_mib_are_left_out),
		cmocka_unit_test(image_and_modules_are_holes_with_whole_pages),
		cmocka_unit_test(bad_modules_are_named_and_left_out),
		cmocka_unit_test(modules_may_touch_each_other_the_image_and_the_end),
		cmocka_unit_test(the_trampoline_avoids_page_0_and_modules),
		cmocka_unit_test(without_low_memory_there_is_no_trampoline),
		cmocka_unit_test(a_map_of_our_full_capacity_fits),
		cmocka_unit_test(random_maps_agree_with_a_flat_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
