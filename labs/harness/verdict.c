/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict.c: runs one case of a cmocka program and reports its result apart from its output.
 * A library that the grader preloads.
 *
 * The result is a nonce of the grader, written to a pipe after the case has returned: a case that
 * exits, loops or dies writes none, and text that it prints does not count. The nonce is on the
 * stack of the function below only.
 *
 *     LAB_CASE    the case; without it the program runs as always
 *     LAB_PIPES   "IN OUT": descriptors; the nonce is read from the first, written to the second
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define NONCE_MAX 64
#define ABSENT	  77

typedef int (*run_group)(const char *group, const struct CMUnitTest *tests, const size_t count,
			 CMFixtureFunction setup, CMFixtureFunction teardown);

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *const tests,
			    const size_t count, CMFixtureFunction setup, CMFixtureFunction teardown)
{
	run_group run = (run_group)dlsym(RTLD_NEXT, "_cmocka_run_group_tests");
	const char *name = getenv("LAB_CASE"), *pipes = getenv("LAB_PIPES");
	char nonce[NONCE_MAX];
	int in, out, failed;
	ssize_t size;

	if (!name || !pipes || sscanf(pipes, "%d %d", &in, &out) != 2)
		return run(group, tests, count, setup, teardown);
	size = read(in, nonce, sizeof(nonce));
	close(in);
	unsetenv("LAB_PIPES");
	for (size_t i = 0; i < count; i++) {
		if (strcmp(tests[i].name, name))
			continue;
		failed = run(group, &tests[i], 1, setup, teardown);
		if (!failed && size > 0 && write(out, nonce, (size_t)size) != size)
			failed = 1;
		return failed;
	}
	return ABSENT;
}
