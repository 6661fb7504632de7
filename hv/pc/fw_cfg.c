/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg.c: the items of fw_cfg.h.
 */
#include <hv/fw_cfg.h>
#include <lib/log.h>
#include <lib/string.h>

/* The directory: the count of files, then an entry of each, numbers with the highest byte first. */
#define COUNT_SIZE 4u
#define ENTRY_SIZE (8u + FW_CFG_NAME_SIZE)

void fw_cfg_init(struct fw_cfg *fw, u64 memory, unsigned cpus)
{
	*fw = (struct fw_cfg){.memory = memory, .cpus = (u16)cpus};
}

void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t size)
{
	CHECK(fw->files < FW_CFG_FILES && size <= FW_CFG_SIZE_MAX);
	CHECK(strlen(name) < FW_CFG_NAME_SIZE);
	fw->file[fw->files++] = (struct fw_cfg_file){name, data, (u32)size};
}

/* Byte `at` of a number of `size` bytes, the lowest first. */
static u8 number_byte(u64 number, unsigned size, unsigned at)
{
	return at < size ? (u8)(number >> (8 * at)) : 0;
}

/* Likewise, the highest first. */
static u8 swapped_byte(u64 number, unsigned size, unsigned at)
{
	return number_byte(number, size, size - 1 - at);
}

/* Size, item, two bytes that are zero, name. */
static u8 entry_byte(const struct fw_cfg *fw, unsigned number, unsigned at)
{
	const struct fw_cfg_file *file;

	if (number >= fw->files)
		return 0;
	file = &fw->file[number];
	if (at < 4)
		return swapped_byte(file->size, 4, at);
	if (at < 6)
		return swapped_byte(FW_CFG_FILE + number, 2, at - 4);
	if (at < 8)
		return 0;
	return at - 8 < strlen(file->name) ? (u8)file->name[at - 8] : 0;
}

static u8 directory_byte(const struct fw_cfg *fw, unsigned at)
{
	if (at < COUNT_SIZE)
		return swapped_byte(fw->files, COUNT_SIZE, at);
	return entry_byte(fw, (at - COUNT_SIZE) / ENTRY_SIZE, (at - COUNT_SIZE) % ENTRY_SIZE);
}

/* FW-1: the item and the place are the guest's. */
static u8 file_byte(const struct fw_cfg *fw, unsigned at)
{
	const struct fw_cfg_file *file = &fw->file[fw->item - FW_CFG_FILE];

	return at < file->size ? file->data[at] : 0;
}

static u8 item_byte(const struct fw_cfg *fw, unsigned at)
{
	static const char signature[] = "QEMU";

	if ((unsigned)fw->item - FW_CFG_FILE < fw->files)
		return file_byte(fw, at);
	switch (fw->item) {
	case FW_CFG_SIGNATURE:
		return at < 4 ? (u8)signature[at] : 0;
	case FW_CFG_ID:
		return number_byte(1, 4, at); /* the traditional interface, no DMA */
	case FW_CFG_RAM_SIZE:
		return number_byte(fw->memory, 8, at);
	case FW_CFG_NO_GRAPHICS:
		return number_byte(fw->no_graphics, 2, at);
	case FW_CFG_CPUS:
		return number_byte(fw->cpus, 2, at);
	case FW_CFG_DIRECTORY:
		return directory_byte(fw, at);
	default:
		return 0;
	}
}

u8 fw_cfg_read(struct fw_cfg *fw, u16 port)
{
	if (port != FW_CFG_DATA)
		return 0xff;
	if (fw->at == 0xffff)
		return 0;
	return item_byte(fw, fw->at++);
}

void fw_cfg_write(struct fw_cfg *fw, u16 port, u8 value)
{
	if (port == FW_CFG_SELECTOR)
		fw->item = value;
	else
		fw->item = (u16)((fw->item & 0xff) | value << 8);
	fw->at = 0;
}
