/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env.c: the environment that was passed in, and a harmless stand-in until then.
 */
#include <lib/env.h>

static unsigned early_cpu_id(void)
{
	return 0;
}

static u64 early_microseconds(void)
{
	return 0;
}

static void early_relax(void)
{
}

static void early_write(const char *text, size_t len)
{
}

/* No console yet: stay here, where a debugger finds the message in the argument. */
static void __noreturn early_panic(const char *message)
{
	for (;;)
		__asm__ volatile("" : : "r"(message));
}

static const struct lib_env early = {
	.cpu_id = early_cpu_id,
	.microseconds = early_microseconds,
	.relax = early_relax,
	.rest = early_relax,
	.write = early_write,
	.panic = early_panic,
};

static const struct lib_env *current = &early;

void lib_env_set(const struct lib_env *env)
{
	current = env;
}

const struct lib_env *lib_env(void)
{
	return current;
}
