/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bios.c: the files that a VM's fw_cfg has for a BIOS. bios.h has the picture.
 *
 * The commands of etc/table-loader are made from the tables themselves: the addresses in tables
 * built for address 0 are offsets, and adding the place of the file makes addresses of them. Only
 * the tables with addresses inside get their sums anew.
 */
#include <hv/bios.h>
#include <hv/memory.h>
#include <hv/pc.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>

#define E820_RAM 1
#define TABLES	 "etc/acpi/tables"
#define RSDP	 "etc/acpi/rsdp"

/* ACPI 6.4: places in the RSDP (5.2.5.3), in a table's header (5.2.6), in the FADT (5.2.9). */
enum place {
	RSDP_CHECKSUM = 8,
	RSDP_OLD_SIZE = 20,
	RSDP_RSDT = 16,
	RSDP_XSDT = 24,
	RSDP_EXTENDED_CHECKSUM = 32,
	TABLE_LENGTH = 4,
	TABLE_CHECKSUM = 9,
	TABLE_HEADER = 36,
	FADT_FACS = 36,
	FADT_DSDT = 40,
	FADT_X_FACS = 132,
	FADT_X_DSDT = 140,
};

static struct bios_link *add_link(struct bios_files *files, enum bios_command command,
				  const char *file)
{
	struct bios_link *link = &files->link[files->links++];

	CHECK(files->links <= BIOS_LINKS_MAX);
	*link = (struct bios_link){.command = command};
	(void)string_copy(link->file, sizeof(link->file), file);
	return link;
}

static void link_place(struct bios_files *files, const char *file, u32 align, enum bios_zone zone)
{
	struct bios_link *link = add_link(files, BIOS_ALLOCATE, file);

	link->allocate.align = align;
	link->allocate.zone = (u8)zone;
}

/* A word of `size` bytes that is an offset into the tables. */
static void link_pointer(struct bios_files *files, const char *file, u32 offset, u8 size)
{
	struct bios_link *link = add_link(files, BIOS_ADD_POINTER, file);

	(void)string_copy(link->pointer.target, sizeof(link->pointer.target), TABLES);
	link->pointer.offset = offset;
	link->pointer.size = size;
}

static void link_checksum(struct bios_files *files, const char *file, u32 offset, u32 start,
			  u32 length)
{
	struct bios_link *link = add_link(files, BIOS_ADD_CHECKSUM, file);

	link->checksum.offset = offset;
	link->checksum.start = start;
	link->checksum.length = length;
}

static u32 word_at(const struct bios_files *files, u32 offset)
{
	u32 word;

	memcpy(&word, files->tables + offset, sizeof(word));
	return word;
}

static void link_sum_of(struct bios_files *files, u32 table)
{
	link_checksum(files, TABLES, table + TABLE_CHECKSUM, table,
		      word_at(files, table + TABLE_LENGTH));
}

/* The RSDT or the XSDT: a header and addresses of `size` bytes. */
static void link_root(struct bios_files *files, u32 table, u8 size)
{
	u32 end = table + word_at(files, table + TABLE_LENGTH);

	for (u32 at = table + TABLE_HEADER; at < end; at += size)
		link_pointer(files, TABLES, at, size);
	link_sum_of(files, table);
}

/* The FADT is the first table of the RSDT. */
static void link_tables(struct bios_files *files)
{
	u32 rsdt = word_at(files, RSDP_RSDT), fadt = word_at(files, rsdt + TABLE_HEADER);

	link_place(files, TABLES, 64, BIOS_ZONE_HIGH);
	link_place(files, RSDP, 16, BIOS_ZONE_LOW);
	link_root(files, rsdt, 4);
	link_root(files, word_at(files, RSDP_XSDT), 8);
	link_pointer(files, TABLES, fadt + FADT_FACS, 4);
	link_pointer(files, TABLES, fadt + FADT_DSDT, 4);
	link_pointer(files, TABLES, fadt + FADT_X_FACS, 8);
	link_pointer(files, TABLES, fadt + FADT_X_DSDT, 8);
	link_sum_of(files, fadt);
	link_pointer(files, RSDP, RSDP_RSDT, 4);
	link_pointer(files, RSDP, RSDP_XSDT, 8);
	link_checksum(files, RSDP, RSDP_CHECKSUM, 0, RSDP_OLD_SIZE);
	link_checksum(files, RSDP, RSDP_EXTENDED_CHECKSUM, 0, ACPI_RSDP_SIZE);
}

int bios_build_files(u64 memory, const struct acpi_machine *machine, struct bios_files *out)
{
	struct ram_range ram;
	int err;

	out->ranges = out->links = 0;
	while (ram_range(memory, out->ranges, &ram))
		out->range[out->ranges++] =
			(struct bios_range){ram.start, ram.end - ram.start, E820_RAM};
	err = acpi_build(machine, out->tables, sizeof(out->tables), (struct gpa){0},
			 &out->tables_size);
	if (!err)
		link_tables(out);
	return err;
}

int bios_offer_files(struct vm *vm)
{
	const struct acpi_machine machine = {.vcpus = vm->config.vcpus,
					     .pci = vm->pc->pci.function[1] != NULL};
	struct fw_cfg *fw = &vm->pc->fw_cfg;
	struct bios_files *files = hv_alloc(sizeof(*files));
	int err;

	if (!files)
		return ERR_NO_MEMORY;
	vm->pc->files = files;
	vm->pc->files_size = sizeof(*files);
	err = bios_build_files(vm->config.memory, &machine, files);
	if (err)
		return err;
	fw_cfg_add_file(fw, "etc/e820", files->range, files->ranges * sizeof(files->range[0]));
	fw_cfg_add_file(fw, TABLES, files->tables, files->tables_size);
	fw_cfg_add_file(fw, RSDP, files->tables, ACPI_RSDP_SIZE);
	fw_cfg_add_file(fw, "etc/table-loader", files->link, files->links * sizeof(files->link[0]));
	fw->no_graphics = true;
	pci_fix_lines(&vm->pc->pci);
	return 0;
}
