/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.c: the board's chips as ports. All of them are a byte wide; a wider access is split by the
 * bus (pio.c), lowest port first, which is why a counter that moves is latched by the read of its
 * first byte.
 */
#include <hv/acpi.h>
#include <hv/pc.h>
#include "hv/pc/private.h"
#include <hv/vm.h>

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
		pc->notify |= BIT(0);
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

static u8 read_pm(struct pc *pc, u16 port)
{
	return pm_read(&pc->pm, port, pc_clock(pc, ACPI_PM_HZ));
}

static void write_pm(struct pc *pc, u16 port, u8 value)
{
	pc->request = pm_write(&pc->pm, port, value);
}

static u8 read_pci(struct pc *pc, u16 port)
{
	return pci_read(&pc->pci, port);
}

static void write_pci(struct pc *pc, u16 port, u8 value)
{
	pci_write(&pc->pci, port, value);
}

static u8 read_fw_cfg(struct pc *pc, u16 port)
{
	return fw_cfg_read(&pc->fw_cfg, port);
}

static void write_fw_cfg(struct pc *pc, u16 port, u8 value)
{
	fw_cfg_write(&pc->fw_cfg, port, value);
}

static const struct port_range ranges[] = {
	{0x20, 2, read_pic, write_pic},
	{0x40, 4, read_pit, write_pit},
	{0x61, 1, read_pit, write_pit},
	{0x70, 2, read_rtc, write_rtc},
	{0xa0, 2, read_pic, write_pic},
	{0x4d0, 2, read_pic, write_pic},
	{FW_CFG_SELECTOR, 2, read_fw_cfg, write_fw_cfg},
	{ACPI_PM1_EVENT, 4, read_pm, write_pm},
	{ACPI_PM1_CONTROL, 2, read_pm, write_pm},
	{ACPI_PM_TIMER, 4, read_pm, write_pm},
	{ACPI_RESET_PORT, 1, read_pm, write_pm},
	{PCI_ADDRESS, 8, read_pci, write_pci},
};

static const struct port_range *find_range(u16 port)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		if ((unsigned)port - ranges[i].first < ranges[i].count)
			return &ranges[i];
	}
	return NULL;
}

bool pc_port_read(struct pc *pc, u16 port, u8 *value)
{
	const struct port_range *range = find_range(port);

	if (!range)
		return false;
	spin_lock(&pc->lock);
	*value = range->read(pc, port);
	pc_unlock(pc);
	return true;
}

static const enum vm_end ends[] = {
	[PM_POWER_OFF] = VM_END_SHUTDOWN,
	[PM_RESET] = VM_END_REBOOT,
};

bool pc_port_write(struct pc *pc, u16 port, u8 value)
{
	const struct port_range *range = find_range(port);
	enum pm_request request;

	if (!range)
		return false;
	spin_lock(&pc->lock);
	range->write(pc, port, value);
	request = pc->request;
	pc->request = PM_NOTHING;
	pc_unlock(pc);
	if (request != PM_NOTHING)
		vm_stop(pc->vm, ends[request], 0);
	return true;
}
