/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.h: Linux kernels by the 64-bit boot protocol, and those without a 64-bit entry by the
 * 32-bit one (Linux, Documentation/x86/boot.rst).
 *
 *     0x6000  GDT          0x9000  page tables: the first 4 GiB, one to one
 *     0x7000  boot params  0x9c000 ACPI tables
 *     0x8000  command line pref_address: the kernel ... its init_size; the initial RAM disk at the top of memory
 */
#ifndef SAMEPAGE_HV_BZIMAGE_H
#define SAMEPAGE_HV_BZIMAGE_H

#include <hv/loader.h>
#include <lib/types.h>

#define LINUX_GDT_GPA	   0x6000ull
#define LINUX_PARAMS_GPA   0x7000ull
#define LINUX_COMMAND_GPA  0x8000ull
#define LINUX_COMMAND_MAX  0x1000ull
#define LINUX_TABLES_GPA   0x9000ull
#define LINUX_TABLES_PAGES 6
#define LINUX_PARAMS_SIZE  4096
#define LINUX_BOOT_CS	   0x10
#define LINUX_BOOT_DS	   0x18

/*
 * Where a kernel of this file goes. ERR_FORMAT with *why. Pure, any input. plan->entry is its
 * 64-bit entry point, or its 32-bit one with plan->entry_32.
 */
int load_plan_linux(const void *file, size_t size, u64 memory, struct load_plan *out,
		    const char **why) __must_check;

struct linux_boot {
	u64 memory; /* the VM's */
	u64 command_line_gpa;
	u64 initrd_gpa, initrd_size;
	u64 rsdp_gpa;
};

/* The boot parameters ("zero page") for a file that load_plan_linux() has taken. Pure. */
void linux_fill_params(const void *file, const struct linux_boot *boot, void *params);

/*
 * The highest page-aligned place for an initial RAM disk of `size`; ERR_RANGE when it would touch
 * the kernel. Pure.
 */
int linux_place_initrd(const void *file, const struct load_plan *plan, u64 memory, u64 size,
		       u64 *gpa) __must_check;

/*
 * The page tables that the 64-bit entry needs, LINUX_TABLES_PAGES pages, and the descriptor table
 * of either, 4 descriptors. Pure.
 */
void linux_fill_tables(u64 *tables);
void linux_fill_gdt(u64 gdt[4], bool entry_32);

#endif
