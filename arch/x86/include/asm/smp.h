/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smp.h: bringing a CPU up.
 */
#ifndef SAMEPAGE_ASM_SMP_H
#define SAMEPAGE_ASM_SMP_H

#include <arch/boot_info.h>

/* Records the CPUs that boot found, and CPU 0's place among them. CPU 0, once, its APIC on. */
void smp_init(const struct boot_info *info);

#endif
