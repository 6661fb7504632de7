/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg.h: QEMU's firmware configuration device (QEMU, docs/specs/fw_cfg): an item is selected,
 * then read byte by byte. The items are the machine and its size; files, for a VM with a BIOS
 * (bios.h); no DMA.
 *
 * Invariants:
 * FW-1  an item that is not there, and what lies behind the end of one, reads zero.
 *
 * The caller's lock guards it; files are added before the VM runs.
 */
#ifndef SAMEPAGE_HV_FW_CFG_H
#define SAMEPAGE_HV_FW_CFG_H

#include <lib/types.h>

enum fw_cfg_port { FW_CFG_SELECTOR = 0x510, FW_CFG_DATA = 0x511 };
enum fw_cfg_item {
	FW_CFG_SIGNATURE,
	FW_CFG_ID,
	FW_CFG_RAM_SIZE = 3,
	FW_CFG_NO_GRAPHICS = 4, /* nonzero: the screen of a BIOS is COM1 */
	FW_CFG_CPUS = 5,
	FW_CFG_DIRECTORY = 0x19,
	FW_CFG_FILE = 0x20, /* the first of the files */
};

#define FW_CFG_FILES	 4
#define FW_CFG_NAME_SIZE 56	 /* with its NUL */
#define FW_CFG_SIZE_MAX	 0xffffu /* of a file */

struct fw_cfg_file {
	const char *name;
	const u8 *data;
	u32 size;
};

struct fw_cfg {
	u64 memory;			       /* [I] bytes */
	u16 cpus;			       /* [I] */
	bool no_graphics;		       /* [I] */
	struct fw_cfg_file file[FW_CFG_FILES]; /* [I] */
	unsigned files;			       /* [I] */
	u16 item, at;
};

void fw_cfg_init(struct fw_cfg *fw, u64 memory, unsigned cpus);

/* `data` and `name` stay the caller's, and are there as long as the device. Before the VM runs. */
void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t size);

/*
 * Both ports. The selector is 16 bits wide: the bus brings its low byte to the first port, its high
 * byte to the second.
 */
u8 fw_cfg_read(struct fw_cfg *fw, u16 port);
void fw_cfg_write(struct fw_cfg *fw, u16 port, u8 value);

#endif
