/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c: guests' lines, each behind its VM's name.
 */
#include <hv/console.h>
#include <lib/format.h>
#include <lib/log.h>
#include <lib/string.h>

#define LOG_THIS LOG_VM

void console_init(struct console *console, const char *name, u64 limit)
{
	*console = (struct console){.limit = limit};
	spin_init(&console->lock, LOCK_DEVICE, "console");
	console->prefix = format_text(console->line, CONSOLE_PREFIX_MAX, "%s| ", name);
	console->used = console->prefix;
}

static void end_line(struct console *console)
{
	console->line[console->used] = '\n';
	console_write(console->line, console->used + 1);
	console->used = console->prefix;
}

static bool within_limit(struct console *console)
{
	if (console->printed < console->limit) {
		console->printed++;
		return true;
	}
	if (console->dropped++ == 0) {
		if (console->used > console->prefix)
			end_line(console);
		log_warn("%.*s its %llu bytes are used up; the rest is dropped",
			 (int)console->prefix - 1, console->line,
			 (unsigned long long)console->limit);
	}
	return false;
}

void console_put(struct console *console, char c)
{
	if (!within_limit(console) || c == '\0')
		return;
	if (console->raw) {
		console_write(&c, 1);
		return;
	}
	if (c == '\r')
		return;
	if (c == '\n') {
		end_line(console);
		return;
	}
	if (console->used == console->prefix + CONSOLE_LINE_MAX)
		end_line(console);
	console->line[console->used++] = (u8)c < ' ' && c != '\t' ? '?' : c;
}

void console_set_raw(struct console *console, bool raw)
{
	spin_lock(&console->lock);
	if (console->used > console->prefix)
		end_line(console);
	if (console->raw && !raw)
		console_write("\n", 1);
	console->raw = raw;
	spin_unlock(&console->lock);
}

void console_flush(struct console *console)
{
	spin_lock(&console->lock);
	if (console->used > console->prefix)
		end_line(console);
	spin_unlock(&console->lock);
}
