/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg.c: the items of fw_cfg.h.
 */
#include <hv/fw_cfg.h>

void fw_cfg_init(struct fw_cfg *fw, u64 memory, unsigned cpus)
{
	*fw = (struct fw_cfg){.memory = memory, .cpus = (u16)cpus};
}

/* Byte `at` of a number of `size` bytes, the lowest first. */
static u8 number_byte(u64 number, unsigned size, unsigned at)
{
	return at < size ? (u8)(number >> (8 * at)) : 0;
}

static u8 item_byte(const struct fw_cfg *fw, unsigned at)
{
	static const char signature[] = "QEMU";

	switch (fw->item) {
	case FW_CFG_SIGNATURE:
		return at < 4 ? (u8)signature[at] : 0;
	case FW_CFG_ID:
		return number_byte(1, 4, at); /* the traditional interface, no DMA */
	case FW_CFG_RAM_SIZE:
		return number_byte(fw->memory, 8, at);
	case FW_CFG_CPUS:
		return number_byte(fw->cpus, 2, at);
	default:
		return 0; /* FW_CFG_DIRECTORY among them: it has no files */
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
