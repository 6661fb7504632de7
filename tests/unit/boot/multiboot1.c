/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multiboot1.c: what the parser of multiboot 1 makes of good and of broken information
 * (BOOT-1, BOOT-2, BOOT-3).
 */
#include "sim/boot_world.h"

#define BASE 0x10000
#define SIZE 0x8000

#define MB1_FLAGS (1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9)

/* A complete Multiboot 1 information, and where its parts are, to break them. */
struct mb1 {
	struct boot_world *world;
	u64 info, modules, map;
	u32 map_length;
};

static void put_mb1_map_entry(struct boot_world *world, u32 size, u64 start, u64 length, u32 type)
{
	put32(world, size);
	put64(world, start);
	put64(world, length);
	put32(world, type);
}

static void set_mb1(struct mb1 *mb, unsigned member, u32 value)
{
	poke32(mb->world, mb->info + 4 * member, value);
}

/* The members of the information, in 32-bit words (Multiboot 3.3). */
enum {
	FLAGS,
	LOWER,
	UPPER,
	DEVICE,
	LINE,
	MODULE_COUNT,
	MODULES,
	MAP_LENGTH = 11,
	MAP,
	LOADER = 16
};

static struct mb1 good_mb1(void)
{
	struct mb1 mb = {.world = world_new(BASE, SIZE)};
	struct boot_world *world = mb.world;
	u64 line, loader, module_line;

	mb.info = put(world, (u8[68]){0}, 68);
	line = put_text(world, "log=debug cpus=2");
	loader = put_text(world, "tester");
	module_line = put_text(world, "name=hello memory=16M");
	put_align(world, 4);
	mb.modules = put32(world, 0x300000);
	put32(world, 0x300800);
	put32(world, (u32)module_line);
	put32(world, 0);
	mb.map = put32(world, 20);
	world->end -= 4;
	put_mb1_map_entry(world, 20, 0, 0x9fc00, 1);
	put_mb1_map_entry(world, 24, 0x100000, 63 * MIB, 1);
	put32(world, 0); /* a longer entry: four bytes to skip */
	put_mb1_map_entry(world, 20, 0xfffc0000, 0x40000, 2);
	mb.map_length = 24 + 28 + 24;
	set_mb1(&mb, FLAGS, MB1_FLAGS);
	set_mb1(&mb, LOWER, 639);
	set_mb1(&mb, UPPER, 63 << 10);
	set_mb1(&mb, LINE, (u32)line);
	set_mb1(&mb, MODULE_COUNT, 1);
	set_mb1(&mb, MODULES, (u32)mb.modules);
	set_mb1(&mb, MAP_LENGTH, mb.map_length);
	set_mb1(&mb, MAP, (u32)mb.map);
	set_mb1(&mb, LOADER, (u32)loader);
	return mb;
}

static int parse_mb1(struct mb1 *mb)
{
	int error = multiboot1_parse(&mb->world->reader, (u32)mb->info, &mb->world->info,
				     &mb->world->map);

	assert_sound(&mb->world->info, &mb->world->map);
	finish_memory(mb->world);
	return error;
}

static void multiboot1_names_everything(void **state)
{
	struct mb1 mb = good_mb1();
	struct boot_info *info = &mb.world->info;

	assert_int_equal(parse_mb1(&mb), 0);
	assert_string_equal(info->loader, "tester");
	assert_string_equal(info->command_line, "log=debug cpus=2");
	assert_int_equal(info->module_count, 1);
	assert_int_equal(info->modules[0].range.start.raw, 0x300000);
	assert_int_equal(info->modules[0].range.end.raw, 0x300800);
	assert_string_equal(info->modules[0].command_line, "name=hello memory=16M");
	assert_int_equal(mb.world->map.count, 3);
	assert_int_equal(info->memory[1].range.end.raw, 64 * MIB);
	assert_int_equal(info->memory[2].type, BOOT_MEMORY_RESERVED);
	assert_string_equal(sim_console(), "");
	world_free(mb.world);
}

static void multiboot1_that_cannot_be_read_is_refused(void **state)
{
	static const u32 places[] = {0, BASE - 1, BASE + SIZE - 67, 0xffffffff};
	struct mb1 mb = good_mb1();

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		mb.info = places[i];
		assert_int_equal(parse_mb1(&mb), ERR_RANGE);
	}
	assert_said("cannot be read");
	world_free(mb.world);
}

static void multiboot1_without_a_map_goes_by_the_sizes(void **state)
{
	struct mb1 mb = good_mb1();

	set_mb1(&mb, FLAGS, MB1_FLAGS & ~(1 << 6));
	assert_int_equal(parse_mb1(&mb), 0);
	assert_said("going by its two sizes, 639 and 64512 KiB");
	assert_int_equal(mb.world->info.memory[1].range.end.raw, 64 * MIB);
	world_free(mb.world);
}

static void multiboot1_without_any_memory_is_an_error(void **state)
{
	struct mb1 mb = good_mb1();

	set_mb1(&mb, FLAGS, 1 << 2);
	assert_int_equal(parse_mb1(&mb), ERR_NOT_FOUND);
	assert_said("does not say what memory there is (flags 0x4)");
	world_free(mb.world);
}

static void multiboot1_map_that_lies_about_a_size_ends_there(void **state)
{
	static const u32 sizes[] = {0, 19, 53, 0xfffffffc, 0xffffffff};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct mb1 mb = good_mb1();

		poke32(mb.world, mb.map + 24, sizes[i]);
		assert_int_equal(parse_mb1(&mb), 0);
		assert_int_equal(mb.world->map.count, 1);
		assert_said("map ends here");
		world_free(mb.world);
	}
}

static void multiboot1_map_that_ends_early_keeps_what_is_whole(void **state)
{
	struct mb1 mb = good_mb1();

	set_mb1(&mb, MAP_LENGTH, mb.map_length - 1);
	assert_int_equal(parse_mb1(&mb), 0);
	assert_int_equal(mb.world->map.count, 2);
	assert_said("ends inside an entry (23 bytes left)");
	world_free(mb.world);
}

static void multiboot1_map_in_no_memory_falls_back_to_sizes(void **state)
{
	struct mb1 mb = good_mb1();

	set_mb1(&mb, MAP, 0xfffffff0);
	assert_int_equal(parse_mb1(&mb), 0);
	assert_said("entry at 0xfffffff0 cannot be read");
	assert_said("going by its two sizes");
	world_free(mb.world);
}

static void memory_that_wraps_is_left_out(void **state)
{
	struct mb1 mb = good_mb1();

	poke32(mb.world, mb.map + 8, 0xffffffff); /* start 0xffffffff00000000 */
	poke32(mb.world, mb.map + 16, 2);	  /* length 0x20009fc00 */
	assert_int_equal(parse_mb1(&mb), 0);
	assert_int_equal(mb.world->map.count, 2);
	assert_said("wraps: ignored");
	world_free(mb.world);
}

static void memory_beyond_reach_is_left_out(void **state)
{
	struct boot_world *world = world_new(0, 1);

	boot_map_add(&world->map, PAGE_SIZE, 0, BOOT_MEMORY_USABLE);
	assert_int_equal(world->map.count, 0);
	boot_map_add(&world->map, (1ull << 46) - PAGE_SIZE, PAGE_SIZE, BOOT_MEMORY_USABLE);
	assert_string_equal(sim_console(), "");
	boot_map_add(&world->map, 1ull << 46, PAGE_SIZE, BOOT_MEMORY_RESERVED);
	assert_string_equal(sim_console(), "");
	boot_map_add(&world->map, (1ull << 46) - 1, 2, BOOT_MEMORY_USABLE);
	assert_said("what lies beyond 0x400000000000 cannot be reached: ignored");
	assert_int_equal(world->map.count, 2);
	assert_int_equal(world->map.entry[1].range.end.raw, 1ull << 46);
	world_free(world);
}

static void an_endless_map_stops_at_our_capacity(void **state)
{
	struct mb1 mb = good_mb1();

	mb.map = mb.world->base + mb.world->end;
	for (int i = 0; i < 1000; i++)
		put_mb1_map_entry(mb.world, 20, (u64)i * MIB, MIB, 1);
	set_mb1(&mb, MAP, (u32)mb.map);
	set_mb1(&mb, MAP_LENGTH, 0xffffffff);
	assert_int_equal(parse_mb1(&mb), 0);
	assert_int_equal(mb.world->map.count, BOOT_MAP_MAX);
	assert_said("more than 128 entries");
	world_free(mb.world);
}

static void multiboot1_with_four_billion_modules_takes_what_is_there(void **state)
{
	struct mb1 mb = good_mb1();

	set_mb1(&mb, MODULE_COUNT, 0xffffffff);
	set_mb1(&mb, MODULES, BASE + SIZE - 33);
	assert_int_equal(parse_mb1(&mb), 0);
	assert_said("module 2 of 4294967295: its entry cannot be read");
	world_free(mb.world);
}

static void multiboot1_modules_stop_at_our_capacity(void **state)
{
	struct mb1 mb = good_mb1();
	u64 line = put_text(mb.world, "name=x");
	u64 modules;

	put_align(mb.world, 4);
	modules = mb.world->base + mb.world->end;
	for (u32 i = 0; i < 128; i++) {
		put32(mb.world, 0x300000 + i * 0x1000);
		put32(mb.world, 0x301000 + i * 0x1000);
		put32(mb.world, i % 2 ? (u32)line : 0);
		put32(mb.world, 0);
	}
	set_mb1(&mb, MODULES, (u32)modules);
	set_mb1(&mb, MODULE_COUNT, 128);
	assert_int_equal(parse_mb1(&mb), 0);
	assert_said("modules: more than 96");
	assert_int_equal(mb.world->info.module_count, BOOT_MODULES_MAX);
	assert_string_equal(mb.world->info.modules[0].command_line, "");
	assert_string_equal(mb.world->info.modules[95].command_line, "name=x");
	world_free(mb.world);
}

static void multiboot1_members_without_their_flag_are_not_read(void **state)
{
	struct mb1 mb = good_mb1();
	struct boot_info *info = &mb.world->info;

	set_mb1(&mb, FLAGS, 1 << 6);
	assert_int_equal(parse_mb1(&mb), 0);
	assert_string_equal(info->loader, "");
	assert_string_equal(info->command_line, "");
	assert_int_equal(info->module_count, 0);
	assert_string_equal(sim_console(), "");
	world_free(mb.world);
}

static void a_text_that_never_ends_is_cut(void **state)
{
	struct mb1 mb = good_mb1();
	u64 end = mb.world->base + mb.world->size;

	memset(mb.world->bytes + mb.world->size - 2048, 'x', 2048);
	set_mb1(&mb, LINE, (u32)(end - 2048));
	set_mb1(&mb, LOADER, (u32)(end - 16));
	assert_int_equal(parse_mb1(&mb), 0);
	assert_int_equal(strlen(mb.world->info.command_line), BOOT_COMMAND_LINE_MAX - 1);
	assert_string_equal(mb.world->info.loader, "xxxxxxxxxxxxxxxx");
	assert_said("command line: longer than 1023 characters: cut");
	assert_said("cannot be read to its end: cut");
	world_free(mb.world);
}

static void a_text_with_control_characters_reads_as_question_marks(void **state)
{
	struct mb1 mb = good_mb1();

	set_mb1(&mb, LINE, (u32)put_text(mb.world, "a\x1b[2Jb\xff ~\x7f\x1f"));
	assert_int_equal(parse_mb1(&mb), 0);
	assert_string_equal(mb.world->info.command_line, "a?[2Jb? ~??");
	assert_said("not printable");
	world_free(mb.world);
}

static void every_printable_character_passes(void **state)
{
	char text[96];
	struct mb1 mb = good_mb1();

	for (int i = 0; i < 95; i++)
		text[i] = (char)(' ' + i);
	text[95] = '\0';
	set_mb1(&mb, LINE, (u32)put_text(mb.world, text));
	assert_int_equal(parse_mb1(&mb), 0);
	assert_string_equal(mb.world->info.command_line, text);
	assert_string_equal(sim_console(), "");
	world_free(mb.world);
}

/*
 * Memory that ends anywhere, and every single byte set to 0x00, 0x7f, 0x80, 0xff: nothing unsound
 * ever comes out.
 */
static void truncation_and_single_byte_damage_are_harmless(void **state)
{
	static const u8 damages[] = {0x00, 0x7f, 0x80, 0xff};

	for (size_t at = 0; at < 400; at++) {
		for (size_t d = 0; d <= ARRAY_SIZE(damages); d++) {
			struct mb1 mb = good_mb1();

			if (d == ARRAY_SIZE(damages))
				mb.world->size = at;
			else
				mb.world->bytes[at] = damages[d];
			(void)parse_mb1(&mb);
			world_free(mb.world);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(multiboot1_names_everything),
		cmocka_unit_test(multiboot1_that_cannot_be_read_is_refused),
		cmocka_unit_test(multiboot1_without_a_map_goes_by_the_sizes),
		cmocka_unit_test(multiboot1_without_any_memory_is_an_error),
		cmocka_unit_test(multiboot1_map_that_lies_about_a_size_ends_there),
		cmocka_unit_test(multiboot1_map_that_ends_early_keeps_what_is_whole),
		cmocka_unit_test(multiboot1_map_in_no_memory_falls_back_to_sizes),
		cmocka_unit_test(memory_that_wraps_is_left_out),
		cmocka_unit_test(memory_beyond_reach_is_left_out),
		cmocka_unit_test(an_endless_map_stops_at_our_capacity),
		cmocka_unit_test(multiboot1_with_four_billion_modules_takes_what_is_there),
		cmocka_unit_test(multiboot1_modules_stop_at_our_capacity),
		cmocka_unit_test(multiboot1_members_without_their_flag_are_not_read),
		cmocka_unit_test(a_text_that_never_ends_is_cut),
		cmocka_unit_test(a_text_with_control_characters_reads_as_question_marks),
		cmocka_unit_test(every_printable_character_passes),
		cmocka_unit_test(truncation_and_single_byte_damage_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
