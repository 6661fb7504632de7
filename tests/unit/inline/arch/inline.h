/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.h: the simulated machine has nothing worth inlining: sim_cpu.c fulfils <arch/cpu.h> with
 * functions.
 */
#ifndef SAMEPAGE_ARCH_INLINE_H
#define SAMEPAGE_ARCH_INLINE_H

unsigned arch_cpu_id(void);
void arch_guest_enter(void);
void arch_guest_leave(void);

#endif
