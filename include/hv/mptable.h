/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mptable.h: the tables that describe CPUs and interrupts to systems older than ACPI (Intel
 * MultiProcessor Specification 1.4, chapter 4).
 *
 *     _MP_ --> PCMP: CPUs, ISA bus, I/O APIC, where each IRQ arrives, LINT0 and LINT1
 */
#ifndef SAMEPAGE_HV_MPTABLE_H
#define SAMEPAGE_HV_MPTABLE_H

#include <arch/addr.h>
#include <lib/types.h>

/* In the firmware's memory, the last of the three places to search. */
#define MPTABLE_GPA  0xf0000ull
#define MPTABLE_SIZE 1024

/*
 * Writes both tables for `vcpus` CPUs with APIC ids 0, 1, ... into `buffer`, which the guest sees
 * at `at`. Returns how much is used, at most MPTABLE_SIZE. Pure; any context.
 */
size_t mptable_build(unsigned vcpus, void *buffer, struct gpa at);

#endif
