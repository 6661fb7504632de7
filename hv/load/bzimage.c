/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.c: a Linux kernel's file, and the boot parameters it expects. bzimage.h has the memory map.
 *
 *     file: | boot sector, setup header at 0x1f1 | setup sectors (skipped) | protected-mode code ... |
 *
 * Why the 64-bit entry, or the 32-bit one of a kernel that has no other: no real-mode code of the
 * kernel runs, so no BIOS is needed.
 *
 * Invariants:
 * LINUX-1  whatever the file, nothing outside [file, file + size) is read.
 * LINUX-2  in a plan the code lies in the file, all that the header says there is, and its
 *          init_size in the VM's RAM above 1 MiB, and the initial RAM disk touches neither.
 */
#include <hv/bzimage.h>
#include <abi/machine.h>
#include <arch/addr.h>
#include <hv/acpi.h>
#include <hv/ram.h>
#include "hv/load/private.h"
#include <lib/error.h>
#include <lib/string.h>

/* The setup header's fields, by offset in the file and in the boot parameters alike. */
enum setup_field {
	SETUP_SECTS = 0x1f1,
	SETUP_SYSSIZE = 0x1f4,
	SETUP_BOOT_FLAG = 0x1fe,
	SETUP_JUMP_LENGTH = 0x201,
	SETUP_MAGIC = 0x202,
	SETUP_VERSION = 0x206,
	SETUP_LOADER_TYPE = 0x210,
	SETUP_LOADFLAGS = 0x211,
	SETUP_CODE32_START = 0x214,
	SETUP_RAMDISK = 0x218,
	SETUP_RAMDISK_SIZE = 0x21c,
	SETUP_COMMAND_LINE = 0x228,
	SETUP_INITRD_MAX = 0x22c,
	SETUP_ALIGNMENT = 0x230,
	SETUP_RELOCATABLE = 0x234,
	SETUP_XLOADFLAGS = 0x236,
	SETUP_PREF_ADDRESS = 0x258,
	SETUP_INIT_SIZE = 0x260,
	SETUP_END = 0x268,
};

enum params_field { PARAMS_RSDP = 0x070, PARAMS_E820_COUNT = 0x1e8, PARAMS_E820 = 0x2d0 };

#define BOOT_FLAG	 0xaa55
#define HEADER_MAGIC	 0x53726448 /* "HdrS" */
#define VERSION_MIN	 0x020c	    /* the first with xloadflags */
#define XLOAD_64	 BIT(0)
#define LOADER_UNDEFINED 0xff
#define ENTRY_64	 0x200
#define SECTOR		 512ull
#define PARAGRAPH	 16ull
#define LINUX_REACH	 (1ull << 32) /* as far as the page tables of the entry map */

static u64 header_get(const void *file, unsigned offset, unsigned size)
{
	u64 value = 0;

	memcpy(&value, (const u8 *)file + offset, size);
	return value;
}

static void params_put(void *params, unsigned offset, u64 value, unsigned size)
{
	memcpy((u8 *)params + offset, &value, size);
}

static int check_header(const void *file, size_t size, const char **why)
{
	if (size < SETUP_END)
		return load_refuse(why, "the file is too short for a Linux setup header");
	if (header_get(file, SETUP_BOOT_FLAG, 2) != BOOT_FLAG ||
	    header_get(file, SETUP_MAGIC, 4) != HEADER_MAGIC)
		return load_refuse(why, "the file is no Linux bzImage");
	if (header_get(file, SETUP_VERSION, 2) < VERSION_MIN)
		return load_refuse(why, "the kernel's boot protocol is older than 2.12");
	return 0;
}

/* Bytes of boot sector and setup code; 0 setup sectors means 4. */
static u64 setup_size(const void *file)
{
	u64 sectors = header_get(file, SETUP_SECTS, 1);

	return ((sectors ? sectors : 4) + 1) * SECTOR;
}

/*
 * The header counts paragraphs, and the last need not be whole (memtest86+); a signature may follow
 * the code.
 */
static bool is_cut_short(const void *file, u64 code_size)
{
	return ALIGN_UP(code_size, PARAGRAPH) < header_get(file, SETUP_SYSSIZE, 4) * PARAGRAPH;
}

int load_plan_linux(const void *file, size_t size, u64 memory, struct load_plan *out,
		    const char **why)
{
	struct load_segment kernel;
	int err = check_header(file, size, why);

	if (err)
		return err;
	kernel.offset = setup_size(file);
	kernel.gpa = header_get(file, SETUP_PREF_ADDRESS, 8);
	kernel.size = header_get(file, SETUP_INIT_SIZE, 4);
	if (kernel.offset + ENTRY_64 >= size)
		return load_refuse(why, "the kernel's code lies outside the file");
	kernel.file_size = size - kernel.offset;
	if (is_cut_short(file, kernel.file_size))
		return load_refuse(why, "the file ends before the kernel's code does");
	if (kernel.size < kernel.file_size)
		return load_refuse(why, "the kernel's init_size is smaller than its code");
	if (kernel.gpa < MACHINE_HOLE_END || !IS_ALIGNED(kernel.gpa, PAGE_SIZE))
		return load_refuse(why, "the kernel's load address is below 1 MiB or off a page");
	if (!ram_contains(memory, kernel.gpa, kernel.size))
		return load_refuse(why, "the kernel and its init_size do not fit the VM's memory");
	if (kernel.gpa + kernel.size > LINUX_REACH)
		return load_refuse(why, "the kernel's load address is above 4 GiB");
	*out = (struct load_plan){.segment = {kernel}, .segments = 1};
	out->entry_32 = !(header_get(file, SETUP_XLOADFLAGS, 2) & XLOAD_64);
	out->entry = kernel.gpa + (out->entry_32 ? 0 : ENTRY_64);
	out->end = kernel.gpa + kernel.size;
	return 0;
}

int linux_place_initrd(const void *file, const struct load_plan *plan, u64 memory, u64 size,
		       u64 *gpa)
{
	u64 top = MIN(ram_low_end(memory), header_get(file, SETUP_INITRD_MAX, 4) + 1);

	if (size > top || ALIGN_DOWN(top - size, PAGE_SIZE) < plan->end)
		return ERR_RANGE;
	*gpa = ALIGN_DOWN(top - size, PAGE_SIZE);
	return 0;
}

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

static void add_range(void *params, u64 start, u64 end, enum e820_type type)
{
	unsigned count = header_get(params, PARAMS_E820_COUNT, 1), at = PARAMS_E820 + 20 * count;

	params_put(params, at, start, 8);
	params_put(params, at + 8, end - start, 8);
	params_put(params, at + 16, type, 4);
	params_put(params, PARAMS_E820_COUNT, count + 1, 1);
}

void linux_fill_params(const void *file, const struct linux_boot *boot, void *params)
{
	u64 header = SETUP_MAGIC - SETUP_SECTS + header_get(file, SETUP_JUMP_LENGTH, 1);
	struct ram_range range;

	memset(params, 0, LINUX_PARAMS_SIZE);
	memcpy((u8 *)params + SETUP_SECTS, (const u8 *)file + SETUP_SECTS,
	       MIN(header, (u64)SETUP_END - SETUP_SECTS));
	params_put(params, SETUP_LOADER_TYPE, LOADER_UNDEFINED, 1);
	params_put(params, SETUP_COMMAND_LINE, boot->command_line_gpa, 4);
	params_put(params, SETUP_CODE32_START, header_get(file, SETUP_PREF_ADDRESS, 8), 4);
	params_put(params, SETUP_RAMDISK, boot->initrd_gpa, 4);
	params_put(params, SETUP_RAMDISK_SIZE, boot->initrd_size, 4);
	params_put(params, PARAMS_RSDP, boot->rsdp_gpa, 8);
	add_range(params, 0, ACPI_TABLES_GPA, E820_RAM);
	add_range(params, ACPI_TABLES_GPA, ACPI_TABLES_GPA + ACPI_TABLES_SIZE, E820_ACPI);
	for (unsigned n = 1; ram_range(boot->memory, n, &range); n++)
		add_range(params, range.start, range.end, E820_RAM);
}

#define TABLE_ENTRY (BIT(0) | BIT(1)) /* present, writable */
#define LARGE_PAGE  (TABLE_ENTRY | BIT(7))

/* PML4, one PDPT, four directories of 2 MiB pages. */
void linux_fill_tables(u64 *tables)
{
	u64 *pml4 = tables, *pdpt = tables + 512, *directories = tables + 1024;

	memset(tables, 0, LINUX_TABLES_PAGES * PAGE_SIZE);
	pml4[0] = (LINUX_TABLES_GPA + PAGE_SIZE) | TABLE_ENTRY;
	for (u64 i = 0; i < 4; i++)
		pdpt[i] = (LINUX_TABLES_GPA + (2 + i) * PAGE_SIZE) | TABLE_ENTRY;
	for (u64 i = 0; i < 4 * 512; i++)
		directories[i] = i * LEVEL_SIZE(1) | LARGE_PAGE;
}

/* Flat descriptors at LINUX_BOOT_CS (code) and LINUX_BOOT_DS (SDM vol. 3A, 3.4.5). */
void linux_fill_gdt(u64 gdt[4], bool entry_32)
{
	gdt[0] = gdt[1] = 0;
	gdt[LINUX_BOOT_CS / 8] = entry_32 ? 0x00cf9b000000ffff : 0x00af9b000000ffff;
	gdt[LINUX_BOOT_DS / 8] = 0x00cf93000000ffff;
}
