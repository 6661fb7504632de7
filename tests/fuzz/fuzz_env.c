/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_env.c: lib's environment for a fuzzer: no console, and a panic is a finding.
 */
#include <arch/inline.h>
#include <lib/env.h>
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"

static unsigned cpu_id(void)
{
	return 0;
}

static u64 microseconds(void)
{
	return 0;
}

static void relax(void)
{
}

static void drop(const char *text, size_t len)
{
}

static void __noreturn die(const char *message)
{
	fprintf(stderr, "panic: %s\n", message);
	abort();
}

static const struct lib_env environment = {cpu_id, microseconds, relax, relax, drop, die};

/* What <arch/inline.h> of the host needs: no machine, no memory. */
_Thread_local unsigned sim_this_cpu;
char *sim_memory;
u64 sim_memory_size;

void sim_no_memory(struct hpa address)
{
	abort();
}

void fuzz_init(void)
{
	lib_env_set(&environment);
}

void fuzz_check(bool holds, const char *what)
{
	if (!holds)
		die(what);
}

/* A fuzzer has one CPU. */
void race_point(const char *name);
void race_point(const char *name)
{
}
