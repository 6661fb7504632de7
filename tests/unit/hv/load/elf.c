/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.c: what of a guest's file goes where, and what is refused (LOAD-1, LOAD-2).
 *
 * A good file is built in memory; each test breaks one thing of it. The file is exactly as long as
 * it says, on the heap, so that ASan sees a read past its end.
 */
#include "sim/sim.h"
#include <abi/machine.h>
#include <abi/multiboot.h>
#include <hv/loader.h>

#define MEMORY	  (16 * MIB)
#define FILE_SIZE 0x3000
#define LOAD_AT	  0x100000u
#define FILE_END  0x2800 /* of what is loaded */
#define ENTRY	  (LOAD_AT + 0x40)
#define HEADER_AT 0x1000 /* of the multiboot header */

struct elf32 {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	struct {
		u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
	} segment[2];
};

struct elf64 {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	struct {
		u32 type, flags;
		u64 offset, vaddr, paddr, filesz, memsz, align;
	} segment[1];
};

static u8 *file;
static struct elf32 *elf;
static struct load_plan plan;
static const char *why;

static int start(void **state)
{
	static const struct elf32 good = {
		.ident = {0x7f, 'E', 'L', 'F', 1, 1, 1},
		.type = 2,
		.machine = 3,
		.version = 1,
		.entry = ENTRY,
		.phoff = 52,
		.ehsize = 52,
		.phentsize = 32,
		.phnum = 2,
		.segment = {{1, 0x1000, LOAD_AT, LOAD_AT, 0x1000, 0x1000, 5, 0x1000},
			    {1, 0x2000, 0x102000, 0x102000, 0x800, 0x4000, 6, 0x1000}},
	};
	static const struct multiboot_header header = {MULTIBOOT_HEADER_MAGIC, 3,
						       -(MULTIBOOT_HEADER_MAGIC + 3)};

	file = calloc(1, FILE_SIZE);
	elf = (struct elf32 *)file;
	*elf = good;
	memcpy(file + HEADER_AT, &header, sizeof(header));
	why = NULL;
	return 0;
}

static int stop(void **state)
{
	free(file);
	return 0;
}

static int load(void)
{
	return load_plan_multiboot(file, FILE_SIZE, MEMORY, &plan, &why);
}

static void assert_refused(const char *sentence)
{
	assert_int_equal(load(), ERR_FORMAT);
	assert_string_equal(why, sentence);
}

static void a_good_file_is_planned(void **state)
{
	assert_int_equal(load(), 0);
	assert_int_equal(plan.segments, 2);
	assert_int_equal(plan.entry, ENTRY);
	assert_int_equal(plan.end, 0x106000);
	assert_int_equal(plan.segment[1].gpa, 0x102000);
	assert_int_equal(plan.segment[1].offset, 0x2000);
	assert_int_equal(plan.segment[1].file_size, 0x800);
	assert_int_equal(plan.segment[1].size, 0x4000);
}

static void a_64_bit_file_is_planned(void **state)
{
	struct elf64 *wide = (struct elf64 *)file;

	*wide = (struct elf64){
		.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
		.type = 2,
		.machine = 62,
		.entry = ENTRY,
		.phoff = 64,
		.phentsize = 56,
		.phnum = 1,
		.segment = {{1, 5, 0x1000, LOAD_AT, LOAD_AT, 0x1000, 0x1000, 0x1000}},
	};
	assert_int_equal(load(), 0);
	assert_int_equal(plan.segments, 1);
	assert_int_equal(plan.segment[0].gpa, LOAD_AT);
	wide->segment[0].paddr = ~0ull - 0xfff;
	assert_refused("an ELF segment lies outside the VM's memory");
	wide->segment[0].paddr = LOAD_AT;
	wide->segment[0].offset = ~0ull - 0x7ff;
	assert_refused("an ELF segment lies outside the file");
	wide->segment[0].offset = 0x1000;
	wide->machine = 3;
	assert_refused("the ELF file is not for x86");
}

static void a_virtual_entry_point_is_translated(void **state)
{
	elf->segment[0].vaddr = 0xc0000000 + LOAD_AT;
	elf->segment[1].vaddr = 0xc0102000;
	elf->entry = 0xc0000000 + ENTRY;
	assert_int_equal(load(), 0);
	assert_int_equal(plan.entry, ENTRY);
	elf->entry = ENTRY; /* one outside of the virtual addresses is physical */
	assert_int_equal(load(), 0);
	assert_int_equal(plan.entry, ENTRY);
	elf->entry = 0xc0000000 + 0x200000;
	assert_refused("the ELF entry point lies in no segment below 4 GiB");
}

static void what_is_not_to_be_loaded_is_passed_over(void **state)
{
	elf->segment[1].type = 4;
	elf->segment[1].offset = 0xffffffff;
	assert_int_equal(load(), 0);
	assert_int_equal(plan.segments, 1);
}

static void a_file_of_another_kind_is_refused(void **state)
{
	elf->ident[1] = 'X';
	assert_refused("the file is not ELF");
	elf->ident[1] = 'E';
	elf->ident[4] = 3;
	assert_refused("the ELF class is neither 32 nor 64 bit");
	elf->ident[4] = 1;
	elf->ident[5] = 2;
	assert_refused("the ELF file is not for x86");
	elf->ident[5] = 1;
	elf->type = 3;
	assert_refused("the ELF file is not an executable at fixed addresses");
}

static void a_header_table_outside_the_file_is_refused(void **state)
{
	elf->phoff = FILE_SIZE - 63;
	assert_refused("the ELF program header lies outside the file");
	elf->phoff = 0xffffffff;
	assert_refused("the ELF program header lies outside the file");
	elf->phoff = 52;
	elf->phentsize = 31;
	assert_refused("the ELF program header's entries are too short");
	elf->phentsize = 0xffff;
	elf->phnum = 0xffff;
	assert_refused("the ELF program header lies outside the file");
}

static void a_segment_outside_file_or_memory_is_refused(void **state)
{
	elf->segment[1].offset = FILE_SIZE - 0x7ff;
	assert_refused("an ELF segment lies outside the file");
	elf->segment[1].offset = 0x2000;
	elf->segment[1].memsz = 0x7ff;
	assert_refused("an ELF segment is longer in the file than in memory");
	elf->segment[1].memsz = MEMORY;
	assert_refused("an ELF segment lies outside the VM's memory");
	elf->segment[1].memsz = 0x4000;
	elf->segment[1].paddr = MACHINE_HOLE_START - 0x1000;
	assert_refused("an ELF segment lies outside the VM's memory");
	elf->segment[1].paddr = 0x100fff;
	assert_refused("two ELF segments overlap");
}

static void an_entry_point_outside_what_was_loaded_is_refused(void **state)
{
	elf->entry = LOAD_AT - 1;
	assert_refused("the ELF entry point lies in no segment below 4 GiB");
	elf->entry = 0x102800; /* in the part that the file does not hold */
	assert_refused("the ELF entry point lies in no segment below 4 GiB");
	elf->phnum = 0;
	assert_refused("the ELF entry point lies in no segment below 4 GiB");
}

static void the_multiboot_header_must_be_there_and_known(void **state)
{
	struct multiboot_header *header = (struct multiboot_header *)(file + HEADER_AT);

	header->flags = 0x10003; /* bits above 15 are optional */
	header->checksum = -(MULTIBOOT_HEADER_MAGIC + 0x10003);
	assert_int_equal(load(), 0);
	header->flags = 7;
	header->checksum = -(MULTIBOOT_HEADER_MAGIC + 7);
	assert_refused("the multiboot header requires what is not offered");
	header->checksum++;
	assert_refused("there is no multiboot header in the first 8192 bytes");
	memset(header, 0, sizeof(*header));
	*(struct multiboot_header *)(file + 8192 - 8) =
		(struct multiboot_header){MULTIBOOT_HEADER_MAGIC, 0, -MULTIBOOT_HEADER_MAGIC};
	assert_refused("there is no multiboot header in the first 8192 bytes");
}

/* LOAD-1: every shorter file, with ASan watching the byte behind it. */
static void a_truncated_file_is_never_read_past_its_end(void **state)
{
	for (size_t size = 0; size < FILE_END; size += size < 300 ? 1 : 97) {
		u8 *cut = malloc(size ? size : 1);

		memcpy(cut, file, size);
		assert_int_equal(load_plan_multiboot(cut, size, MEMORY, &plan, &why), ERR_FORMAT);
		(void)!load_plan_elf(cut, size, MEMORY, &plan, &why);
		free(cut);
	}
}

static void a_real_mode_image_fits_below_the_hole(void **state)
{
	size_t most = MACHINE_HOLE_START - MACHINE_REAL_ENTRY;

	assert_int_equal(load_plan_real(file, 512, MEMORY, &plan, &why), 0);
	assert_int_equal(plan.entry, MACHINE_REAL_ENTRY);
	assert_int_equal(load_plan_real(file, most, MEMORY, &plan, &why), 0);
	assert_int_equal(load_plan_real(file, most + 1, MEMORY, &plan, &why), ERR_FORMAT);
	assert_int_equal(load_plan_real(file, 0, MEMORY, &plan, &why), ERR_FORMAT);
	assert_int_equal(load_plan_real(file, 0x9000, 0x10000, &plan, &why), ERR_FORMAT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_file_is_planned),
		TEST(a_64_bit_file_is_planned),
		TEST(a_virtual_entry_point_is_translated),
		TEST(what_is_not_to_be_loaded_is_passed_over),
		TEST(a_file_of_another_kind_is_refused),
		TEST(a_header_table_outside_the_file_is_refused),
		TEST(a_segment_outside_file_or_memory_is_refused),
		TEST(an_entry_point_outside_what_was_loaded_is_refused),
		TEST(the_multiboot_header_must_be_there_and_known),
		TEST(a_truncated_file_is_never_read_past_its_end),
		TEST(a_real_mode_image_fits_below_the_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
