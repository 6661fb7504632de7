/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h: the machine's text in and out: COM1 (16550), and the debug port 0xE9 where an emulator
 * has it.
 */
#ifndef SAMEPAGE_ASM_CONSOLE_H
#define SAMEPAGE_ASM_CONSOLE_H

#include <lib/types.h>

/* Finds out what there is and sets it up: 115200 baud, 8N1, FIFOs on, no interrupts. CPU 0, once.
 */
void serial_init(void);

/* Writes text, CR added before LF; waits for room. Any context, NMI included; callers serialize. */
void serial_write(const char *text, size_t len);

/* Waits until the last character has left the UART: before the machine ends. */
void serial_drain(void);

#endif
