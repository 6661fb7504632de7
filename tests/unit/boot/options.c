/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c: command lines taken apart (lib/words.h), and the hypervisor's own options.
 *
 * The options are set once and for all, as on the machine: the tests that set some run in their
 * order.
 */
#include <lib/words.h>
#include "sim/boot_world.h"

static void assert_words(const char *line, const char *const (*expected)[2], size_t count)
{
	struct word word;

	for (size_t i = 0; i < count; i++) {
		assert_true(word_next(&line, &word));
		assert_string_equal(word.text, expected[i][0]);
		if (expected[i][1])
			assert_string_equal(word.value, expected[i][1]);
		else
			assert_null(word.value);
		assert_false(word.cut || word.unclosed);
	}
	assert_false(word_next(&line, &word));
	assert_false(word_next(&line, &word));
}

#define words(line, ...)                                                \
	do {                                                            \
		static const char *const expected[][2] = {__VA_ARGS__}; \
		assert_words(line, expected, ARRAY_SIZE(expected));     \
	} while (0)

static void words_are_separated_by_blanks(void **state)
{
	assert_words("", NULL, 0);
	assert_words(" \t\r\n ", NULL, 0);
	words("a", {"a", NULL});
	words("  a=1\tb  c=\n", {"a", "1"}, {"b", NULL}, {"c", ""});
	words("a=b=c =d", {"a", "b=c"}, {"", "d"});
}

static void quotes_hold_blanks_and_vanish(void **state)
{
	words("log=\"info,vmx=debug\"", {"log", "info,vmx=debug"});
	words("\"name=two words\" x", {"name", "two words"}, {"x", NULL});
	words("a='b c'd\" e\" f", {"a", "b cd e"}, {"f", NULL});
	words("a=b\\ c d=\\\"", {"a", "b c"}, {"d", "\""});
	words("a='\\' b=\"\\\\\"", {"a", "\\"}, {"b", "\\"});
	words("a=\"it's\" \"\"", {"a", "it's"}, {"", NULL});
}

static void a_quote_that_never_closes_ends_with_the_line(void **state)
{
	const char *line = "a='b c";
	struct word word;

	assert_true(word_next(&line, &word));
	assert_true(word.unclosed);
	assert_string_equal(word.value, "b c");
	assert_false(word_next(&line, &word));
	line = "a\\";
	assert_true(word_next(&line, &word));
	assert_string_equal(word.text, "a\\");
}

static void a_word_that_is_too_long_is_cut(void **state)
{
	char text[1000];
	const char *line = text;
	struct word word;

	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(text) - 3, " y", 3);
	assert_true(word_next(&line, &word));
	assert_true(word.cut);
	assert_int_equal(strlen(word.text), WORD_MAX - 1);
	assert_true(word_next(&line, &word));
	assert_string_equal(word.text, "y");
	assert_false(word.cut);
}

static void an_empty_line_leaves_the_defaults(void **state)
{
	sim_init(1);
	options_parse("");
	assert_string_equal(boot_option_text("log"), "");
	assert_int_equal(boot_option_number("cpus"), BOOT_CPUS_MAX);
	assert_string_equal(sim_console(), "");
}

static void an_unknown_option_is_named(void **state)
{
	sim_init(1);
	options_parse("samepage.elf32 nonsense=1 verbose");
	assert_not_said("samepage.elf32");
	assert_said("nonsense: unknown option");
	assert_said("verbose: unknown option");
}

static void a_malformed_value_leaves_the_default(void **state)
{
	static const char *const lines[] = {
		"cpus=",    "cpus",    "cpus=0",  "cpus=65",
		"cpus=two", "cpus=2x", "cpus=-1", "cpus=99999999999999999999"};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		sim_init(1);
		options_parse(lines[i]);
		assert_said("not a number from 1 to 64; staying at 64");
		assert_int_equal(boot_option_number("cpus"), BOOT_CPUS_MAX);
	}
}

static void failing_allocations_are_one_in_a_number_that_fits(void **state)
{
	sim_init(1);
	options_parse("fail_alloc=0.1 fail_seed=x");
	assert_said("fail_alloc=0.1: not a number from 0 to 1073741824; staying at 0");
	assert_said("fail_seed=x: not a number from 0 to 18446744073709551615; staying at 1");
	options_parse("fail_alloc=1073741825");
	assert_int_equal(boot_option_number("fail_alloc"), 0);
	options_parse("fail_alloc=1000 fail_seed=42 fail_from=load");
	assert_int_equal(boot_option_number("fail_alloc"), 1000);
	assert_int_equal(boot_option_number("fail_seed"), 42);
	assert_string_equal(boot_option_text("fail_from"), "load");
}

static void a_text_is_one_of_its_values(void **state)
{
	sim_init(1);
	options_parse("fault_retry=inplace apic=xapic merge=any-engine");
	assert_string_equal(sim_console(), "");
	options_parse("fault_retry=place apic fault_retry=inplacer fault_retry=");
	assert_said("fault_retry=place: not reenter|inplace; the value stays");
	assert_said("fault_retry=inplacer: not reenter|inplace");
	assert_said("apic=: not x2apic|xapic");
	assert_string_equal(boot_option_text("fault_retry"), "inplace");
	assert_string_equal(boot_option_text("apic"), "xapic");
	assert_string_equal(boot_option_text("merge"), "any-engine");
}

static void a_refused_text_may_have_a_safe_value(void **state)
{
	sim_init(1);
	options_parse("merge_secure=no");
	assert_string_equal(boot_option_text("merge_secure"), "no");
	options_parse("merge_secure=yse");
	assert_said("merge_secure=yse: not yes|no; yes");
	assert_string_equal(boot_option_text("merge_secure"), "yes");
}

static void a_word_that_is_broken_is_said(void **state)
{
	char line[400] = "log=";

	sim_init(1);
	memset(line + 4, 'x', 300);
	options_parse(line);
	assert_said("log: longer than 255 characters: cut");
	sim_init(1);
	options_parse("log='info");
	assert_said("log: its quote is never closed");
	assert_string_equal(boot_option_text("log"), "info");
}

static void the_ends_of_a_range_belong_to_it(void **state)
{
	sim_init(1);
	options_parse("cpus=1");
	assert_int_equal(boot_option_number("cpus"), 1);
	options_parse("cpus=64");
	assert_int_equal(boot_option_number("cpus"), 64);
	assert_string_equal(sim_console(), "");
}

static void good_values_are_taken_and_the_last_one_counts(void **state)
{
	sim_init(1);
	options_parse("cpus=2 log=debug 'log=info,mm=trace' cpus=0x10");
	assert_int_equal(boot_option_number("cpus"), 16);
	assert_string_equal(boot_option_text("log"), "info,mm=trace");
	assert_string_equal(sim_console(), "");
}

static void asking_for_an_option_that_is_not_in_the_table_is_our_bug(void **state)
{
	sim_init(1);
	sim_panics(boot_option_number("nonsense"), "CHECK");
	sim_panics(boot_option_number("log"), "CHECK");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_separated_by_blanks),
		cmocka_unit_test(quotes_hold_blanks_and_vanish),
		cmocka_unit_test(a_quote_that_never_closes_ends_with_the_line),
		cmocka_unit_test(a_word_that_is_too_long_is_cut),
		cmocka_unit_test(an_empty_line_leaves_the_defaults),
		cmocka_unit_test(an_unknown_option_is_named),
		cmocka_unit_test(a_malformed_value_leaves_the_default),
		cmocka_unit_test(failing_allocations_are_one_in_a_number_that_fits),
		cmocka_unit_test(a_text_is_one_of_its_values),
		cmocka_unit_test(a_refused_text_may_have_a_safe_value),
		cmocka_unit_test(a_word_that_is_broken_is_said),
		cmocka_unit_test(the_ends_of_a_range_belong_to_it),
		cmocka_unit_test(good_values_are_taken_and_the_last_one_counts),
		cmocka_unit_test(asking_for_an_option_that_is_not_in_the_table_is_our_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
