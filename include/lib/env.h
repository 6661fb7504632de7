/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env.h: what lib needs from its environment. lib includes no other room, so the CPU layer (or a
 * host test) passes these in once, before the first log line.
 */
#ifndef SAMEPAGE_LIB_ENV_H
#define SAMEPAGE_LIB_ENV_H

#include <lib/types.h>

struct lib_env {
	unsigned (*cpu_id)(void);		       /* below CONFIG_MAX_CPUS */
	u64 (*microseconds)(void);		       /* since boot, for log lines */
	void (*relax)(void);			       /* in a loop that waits for another CPU */
	void (*rest)(void);			       /* in one that has waited long: a while */
	void (*write)(const char *text, size_t len);   /* the console; any context */
	void (*panic)(const char *message) __noreturn; /* the end: registers, backtrace, halt */
};

/* `env` stays valid for ever. Called once, on the boot CPU, before any other CPU runs. */
void lib_env_set(const struct lib_env *env);
const struct lib_env *lib_env(void);

#endif
