/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choice.c: lab 7. mm/notify/policy.c alone, compiled as Kconfig has it with
 * NOTIFIER_POLICY_MINE=y (labs/CMakeLists.txt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <lib/log.h>
#include <lib/string.h>

#include <mm/policy.h>

void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

bool string_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(text, word, len);
}

static void kconfig_can_make_it_the_default(void **state)
{
	assert_string_equal(notifier_policy_name(notifier_policy_default()), "mine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kconfig_can_make_it_the_default),
	};

	return cmocka_run_group_tests_name("lab7_choice", tests, NULL, NULL);
}
