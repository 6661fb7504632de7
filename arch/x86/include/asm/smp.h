/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smp.h: bringing a CPU up.
 */
#ifndef SAMEPAGE_ASM_SMP_H
#define SAMEPAGE_ASM_SMP_H

#include <arch/boot_info.h>

/* Notes the CPUs that boot found, and who CPU 0 is among them. CPU 0, once, its APIC on. */
void smp_init(const struct boot_info *info);

#endif
