/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stacks.h: the stacks every CPU has, each with an unmapped page below it.
 *
 *     STACK_BASE + cpu * STACKS_STRIDE
 *     | guard | main, 16 KiB | guard | NMI, 8 KiB | guard | #DF, 8 KiB | guard | #MC, 8 KiB |
 *
 * CPU 0's main stack is the one that boot/entry.S entered C on, inside the image, with a guard page
 * of its own.
 */
#ifndef SAMEPAGE_ASM_STACKS_H
#define SAMEPAGE_ASM_STACKS_H

#include <arch/addr.h>
#include <asm/layout.h>
#include <lib/types.h>

enum stack_kind { STACK_MAIN, STACK_NMI, STACK_DF, STACK_MC, STACKS };

#define STACK_MAIN_PAGES 4
#define STACK_IST_PAGES	 2

struct stack {
	u64 guard, bottom, top;
};

/* Where a stack is; cpu < ARCH_CPUS_MAX. Mapped only for the CPUs that boot found. */
struct stack stack_of(unsigned cpu, enum stack_kind kind);

/* Is `address` in a guard page? Then *cpu and *kind say of which stack. Any context. */
bool stack_guard_find(u64 address, unsigned *cpu, enum stack_kind *kind);

const char *stack_name(enum stack_kind kind);

#endif
