/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.h: the ACPI tables a guest finds, made from its VM's configuration (ACPI specification 6.4,
 * chapter 5).
 *
 *     RSDP --> RSDT, XSDT --+--> FADT --> FACS, DSDT (AML: \_S5, CPUs, serial port, clock, PCI)
 *                           +--> MADT (local APICs, I/O APIC, IRQ 0 on input 2, IRQ 9 level)
 */
#ifndef SAMEPAGE_HV_ACPI_H
#define SAMEPAGE_HV_ACPI_H

#include <arch/addr.h>
#include <lib/types.h>

/* Ports of the fixed hardware, and the value that \_S5 names for PM1 control. */
enum acpi_hardware {
	ACPI_PM1_EVENT = 0x600,	  /* status, then enable, 16 bits each */
	ACPI_PM1_CONTROL = 0x604, /* 16 bits */
	ACPI_PM_TIMER = 0x608,	  /* 32 bits, counts at ACPI_PM_HZ */
	ACPI_RESET_PORT = 0x60c,  /* not 0xcf9, which is also a byte of PCI's address register */
	ACPI_RESET_VALUE = 0x06,
	ACPI_SCI = 9,
	ACPI_S5_TYPE = 5,
};
#define ACPI_PM_HZ		     3579545ull
#define ACPI_SLEEP_TYPE(pm1_control) ((pm1_control) >> 10 & 7)
#define ACPI_SLEEP_ENABLE	     BIT(13)

/*
 * The tables lie where a PC's firmware keeps its extended data, at the top of low memory, and 0x40e
 * names the segment. A copy of the RSDP is in the firmware's own memory, the other place to search.
 */
#define ACPI_TABLES_GPA	  0x9c000ull
#define ACPI_TABLES_SIZE  0x4000ull
#define ACPI_EBDA_POINTER 0x40eull
#define ACPI_ROM_RSDP	  0xe0000ull
#define ACPI_RSDP_SIZE	  36

/* The parts of a VM that the tables describe. */
struct acpi_machine {
	unsigned vcpus;
	bool pci; /* a PCI bus with more than its bridge */
};

/*
 * Writes all tables for CPUs with APIC ids 0, 1, ... into `buffer`, of `size` bytes, which
 * the guest sees at `at`; the RSDP comes first. *used is how much was needed. ERR_RANGE: too small.
 * Pure; any context.
 */
int acpi_build(const struct acpi_machine *machine, void *buffer, size_t size, struct gpa at,
	       size_t *used) __must_check;

#endif
