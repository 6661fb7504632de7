/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h: one serial line for many VMs.
 *
 *     hello| what the guest of the VM named hello printed
 *
 * Why by lines: characters of two guests that print at once would make neither readable. Why a cap:
 * a guest that prints for ever pays for it with its own time slices, but would still bury the
 * others.
 *
 * Invariants:
 * CONSOLE-1  a guest's text appears only after its name and only as whole lines; but for the one
 *            guest to which the user has given the terminal (terminal.h), whose bytes pass as they
 *            are.
 * CONSOLE-2  a console never writes more than its limit, plus one line that says so.
 * CONSOLE-3  no byte below blank but tab reaches the real console, so a guest cannot steer the
 *            terminal; with the same exception.
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
	bool raw; /* the user's terminal is this guest's */
};

void console_init(struct console *console, const char *name, u64 limit);
/* One byte a guest printed. console->lock is held. */
void console_put(struct console *console, char c) LOCK_REQUIRES(&console->lock);
/* From now on bytes go out as they come, or by lines again. Takes console->lock. */
void console_set_raw(struct console *console, bool raw);

/* An unfinished line, if there is one, is finished. */
void console_flush(struct console *console);

#endif
