/* SPDX-License-Identifier: Apache-2.0 */
/*
 * panic.h: the end of the hypervisor, told as well as it can be.
 */
#ifndef SAMEPAGE_ASM_PANIC_H
#define SAMEPAGE_ASM_PANIC_H

#include <lib/types.h>

/* What panic() in lib/log.h comes to: says the message, then where we are, and ends the machine.
 * Any context. */
void arch_panic(const char *message) __noreturn;

#endif
