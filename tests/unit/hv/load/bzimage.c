/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.c: Linux kernels that are taken, and files that are not (LINUX-1, LINUX-2).
 *
 * A good file is built in memory; each test breaks one thing of it. The file is exactly as long as
 * it says, on the heap, so that ASan sees a read past its end.
 */
#include <hv/acpi.h>
#include <hv/bzimage.h>
#include "sim/sim.h"

#define MEMORY	   (64 * MIB)
#define SETUP_SIZE 0x800u /* a boot sector and three setup sectors */
#define CODE_SIZE  0x3000u
#define FILE_SIZE  (SETUP_SIZE + CODE_SIZE)
#define LOAD_AT	   0x1000000ull
#define INIT_SIZE  0x800000u

enum field {
	SETUP_SECTS = 0x1f1,
	SYSSIZE = 0x1f4,
	BOOT_FLAG = 0x1fe,
	JUMP_LENGTH = 0x201,
	MAGIC = 0x202,
	VERSION = 0x206,
	INITRD_MAX = 0x22c,
	XLOADFLAGS = 0x236,
	PREF_ADDRESS = 0x258,
	INIT_SIZE_AT = 0x260,
	HEADER_END = 0x268
};

static u8 *file;
static struct load_plan plan;
static const char *why;

static void put(unsigned offset, u64 value, unsigned size)
{
	memcpy(file + offset, &value, size);
}

static u64 get(const u8 *from, unsigned offset, unsigned size)
{
	u64 value = 0;

	memcpy(&value, from + offset, size);
	return value;
}

static int start(void **state)
{
	file = calloc(1, FILE_SIZE);
	put(SETUP_SECTS, SETUP_SIZE / 512 - 1, 1);
	put(SYSSIZE, CODE_SIZE / 16, 4);
	put(BOOT_FLAG, 0xaa55, 2);
	put(JUMP_LENGTH, HEADER_END - MAGIC, 1);
	put(MAGIC, 0x53726448, 4);
	put(VERSION, 0x20f, 2);
	put(INITRD_MAX, 0x7fffffff, 4);
	put(XLOADFLAGS, 1, 2);
	put(PREF_ADDRESS, LOAD_AT, 8);
	put(INIT_SIZE_AT, INIT_SIZE, 4);
	why = NULL;
	return 0;
}

static int stop(void **state)
{
	free(file);
	return 0;
}

static int make_plan(size_t size, u64 memory)
{
	u8 *exact = malloc(size ? size : 1);
	int err;

	memcpy(exact, file, size);
	err = load_plan_linux(exact, size, memory, &plan, &why);
	free(exact);
	return err;
}

static void refuses(const char *sentence)
{
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), ERR_FORMAT);
	assert_non_null(strstr(why, sentence));
}

static void a_kernel_goes_where_it_prefers_to_be(void **state)
{
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_int_equal(plan.segments, 1);
	assert_int_equal(plan.segment[0].offset, SETUP_SIZE);
	assert_int_equal(plan.segment[0].file_size, CODE_SIZE);
	assert_int_equal(plan.segment[0].gpa, LOAD_AT);
	assert_int_equal(plan.segment[0].size, INIT_SIZE);
	assert_int_equal(plan.entry, LOAD_AT + 0x200);
	assert_int_equal(plan.end, LOAD_AT + INIT_SIZE);
}

static void no_setup_sectors_means_four(void **state)
{
	put(SETUP_SECTS, 0, 1);
	put(SYSSIZE, (FILE_SIZE - 5 * 512) / 16, 4);
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_int_equal(plan.segment[0].offset, 5 * 512);
}

/* LINUX-1: ASan watches. The header says nothing of its code's size here. */
static void a_file_that_ends_anywhere_is_refused_or_inside(void **state)
{
	put(SYSSIZE, 0, 4);
	for (size_t size = 0; size < FILE_SIZE; size += size < 0x300 ? 1 : 37) {
		int err = make_plan(size, MEMORY);

		assert_int_equal(err == 0, size > SETUP_SIZE + 0x200);
		if (err == 0)
			assert_int_equal(plan.segment[0].offset + plan.segment[0].file_size, size);
		else
			assert_non_null(why);
	}
}

/*
 * LINUX-2. A last paragraph that is not whole is memtest86+'s; what follows the code is a
 * signature.
 */
static void a_file_cut_short_is_refused(void **state)
{
	assert_int_equal(make_plan(FILE_SIZE - 15, MEMORY), 0);
	assert_int_equal(make_plan(FILE_SIZE - 16, MEMORY), ERR_FORMAT);
	assert_non_null(strstr(why, "ends before"));
	assert_int_equal(make_plan(SETUP_SIZE + CODE_SIZE / 2, MEMORY), ERR_FORMAT);
	put(SYSSIZE, 0xffffffff, 4);
	refuses("ends before");
	put(SYSSIZE, CODE_SIZE / 16 - 100, 4);
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_int_equal(plan.segment[0].file_size, CODE_SIZE);
}

static void what_is_no_kernel_is_refused(void **state)
{
	put(MAGIC, 0x12345678, 4);
	refuses("no Linux bzImage");
	put(MAGIC, 0x53726448, 4);
	put(BOOT_FLAG, 0, 2);
	refuses("no Linux bzImage");
}

static void an_old_kernel_is_refused(void **state)
{
	put(VERSION, 0x20b, 2);
	refuses("older than 2.12");
}

/* Its entry is where the code begins. */
static void a_32_bit_kernel_is_entered_in_32_bits(void **state)
{
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_false(plan.entry_32);
	put(XLOADFLAGS, 2, 2);
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_true(plan.entry_32);
	assert_int_equal(plan.entry, plan.segment[0].gpa);
}

static void code_outside_the_file_is_refused(void **state)
{
	put(SETUP_SECTS, 0xff, 1);
	refuses("outside the file");
}

static void an_init_size_below_the_code_is_refused(void **state)
{
	put(INIT_SIZE_AT, CODE_SIZE - 1, 4);
	refuses("init_size is smaller");
}

/* LINUX-2: below 1 MiB, off a page, past the memory by a byte, wrapping. */
static void a_place_outside_memory_is_refused(void **state)
{
	put(PREF_ADDRESS, 0x9000, 8);
	refuses("below 1 MiB");
	put(PREF_ADDRESS, LOAD_AT + 1, 8);
	refuses("off a page");
	put(PREF_ADDRESS, MEMORY - INIT_SIZE + PAGE_SIZE, 8);
	refuses("do not fit");
	put(PREF_ADDRESS, -(u64)PAGE_SIZE, 8);
	refuses("do not fit");
	put(PREF_ADDRESS, MEMORY - INIT_SIZE, 8);
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
}

/* The entry's page tables reach to 4 GiB. */
static void a_place_above_4_gib_is_refused(void **state)
{
	put(PREF_ADDRESS, 4 * GIB, 8);
	assert_int_equal(make_plan(FILE_SIZE, 8 * GIB), ERR_FORMAT);
	assert_non_null(strstr(why, "4 GiB"));
}

static void the_initrd_lies_at_the_top_of_memory(void **state)
{
	u64 gpa;

	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_int_equal(linux_place_initrd(file, &plan, MEMORY, 5000, &gpa), 0);
	assert_int_equal(gpa, MEMORY - 2 * PAGE_SIZE);
}

/* The first 4 GiB end at 3 GiB, where the devices begin. */
static void the_initrd_of_a_large_vm_lies_below_the_devices(void **state)
{
	u64 gpa;

	put(INITRD_MAX, 0xffffffff, 4);
	assert_int_equal(make_plan(FILE_SIZE, 5 * GIB), 0);
	assert_int_equal(linux_place_initrd(file, &plan, 5 * GIB, 5000, &gpa), 0);
	assert_int_equal(gpa, 3 * GIB - 2 * PAGE_SIZE);
}

static void the_initrd_stays_below_the_kernels_limit(void **state)
{
	u64 gpa;

	put(INITRD_MAX, 0x2ffffff, 4);
	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_int_equal(linux_place_initrd(file, &plan, MEMORY, PAGE_SIZE, &gpa), 0);
	assert_int_equal(gpa, 0x3000000 - PAGE_SIZE);
}

/* LINUX-2. */
static void an_initrd_never_touches_the_kernel(void **state)
{
	u64 gpa, room = MEMORY - LOAD_AT - INIT_SIZE;

	assert_int_equal(make_plan(FILE_SIZE, MEMORY), 0);
	assert_int_equal(linux_place_initrd(file, &plan, MEMORY, room, &gpa), 0);
	assert_int_equal(gpa, plan.end);
	assert_int_equal(linux_place_initrd(file, &plan, MEMORY, room + 1, &gpa), ERR_RANGE);
	assert_int_equal(linux_place_initrd(file, &plan, MEMORY, ~0ull, &gpa), ERR_RANGE);
	assert_int_equal(linux_place_initrd(file, &plan, MEMORY, MEMORY + 1, &gpa), ERR_RANGE);
}

static void the_parameters_name_memory_and_modules(void **state)
{
	const struct linux_boot boot = {.memory = MEMORY,
					.command_line_gpa = 0x8000,
					.initrd_gpa = 0x3ff0000,
					.initrd_size = 0x1234,
					.rsdp_gpa = ACPI_TABLES_GPA};
	u8 *params = malloc(LINUX_PARAMS_SIZE);

	linux_fill_params(file, &boot, params);
	assert_int_equal(get(params, MAGIC, 4), 0x53726448);
	assert_int_equal(get(params, 0x210, 1), 0xff);
	assert_int_equal(get(params, 0x228, 4), 0x8000);
	assert_int_equal(get(params, 0x218, 4), 0x3ff0000);
	assert_int_equal(get(params, 0x21c, 4), 0x1234);
	assert_int_equal(get(params, 0x070, 8), ACPI_TABLES_GPA);
	assert_int_equal(get(params, 0x1e8, 1), 3);
	assert_int_equal(get(params, 0x2d0 + 8, 8), ACPI_TABLES_GPA);
	assert_int_equal(get(params, 0x2d0 + 40, 8), MIB);
	assert_int_equal(get(params, 0x2d0 + 48, 8), MEMORY - MIB);
	free(params);
}

static void a_large_vm_has_a_range_above_4_gib(void **state)
{
	const struct linux_boot boot = {.memory = 5 * GIB, .rsdp_gpa = ACPI_TABLES_GPA};
	u8 *params = malloc(LINUX_PARAMS_SIZE);

	linux_fill_params(file, &boot, params);
	assert_int_equal(get(params, 0x1e8, 1), 4);
	assert_int_equal(get(params, 0x2d0 + 40, 8), MIB);
	assert_int_equal(get(params, 0x2d0 + 48, 8), 3 * GIB - MIB);
	assert_int_equal(get(params, 0x2d0 + 60, 8), 4 * GIB);
	assert_int_equal(get(params, 0x2d0 + 68, 8), 2 * GIB);
	assert_int_equal(get(params, 0x2d0 + 76, 4), 1);
	free(params);
}

static void the_tables_map_4_gib_one_to_one(void **state)
{
	u64 *tables = malloc(LINUX_TABLES_PAGES * PAGE_SIZE);

	linux_fill_tables(tables);
	for (u64 at = 0; at < 4 * GIB; at += 2 * MIB) {
		u64 *pdpt = tables + ((tables[0] & ~0xfffull) - LINUX_TABLES_GPA) / 8;
		u64 *directory = tables + ((pdpt[at >> 30] & ~0xfffull) - LINUX_TABLES_GPA) / 8;

		assert_int_equal(directory[at >> 21 & 511], at | 0x83);
	}
	free(tables);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		CASE(a_kernel_goes_where_it_prefers_to_be),
		CASE(no_setup_sectors_means_four),
		CASE(a_file_that_ends_anywhere_is_refused_or_inside),
		CASE(a_file_cut_short_is_refused),
		CASE(what_is_no_kernel_is_refused),
		CASE(an_old_kernel_is_refused),
		CASE(a_32_bit_kernel_is_entered_in_32_bits),
		CASE(code_outside_the_file_is_refused),
		CASE(an_init_size_below_the_code_is_refused),
		CASE(a_place_outside_memory_is_refused),
		CASE(a_place_above_4_gib_is_refused),
		CASE(the_initrd_lies_at_the_top_of_memory),
		CASE(the_initrd_of_a_large_vm_lies_below_the_devices),
		CASE(the_initrd_stays_below_the_kernels_limit),
		CASE(an_initrd_never_touches_the_kernel),
		CASE(the_parameters_name_memory_and_modules),
		CASE(a_large_vm_has_a_range_above_4_gib),
		CASE(the_tables_map_4_gib_one_to_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
