/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c: guests' lines behind their names, within limits (CONSOLE-1 to CONSOLE-3).
 */
#include "sim/sim.h"
#include <hv/console.h>

static struct console console;

static void put(const char *text)
{
	spin_lock(&console.lock);
	while (*text)
		console_put(&console, *text++);
	spin_unlock(&console.lock);
}

static int start(void **state)
{
	sim_init(1);
	console_init(&console, "vm", 1000);
	return 0;
}

/* CONSOLE-1 */
static void a_line_appears_whole_behind_the_name(void **state)
{
	put("hel");
	assert_string_equal(sim_console(), "");
	put("lo\nwor");
	assert_string_equal(sim_console(), "vm| hello\n");
	console_flush(&console);
	assert_string_equal(sim_console(), "vm| hello\nvm| wor\n");
	console_flush(&console);
	assert_string_equal(sim_console(), "vm| hello\nvm| wor\n");
}

static void an_empty_line_is_a_line(void **state)
{
	put("\r\n\n");
	assert_string_equal(sim_console(), "vm| \nvm| \n");
}

static void a_long_line_is_broken(void **state)
{
	char text[CONSOLE_LINE_MAX + 2];

	memset(text, 'x', sizeof(text));
	text[CONSOLE_LINE_MAX + 1] = '\0';
	put(text);
	assert_int_equal(strlen(sim_console()), 4 + CONSOLE_LINE_MAX + 1);
	console_flush(&console);
	assert_string_equal(sim_console() + 4 + CONSOLE_LINE_MAX + 1, "vm| x\n");
}

/* CONSOLE-3 */
static void control_characters_do_not_pass(void **state)
{
	put("a\033[2J\tb\a\n");
	assert_string_equal(sim_console(), "vm| a?[2J\tb?\n");
}

/* CONSOLE-3 */
static void c1_controls_do_not_pass_and_characters_do(void **state)
{
	put("a\x9b"
	    "2Jb\xc2\x9b"
	    "c\x7f"
	    "d\n");
	put("\xc3\x80 \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\xa9\n");
	put("\xc3\n\x9b\n");
	assert_string_equal(sim_console(), "vm| a?2Jb\xc2?c?d\n"
					   "vm| \xc3\x80 \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\xa9\n"
					   "vm| \xc3\nvm| ?\n");
}

/* CONSOLE-2 */
static void past_its_limit_it_says_so_once_and_is_silent(void **state)
{
	const char *text;
	unsigned lines = 0;

	for (unsigned i = 0; i < 300; i++)
		put("12345678\n");
	console_flush(&console);
	for (text = sim_console(); (text = strstr(text, "used up")); text++)
		lines++;
	assert_int_equal(lines, 1);
	assert_int_equal(console.printed, 1000);
	assert_int_equal(console.dropped, 300 * 9 - 1000);
	assert_true(strlen(sim_console()) < 1000 + 112 * 4 + 200);
}

static void the_guest_that_has_the_terminal_speaks_as_it_likes(void **state)
{
	put("half");
	console_set_raw(&console, true);
	put("login: \x1b[6n\r\n# ");
	console_set_raw(&console, false);
	put("whole\n");
	assert_string_equal(sim_console(), "vm| half\nlogin: \x1b[6n\r\n# \nvm| whole\n");
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_appears_whole_behind_the_name),
		TEST(an_empty_line_is_a_line),
		TEST(a_long_line_is_broken),
		TEST(control_characters_do_not_pass),
		TEST(c1_controls_do_not_pass_and_characters_do),
		TEST(the_guest_that_has_the_terminal_speaks_as_it_likes),
		TEST(past_its_limit_it_says_so_once_and_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
