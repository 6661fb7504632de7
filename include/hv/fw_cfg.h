/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg.h: QEMU's firmware configuration device (QEMU, docs/specs/fw_cfg): an item is selected,
 * then read byte by byte. Here the items that name the machine and its size; no files, no DMA.
 *
 * Invariants:
 * FW-1  an item that is not there, and what lies behind the end of one, reads zero.
 *
 * The caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_FW_CFG_H
#define SAMEPAGE_HV_FW_CFG_H

#include <lib/types.h>

enum fw_cfg_port { FW_CFG_SELECTOR = 0x510, FW_CFG_DATA = 0x511 };
enum fw_cfg_item {
	FW_CFG_SIGNATURE,
	FW_CFG_ID,
	FW_CFG_RAM_SIZE = 3,
	FW_CFG_CPUS = 5,
	FW_CFG_DIRECTORY = 0x19,
};

struct fw_cfg {
	u64 memory; /* [I] bytes */
	u16 cpus;   /* [I] */
	u16 item, at;
};

void fw_cfg_init(struct fw_cfg *fw, u64 memory, unsigned cpus);

/*
 * Both ports. The selector is 16 bits wide: the bus brings its low byte to the first port, its high
 * byte to the second.
 */
u8 fw_cfg_read(struct fw_cfg *fw, u16 port);
void fw_cfg_write(struct fw_cfg *fw, u16 port, u8 value);

#endif
