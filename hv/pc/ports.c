/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.c: the board's chips as ports.
 *
 * All chips are a byte wide; a wider access is that many bytes, lowest port first.
 *
 * Invariants:
 * PORT-1  an access is one: all its bytes belong to one hold of the lock and see one tick of the
 *         clock. So no chip keeps a byte for the next access, and two vCPUs that read a counter at
 *         once both read it whole.
 */
#include <arch/cpu.h>
#include <hv/acpi.h>
#include <hv/pc.h>
#include "hv/pc/private.h"
#include <hv/vm.h>

enum { PORT_FAST = 0x92, PORT_CHIPSET = 0xcf9 };

/*
 * read, write: one byte of an access at tick `now`. byte_only: the row answers accesses of one
 * byte; a wider one goes to the rows behind it.
 */
struct port_range {
	u16 first, count;
	u8 (*read)(struct pc *pc, u16 port, u64 now);
	void (*write)(struct pc *pc, u16 port, u8 value, u64 now);
	bool byte_only;
};

static u8 read_pic(struct pc *pc, u16 port, u64 now)
{
	return pic_read(&pc->pic, port);
}

static void write_pic(struct pc *pc, u16 port, u8 value, u64 now)
{
	spin_assert_held(&pc->lock);
	pc_run_pit(pc);
	pic_write(&pc->pic, port, value);
	pc_run_pit(pc);
	if (pic_pending(&pc->pic))
		pc->notify |= BIT(0);
}

static u8 read_pit(struct pc *pc, u16 port, u64 now)
{
	return pit_read(&pc->pit, port, pc_clock_at(pc, now, PIT_HZ));
}

static void write_pit(struct pc *pc, u16 port, u8 value, u64 now)
{
	spin_assert_held(&pc->lock);
	if (pit_write(&pc->pit, port, value, pc_clock_at(pc, now, PIT_HZ)))
		pc_restart_pit(pc);
}

static u8 read_rtc(struct pc *pc, u16 port, u64 now)
{
	u8 value = rtc_read(&pc->rtc, port, pc_wall_clock(pc, now));

	spin_assert_held(&pc->lock);
	pc_run_clock(pc, now);
	return value;
}

static void write_rtc(struct pc *pc, u16 port, u8 value, u64 now)
{
	spin_assert_held(&pc->lock);
	rtc_write(&pc->rtc, port, value, pc_wall_clock(pc, now));
	pc_run_clock(pc, now);
}

static u8 read_pm(struct pc *pc, u16 port, u64 now)
{
	return pm_read(&pc->pm, port, pc_clock_at(pc, now, ACPI_PM_HZ));
}

static void write_pm(struct pc *pc, u16 port, u8 value, u64 now)
{
	enum pm_request request = pm_write(&pc->pm, port, value);

	if (request != PM_NOTHING)
		pc->request = request;
}

static u8 read_pci(struct pc *pc, u16 port, u64 now)
{
	return pci_read(&pc->pci, port);
}

static void write_pci(struct pc *pc, u16 port, u8 value, u64 now)
{
	pci_write(&pc->pci, port, value);
}

static u8 read_fw_cfg(struct pc *pc, u16 port, u64 now)
{
	return fw_cfg_read(&pc->fw_cfg, port);
}

static void write_fw_cfg(struct pc *pc, u16 port, u8 value, u64 now)
{
	fw_cfg_write(&pc->fw_cfg, port, value);
}

/* Each byte of the keyboard's is an edge. */
static void drive_keyboard(struct pc *pc)
{
	spin_assert_held(&pc->lock);
	pc_set_line(pc, PC_IRQ_KEYBOARD, false);
	pc_set_line(pc, PC_IRQ_KEYBOARD, i8042_irq(&pc->i8042));
}

static u8 read_i8042(struct pc *pc, u16 port, u64 now)
{
	u8 value = i8042_read(&pc->i8042, port);

	if (port == I8042_DATA)
		drive_keyboard(pc);
	return value;
}

static void write_i8042(struct pc *pc, u16 port, u8 value, u64 now)
{
	if (i8042_write(&pc->i8042, port, value))
		pc->request = PM_RESET;
	drive_keyboard(pc);
}

bool pc_keyboard_has_room(struct pc *pc)
{
	bool room;

	spin_lock(&pc->lock);
	room = i8042_has_room(&pc->i8042);
	pc_unlock(pc);
	return room;
}

void pc_keyboard_type(struct pc *pc, char c)
{
	spin_lock(&pc->lock);
	i8042_type(&pc->i8042, c);
	drive_keyboard(pc);
	pc_unlock(pc);
}

static u8 read_vga(struct pc *pc, u16 port, u64 now)
{
	return vga_read(&pc->vga, port, pc_clock_at(pc, now, 1000000));
}

static void write_vga(struct pc *pc, u16 port, u8 value, u64 now)
{
	vga_write(&pc->vga, port, value);
}

/* No drive: BSY, bit 7 of the status, is pulled low and the others float (the ATA standard). */
static u8 read_ide(struct pc *pc, u16 port, u64 now)
{
	return 0x7f;
}

static void write_ide(struct pc *pc, u16 port, u8 value, u64 now)
{
}

/* The ways of a PC to reset itself beside the 8042's: the fast reset, the chipset's register. */
static void write_reset(struct pc *pc, u16 port, u8 value, u64 now)
{
	if (value & (port == PORT_FAST ? 1 : 4))
		pc->request = PM_RESET;
}

static u8 read_reset(struct pc *pc, u16 port, u64 now)
{
	return port == PORT_FAST ? 2 : 0; /* the A20 gate is open */
}

static const struct port_range ranges[] = {
	{PORT_FAST, 1, read_reset, write_reset, true},
	{PORT_CHIPSET, 1, read_reset, write_reset, true}, /* a wide one is PCI's address */
	{0x20, 2, read_pic, write_pic},
	{0x40, 4, read_pit, write_pit},
	{I8042_DATA, 1, read_i8042, write_i8042},
	{0x61, 1, read_pit, write_pit},
	{I8042_STATUS, 1, read_i8042, write_i8042},
	{0x70, 2, read_rtc, write_rtc},
	{0xa0, 2, read_pic, write_pic},
	{0x4d0, 2, read_pic, write_pic},
	{0x177, 1, read_ide, write_ide},
	{0x1f7, 1, read_ide, write_ide},
	{0x376, 1, read_ide, write_ide},
	{VGA_FIRST_PORT, VGA_PORTS, read_vga, write_vga},
	{0x3f6, 1, read_ide, write_ide},
	{FW_CFG_SELECTOR, 2, read_fw_cfg, write_fw_cfg},
	{ACPI_PM1_EVENT, 4, read_pm, write_pm},
	{ACPI_PM1_CONTROL, 2, read_pm, write_pm},
	{ACPI_PM_TIMER, 4, read_pm, write_pm},
	{ACPI_RESET_PORT, 1, read_pm, write_pm},
	{PCI_ADDRESS, 4, read_pci, write_pci},
};

static const struct port_range *find_range(u16 port, unsigned size)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		if ((unsigned)port - ranges[i].first < ranges[i].count &&
		    (size == 1 || !ranges[i].byte_only))
			return &ranges[i];
	}
	return NULL;
}

/* The functions behind it have locks of their own, which come before the board's. */
static bool is_pci_data(u16 port)
{
	return (unsigned)port - PCI_DATA < 4;
}

unsigned pc_port_read(struct pc *pc, u16 port, unsigned size, u32 *value)
{
	unsigned answered = 0;
	u64 now;

	if (is_pci_data(port))
		return pci_data_read(&pc->pci, port, size, value);
	*value = 0;
	spin_lock(&pc->lock);
	now = arch_ticks();
	for (unsigned i = 0; i < size; i++) {
		const struct port_range *range = find_range((u16)(port + i), size);
		bool reads = range && range->read;

		*value |= (u32)(reads ? range->read(pc, (u16)(port + i), now) : 0xff) << (8 * i);
		answered += reads;
	}
	pc_unlock(pc);
	return answered;
}

static const enum vm_end ends[] = {
	[PM_POWER_OFF] = VM_END_SHUTDOWN,
	[PM_RESET] = VM_END_REBOOT,
};

unsigned pc_port_write(struct pc *pc, u16 port, unsigned size, u32 value)
{
	enum pm_request request;
	unsigned answered = 0;
	u64 now;

	if (is_pci_data(port))
		return pci_data_write(&pc->pci, port, size, value);
	spin_lock(&pc->lock);
	now = arch_ticks();
	for (unsigned i = 0; i < size; i++) {
		const struct port_range *range = find_range((u16)(port + i), size);

		if (range)
			range->write(pc, (u16)(port + i), (u8)(value >> (8 * i)), now);
		answered += range != NULL;
	}
	request = pc->request;
	pc->request = PM_NOTHING;
	pc_unlock(pc);
	if (request != PM_NOTHING)
		vm_stop(pc->vm, ends[request], 0);
	return answered;
}
