/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h: what a user types at the machine's console. What it prints goes through lib/log.h.
 */
#ifndef SAMEPAGE_ARCH_CONSOLE_H
#define SAMEPAGE_ARCH_CONSOLE_H

/* The next character received, or -1 when there is none. Does not wait. One CPU at a time. */
int arch_console_getc(void);

#endif
