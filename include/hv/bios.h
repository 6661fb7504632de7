/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bios.h: a VM with its module as firmware: SeaBIOS as QEMU starts it, or another BIOS that takes
 * QEMU's fw_cfg.
 *
 *     0      640 KiB        768 KiB              1 MiB            4 GiB - 1 MiB         4 GiB
 *     | RAM  | VGA's text   | RAM      |  copy   | RAM ...  BARs  | ROM  zeroes | image |
 *                                      of the image's last 256 KiB
 *
 * vCPU 0 starts at the reset vector, 16 bytes below 4 GiB. There is no chipset that switches
 * between the ROM and RAM below 1 MiB: what lies there is RAM from the start, with the copy in it.
 * The firmware writes the tables that a VM with a board else has from its loader; fw_cfg has what
 * it cannot find out itself, as files:
 *
 *     etc/e820          the ranges of RAM
 *     etc/acpi/tables   acpi.h's tables, as if at address 0; etc/acpi/rsdp, the pointer to them
 *     etc/table-loader  commands: where the two go, and which words in them become addresses
 */
#ifndef SAMEPAGE_HV_BIOS_H
#define SAMEPAGE_HV_BIOS_H

#include <hv/acpi.h>
#include <hv/fw_cfg.h>
#include <hv/ram.h>

struct vm;

#define BIOS_ROM_START	  0xfff00000ull
#define BIOS_SIZE_UNIT	  0x10000u
#define BIOS_COPY_SIZE	  0x40000u /* the copy ends at 1 MiB */
#define BIOS_RESET_VECTOR 16	   /* bytes before the image's end */

/* An entry of etc/e820. */
struct bios_range {
	u64 start, length;
	u32 type;
} __packed;

/* A command of etc/table-loader. */
enum bios_command { BIOS_ALLOCATE = 1, BIOS_ADD_POINTER = 2, BIOS_ADD_CHECKSUM = 3 };
enum bios_zone { BIOS_ZONE_HIGH = 1, BIOS_ZONE_LOW = 2 };

struct bios_link {
	u32 command;
	char file[FW_CFG_NAME_SIZE];
	union {
		struct {
			u32 align;
			u8 zone;
		} __packed allocate;
		struct {
			char target[FW_CFG_NAME_SIZE];
			u32 offset;
			u8 size;
		} __packed pointer;
		struct {
			u32 offset, start, length;
		} __packed checksum;
		u8 all[68];
	};
} __packed;
_Static_assert(sizeof(struct bios_link) == 128, "the layout is QEMU's");

#define BIOS_LINKS_MAX 24

/* The content of the files. */
struct bios_files {
	struct bios_range range[RAM_RANGES_MAX];
	unsigned ranges;
	struct bios_link link[BIOS_LINKS_MAX];
	unsigned links;
	u8 tables[ACPI_TABLES_SIZE];
	size_t tables_size;
};

/* Pure. ERR_RANGE: no room. */
int bios_build_files(u64 memory, const struct acpi_machine *machine,
		     struct bios_files *out) __must_check;

/* Gives the VM's fw_cfg the files. ERR_NO_MEMORY. */
int bios_offer_files(struct vm *vm) __must_check;

#endif
