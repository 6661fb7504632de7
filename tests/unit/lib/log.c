/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: log lines, their levels, and the order of locks (LOCK-1, LOCK-2).
 */
#define LOG_THIS LOG_TEST

#include "sim/sim.h"

#include <lib/lock.h>
#include <lib/log.h>

static int start(void **state)
{
	const char *bad;
	size_t len;

	sim_init(2);
	return log_set_levels("info", &bad, &len);
}

static void a_line_has_time_cpu_subsystem_and_level(void **state)
{
	sim_set_cpu(1);
	log_warn("%s is %d", "six", 6);
	assert_string_equal(sim_console(), "[   0.000000] cpu1 test: warn: six is 6\n");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
	char text[500];

	memset(text, 'y', sizeof(text));
	log_info("%.*s", (int)sizeof(text), text);
	assert_int_equal(strlen(sim_console()), 240);
	assert_string_equal(sim_console() + 238, "y\n");
}

static void only_enabled_levels_are_printed(void **state)
{
	log_debug("not said");
	assert_string_equal(sim_console(), "");
}

static void levels_are_set_for_one_subsystem_and_for_all(void **state)
{
	const char *bad;
	size_t len;

	assert_int_equal(log_set_levels("error,vmx=trace,mm=debug", &bad, &len), 0);
	assert_true(log_enabled(LOG_VMX, LOG_TRACE));
	assert_true(log_enabled(LOG_MM, LOG_DEBUG));
	assert_false(log_enabled(LOG_MM, LOG_TRACE));
	assert_false(log_enabled(LOG_HV, LOG_WARN));
	assert_true(log_enabled(LOG_HV, LOG_ERROR));
}

static void an_unknown_word_is_returned(void **state)
{
	static const char *const wrong[] = {"info,vmx=loud", "info,vm x", "nowhere=info", "=info",
					    "info,="};
	const char *bad;
	size_t len;

	assert_int_equal(log_set_levels("debug,vmx=loud,mm=info", &bad, &len), ERR_INVALID);
	assert_int_equal(len, 8);
	assert_memory_equal(bad, "vmx=loud", 8);
	assert_true(log_enabled(LOG_MM, LOG_DEBUG));
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(log_set_levels(wrong[i], &bad, &len), ERR_INVALID);
}

static void a_failed_check_says_what_and_where(void **state)
{
	sim_panics(CHECK(1 + 1 == 3), "CHECK(1 + 1 == 3) failed at ");
	assert_non_null(strstr(sim_panic_message, "tests/unit/lib/log.c:"));
}

/* LOCK-1, at every pair of ranks. */
static void locks_are_taken_in_the_order_of_their_ranks(void **state)
{
	struct spinlock outer, inner;

	for (unsigned a = 0; a < LOCK_RANKS; a++) {
		for (unsigned b = 0; b < LOCK_RANKS; b++) {
			spin_init(&outer, (enum lock_rank)a, "outer");
			spin_init(&inner, (enum lock_rank)b, "inner");
			spin_lock(&outer);
			if (b > a) {
				spin_lock(&inner);
				spin_unlock(&inner);
			} else {
				sim_panics(spin_lock(&inner), "lock order: inner");
			}
			spin_unlock(&outer);
		}
	}
}

static void locks_are_released_in_any_order_and_by_their_holder(void **state)
{
	struct spinlock a = SPINLOCK_INIT(LOCK_VM, "a"), b = SPINLOCK_INIT(LOCK_MMU, "b");

	spin_lock(&a);
	spin_lock(&b);
	spin_unlock(&a);
	assert_false(spin_is_locked(&a));
	assert_true(spin_is_locked(&b));
	sim_panics(spin_unlock(&a), "lock order: a released by a CPU that does not hold it");
	sim_set_cpu(1);
	sim_panics(spin_unlock(&b), "lock order: b released by a CPU that does not hold it");
	assert_false(spin_trylock(&b));
	sim_set_cpu(0);
	spin_unlock(&b);
	assert_true(spin_trylock(&b));
	spin_unlock(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line_has_time_cpu_subsystem_and_level, start),
		cmocka_unit_test_setup(a_line_that_is_too_long_is_cut, start),
		cmocka_unit_test_setup(only_enabled_levels_are_printed, start),
		cmocka_unit_test_setup(levels_are_set_for_one_subsystem_and_for_all, start),
		cmocka_unit_test_setup(an_unknown_word_is_returned, start),
		cmocka_unit_test_setup(a_failed_check_says_what_and_where, start),
		cmocka_unit_test_setup(locks_are_taken_in_the_order_of_their_ranks, start),
		cmocka_unit_test_setup(locks_are_released_in_any_order_and_by_their_holder, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
