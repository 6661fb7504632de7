/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: log lines, their levels, and the way into panic.
 *
 * A line is made whole in a buffer on the caller's stack and written under LOCK_CONSOLE, so lines
 * of several CPUs do not mix. LOCK_CONSOLE is the last rank: one may log under any lock.
 */
#include <lib/log.h>
#include <ck_pr.h>
#include <stdarg.h>
#include <lib/env.h>
#include <lib/error.h>
#include <lib/format.h>
#include <lib/lock.h>
#include <lib/string.h>

#define LOG_LINE 240

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn",   [LOG_INFO] = "info",
	[LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};

static const char *const subsystem_names[] = {
	[LOG_BOOT] = "boot", [LOG_CPU] = "cpu",	      [LOG_MM] = "mm",
	[LOG_VMX] = "vmx",   [LOG_SVM] = "svm",	      [LOG_HV] = "hv",
	[LOG_VM] = "vm",     [LOG_DEVICE] = "device", [LOG_TEST] = "test",
};

_Static_assert(ARRAY_SIZE(subsystem_names) == LOG_SUBSYSTEMS, "each subsystem has a name");

/* [a] written at boot and from the monitor; a stale read prints one line more or less */
static enum log_level levels[LOG_SUBSYSTEMS] = {
	[0 ... LOG_SUBSYSTEMS - 1] = CONFIG_LOG_LEVEL,
};

static struct spinlock console_lock = SPINLOCK_INIT(LOCK_CONSOLE, "console");
static u64 writes; /* [a] changed under console_lock */

bool log_enabled(enum log_subsystem subsystem, enum log_level level)
{
	return level <= levels[subsystem];
}

void log_line(enum log_subsystem subsystem, enum log_level level, const char *format, ...)
{
	const struct lib_env *env = lib_env();
	u64 now = env->microseconds();
	char line[LOG_LINE];
	va_list arguments;
	size_t len;

	len = format_text(line, sizeof(line), "[%4lu.%06lu] cpu%u %s: %s: ", now / 1000000,
			  now % 1000000, env->cpu_id(), subsystem_names[subsystem],
			  level_names[level]);
	va_start(arguments, format);
	len += format_text_v(line + len, sizeof(line) - len, format, arguments);
	va_end(arguments);
	len = MIN(len, sizeof(line) - 1);
	line[len++] = '\n';
	console_write(line, len);
}

void console_write(const char *text, size_t len)
{
	spin_lock(&console_lock);
	lib_env()->write(text, len);
	ck_pr_store_64(&writes, writes + 1);
	spin_unlock(&console_lock);
}

u64 log_writes(void)
{
	return ck_pr_load_64(&writes);
}

/* The index of a word in a table of names, or -1. */
static int find_name(const char *const *names, int count, const char *text, size_t len)
{
	for (int i = 0; i < count; i++)
		if (string_is(text, len, names[i]))
			return i;
	return -1;
}

/* One word: "level" for all subsystems, or "subsystem=level". */
static int set_level(const char *word, size_t len)
{
	const char *equal = memchr(word, '=', len);
	size_t name = equal ? (size_t)(equal - word) : 0;
	const char *text = equal ? equal + 1 : word;
	int level =
		find_name(level_names, ARRAY_SIZE(level_names), text, len - (size_t)(text - word));
	int subsystem = find_name(subsystem_names, LOG_SUBSYSTEMS, word, name);

	if (level < 0 || (equal && subsystem < 0))
		return ERR_INVALID;
	for (int i = 0; i < LOG_SUBSYSTEMS; i++)
		if (!equal || i == subsystem)
			levels[i] = (enum log_level)level;
	return 0;
}

int log_set_levels(const char *text, const char **bad, size_t *bad_len)
{
	while (*text && *text != ' ') {
		size_t len = 0;

		while (text[len] && text[len] != ',' && text[len] != ' ')
			len++;
		if (set_level(text, len)) {
			*bad = text;
			*bad_len = len;
			return ERR_INVALID;
		}
		text += len;
		if (*text == ',')
			text++;
	}
	return 0;
}

void panic(const char *format, ...)
{
	char message[LOG_LINE];
	va_list arguments;

	va_start(arguments, format);
	format_text_v(message, sizeof(message), format, arguments);
	va_end(arguments);
	lib_env()->panic(message);
}

void check_failed(const char *expression, const char *file, int line)
{
	panic("CHECK(%s) failed at %s:%d", expression, file, line);
}
