/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multiboot2.c: what the parser of multiboot 2 makes of good and of broken information
 * (BOOT-1, BOOT-2, BOOT-3).
 */
#include "sim/boot_world.h"

#define BASE 0x10000
#define SIZE 0x8000

struct mb2 {
	struct boot_world *world;
	u64 info;
	u64 tag[8]; /* line, loader, module, sizes, map, RSDP 1, end */
};

static u64 put_mb2_tag(struct boot_world *world, u32 type, u32 size)
{
	u64 at;

	put_align(world, 8);
	at = put32(world, type);
	put32(world, size);
	return at;
}

static void put_mb2_map_entry(struct boot_world *world, u64 start, u64 length, u32 type)
{
	put64(world, start);
	put64(world, length);
	put32(world, type);
	put32(world, 0);
}

static struct mb2 good_mb2(void)
{
	struct mb2 mb = {.world = world_new(BASE, SIZE)};
	struct boot_world *world = mb.world;

	mb.info = put64(world, 0);
	mb.tag[0] = put_mb2_tag(world, 1, 8 + 10);
	put_text(world, "log=debug");
	mb.tag[1] = put_mb2_tag(world, 2, 8 + 7);
	put_text(world, "tester");
	mb.tag[2] = put_mb2_tag(world, 3, 16 + 11);
	put32(world, 0x300000);
	put32(world, 0x300800);
	put_text(world, "name=hello");
	mb.tag[3] = put_mb2_tag(world, 4, 16);
	put32(world, 639);
	put32(world, 63 << 10);
	mb.tag[4] = put_mb2_tag(world, 6, 16 + 2 * 24);
	put32(world, 24);
	put32(world, 0);
	put_mb2_map_entry(world, 0, 0x9fc00, 1);
	put_mb2_map_entry(world, 0x100000, 63 * MIB, 1);
	mb.tag[5] = put_mb2_tag(world, 14, 8 + 20);
	put(world, "RSD PTR 012345678901", 20);
	mb.tag[6] = put_mb2_tag(world, 0, 8);
	poke32(world, mb.info, (u32)world->end);
	return mb;
}

static int parse_mb2(struct mb2 *mb)
{
	int error = multiboot2_parse(&mb->world->reader, (u32)mb->info, &mb->world->info,
				     &mb->world->map);

	assert_sound(&mb->world->info, &mb->world->map);
	finish_memory(mb->world);
	return error;
}

static void multiboot2_names_everything(void **state)
{
	struct mb2 mb = good_mb2();
	struct boot_info *info = &mb.world->info;

	assert_int_equal(parse_mb2(&mb), 0);
	assert_string_equal(info->loader, "tester");
	assert_string_equal(info->command_line, "log=debug");
	assert_int_equal(info->module_count, 1);
	assert_int_equal(info->modules[0].range.end.raw, 0x300800);
	assert_string_equal(info->modules[0].command_line, "name=hello");
	assert_int_equal(info->memory_count, 2);
	assert_int_equal(info->memory[1].range.end.raw, 64 * MIB);
	assert_int_equal(info->rsdp_length, 20);
	assert_string_equal(sim_console(), "");
	world_free(mb.world);
}

static void multiboot2_of_an_impossible_size_is_refused(void **state)
{
	static const u32 sizes[] = {0, 8, 15, (1 << 20) + 1, 0xffffffff};
	struct mb2 mb = good_mb2();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		poke32(mb.world, mb.info, sizes[i]);
		assert_int_equal(parse_mb2(&mb), ERR_FORMAT);
	}
	assert_said("that cannot be");
	world_free(mb.world);
}

static void multiboot2_off_its_alignment_is_refused(void **state)
{
	struct mb2 mb = good_mb2();

	mb.info += 4;
	assert_int_equal(parse_mb2(&mb), ERR_FORMAT);
	assert_said("is not aligned to 8 bytes");
	mb.info = 0xfffffffc;
	assert_int_equal(parse_mb2(&mb), ERR_RANGE);
	world_free(mb.world);
}

static void a_tag_that_lies_about_its_size_ends_the_list(void **state)
{
	static const u32 sizes[] = {0,	    7,		41,
				    0x1000, 0xfffffff8, 0xffffffff}; /* 40 bytes are left */

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct mb2 mb = good_mb2();

		poke32(mb.world, mb.tag[5] + 4, sizes[i]);
		assert_int_equal(parse_mb2(&mb), 0);
		assert_int_equal(mb.world->info.rsdp_length, 0);
		assert_said("list ends here");
		world_free(mb.world);
	}
}

/* Information of one tag, of `size` bytes in front of the end tag, with `content` in it. */
static struct mb2 mb2_of_one_tag(u32 type, u32 size, const void *content, size_t length)
{
	struct mb2 mb = {.world = world_new(BASE, SIZE)};

	mb.info = put64(mb.world, 0);
	mb.tag[0] = put_mb2_tag(mb.world, type, size);
	put(mb.world, content, length);
	mb.tag[1] = put_mb2_tag(mb.world, 0, 8);
	poke32(mb.world, mb.info, (u32)mb.world->end);
	return mb;
}

static void a_tag_too_short_for_its_type_is_left_out(void **state)
{
	static const struct {
		u32 type, needed;
		const char *said;
	} kinds[] = {
		{1, 9, "type 1 has 8 bytes, at least 9 needed"},
		{2, 9, "type 2 has 8 bytes, at least 9 needed"},
		{3, 17, "type 3 has 16 bytes, at least 17 needed"},
		{4, 16, "type 4 has 15 bytes, at least 16 needed"},
		{6, 16, "type 6 has 15 bytes, at least 16 needed"},
		{14, 28, "type 14 has 27 bytes, at least 28 needed"},
		{15, 44, "type 15 has 43 bytes, at least 44 needed"},
	};
	static const u8 content[64];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct mb2 mb = mb2_of_one_tag(kinds[i].type, kinds[i].needed - 1, content,
					       kinds[i].needed - 9);

		assert_int_equal(parse_mb2(&mb), ERR_NOT_FOUND);
		assert_said(kinds[i].said);
		assert_int_equal(mb.world->info.rsdp_length + mb.world->info.module_count, 0);
		world_free(mb.world);
		mb = mb2_of_one_tag(kinds[i].type, kinds[i].needed, content, kinds[i].needed - 8);
		(void)parse_mb2(&mb);
		assert_not_said("a tag of type");
		world_free(mb.world);
	}
}

static void the_longer_of_two_rsdps_counts(void **state)
{
	static const char old[] = "RSD PTR old old old old",
			  new[] = "RSD PTR new new new new new new new n";

	for (int order = 0; order < 2; order++) {
		struct mb2 mb = good_mb2();

		mb.world->end = (size_t)(mb.tag[5] - mb.world->base);
		for (int i = 0; i < 2; i++) {
			bool first = i == order;

			put_mb2_tag(mb.world, first ? 14 : 15, first ? 28 : 44);
			put(mb.world, first ? old : new, first ? 20 : 36);
		}
		put_mb2_tag(mb.world, 0, 8);
		poke32(mb.world, mb.info, (u32)mb.world->end);
		assert_int_equal(parse_mb2(&mb), 0);
		assert_int_equal(mb.world->info.rsdp_length, 36);
		assert_memory_equal(mb.world->info.rsdp, new, 36);
		world_free(mb.world);
	}
}

static void multiboot2_modules_stop_at_our_capacity(void **state)
{
	struct mb2 mb = good_mb2();

	mb.world->end = (size_t)(mb.tag[5] - mb.world->base);
	for (u32 i = 0; i < 128; i++) {
		put_mb2_tag(mb.world, 3, 16 + 2);
		put32(mb.world, 0x400000 + i * 0x1000);
		put32(mb.world, 0x401000 + i * 0x1000);
		put_text(mb.world, "m");
	}
	put_mb2_tag(mb.world, 0, 8);
	poke32(mb.world, mb.info, (u32)mb.world->end);
	assert_int_equal(parse_mb2(&mb), 0);
	assert_said("modules: more than 96");
	assert_int_equal(mb.world->info.module_count, BOOT_MODULES_MAX);
	world_free(mb.world);
}

static void a_list_without_an_end_is_said(void **state)
{
	for (u32 rest = 0; rest < 8; rest++) {
		struct mb2 mb = good_mb2();

		poke32(mb.world, mb.info, (u32)(mb.tag[6] - mb.info) + rest);
		assert_int_equal(parse_mb2(&mb), 0);
		assert_said("no end tag");
		assert_int_equal(mb.world->info.memory_count, 2);
		world_free(mb.world);
	}
}

static void a_last_tag_may_end_where_the_list_does(void **state)
{
	struct mb2 mb = good_mb2();

	poke32(mb.world, mb.info, (u32)(mb.tag[5] - mb.info) + 28);
	assert_int_equal(parse_mb2(&mb), 0);
	assert_int_equal(mb.world->info.rsdp_length, 20);
	assert_said("no end tag");
	world_free(mb.world);
}

static void map_entries_too_small_to_be_entries_are_refused(void **state)
{
	static const u32 sizes[] = {0, 8, 23};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct mb2 mb = good_mb2();

		poke32(mb.world, mb.tag[4] + 8, sizes[i]);
		assert_int_equal(parse_mb2(&mb), 0);
		assert_said("map ignored");
		assert_said("going by its two sizes");
		world_free(mb.world);
	}
}

static void a_map_that_ends_inside_an_entry_keeps_what_is_whole(void **state)
{
	struct mb2 mb = good_mb2();

	poke32(mb.world, mb.tag[4] + 8, 40);
	assert_int_equal(parse_mb2(&mb), 0);
	assert_int_equal(mb.world->map.count, 1);
	assert_said("ends inside an entry (8 bytes left)");
	world_free(mb.world);
}

static void a_text_that_fills_its_tag_without_an_end_is_said(void **state)
{
	struct mb2 mb = good_mb2();

	poke32(mb.world, mb.tag[0] + 4, 8 + 8); /* the next byte is a letter, but not the tag's */
	poke32(mb.world, mb.tag[0] + 16, 'g' | 0x7777 << 8);
	poke32(mb.world, mb.tag[0] + 20, 8);
	poke32(mb.world, mb.tag[2] + 4, 16 + 9);
	assert_int_equal(parse_mb2(&mb), 0);
	assert_string_equal(mb.world->info.command_line, "log=debu");
	assert_string_equal(mb.world->info.modules[0].command_line, "name=hell");
	assert_said("command line: the text does not end where its tag ends");
	assert_said("module's command line: the text does not end where its tag ends");
	world_free(mb.world);
}

static void the_first_of_two_command_lines_counts(void **state)
{
	struct mb2 mb = good_mb2();

	poke32(mb.world, mb.tag[1], 1);
	assert_int_equal(parse_mb2(&mb), 0);
	assert_string_equal(mb.world->info.command_line, "log=debug");
	assert_said("a second command line: ignored");
	world_free(mb.world);
}

static void multiboot2_without_any_memory_is_an_error(void **state)
{
	struct mb2 mb = good_mb2();

	poke32(mb.world, mb.tag[3], 0x7fffffff);
	poke32(mb.world, mb.tag[4], 0x7fffffff);
	assert_int_equal(parse_mb2(&mb), ERR_NOT_FOUND);
	assert_said("does not say what memory there is");
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
			struct mb2 mb = good_mb2();

			if (d == ARRAY_SIZE(damages))
				mb.world->size = at;
			else
				mb.world->bytes[at] = damages[d];
			(void)parse_mb2(&mb);
			world_free(mb.world);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(multiboot2_names_everything),
		cmocka_unit_test(multiboot2_of_an_impossible_size_is_refused),
		cmocka_unit_test(multiboot2_off_its_alignment_is_refused),
		cmocka_unit_test(a_tag_that_lies_about_its_size_ends_the_list),
		cmocka_unit_test(a_tag_too_short_for_its_type_is_left_out),
		cmocka_unit_test(the_longer_of_two_rsdps_counts),
		cmocka_unit_test(multiboot2_modules_stop_at_our_capacity),
		cmocka_unit_test(a_list_without_an_end_is_said),
		cmocka_unit_test(a_last_tag_may_end_where_the_list_does),
		cmocka_unit_test(map_entries_too_small_to_be_entries_are_refused),
		cmocka_unit_test(a_map_that_ends_inside_an_entry_keeps_what_is_whole),
		cmocka_unit_test(a_text_that_fills_its_tag_without_an_end_is_said),
		cmocka_unit_test(the_first_of_two_command_lines_counts),
		cmocka_unit_test(multiboot2_without_any_memory_is_an_error),
		cmocka_unit_test(truncation_and_single_byte_damage_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
