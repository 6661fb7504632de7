/* SPDX-License-Identifier: Apache-2.0 */
/*
 * panic.h: the end of the hypervisor, with a report.
 */
#ifndef SAMEPAGE_ASM_PANIC_H
#define SAMEPAGE_ASM_PANIC_H

#include <lib/types.h>

struct trap_frame;

/* The end of panic() in <lib/log.h>: stops the other CPUs, prints the message and the place.
 * Any context. */
void arch_panic(const char *message) __noreturn;

/* The same for an exception of the hypervisor's own. */
void panic_trap(const struct trap_frame *frame) __noreturn;

/* Does not return when another CPU has panicked; called by the NMI handler. */
void panic_stop_here(void);

#endif
