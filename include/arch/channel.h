/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h: a stream of bytes to and from a program outside of the machine: on a PC the second
 * serial port, COM2.
 *
 * Nothing here waits. CPU 0 alone.
 */
#ifndef SAMEPAGE_ARCH_CHANNEL_H
#define SAMEPAGE_ARCH_CHANNEL_H

#include <lib/types.h>

/* Finds the port and sets it up, once; false: the machine has none, and nothing else is called. */
bool arch_channel_init(void);

/* The next byte received, or -1 when there is none. */
int arch_channel_getc(void);

/* Sends a byte; false: no room for it now. */
bool arch_channel_putc(u8 byte) __must_check;

/* Has every byte left the machine? */
bool arch_channel_is_drained(void);

#endif
