/* SPDX-License-Identifier: Apache-2.0 */
/*
 * case.c: SAMEPAGE_CASE=NAME in the environment runs one case of a program and no other. NAME is a
 * pattern of cmocka: * and ?.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static __attribute__((__constructor__)) void choose_case(void)
{
	const char *name = getenv("SAMEPAGE_CASE");

	if (name)
		cmocka_set_test_filter(name);
}
