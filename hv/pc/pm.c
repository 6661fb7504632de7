/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pm.c: the registers of pm.h. There is no button and no wake-up, so no status bit ever rises; the
 * machine is in ACPI mode from power-on, so nothing turns it on.
 */
#include <hv/pm.h>
#include <hv/acpi.h>

#define SCI_ENABLED 1u
#define RESET_BIT   BIT(2) /* of ACPI_RESET_VALUE, and of port cf9h on a PC */

enum register_group { GROUP_STATUS, GROUP_ENABLE, GROUP_CONTROL, GROUP_TIMER, GROUP_RESET };

void pm_init(struct pm *pm)
{
	*pm = (struct pm){0};
}

static enum register_group group_of(u16 port)
{
	if (port >= ACPI_RESET_PORT)
		return GROUP_RESET;
	if (port >= ACPI_PM_TIMER)
		return GROUP_TIMER;
	if (port >= ACPI_PM1_CONTROL)
		return GROUP_CONTROL;
	return port >= ACPI_PM1_EVENT + 2 ? GROUP_ENABLE : GROUP_STATUS;
}

static u8 byte_of(u32 value, unsigned byte)
{
	return (u8)(value >> (8 * byte));
}

static void set_byte(u16 *reg, unsigned byte, u8 value)
{
	*reg = (u16)((*reg & ~(0xff << (8 * byte))) | value << (8 * byte));
}

u8 pm_read(const struct pm *pm, u16 port, u64 clock)
{
	switch (group_of(port)) {
	case GROUP_STATUS:
		return byte_of(pm->status, port & 1);
	case GROUP_ENABLE:
		return byte_of(pm->enable, port & 1);
	case GROUP_CONTROL:
		return byte_of(pm->control | SCI_ENABLED, port & 1);
	case GROUP_TIMER:
		return byte_of((u32)clock, port - ACPI_PM_TIMER);
	default:
		return 0; /* the reset register */
	}
}

/* The sleep type and its enable bit lie in the upper byte (4.8.3.2). */
static enum pm_request write_control(struct pm *pm, unsigned byte, u8 value)
{
	set_byte(&pm->control, byte, value);
	if (byte == 1 && pm->control & ACPI_SLEEP_ENABLE &&
	    ACPI_SLEEP_TYPE(pm->control) == ACPI_S5_TYPE)
		return PM_POWER_OFF;
	return PM_NOTHING;
}

enum pm_request pm_write(struct pm *pm, u16 port, u8 value)
{
	switch (group_of(port)) {
	case GROUP_STATUS:
		pm->status &= (u16) ~(value << (8 * (port & 1))); /* write one to clear */
		return PM_NOTHING;
	case GROUP_ENABLE:
		set_byte(&pm->enable, port & 1, value);
		return PM_NOTHING;
	case GROUP_CONTROL:
		return write_control(pm, port & 1, value);
	case GROUP_RESET:
		return value & RESET_BIT ? PM_RESET : PM_NOTHING;
	default:
		return PM_NOTHING; /* the timer is read-only */
	}
}
