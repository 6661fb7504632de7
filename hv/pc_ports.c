/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc_ports.c: the board's chips as ports. All of them are a byte wide; a wider access is split by the bus (pio.c), lowest
 * port first, which is why a counter that moves is latched by the read of its first byte.
 */
#include <hv/acpi.h>
#include <hv/pc.h>
#include "pc_private.h"
#include <hv/vm.h>
#include <lib/string.h>

struct port_range {
	u16 first, count;
	u8 (*read)(struct pc *pc, u16 port);
	void (*write)(struct pc *pc, u16 port, u8 value);
};

static u8 read_pic(struct pc *pc, u16 port)
{
	return pic_read(&pc->pic, port);
}

static void write_pic(struct pc *pc, u16 port, u8 value)
{
	spin_assert_held(&pc->lock);
	pc_run_pit(pc);
	pic_write(&pc->pic, port, value);
	pc_run_pit(pc);
	if (pic_pending(&pc->pic))
		pc->tell |= BIT(0);
}

static u8 read_pit(struct pc *pc, u16 port)
{
	return pit_read(&pc->pit, port, pc_clock(pc, PIT_HZ));
}

static void write_pit(struct pc *pc, u16 port, u8 value)
{
	spin_assert_held(&pc->lock);
	if (pit_write(&pc->pit, port, value, pc_clock(pc, PIT_HZ)))
		pc_restart_pit(pc);
}

static u64 wall_clock(const struct pc *pc)
{
	return pc->start_time + pc_clock(pc, 1000000);
}

static u8 read_rtc(struct pc *pc, u16 port)
{
	return rtc_read(&pc->rtc, port, wall_clock(pc));
}

static void write_rtc(struct pc *pc, u16 port, u8 value)
{
	rtc_write(&pc->rtc, port, value, wall_clock(pc));
}

static u8 byte_of(u32 value, unsigned byte)
{
	return (u8)(value >> (8 * byte));
}

static u8 read_acpi(struct pc *pc, u16 port)
{
	unsigned byte = port - ACPI_PM_TIMER;

	if (port >= ACPI_PM_TIMER) {
		if (byte == 0)
			pc->pm_timer = (u32)pc_clock(pc, ACPI_PM_HZ);
		return byte_of(pc->pm_timer, byte);
	}
	if (port >= ACPI_PM1_CONTROL)
		return byte_of(pc->pm1_control | 1u,
			       port - ACPI_PM1_CONTROL); /* SCI_EN: ACPI mode, always */
	if (port >= ACPI_PM1_EVENT + 2)
		return byte_of(pc->pm1_enable, port - ACPI_PM1_EVENT - 2);
	return byte_of(pc->pm1_status, port - ACPI_PM1_EVENT);
}

static void set_byte(u16 *reg, unsigned byte, u8 value)
{
	*reg = (u16)((*reg & ~(0xff << (8 * byte))) | value << (8 * byte));
}

static void write_acpi(struct pc *pc, u16 port, u8 value)
{
	if (port >= ACPI_PM_TIMER)
		return;
	if (port >= ACPI_PM1_CONTROL)
		set_byte(&pc->pm1_control, port & 1, value);
	else if (port >= ACPI_PM1_EVENT + 2)
		set_byte(&pc->pm1_enable, port & 1, value);
	else
		pc->pm1_status &= (u16) ~(value << (8 * (port & 1))); /* write one to clear */
}

/*
 * PCI configuration mechanism 1: a bus with its host bridge and nothing on it. Without a bridge systems doubt that the
 * bus is there at all, and say so. The address register holds what is written.
 */
#define PCI_ENABLE   BIT(31)
#define PCI_FUNCTION 0xffff00u /* bus, device, function: all 0 for the bridge */

static u8 read_bridge(unsigned reg)
{
	/* vendor 1b36h, device 0008h (a host bridge of no vendor's chipset), class 06h */
	static const u8 header[] = {0x36, 0x1b, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 6};

	return reg < sizeof(header) ? header[reg] : 0;
}

static u8 read_pci(struct pc *pc, u16 port)
{
	if (port < 0xcfc)
		return byte_of(pc->pci_address, port & 3);
	if (!(pc->pci_address & PCI_ENABLE) || pc->pci_address & PCI_FUNCTION)
		return 0xff;
	return read_bridge((pc->pci_address & 0xfc) | (port & 3));
}

static void write_pci(struct pc *pc, u16 port, u8 value)
{
	unsigned shift = 8 * (port & 3);

	if (port < 0xcfc)
		pc->pci_address = (pc->pci_address & ~(0xffu << shift)) | (u32)value << shift;
}

/* fw_cfg as QEMU has it, with the items that name the machine and its size (QEMU, docs/specs/fw_cfg). */
enum fw_item { FW_SIGNATURE, FW_ID, FW_RAM_SIZE = 3, FW_CPUS = 5, FW_DIRECTORY = 0x19 };

static u8 read_fw_data(struct pc *pc)
{
	static const char signature[] = "QEMU";
	unsigned at = pc->fw_at++;

	switch (pc->fw_item) {
	case FW_SIGNATURE:
		return at < 4 ? (u8)signature[at] : 0;
	case FW_ID:
		return at == 0; /* the traditional interface, no DMA */
	case FW_RAM_SIZE:
		return at < 8 ? (u8)(pc->vm->config.memory >> (8 * at)) : 0;
	case FW_CPUS:
		return at == 0 ? (u8)pc->vm->config.vcpus : 0;
	default:
		return 0; /* FW_DIRECTORY among them: no files */
	}
}

static u8 read_fw(struct pc *pc, u16 port)
{
	return port == 0x511 ? read_fw_data(pc) : 0xff;
}

static void write_fw(struct pc *pc, u16 port, u8 value)
{
	if (port == 0x510)
		pc->fw_item = value; /* the low byte comes first */
	else
		pc->fw_item = (u16)((pc->fw_item & 0xff) | value << 8);
	pc->fw_at = 0;
}

static u8 read_reset(struct pc *pc, u16 port)
{
	(void)pc;
	(void)port;
	return 0;
}

static void write_reset(struct pc *pc, u16 port, u8 value)
{
	(void)pc;
	(void)port;
	(void)value; /* carried out after the lock is released */
}

static const struct port_range ranges[] = {
	{0x20, 2, read_pic, write_pic},
	{0x40, 4, read_pit, write_pit},
	{0x61, 1, read_pit, write_pit},
	{0x70, 2, read_rtc, write_rtc},
	{0xa0, 2, read_pic, write_pic},
	{0x4d0, 2, read_pic, write_pic},
	{0x510, 2, read_fw, write_fw},
	{ACPI_PM1_EVENT, 4, read_acpi, write_acpi},
	{ACPI_PM1_CONTROL, 2, read_acpi, write_acpi},
	{ACPI_PM_TIMER, 4, read_acpi, write_acpi},
	{ACPI_RESET_PORT, 1, read_reset, write_reset},
	{0xcf8, 8, read_pci, write_pci},
};

static const struct port_range *find(u16 port)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		if ((unsigned)port - ranges[i].first < ranges[i].count)
			return &ranges[i];
	}
	return NULL;
}

bool pc_port_read(struct pc *pc, u16 port, u8 *value)
{
	const struct port_range *range = find(port);

	if (!range)
		return false;
	spin_lock(&pc->lock);
	*value = range->read(pc, port);
	pc_unlock(pc);
	return true;
}

/* Power-off by PM1 control, restart by the reset register (ACPI specification 4.8.3.2, 4.8.3.6). */
static void check_end(struct pc *pc, u16 port, u8 value)
{
	bool sleep = pc->pm1_control & ACPI_SLEEP_ENABLE &&
		     ACPI_SLEEP_TYPE(pc->pm1_control) == ACPI_S5_TYPE;

	if (port == ACPI_PM1_CONTROL + 1 && sleep)
		vm_stop(pc->vm, VM_END_SHUTDOWN, 0);
	else if (port == ACPI_RESET_PORT && value & 4)
		vm_stop(pc->vm, VM_END_REBOOT, 0);
}

bool pc_port_write(struct pc *pc, u16 port, u8 value)
{
	const struct port_range *range = find(port);

	if (!range)
		return false;
	spin_lock(&pc->lock);
	range->write(pc, port, value);
	pc_unlock(pc);
	check_end(pc, port, value);
	return true;
}
