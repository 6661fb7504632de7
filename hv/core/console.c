/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c: lines of guests, each behind its VM's name.
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

static void console_end_line(struct console *console)
{
	console->line[console->used] = '\n';
	console_write(console->line, console->used + 1);
	console->used = console->prefix;
	console->utf8_left = 0;
}

static bool console_within_limit(struct console *console)
{
	if (console->printed < console->limit) {
		console->printed++;
		return true;
	}
	if (console->dropped++ == 0) {
		if (console->used > console->prefix)
			console_end_line(console);
		log_warn("%.*s its %lu bytes are used up; the rest is dropped",
			 (int)console->prefix - 1, console->line, console->limit);
	}
	return false;
}

/* The continuation bytes that follow a lead byte of UTF-8; 0: no lead byte. */
static u8 utf8_continuations(u8 byte)
{
	if (byte < 0xc2 || byte > 0xf4)
		return 0;
	return byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
}

/*
 * CONSOLE-3. A byte of 80h-BFh is a part of a character behind a lead byte, else a C1 control of an
 * 8-bit terminal. C2h 80h to C2h 9Fh are the C1 controls in UTF-8.
 */
static bool console_is_control(struct console *console, u8 byte)
{
	bool behind_c2 = console->utf8_c2;

	console->utf8_c2 = byte == 0xc2;
	if (console->utf8_left && (byte & 0xc0) == 0x80) {
		console->utf8_left--;
		return behind_c2 && byte < 0xa0;
	}
	console->utf8_left = utf8_continuations(byte);
	return byte >= 0x80 ? !console->utf8_left : byte == 0x7f || (byte < ' ' && byte != '\t');
}

void console_put(struct console *console, char c)
{
	if (!console_within_limit(console) || c == '\0')
		return;
	if (console->raw) {
		console_write(&c, 1);
		return;
	}
	if (c == '\r')
		return;
	if (c == '\n') {
		console_end_line(console);
		return;
	}
	if (console->used == console->prefix + CONSOLE_LINE_MAX)
		console_end_line(console);
	console->line[console->used++] = console_is_control(console, (u8)c) ? '?' : c;
}

void console_set_raw(struct console *console, bool raw)
{
	spin_lock(&console->lock);
	if (console->used > console->prefix)
		console_end_line(console);
	if (console->raw && !raw)
		console_write("\n", 1);
	console->raw = raw;
	spin_unlock(&console->lock);
}

void console_flush(struct console *console)
{
	spin_lock(&console->lock);
	if (console->used > console->prefix)
		console_end_line(console);
	spin_unlock(&console->lock);
}
