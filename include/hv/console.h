/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h: one serial line for many VMs.
 *
 *     hello| what the guest of the VM named hello printed
 *
 * By lines: characters of two guests that print at once would make neither readable. Limited: a
 * guest that prints for ever pays with its own time slices, but its output would hide the others'.
 *
 * Invariants:
 * CONSOLE-1  a guest's text appears only after its name and only as whole lines; but for the one
 *            guest that has the terminal (terminal.h): its bytes pass as they are.
 * CONSOLE-2  a console never writes more than its limit, plus one line that says so.
 * CONSOLE-3  no control byte but tab reaches the real console (C0, DEL, and C1 by itself or as
 *            UTF-8), so a guest cannot control the user's terminal; with the same exception.
 */
#ifndef SAMEPAGE_HV_CONSOLE_H
#define SAMEPAGE_HV_CONSOLE_H

#include <lib/lock.h>
#include <lib/types.h>

#define CONSOLE_PREFIX_MAX 32
#define CONSOLE_LINE_MAX   160

/* lock [I], rank LOCK_DEVICE; the rest is under it. `line` starts with the prefix. */
struct console {
	struct spinlock lock;
	char line[CONSOLE_PREFIX_MAX + CONSOLE_LINE_MAX + 1];
	size_t prefix; /* [I] length of "name| " */
	size_t used;   /* of `line`, prefix included */
	u64 limit;     /* [I] */
	u64 printed, dropped;
	u8 utf8_left; /* continuation bytes that may follow */
	bool utf8_c2; /* the last byte was C2h */
	bool raw;     /* the guest has the terminal */
};

void console_init(struct console *console, const char *name, u64 limit);
/* One byte of a guest. */
void console_put(struct console *console, char c) LOCK_REQUIRES(&console->lock);
/* Raw: bytes pass as they come; else by lines. Takes console->lock. */
void console_set_raw(struct console *console, bool raw);

/* Ends an unfinished line. Takes console->lock. */
void console_flush(struct console *console);

#endif
