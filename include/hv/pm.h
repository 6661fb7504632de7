/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pm.h: ACPI's fixed hardware: PM1 event and control registers, the timer, the reset register (ACPI
 * specification 6.4, 4.8). The FADT says where they are (acpi.h).
 *
 * Time is a parameter: clocks of ACPI_PM_HZ since power-on. The caller's lock guards it.
 */
#ifndef SAMEPAGE_HV_PM_H
#define SAMEPAGE_HV_PM_H

#include <lib/types.h>

struct pm {
	u16 status, enable, control;
};

/* The effect of a write on the machine. */
enum pm_request { PM_NOTHING, PM_POWER_OFF, PM_RESET };

void pm_init(struct pm *pm);

/*
 * ACPI_PM1_EVENT to ACPI_PM_TIMER + 3, and ACPI_RESET_PORT; a byte of an access at `clock`, which
 * is the same for all bytes of one access.
 */
u8 pm_read(const struct pm *pm, u16 port, u64 clock);
enum pm_request pm_write(struct pm *pm, u16 port, u8 value);

#endif
