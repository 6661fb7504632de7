/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: levelled log lines with a timestamp and a level for each subsystem, and the two ways to
 * give up.
 *
 *     [   1.234567] cpu0 vmx: info: EPT with A/D, VPID, unrestricted guest
 *
 * CHECK() and panic() are for a broken invariant of the hypervisor. What a guest, a module or a
 * command line can cause gets log_error() and a defined result instead.
 */
#ifndef SAMEPAGE_LIB_LOG_H
#define SAMEPAGE_LIB_LOG_H

#include <lib/types.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

enum log_subsystem {
	LOG_BOOT,
	LOG_CPU,
	LOG_MM,
	LOG_VMX,
	LOG_SVM,
	LOG_HV,
	LOG_VM,
	LOG_DEVICE,
	LOG_TEST,
	LOG_SUBSYSTEMS
};

/*
 * One line, at most 240 characters, newline added. Lines of several CPUs do not mix. Any context
 * but NMI. Use the macros; each file says once which subsystem it is:   #define LOG_THIS LOG_BOOT
 */
void log_line(enum log_subsystem subsystem, enum log_level level, const char *format, ...)
	__printf(3, 4);

/* Text as it stands, not a log line (a guest's console): written as one piece. Any context but NMI.
 */
void console_write(const char *text, size_t len);
/* How many pieces and log lines have been written. Any context. */
u64 log_writes(void);

bool log_enabled(enum log_subsystem subsystem, enum log_level level);

/*
 * Sets levels from text such as "info,vmx=debug,mm=trace". ERR_INVALID on an unknown word: its
 * start and length go to *bad, *bad_len; levels named before it are set.
 */
int log_set_levels(const char *text, const char **bad, size_t *bad_len);

#define log_at(level, ...)                                      \
	do {                                                    \
		if (log_enabled(LOG_THIS, level))               \
			log_line(LOG_THIS, level, __VA_ARGS__); \
	} while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) log_at(LOG_TRACE, __VA_ARGS__)

void panic(const char *format, ...) __printf(1, 2) __noreturn;
void check_failed(const char *expression, const char *file, int line) __noreturn __cold;

#define CHECK(expression)                                              \
	do {                                                           \
		if (unlikely(!(expression)))                           \
			check_failed(#expression, __FILE__, __LINE__); \
	} while (0)

/* Checked in debug builds only: for what a hot path cannot afford. */
#define DEBUG_CHECK(expression)                                          \
	do {                                                             \
		if (IS_ENABLED(CONFIG_DEBUG) && unlikely(!(expression))) \
			check_failed(#expression, __FILE__, __LINE__);   \
	} while (0)

#endif
