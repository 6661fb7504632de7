/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bios.c: a BIOS as a VM's module: its image (LOAD-1, LOAD-2), and its files, read by fw_cfg's
 * ports and carried out as a BIOS does.
 */
#include <abi/machine.h>
#include <hv/bios.h>
#include <hv/loader.h>
#include <hv/memory.h>
#include <hv/pc.h>
#include <hv/vm.h>
#include "sim/bytes.h"
#include "sim/sim.h"

#define MEMORY	   (64 * MIB)
#define TABLES_GPA 0x3ff0000u
#define RSDP_GPA   0xf5000u
#define KIB	   1024u

static struct vm vm;
static struct pc board;
static struct load_plan plan;
static const char *why;
static bool no_memory, lines_fixed;

void *hv_alloc(size_t size)
{
	return no_memory ? NULL : calloc(1, size);
}

void pci_fix_lines(struct pci *pci)
{
	lines_fixed = true;
}

static int start(void **state)
{
	memset(&vm, 0, sizeof(vm));
	memset(&board, 0, sizeof(board));
	no_memory = lines_fixed = false;
	vm.pc = &board;
	vm.config.memory = MEMORY;
	vm.config.vcpus = 3;
	fw_cfg_init(&board.fw_cfg, MEMORY, 3);
	return 0;
}

static int stop(void **state)
{
	free(board.files);
	return 0;
}

/* On the heap, exactly as long as it says, so that ASan sees a read outside of it. */
static int plan_image(size_t size, const char *code)
{
	u8 *image = calloc(1, size + !size);
	int err;

	if (size >= 16)
		memcpy(image + size - 16, code, strlen(code));
	err = load_plan_bios(image, size, MEMORY, &plan, &why);
	free(image);
	return err;
}

static void assert_segment(unsigned i, u64 offset, u64 gpa, u64 size)
{
	assert_int_equal(plan.segment[i].offset, offset);
	assert_int_equal(plan.segment[i].gpa, gpa);
	assert_int_equal(plan.segment[i].size, size);
	assert_int_equal(plan.segment[i].file_size, size);
}

static void the_image_ends_at_4_gib_and_its_end_at_1_mib(void **state)
{
	assert_int_equal(plan_image(256 * KIB, "\xea"), 0);
	assert_int_equal(plan.segments, 2);
	assert_segment(0, 0, 0xfffc0000, 256 * KIB);
	assert_segment(1, 0, 0xc0000, 256 * KIB);
	assert_int_equal(plan.entry, 0xfffffff0);
	assert_int_equal(plan_image(64 * KIB, "\x90\x90\xe9"), 0);
	assert_segment(0, 0, 0xffff0000, 64 * KIB);
	assert_segment(1, 0, 0xf0000, 64 * KIB);
	assert_int_equal(plan_image(1024 * KIB, "\xeb"), 0);
	assert_segment(0, 0, 0xfff00000, 1024 * KIB);
	assert_segment(1, 768 * KIB, 0xc0000, 256 * KIB);
}

static void other_files_are_refused(void **state)
{
	static const size_t sizes[] = {0, 1, 16, 64 * KIB - 1, 64 * KIB + 1, 1088 * KIB};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(plan_image(sizes[i], "\xea"), ERR_FORMAT);
		assert_string_equal(why, "a BIOS has 64 KiB to 1 MiB, in steps of 64 KiB");
	}
	assert_int_equal(plan_image(128 * KIB, ""), ERR_FORMAT);
	assert_int_equal(plan_image(128 * KIB, "\xff"), ERR_FORMAT);
	assert_int_equal(plan_image(128 * KIB, "\x90\x90\x90\x90\x90\x90\x90\x90"
					       "\x90\x90\x90\x90\x90\x90\x90\x90"),
			 ERR_FORMAT);
	assert_string_equal(why, "a BIOS has a jump 16 bytes before its end");
}

static void read_item(u16 item, void *to, size_t size)
{
	u8 *bytes = to;

	fw_cfg_write(&board.fw_cfg, FW_CFG_SELECTOR, (u8)item);
	fw_cfg_write(&board.fw_cfg, FW_CFG_SELECTOR + 1, (u8)(item >> 8));
	for (size_t i = 0; i < size; i++)
		bytes[i] = fw_cfg_read(&board.fw_cfg, FW_CFG_DATA);
}

/* A file by its name in the directory; its caller frees it. */
static void *read_file(const char *name, u32 *size)
{
	struct {
		u32 count;
		struct {
			u32 size;
			u16 item, reserved;
			char name[56];
		} entry[FW_CFG_FILES];
	} directory;
	void *data = NULL;

	read_item(FW_CFG_DIRECTORY, &directory, sizeof(directory));
	assert_true(__builtin_bswap32(directory.count) <= FW_CFG_FILES);
	for (unsigned i = 0; i < __builtin_bswap32(directory.count); i++) {
		if (strcmp(directory.entry[i].name, name) != 0)
			continue;
		assert_int_equal(directory.entry[i].reserved, 0);
		*size = __builtin_bswap32(directory.entry[i].size);
		data = malloc(*size);
		read_item(__builtin_bswap16(directory.entry[i].item), data, *size);
	}
	assert_non_null(data);
	return data;
}

static void the_ranges_of_ram_are_a_file(void **state)
{
	struct bios_range *range;
	u16 no_graphics;
	u32 size;

	vm.config.memory = 5ull << 30;
	assert_int_equal(bios_offer_files(&vm), 0);
	range = read_file("etc/e820", &size);
	assert_int_equal(size, 60);
	assert_int_equal(range[0].start, 0);
	assert_int_equal(range[0].length, 0xa0000);
	assert_int_equal(range[0].type, 1);
	assert_int_equal(range[1].start, 0x100000);
	assert_int_equal(range[1].length, 0xbff00000);
	assert_int_equal(range[2].start, 0x100000000);
	assert_int_equal(range[2].length, 0x80000000);
	free(range);
	read_item(FW_CFG_NO_GRAPHICS, &no_graphics, 2);
	assert_int_equal(no_graphics, 1);
	assert_true(lines_fixed);
}

/* --- etc/table-loader, carried out ---------------------------------------------------------- */

static struct loaded {
	const char *name;
	u32 gpa, size;
	u8 *data;
} loaded[2] = {{"etc/acpi/tables", TABLES_GPA}, {"etc/acpi/rsdp", RSDP_GPA}};

static struct loaded *named(const char *name)
{
	struct loaded *file = &loaded[strcmp(name, loaded[0].name) != 0];

	assert_string_equal(name, file->name);
	return file;
}

static void add_pointer(const struct bios_link *link)
{
	struct loaded *file = named(link->file), *target = named(link->pointer.target);
	u8 size = link->pointer.size;
	u64 value;

	assert_true(size == 4 || size == 8);
	assert_true(link->pointer.offset + size <= file->size);
	value = get(file->data + link->pointer.offset, size);
	assert_true(value < target->size);
	value += target->gpa;
	memcpy(file->data + link->pointer.offset, &value, size);
}

static void add_checksum(const struct bios_link *link)
{
	struct loaded *file = named(link->file);
	u32 start = link->checksum.start, length = link->checksum.length;

	assert_true(link->checksum.offset < file->size && start + length <= file->size);
	file->data[link->checksum.offset] -= sum(file->data + start, length);
}

static void carry_out(const struct bios_link *link)
{
	switch (link->command) {
	case BIOS_ALLOCATE:
		named(link->file)->data = read_file(link->file, &named(link->file)->size);
		assert_int_equal(link->allocate.zone, named(link->file)->gpa == RSDP_GPA
							      ? BIOS_ZONE_LOW
							      : BIOS_ZONE_HIGH);
		break;
	case BIOS_ADD_POINTER:
		add_pointer(link);
		break;
	default:
		assert_int_equal(link->command, BIOS_ADD_CHECKSUM);
		add_checksum(link);
	}
}

/* As in acpi.c: the table that a pointer names. */
static const u8 *follow(u64 gpa, const char *signature)
{
	const u8 *table = loaded[0].data + (gpa - TABLES_GPA);

	assert_in_range(gpa, TABLES_GPA, TABLES_GPA + loaded[0].size - 8);
	assert_memory_equal(table, signature, 4);
	if (strcmp(signature, "FACS") != 0)
		assert_int_equal(sum(table, get(table + 4, 4)), 0);
	return table;
}

static void the_loader_makes_tables_of_the_files(void **state)
{
	struct bios_link *link;
	const u8 *rsdp, *rsdt, *xsdt, *fadt;
	u32 size;

	assert_int_equal(bios_offer_files(&vm), 0);
	link = read_file("etc/table-loader", &size);
	for (u32 i = 0; i < size / sizeof(*link); i++)
		carry_out(&link[i]);
	free(link);
	rsdp = loaded[1].data;
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	rsdt = follow(get(rsdp + 16, 4), "RSDT");
	xsdt = follow(get(rsdp + 24, 8), "XSDT");
	fadt = follow(get(rsdt + 36, 4), "FACP");
	assert_ptr_equal(fadt, follow(get(xsdt + 36, 8), "FACP"));
	assert_ptr_equal(follow(get(rsdt + 40, 4), "APIC"), follow(get(xsdt + 44, 8), "APIC"));
	assert_ptr_equal(follow(get(fadt + 36, 4), "FACS"), follow(get(fadt + 132, 8), "FACS"));
	assert_ptr_equal(follow(get(fadt + 40, 4), "DSDT"), follow(get(fadt + 140, 8), "DSDT"));
	free(loaded[0].data);
	free(loaded[1].data);
}

static void without_a_frame_there_are_no_files(void **state)
{
	u32 count;

	no_memory = true;
	assert_int_equal(bios_offer_files(&vm), ERR_NO_MEMORY);
	read_item(FW_CFG_DIRECTORY, &count, 4);
	assert_int_equal(count, 0);
	assert_null(board.files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_image_ends_at_4_gib_and_its_end_at_1_mib),
		cmocka_unit_test(other_files_are_refused),
		cmocka_unit_test_setup_teardown(the_ranges_of_ram_are_a_file, start, stop),
		cmocka_unit_test_setup_teardown(the_loader_makes_tables_of_the_files, start, stop),
		cmocka_unit_test_setup_teardown(without_a_frame_there_are_no_files, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
